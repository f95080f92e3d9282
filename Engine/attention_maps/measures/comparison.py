"""What a metric gets: a map and a mask on one grid, and what several metrics need of both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attention_maps.measures.components import bounding_box, surface
from attention_maps.measures.distances import VoxelSet, distances
from attention_maps.measures.voxels import is_right_angled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attention_maps.measures.attention import Attention
    from attention_maps.types import Grid


NOTHING_ATTENDED = "no voxel of the map is above the threshold"


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
        values = self.evidence[self.mask_box][self.mask[self.mask_box]]
        values.sort()
        return values

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
    def mask_surface(self) -> VoxelSet:
        """Voxels of the mask with a face to the outside."""
        return VoxelSet(surface(self.mask[self.mask_box]), self.mask_box, self.grid)

    @cached_property
    def mask_voxels(self) -> VoxelSet:
        """Among which the voxel of the mask is that is nearest to a place outside.

        The surface is enough where the grid's axes are at right angles. Where they are far from
        that, a voxel without a face to the outside may be the nearest one.
        """
        if is_right_angled(self.grid):
            return self.mask_surface
        return VoxelSet(self.mask[self.mask_box], self.mask_box, self.grid)

    @cached_property
    def peak_distance(self) -> float:
        """Distance of the hottest voxel to the mask in mm, 0 inside; of several the nearest."""
        hottest = self.attention.hottest
        if hottest.count == self.evidence.size:
            raise Undefined("the map is the same everywhere, so it has no hottest voxel")
        if (hottest.marks & self.mask[hottest.box]).any():
            return 0.0
        return float(distances(hottest, self.mask_voxels).min())

    @cached_property
    def surface_distances(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distances in mm from each surface voxel to the other surface.

        From the surface of what is above the threshold to that of the mask, and back. A surface
        voxel has a face to the outside; distances are between centers in the world.
        """
        attended = self.attention.surface
        if attended is None:
            raise Undefined(NOTHING_ATTENDED)
        return distances(attended, self.mask_surface), distances(self.mask_surface, attended)
