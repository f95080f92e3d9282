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
MARGINS = (4, 16, 64)  # voxels around a set that its distance map reaches at first
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

    def within(self, box: Box) -> NDArray[np.bool_]:
        """(*box) the marks within another box, which may reach beyond the set's own."""
        result = np.zeros([side.stop - side.start for side in box], dtype=np.bool_)
        common = tuple(
            slice(max(a.start, b.start), max(a.start, b.start, min(a.stop, b.stop)))
            for a, b in zip(self.box, box, strict=True)
        )
        result[_inside(common, box)] = self.marks[_inside(common, self.box)]
        return result

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
    if is_right_angled(voxels.grid) and _size(box) < VOXELS_PER_SEARCH * searches:
        return _looked_up(voxels, others, box)
    return nearest(voxels.points, others)


def nearest(points: NDArray[np.float64], voxels: VoxelSet) -> NDArray[np.float64]:
    """(n,) distance of each point (n, 3) to the nearest voxel, mm."""
    parts = [voxels.tree.query(points[n : n + CHUNK])[0] for n in range(0, len(points), CHUNK)]
    return np.concatenate(parts)


def _looked_up(voxels: VoxelSet, others: VoxelSet, whole: Box) -> NDArray[np.float32]:
    """(n,) distance of each voxel to the nearest of the others, by a distance map.

    The map need not reach farther around the voxels than the largest distance in it.

    Args:
        voxels: The voxels.
        others: The others.
        whole: Box around both.
    """
    for margin in MARGINS:
        box = _grown(voxels.box, margin, whole)
        reach = min(
            (
                margin * length
                for length, part, end in zip(voxels.grid.spacing, box, whole, strict=True)
                if part != end
            ),
            default=np.inf,
        )
        if reach == np.inf or (others.within(box).any() and _size(box) < _size(whole) / 4):
            found = _distance_map(voxels, others, box)
            if found.max() <= reach:
                return found
    return _distance_map(voxels, others, whole)


def _distance_map(voxels: VoxelSet, others: VoxelSet, box: Box) -> NDArray[np.float32]:
    """(n,) distance of each voxel to the nearest of those others that lie in a box, mm."""
    import SimpleITK

    marks = np.pad(others.within(box), 1).view(np.uint8)  # all around is outside
    image = SimpleITK.GetImageFromArray(marks)
    image.SetSpacing(voxels.grid.spacing[::-1])
    found = SimpleITK.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    del image
    inner = tuple(slice(side.start + 1, side.stop + 1) for side in _inside(voxels.box, box))
    values = SimpleITK.GetArrayViewFromImage(found)[inner][voxels.marks]
    # The filter counts from the surface of the others inwards, too.
    values[marks.view(np.bool_)[inner][voxels.marks]] = 0
    return values


def _around(first: Box, second: Box) -> Box:
    """The smallest box around two boxes."""
    return tuple(
        slice(min(a.start, b.start), max(a.stop, b.stop))
        for a, b in zip(first, second, strict=True)
    )


def _grown(box: Box, margin: int, whole: Box) -> Box:
    """A box with a margin on each side that ends where another one does."""
    return tuple(
        slice(max(a.start - margin, b.start), min(a.stop + margin, b.stop))
        for a, b in zip(box, whole, strict=True)
    )


def _inside(inner: Box, outer: Box) -> Box:
    """A box, counted from the start of one around it."""
    return tuple(
        slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer, strict=True)
    )


def _size(box: Box) -> float:
    """Number of voxels in a box."""
    return float(np.prod([side.stop - side.start for side in box], dtype=float))
