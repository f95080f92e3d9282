"""How well the thresholded map and the mask cover each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention_maps.measures.comparison import NOTHING_ATTENDED, Undefined
from attention_maps.registry import metric

if TYPE_CHECKING:
    from attention_maps.measures.comparison import Comparison


@metric("iou", "IoU", limits=(0, 1), reference="Jaccard, New Phytologist 11, 1912")
def iou(comparison: Comparison) -> float:
    """Thresholded map and mask: intersection over union."""
    common = comparison.common_size
    return common / (comparison.attention.attended_size + comparison.mask_size - common)


@metric("dice", "Dice", limits=(0, 1), reference="Dice, Ecology 26, 1945")
def dice(comparison: Comparison) -> float:
    """Thresholded map and mask: twice the intersection over the sum of both sizes."""
    sizes = comparison.attention.attended_size + comparison.mask_size
    return 2 * comparison.common_size / sizes


@metric(
    "precision", "Precision", limits=(0, 1),
    reference="Powers, Journal of Machine Learning Technologies 2, 2011, arXiv:2010.16061",
)  # fmt: skip
def precision(comparison: Comparison) -> float:
    """Share of the thresholded map that lies inside the mask, in voxels."""
    if not comparison.attention.attended_size:
        raise Undefined(NOTHING_ATTENDED)
    return comparison.common_size / comparison.attention.attended_size


@metric(
    "recall", "Recall", limits=(0, 1),
    reference="Powers, Journal of Machine Learning Technologies 2, 2011, arXiv:2010.16061",
)  # fmt: skip
def recall(comparison: Comparison) -> float:
    """Share of the mask that the thresholded map covers, in voxels."""
    return comparison.common_size / comparison.mask_size
