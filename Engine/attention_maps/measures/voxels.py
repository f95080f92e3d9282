"""Sizes and directions of a grid's voxels in the world."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attention_maps.types import Grid

MM3_PER_ML = 1000
SQUARE = 2e-6  # largest cosine between right-angled axes; headers may have six decimals


def voxel_size(grid: Grid) -> float:
    """Volume of a voxel in mm^3, in 2D its area in mm^2; right on sheared grids, too."""
    edges = grid.affine[:3, : grid.ndim]
    face = np.cross(edges[:, 0], edges[:, 1])
    return float(abs(face @ edges[:, 2]) if grid.ndim == 3 else np.linalg.norm(face))


def is_right_angled(grid: Grid) -> bool:
    """Whether the grid's axes are at right angles to each other in the world."""
    directions = _directions(grid)
    cosines = directions.T @ directions - np.eye(grid.ndim)
    return bool(np.abs(cosines).max() < SQUARE)


def right_angled_axes(grid: Grid) -> NDArray[np.float64]:
    """Unit vectors (3, ndim) at right angles that lie nearest to the grid's axes, as columns.

    Those of the grid itself where they are at right angles, else its polar decomposition.
    """
    left, _, right = np.linalg.svd(_directions(grid), full_matrices=False)
    return left @ right


def _directions(grid: Grid) -> NDArray[np.float64]:
    edges = grid.affine[:3, : grid.ndim]
    return edges / np.linalg.norm(edges, axis=0)
