"""Distances between sets of voxels in the world, in mm, center to center, always exact.

Few voxels are searched in a tree of points, which is right on sheared grids, too. Many voxels of a
grid with right angles are looked up in a distance map of the box around both sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.measures.voxels import is_right_angled
from attention_maps.packages import needed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attention_maps.types import Grid

    Box = tuple[slice, ...]

CHUNK = 1_000_000
LEAF = 32  # points of a leaf; larger than usual, as most trees are searched once
VOXELS_PER_SEARCH = 50  # of a distance map take as long as searching one point in a tree
SEARCHES_PER_POINT = 0.1  # take as long as putting one point into a tree


@dataclass(frozen=True, eq=False)
class VoxelSet:
    """Some voxels of a grid, at least one.

    Args:
        marks: (*box) bool, True for those of the set.
        box: Where the marks lie in the grid.
        grid: The grid.
    """

    marks: NDArray[np.bool_]
    box: Box
    grid: Grid

    @cached_property
    def count(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.marks))

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """(n, 3) centers in the world, mm."""
        return self.grid.to_world(np.argwhere(self.marks) + [side.start for side in self.box])

    @cached_property
    def tree(self) -> Any:
        """For finding the nearest of the points."""
        spatial = needed("scipy.spatial", "A distance in mm")
        return spatial.cKDTree(self.points, leafsize=LEAF, compact_nodes=False, balanced_tree=False)


def distances(voxels: VoxelSet, others: VoxelSet) -> NDArray[np.floating[Any]]:
    """(n,) distance of each voxel to the nearest of the others, mm.

    Raises:
        MissingPackageError: If scipy is not installed.
    """
    box = _around(voxels.box, others.box)
    searches = voxels.count + SEARCHES_PER_POINT * others.count
    size = np.prod([side.stop - side.start for side in box], dtype=float)
    if is_right_angled(voxels.grid) and size < VOXELS_PER_SEARCH * searches:
        return _distance_map(others, box)[_within(voxels.box, box)][voxels.marks]
    return nearest(voxels.points, others)


def nearest(points: NDArray[np.float64], voxels: VoxelSet) -> NDArray[np.float64]:
    """(n,) distance of each point (n, 3) to the nearest voxel, mm."""
    parts = [voxels.tree.query(points[n : n + CHUNK])[0] for n in range(0, len(points), CHUNK)]
    return np.concatenate(parts)


def _distance_map(voxels: VoxelSet, box: Box) -> NDArray[np.float32]:
    """(*box) distance to the nearest voxel of a set, mm; right angles only."""
    import SimpleITK

    inner = _within(voxels.box, box)
    marks = np.zeros([side.stop - side.start + 2 for side in box], dtype=np.uint8)
    marks[tuple(slice(1, -1) for _ in box)][inner] = voxels.marks  # all around is outside
    image = SimpleITK.GetImageFromArray(marks)
    image.SetSpacing(voxels.grid.spacing[::-1])
    found = SimpleITK.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    del image
    result = SimpleITK.GetArrayFromImage(found)[tuple(slice(1, -1) for _ in box)]
    result[inner][voxels.marks] = 0  # the filter counts from the set's surface, inwards, too
    return result


def _around(first: Box, second: Box) -> Box:
    """The smallest box around two boxes."""
    return tuple(
        slice(min(a.start, b.start), max(a.stop, b.stop))
        for a, b in zip(first, second, strict=True)
    )


def _within(inner: Box, outer: Box) -> Box:
    """A box, counted from the start of another one."""
    return tuple(
        slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer, strict=True)
    )
