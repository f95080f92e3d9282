"""What metrics found of one map and one mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Scores(dict[str, float]):
    """Value by name of metric: a plain dict, with what else is known of them.

    Args:
        values: Value by name; NaN where a metric is not defined.
        reasons: Why, by name, for every NaN.
        threshold: Value of the map above which a voxel counted as attention, in the map's unit;
            None where no metric needed one.
        voxels: Number of the mask's voxels on the map's grid.
    """

    reasons: dict[str, str]
    threshold: float | None
    voxels: int

    def __init__(
        self,
        values: Mapping[str, float] | None = None,
        reasons: Mapping[str, str] | None = None,
        threshold: float | None = None,
        voxels: int = 0,
    ) -> None:
        super().__init__(values or {})
        self.reasons = dict(reasons or {})
        self.threshold = threshold
        self.voxels = voxels
