"""Where a target is: points, connected parts and masks on the grid of the network's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import TargetError
from attention_maps.inputs import as_image
from attention_maps.types import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from attention_maps.answer import Answer
    from attention_maps.types import Grid


def as_mask(mask: Any, source: Grid) -> Image:
    """A user's mask with its place: an array without one lies on the explained image, `source`."""
    if not isinstance(mask, np.ndarray | list) and not hasattr(mask, "detach"):
        return as_image(mask)
    array = np.asarray(mask)
    if array.ndim == source.ndim:
        array = array[None]
    if array.shape[1:] != source.shape:
        raise TargetError(
            f"Expected a mask of the input image's shape {source.shape}, got "
            f"{np.shape(mask)}; pass an Image where the mask has a grid of its own."
        )
    return Image(array, source.affine)


def voxel_at(ras: Sequence[float], answer: Answer) -> tuple[int, ...]:
    """Index of the answer's voxel at a position in mm, RAS.

    Raises:
        TargetError: If the position is not three finite numbers, or outside the answer.
    """
    try:
        position = np.asarray(ras, dtype=np.float64)
    except (TypeError, ValueError):
        position = np.empty(0)
    if position.shape != (3,) or not np.isfinite(position).all():
        raise TargetError(f"Expected a point as three finite numbers in mm (RAS), got {ras!r}.")
    voxel = np.rint(answer.grid.to_index(position)).astype(int)
    if (voxel < 0).any() or (voxel >= np.asarray(answer.grid.shape)).any():
        raise TargetError(
            f"Expected a point inside the network's answer, but {position_text(position)} is voxel "
            f"{tuple(int(v) for v in voxel)} of {answer.grid.shape}; place it inside the image "
            "(positions are in mm, RAS)."
        )
    return tuple(int(v) for v in voxel)


def position_text(ras: Iterable[float]) -> str:
    """A position in mm for captions and messages."""
    return "(" + ", ".join(f"{value:.1f}" for value in ras) + ") mm"


def component_at(mask: NDArray[np.bool_], voxel: tuple[int, ...]) -> NDArray[np.bool_]:
    """The part of a mask that hangs together with one voxel through faces."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    connected = SimpleITK.ConnectedComponent(image)  # the view does not keep it alive
    labels = SimpleITK.GetArrayViewFromImage(connected)
    return np.asarray(labels == labels[voxel])
