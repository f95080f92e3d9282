"""The metrics of M3d-CAM, by its definitions, for a map as it is: nothing is scaled to 0..1 first.

M3d-CAM takes the absolute value of a map with negative values; that is `sign="absolute"` here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention_maps.measures.comparison import NOTHING_ATTENDED, Undefined
from attention_maps.measures.overlap import precision
from attention_maps.registry import metric

if TYPE_CHECKING:
    from attention_maps.measures.comparison import Comparison

M3D_CAM = "Gotkowski et al., M3d-CAM, 2020, arXiv:2007.00453"


@metric("wioa", "Weighted IoA", limits=(0, 1), reference=M3D_CAM)
def wioa(comparison: Comparison) -> float:
    """Share of the attention above the threshold that lies inside the mask, weighted by value."""
    common, everywhere = comparison.attended_weights
    if not everywhere:
        raise Undefined(NOTHING_ATTENDED)
    return common / everywhere


@metric("ioa", "IoA", limits=(0, 1), reference=M3D_CAM)
def ioa(comparison: Comparison) -> float:
    """Intersection of thresholded map and mask over the thresholded map: the same as precision."""
    return precision(comparison)


@metric("wiou", "Weighted IoU", limits=(0, 1), reference=M3D_CAM)
def wiou(comparison: Comparison) -> float:
    """Attention in the intersection over the attention beside the mask and the mask's voxels.

    Values are shares of the map's maximum. A perfect map does not reach 1: voxels of the mask count
    as 1 each below the fraction line and by their attention above it, as in M3d-CAM.
    """
    common, everywhere = (weight / comparison.attention.maximum
                          for weight in comparison.attended_weights)  # fmt: skip
    return common / (everywhere - common + comparison.mask_size)
