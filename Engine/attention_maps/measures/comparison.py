"""What a metric gets: a map and a mask on one grid, and what several metrics need of both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attention_maps.measures.components import bounding_box, surface
from attention_maps.measures.distances import nearest, search_tree
from attention_maps.measures.voxels import is_right_angled

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from attention_maps.measures.attention import Attention
    from attention_maps.types import Grid


class Undefined(Exception):  # noqa: N818 - an outcome, not an error
    """A metric raises it where it has no value; the text says why."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A map held against a mask; metrics take from it what they need.

    Args:
        attention: The map; it has a positive value.
        mask: (*spatial) bool, True inside; it has a voxel.
    """

    attention: Attention
    mask: NDArray[np.bool_]

    @property
    def evidence(self) -> NDArray[np.float32]:
        """(*spatial) what counts of the map, 0 or more."""
        return self.attention.evidence

    @property
    def attended(self) -> NDArray[np.bool_]:
        """(*spatial) where the map is above the threshold."""
        return self.attention.attended

    @property
    def grid(self) -> Grid:
        """Where both lie; `grid.spacing` is the voxel size in mm."""
        return self.attention.grid

    @cached_property
    def mask_box(self) -> tuple[slice, ...]:
        """The smallest box around the mask."""
        box = bounding_box(self.mask)
        if box is None:
            raise Undefined("the mask is empty")
        return box

    @cached_property
    def mask_size(self) -> int:
        """Number of voxels of the mask."""
        return int(np.count_nonzero(self.mask[self.mask_box]))

    @cached_property
    def common_size(self) -> int:
        """Number of voxels of the mask that are above the threshold."""
        both = self.mask[self.mask_box] & self.attended[self.mask_box]
        return int(np.count_nonzero(both))

    @cached_property
    def inside(self) -> NDArray[np.float32]:
        """(n,) values of all voxels of the mask, ascending."""
        return np.sort(self.evidence[self.mask_box][self.mask[self.mask_box]])

    @cached_property
    def weight_inside(self) -> float:
        """Sum of the values of all voxels of the mask."""
        return float(self.inside.sum(dtype=np.float64))

    @cached_property
    def attended_weights(self) -> tuple[float, float]:
        """Sums of the values above the threshold: in the mask, and everywhere."""
        box = self.attention.attended_box
        if box is None:
            return 0.0, 0.0
        values, attended = self.evidence[box], self.attended[box]
        everywhere = values.sum(where=attended, dtype=np.float64)
        common = values.sum(where=attended & self.mask[box], dtype=np.float64)
        return float(common), float(everywhere)

    @cached_property
    def mask_surface(self) -> NDArray[np.float64]:
        """(n, 3) centers of the voxels at the mask's surface in the world, mm."""
        return self._surface_of(self.mask, self.mask_box)

    @cached_property
    def surface_tree(self) -> Any:
        """For searching the mask's surface."""
        return search_tree(self.mask_surface)

    @cached_property
    def mask_tree(self) -> Any:
        """For searching the mask.

        The surface is enough where the grid's axes are at right angles. Where they are far from
        that, a voxel without a face to the outside may be the nearest one.
        """
        if is_right_angled(self.grid):
            return self.surface_tree
        start = [side.start for side in self.mask_box]
        return search_tree(self.grid.to_world(np.argwhere(self.mask[self.mask_box]) + start))

    @cached_property
    def peak_distance(self) -> float:
        """Distance of the hottest voxel to the mask in mm, 0 inside; of several the nearest."""
        hottest = self.attention.hottest
        if len(hottest) == self.evidence.size:
            raise Undefined("the map is the same everywhere, so it has no hottest voxel")
        if self.mask[tuple(hottest.T)].any():
            return 0.0
        return float(nearest(self.grid.to_world(hottest), self.mask_tree).min())

    @cached_property
    def surface_distances(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distances in mm from each surface voxel to the other surface.

        From the surface of what is above the threshold to that of the mask, and back. A surface
        voxel has a face to the outside; distances are between centers in the world.
        """
        box = self.attention.attended_box
        if box is None:
            raise Undefined("no voxel of the map is above the threshold")
        attended = self._surface_of(self.attended, box)
        forth = nearest(attended, self.surface_tree)
        return forth, nearest(self.mask_surface, search_tree(attended))

    def _surface_of(self, region: NDArray[np.bool_], box: tuple[slice, ...]) -> NDArray[np.float64]:
        start = [side.start for side in box]
        return self.grid.to_world(np.argwhere(surface(region[box])) + start)
