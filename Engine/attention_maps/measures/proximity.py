"""How far the attention is from the mask, in mm in the world."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import numpy as np

from attention_maps.measures.distances import nearest
from attention_maps.registry import Option, metric

if TYPE_CHECKING:
    from attention_maps.measures.comparison import Comparison

FAR = math.inf


@metric(
    "pointing_game", "Pointing game", limits=(0, 1),
    reference="Zhang et al., Excitation Backprop, International Journal of Computer Vision 126, "
    "2018, arXiv:1608.00507",
)  # fmt: skip
def pointing_game(
    comparison: Comparison,
    *,
    tolerance: Annotated[
        float, Option("how far from the mask is a hit, too, in mm", low=0, unit="mm")
    ] = 0.0,
) -> float:
    """1 where the hottest voxel lies inside the mask or near enough, else 0.

    Where several voxels share the largest value, one that hits is enough.
    """
    return float(comparison.peak_distance <= tolerance)


@metric(
    "peak_distance", "Peak distance", unit="mm", better="lower", limits=(0, FAR),
    reference="none: a plain distance",
)  # fmt: skip
def peak_distance(comparison: Comparison) -> float:
    """Distance from the hottest voxel to the nearest voxel of the mask, 0 inside.

    Of several voxels that share the largest value, the nearest.
    """
    return comparison.peak_distance


@metric(
    "centroid_distance", "Centroid distance", unit="mm", better="lower", limits=(0, FAR),
    reference="none: a plain distance",
)  # fmt: skip
def centroid_distance(comparison: Comparison) -> float:
    """Distance from the attention's center of mass to the nearest voxel of the mask, 0 inside.

    Inside means that the voxel in which the center of mass lies belongs to the mask.
    """
    index = comparison.attention.centroid
    if comparison.mask[tuple(np.rint(index).astype(int))]:
        return 0.0
    return float(nearest(comparison.grid.to_world(index)[None], comparison.mask_voxels)[0])


@metric(
    "hausdorff_distance", "Hausdorff distance", unit="mm", better="lower", limits=(0, FAR),
    reference="Huttenlocher et al., IEEE Transactions on Pattern Analysis and Machine "
    "Intelligence 15, 1993",
)  # fmt: skip
def hausdorff_distance(comparison: Comparison) -> float:
    """Largest distance between the surfaces of thresholded map and mask, in either direction."""
    return float(max(distances.max() for distances in comparison.surface_distances))


@metric(
    "hausdorff_distance_95", "Hausdorff distance 95 %", unit="mm", better="lower",
    limits=(0, FAR),
    reference="Maier-Hein et al., Metrics reloaded, Nature Methods 21, 2024, arXiv:2206.01653",
)  # fmt: skip
def hausdorff_distance_95(comparison: Comparison) -> float:
    """95th percentile of the distances between both surfaces, the larger of both directions."""
    return float(max(np.quantile(distances, 0.95) for distances in comparison.surface_distances))


@metric(
    "mean_surface_distance", "Mean surface distance", unit="mm", better="lower",
    limits=(0, FAR),
    reference="Heimann et al., IEEE Transactions on Medical Imaging 28, 2009",
)  # fmt: skip
def mean_surface_distance(comparison: Comparison) -> float:
    """Distance between the surfaces of thresholded map and mask, averaged over both surfaces."""
    return float(np.concatenate(comparison.surface_distances).mean())
