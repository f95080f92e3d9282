"""What a map was asked, kept with its node, so that more can be asked about it later.

The provenance tells people how a map was made; this holds what it takes to ask the same again.
"""

import base64
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import ResultNodes
from .EnginePath import ensureEngine

ATTRIBUTE = "AttentionMaps.Question"
REGION_ROLE = "AttentionMaps.Region"
_CHANNEL_ROLE = "AttentionMaps.Channel"
# Answers of people to questions about safety belong to no scene.
_NOT_KEPT = ("trust",)


@dataclass(frozen=True)
class Record:
    """What was asked.

    Attributes:
        volumeNodes: the scan, or one volume per channel; None for those that were removed.
        modelPath: model file or folder.
        target: what was asked, as plain data (see `MapTargets.question`).
        spec: what the network expects: a dict, a path or a name; None for the sidecar.
        options: other arguments of `load_model`, without trust.
        region: what runs over windows were limited to; None for the whole volume.
        method, layer, methodOptions: of the map; empty for what is asked of several.
    """

    volumeNodes: tuple
    modelPath: str
    target: object = None
    spec: object = None
    options: dict = field(default_factory=dict)
    region: object = None
    method: str = ""
    layer: str = "auto"
    methodOptions: dict = field(default_factory=dict)


def keep(node, record: Record) -> None:
    """Keep a question with the node of its answer; what cannot be kept is left out as a whole.

    Args:
        node: a map, or a table.
        record: what was asked; method and layer are told by the provenance.
    """
    isFile = isinstance(record.modelPath, str | Path)
    if not isFile or isinstance(record.target, list) or _isOfSeveral(record.target):
        return
    try:
        text = json.dumps(
            {
                "modelPath": str(resolved(record.modelPath)),
                "target": _packed(record.target),
                "spec": record.spec if isinstance(record.spec, dict | None) else str(record.spec),
                "options": {k: v for k, v in record.options.items() if k not in _NOT_KEPT},
                "channels": len(record.volumeNodes),
                "regionSegment": record.region[1] if isinstance(record.region, tuple) else "",
            }
        )
    except (TypeError, ValueError):  # a function as target, a model in memory
        return
    node.SetAttribute(ATTRIBUTE, text)
    node.SetNodeReferenceID(ResultNodes.SCAN_ROLE, record.volumeNodes[0].GetID())
    for number, volume in enumerate(record.volumeNodes[1:], start=1):
        node.SetNodeReferenceID(f"{_CHANNEL_ROLE}{number}", volume.GetID())
    region = record.region[0] if isinstance(record.region, tuple) else record.region
    if region is not None:
        node.SetNodeReferenceID(REGION_ROLE, region.GetID())


def of(node) -> Record:
    """Return what a map, or a table, was asked.

    Raises:
        ImageError: If that is not known, or a volume was removed.
    """
    ensureEngine()
    from attention_maps.errors import ImageError

    found = json.loads(node.GetAttribute(ATTRIBUTE) or "{}")
    if not found:
        raise ImageError(
            f"What '{node.GetName()}' was asked is not kept with it; explain it again."
        )
    roles = [f"{_CHANNEL_ROLE}{number}" for number in range(1, found["channels"])]
    volumes = tuple(node.GetNodeReference(role) for role in (ResultNodes.SCAN_ROLE, *roles))
    if None in volumes:
        raise ImageError(
            f"A volume that '{node.GetName()}' was made of was removed; load it and explain it "
            "again."
        )
    region, segment = node.GetNodeReference(REGION_ROLE), found["regionSegment"]
    made = ResultNodes.provenanceOf(node)
    layer = made.get("layer", "auto")
    return Record(
        volumes,
        found["modelPath"],
        _unpacked(found["target"]),
        found["spec"],
        found["options"],
        (region, segment) if region is not None and segment else region,
        made.get("method", ""),
        "auto" if layer == "input" else layer,
        made.get("options", {}),
    )


def isKept(node) -> bool:
    """Return whether it is known what a map was asked."""
    return bool(node.GetAttribute(ATTRIBUTE))


def resolved(path) -> Path:
    """Return the one path of a file, however it was written."""
    return Path(path).expanduser().resolve()


def _isOfSeveral(target) -> bool:
    return isinstance(target, dict) and target.get("kind") == "top"


def _packed(target):
    """Return a target that JSON can hold."""
    if not isinstance(target, dict):
        return int(target) if isinstance(target, np.integer) else target
    values = dict(target)
    if "ras" in values:
        values["ras"] = np.asarray(values["ras"], dtype=float).tolist()
    mask = values.get("mask")
    if mask is not None and not hasattr(mask, "array"):
        raise TypeError("Expected a mask as an Image.")
    if mask is not None:
        inside = np.asarray(mask.array[0]) != 0
        bits = zlib.compress(np.packbits(inside).tobytes())
        values["mask"] = {
            "shape": list(inside.shape),
            "affine": np.asarray(mask.affine).tolist(),
            "bits": base64.b64encode(bits).decode("ascii"),
        }
    return values


def _unpacked(target):
    if not isinstance(target, dict) or "mask" not in target:
        return target
    from attention_maps.types import Image

    mask = target["mask"]
    bits = np.frombuffer(zlib.decompress(base64.b64decode(mask["bits"])), dtype=np.uint8)
    inside = np.unpackbits(bits, count=int(np.prod(mask["shape"]))).reshape(mask["shape"])
    return {**target, "mask": Image(inside[None].astype(bool), np.array(mask["affine"]))}
