"""What a metric gets: a map and a mask on one grid, and where the map is cut."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attention_maps.types import Grid

BINS = 256


@dataclass(frozen=True, eq=False)
class Comparison:
    """A map held against a mask; metrics take from it what they need.

    Args:
        values: (*spatial) float32 map, signed.
        mask: (*spatial) bool, True inside.
        grid: Where both lie; `grid.spacing` is the voxel size in mm.
        threshold: Value above which the map counts as attention, 0 or more.
    """

    values: NDArray[np.float32]
    mask: NDArray[np.bool_]
    grid: Grid
    threshold: float

    @cached_property
    def evidence(self) -> NDArray[np.float32]:
        """(*spatial) positive part of the map: what speaks for the answer."""
        return np.maximum(self.values, 0)

    @cached_property
    def attended(self) -> NDArray[np.bool_]:
        """(*spatial) where the map is above the threshold."""
        return self.values > self.threshold


def otsu_threshold(evidence: NDArray[np.float32]) -> float:
    """Value that parts the positive part of a map into two classes of greatest separation.

    The histogram has 256 bins from 0 to the maximum and holds all voxels, those of value 0 too. A
    map that is the same everywhere has nothing to part, and all of it is above the threshold.

    Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9, 1979.

    Args:
        evidence: Values of 0 or more, not all 0.

    Returns:
        Center of the last bin of the lower class.
    """
    values = evidence.ravel(order="K")  # as they lie in memory: else they would be copied
    counts, edges = np.histogram(values, BINS, (0.0, float(evidence.max())))
    centers = (edges[:-1] + edges[1:]) / 2
    share = counts / counts.sum()
    lower = np.cumsum(share)
    moment = np.cumsum(share * centers)
    upper = 1 - lower
    separable = (lower > 0) & (upper > 1e-12)
    separation = np.zeros(BINS)
    gap = moment[-1] * lower - moment
    np.divide(gap**2, lower * upper, out=separation, where=separable)
    return float(centers[int(separation.argmax())])
