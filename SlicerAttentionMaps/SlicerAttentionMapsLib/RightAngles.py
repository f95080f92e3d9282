"""Boxes along the voxel axes of a volume in the world."""

import numpy as np


def rightAngledAxes(affine: np.ndarray) -> np.ndarray:
    """Return the rotation (3, 3) whose columns lie nearest to a volume's voxel axes in the world.

    Polar decomposition of the axes' directions; the third is turned around where they mirror.
    """
    left, _, right = np.linalg.svd(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    axes = left @ right
    if np.linalg.det(axes) < 0:
        axes[:, 2] *= -1
    return axes


def boundsAlong(axes: np.ndarray, ijk: np.ndarray, affine: np.ndarray):
    """Return lowest and highest (3,) mm along world axes of voxels (n, 3), corners included."""
    reach = np.abs(axes.T @ affine[:3, :3]).sum(axis=1) / 2
    along = (ijk @ affine[:3, :3].T + affine[:3, 3]) @ axes
    return along.min(axis=0) - reach, along.max(axis=0) + reach
