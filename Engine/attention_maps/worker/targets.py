"""Targets as plain dicts: `{"kind": "point", "name": "tumour", "ras": [12.0, -30.5, 44.0]}`.

`kind` is class, region, point, component, contrast or top; the other entries are the arguments of
the target of that name. A class name or index alone, None and lists of all these are fine, too.
The mask of a region is an Image, an array on the image's grid (*spatial) or a path.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import TargetError
from attention_maps.types import Image
from attention_maps.worker.codec import build
from attention_maps.worker.messages import SharedArray, SharedImage

if TYPE_CHECKING:
    from attention_maps.worker.arrays import SharedFolder

FIELDS = {
    "class": ("name",),
    "region": ("name", "mask"),
    "point": ("name", "ras"),
    "component": ("name", "ras"),
    "contrast": ("name", "other"),
    "top": ("k",),
}
OPTIONAL = {"region": {"place"}, "top": {"k"}}


def packed(target: Any, folder: SharedFolder) -> Any:
    """The client's side: a target that JSON can hold, its mask shared.

    Raises:
        TargetError: If it is none of the known kinds, or an entry is missing or not known.
    """
    if isinstance(target, list | tuple):
        return [packed(item, folder) for item in target]
    if target is None or isinstance(target, str | int):
        return target
    if isinstance(target, np.integer):
        return int(target)
    values = dict(_checked(target))
    if "ras" in values:
        values["ras"] = np.asarray(values["ras"]).tolist()
    mask = values.get("mask")
    if isinstance(mask, Image):
        values["mask"] = {"image": folder.share_image(mask.array, mask.affine)}
    elif isinstance(mask, os.PathLike):
        values["mask"] = os.fspath(mask)
    elif mask is not None and not isinstance(mask, str):
        values["mask"] = {"array": folder.share(mask)}
    return values


def unpacked(target: Any, folder: SharedFolder) -> Any:
    """The worker's side: the engine's target.

    Raises:
        TargetError: If it is none of the known kinds, or an entry is missing or not known.
    """
    from attention_maps import targets

    if isinstance(target, list):
        return [unpacked(item, folder) for item in target]
    if not isinstance(target, dict):
        return target
    values = dict(_checked(target))
    kind = values.pop("kind")
    if isinstance(values.get("mask"), dict):
        values["mask"] = _fetched(values["mask"], folder)
    return getattr(targets, f"{kind.capitalize()}Target")(**values)


def _fetched(mask: dict[str, Any], folder: SharedFolder) -> Any:
    if "image" in mask:
        shared = build(SharedImage, mask["image"], "mask")
        return Image(folder.fetch(shared.array), shared.affine)
    return folder.fetch(build(SharedArray, mask.get("array"), "mask"))


def _checked(target: Any) -> dict[str, Any]:
    kind = target.get("kind") if isinstance(target, dict) else None
    if kind not in FIELDS:
        raise TargetError(
            f"Expected a class, or a dict whose 'kind' is {', '.join(FIELDS)}, got {target!r:.80}."
        )
    given, expected = set(target) - {"kind"}, set(FIELDS[kind])
    if not given ^ expected <= OPTIONAL.get(kind, set()):
        raise TargetError(
            f"Expected the target '{kind}' with {' and '.join(FIELDS[kind])}, got "
            f"{', '.join(sorted(given)) or 'nothing'}."
        )
    return target
