"""How well the thresholded map and the mask cover each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_maps.registry import metric

if TYPE_CHECKING:
    from attention_maps.measures.comparison import Comparison


@metric("iou", "IoU", reference="Jaccard, New Phytologist 11, 1912")
def iou(comparison: Comparison) -> float:
    """Thresholded map and mask: intersection over union, 0..1, higher is better."""
    common, attended, masked = _sizes(comparison)
    return common / (attended + masked - common)


@metric("dice", "Dice", reference="Dice, Ecology 26, 1945")
def dice(comparison: Comparison) -> float:
    """Thresholded map and mask: twice the intersection over the sum of both sizes, 0..1."""
    common, attended, masked = _sizes(comparison)
    return 2 * common / (attended + masked)


def _sizes(comparison: Comparison) -> tuple[int, int, int]:
    """Number of voxels in both, in the thresholded map, in the mask."""
    attended, mask = comparison.attended, comparison.mask
    counted = (attended & mask, attended, mask)
    common, in_map, in_mask = (int(np.count_nonzero(item)) for item in counted)
    return common, in_map, in_mask
