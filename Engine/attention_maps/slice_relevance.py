"""How much each slice of a volume matters: the curve beside a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_maps.errors import ImageError

if TYPE_CHECKING:
    from attention_maps.types import Image


@dataclass(frozen=True)
class SliceRelevance:
    """One slice.

    Args:
        index: Its number along the axis.
        ras: (3,) position of its center in mm.
        value: Sum of the map's absolute values within it.
        share: The same as share of the whole map; 0 where the map is zero everywhere.
    """

    index: int
    ras: tuple[float, float, float]
    value: float
    share: float


def slice_relevance(image: Image, axis: int) -> list[SliceRelevance]:
    """Relevance of every slice of a map.

    Args:
        image: (1, I, J, K) map.
        axis: Axis across the slices.

    Raises:
        ImageError: If it is a map of a picture, or has no such axis.
    """
    if image.ndim != 3:
        raise ImageError(
            f"Expected a map of a volume, got one of shape {image.array.shape}: a picture has no "
            "slices; leave the table out."
        )
    if axis not in range(3):
        raise ImageError(f"Expected an axis from 0 to 2 across the slices, got {axis!r}.")
    values = np.abs(np.moveaxis(image.array[0], axis, 0).astype(np.float64))
    sums = values.reshape(len(values), -1).sum(1)
    total = sums.sum()
    center = (np.array(image.grid.shape, dtype=float) - 1) / 2
    found = []
    for index, value in enumerate(sums):
        center[axis] = index
        r, a, s = image.grid.to_world(center).tolist()
        share = float(value / total) if total > 0 else 0.0
        found.append(SliceRelevance(index, (r, a, s), float(value), share))
    return found
