"""Parts of a region that hang together through the faces of their voxels, and its surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_maps.packages import needed

if TYPE_CHECKING:
    from numpy.typing import NDArray


def bounding_box(region: NDArray[np.bool_]) -> tuple[slice, ...] | None:
    """The smallest box around all voxels of a region; None where it has none."""
    box = []
    for axis in range(region.ndim):
        others = tuple(other for other in range(region.ndim) if other != axis)
        found = np.flatnonzero(region.any(axis=others))
        if not found.size:
            return None
        box.append(slice(int(found[0]), int(found[-1]) + 1))
    return tuple(box)


def label_components(region: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Number the parts of a region from 1 on; 0 is outside.

    Args:
        region: (*spatial) bool, in whatever order of memory.

    Returns:
        (*spatial) int32 in the same order of memory, and how many parts there are.
    """
    ndimage = needed("scipy.ndimage", "Finding connected parts")
    labels = np.zeros_like(region, dtype=np.int32)
    # scipy walks the last axis fastest: give it that of the memory.
    order = np.argsort([-stride for stride in region.strides], kind="stable")
    count = ndimage.label(region.transpose(order), output=labels.transpose(order))
    return labels, int(count)


def largest_component(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The part with the most voxels, of several the first in index order; an empty region stays."""
    box = bounding_box(region)
    if box is None:
        return region
    labels, count = label_components(region[box])
    if count == 1:
        return region
    sizes = np.bincount(labels.ravel(order="K"), minlength=count + 1)
    sizes[0] = 0
    largest = np.flatnonzero(sizes == sizes.max())
    chosen = largest[0] if len(largest) == 1 else _first(labels, largest)
    result = np.zeros_like(region)
    np.equal(labels, chosen, out=result[box])
    return result


def surface(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(*spatial) voxels of a region with a face to the outside; the array's ends are outside."""
    inner = region.copy(order="K")
    for axis in range(region.ndim):
        moved, source = np.moveaxis(inner, axis, 0), np.moveaxis(region, axis, 0)
        moved[1:] &= source[:-1]
        moved[:-1] &= source[1:]
        moved[0] = moved[-1] = False
    np.logical_not(inner, out=inner)
    inner &= region
    return inner


def _first(labels: NDArray[np.int32], numbers: NDArray[np.intp]) -> int:
    """Which of some labels comes first, row by row, whatever the order of memory."""
    flat = labels.ravel()
    return int(flat[np.isin(flat, numbers).argmax()])
