"""How much each slice of a volume matters: the curve beside a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
    """
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
