"""Distances between points in the world, in mm.

Points and not distance maps: they are right on grids whose axes are not at right angles, too, and
a surface has far fewer voxels than a volume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_maps.packages import needed

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

CHUNK = 1_000_000
LEAF = 32  # points of a leaf; larger than usual, as most trees are searched once


def search_tree(points: NDArray[np.float64]) -> Any:
    """A tree in which the nearest of some points (n, 3) are found.

    Raises:
        MissingPackageError: If scipy is not installed.
    """
    spatial = needed("scipy.spatial", "A distance in mm")
    return spatial.cKDTree(points, leafsize=LEAF, compact_nodes=False, balanced_tree=False)


def nearest(points: NDArray[np.float64], tree: Any) -> NDArray[np.float64]:
    """(n,) distance of each point (n, 3) to the nearest one of a tree, in mm."""
    parts = [tree.query(points[n : n + CHUNK])[0] for n in range(0, len(points), CHUNK)]
    return np.concatenate(parts)
