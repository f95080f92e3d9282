"""Distances between sets of voxels in the world, in mm, center to center, always exact.

Few voxels are searched in a tree of points, which is right on sheared grids, too. Many voxels of a
grid with right angles are looked up: which voxel is nearest is worked out for a whole box at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.measures.voxels import is_right_angled
from attention_maps.packages import needed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from attention_maps.types import Grid

    Box = tuple[slice, ...]

CHUNK = 1_000_000
LEAF = 32  # points of a leaf; larger than usual, as most trees are searched once
VOXELS_PER_SEARCH = 6  # are looked up in the time that searching one point in a tree takes
MARGINS = (4, 16, 64)  # voxels around a set that are looked up at first
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


def distances(voxels: VoxelSet, others: VoxelSet) -> NDArray[np.float64]:
    """(n,) distance of each voxel to the nearest of the others, mm.

    Raises:
        MissingPackageError: If scipy is not installed.
    """
    searches = voxels.count + SEARCHES_PER_POINT * others.count
    most = VOXELS_PER_SEARCH * searches if is_right_angled(voxels.grid) else 0
    for box, reach in _boxes(voxels, others):
        marks = others.within(box) if _size(box) < most else np.zeros(1, dtype=np.bool_)
        if marks.any():
            found = _looked_up(voxels, marks, box)
            if found.max() <= reach:
                return found
    return nearest(voxels.points, others)


def nearest(points: NDArray[np.float64], voxels: VoxelSet) -> NDArray[np.float64]:
    """(n,) distance of each point (n, 3) to the nearest voxel, mm."""
    parts = [voxels.tree.query(points[n : n + CHUNK])[0] for n in range(0, len(points), CHUNK)]
    return np.concatenate(parts)


def _boxes(voxels: VoxelSet, others: VoxelSet) -> Iterator[tuple[Box, float]]:
    """Boxes that grow around some voxels until they hold all of both sets.

    Yields:
        A box, and how far it reaches around the voxels in mm: what is beyond it is farther away.
    """
    whole = _around(voxels.box, others.box)
    for margin in MARGINS:
        box = _grown(voxels.box, margin, whole)
        sides = zip(voxels.grid.spacing, box, whole, strict=True)
        reaches = [margin * length for length, part, end in sides if part != end]
        if not reaches:
            break
        yield box, min(reaches)
    yield whole, np.inf


def _looked_up(voxels: VoxelSet, marks: NDArray[np.bool_], box: Box) -> NDArray[np.float64]:
    """(n,) distance of each voxel to the nearest of those marked in a box around them, mm."""
    ndimage = needed("scipy.ndimage", "A distance in mm")
    # Which voxel is nearest, not how far it is: distance maps in float32 are not exact.
    places = ndimage.distance_transform_edt(
        ~marks, voxels.grid.spacing, return_distances=False, return_indices=True
    )
    result, done = np.empty(voxels.count), 0
    first, *others = _inside(voxels.box, box)
    start = np.array([side.start for side in (first, *others)])
    for row, own in enumerate(voxels.marks):  # row by row: all at once would fill the memory
        steps = places[:, first.start + row, *others][:, own].T - start
        steps[:, 0] -= row
        steps[:, 1:] -= np.argwhere(own)
        result[done : done + len(steps)] = np.linalg.norm(steps * voxels.grid.spacing, axis=1)
        done += len(steps)
    return result


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
