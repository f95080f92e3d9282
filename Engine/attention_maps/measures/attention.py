"""One map: what metrics, hot spots and the table of evidence need of it, each worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from attention_maps.errors import MethodError
from attention_maps.measures.components import bounding_box, surface
from attention_maps.measures.distances import VoxelSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attention_maps.measures.threshold import Threshold
    from attention_maps.types import Grid

Sign = Literal["positive", "negative", "absolute"]


@dataclass(frozen=True, eq=False)
class Attention:
    """A map and where it is cut. What several masks are held against is worked out once.

    Args:
        evidence: (*spatial) float32, 0 or more, not all 0: what counts of the map.
        grid: Where it lies.
        threshold: Which voxels count as attention where a region is needed.
    """

    evidence: NDArray[np.float32]
    grid: Grid
    threshold: Threshold

    @cached_property
    def maximum(self) -> float:
        """Largest value."""
        return float(self.evidence.max())

    @cached_property
    def total(self) -> float:
        """Sum of all values."""
        return float(self.evidence.sum(dtype=np.float64))

    @cached_property
    def cut(self) -> float:
        """Value above which a voxel counts as attention."""
        return self.threshold.cut(self.evidence)

    @cached_property
    def attended(self) -> NDArray[np.bool_]:
        """(*spatial) where the map is above the cut."""
        return self.threshold.region(self.evidence, self.cut)

    @cached_property
    def attended_box(self) -> tuple[slice, ...] | None:
        """The smallest box around what is attended."""
        return bounding_box(self.attended)

    @cached_property
    def attended_size(self) -> int:
        """Number of voxels above the cut."""
        return int(np.count_nonzero(self.attended))

    @cached_property
    def ranked(self) -> NDArray[np.float32]:
        """(n,) all values above 0, ascending."""
        values = self.evidence[self.evidence > 0]
        values.sort()
        return values

    @cached_property
    def hottest(self) -> VoxelSet:
        """All voxels that have the largest value."""
        marks = self.evidence == np.float32(self.maximum)
        box = bounding_box(marks) or ()
        return VoxelSet(marks[box], box, self.grid)

    @cached_property
    def surface(self) -> VoxelSet | None:
        """Voxels above the cut with a face to what is not; None where nothing is above it."""
        box = self.attended_box
        return None if box is None else VoxelSet(surface(self.attended[box]), box, self.grid)

    @cached_property
    def centroid(self) -> NDArray[np.float64]:
        """(ndim,) index of the center of mass of the evidence, continuous."""
        axes = range(self.evidence.ndim)
        return np.array([self._center_along(axis) for axis in axes]) / self.total

    def _center_along(self, axis: int) -> float:
        others = tuple(other for other in range(self.evidence.ndim) if other != axis)
        sums = self.evidence.sum(axis=others, dtype=np.float64)
        return float(sums @ np.arange(len(sums)))


def what_counts(values: NDArray[np.float32], sign: Sign = "positive") -> NDArray[np.float32]:
    """What counts of a map: (*spatial) float32, 0 or more; no copy where that is the map itself.

    Args:
        values: (*spatial) float32, signed.
        sign: "positive": what speaks for the answer; "negative": what speaks against it, turned
            positive; "absolute": both.

    Raises:
        MethodError: If the sign is none of these.
    """
    if sign not in get_args(Sign):
        raise MethodError(
            f"Expected sign to be {', '.join(map(repr, get_args(Sign)))}, got {sign!r}."
        )
    if sign == "negative":
        values = -values
    if values.min() >= 0:
        return values
    return np.abs(values) if sign == "absolute" else np.maximum(values, 0)
