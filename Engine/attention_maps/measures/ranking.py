"""How well the map's values tell voxels inside the mask from those outside, without a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_maps.measures.comparison import Undefined
from attention_maps.registry import metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attention_maps.measures.comparison import Comparison


@metric(
    "average_precision", "Average precision", limits=(0, 1),
    reference="Everingham et al., International Journal of Computer Vision 88, 2010 (area under "
    "the curve without interpolation)",
)  # fmt: skip
def average_precision(comparison: Comparison) -> float:
    """Precision averaged over all thresholds, weighted by the gain in recall at each."""
    values, counts = np.unique(comparison.inside, return_counts=True)
    found = counts[::-1].cumsum()[::-1]  # voxels of the mask at or above each value
    marked = _at_or_above(comparison, values)
    return float((counts * (found / marked)).sum() / comparison.mask_size)


@metric(
    "roc_auc", "ROC AUC", limits=(0, 1), reference="Fawcett, Pattern Recognition Letters 27, 2006"
)
def roc_auc(comparison: Comparison) -> float:
    """Chance that a voxel inside has a higher value than one outside; ties count half."""
    size = comparison.evidence.size
    others = size - comparison.mask_size
    if not others:
        raise Undefined("the mask covers the whole map, so there is nothing outside")
    values, counts = np.unique(comparison.inside, return_counts=True)
    above = _above(comparison, values)  # of all voxels
    tied = _at_or_above(comparison, values) - above
    inside_above = comparison.mask_size - counts.cumsum()
    outside_below = others - (above - inside_above) - (tied - counts)
    wins = outside_below + (tied - counts) / 2
    return float((counts * wins).sum() / comparison.mask_size / others)


@metric(
    "relevance_rank", "Relevance rank accuracy", limits=(0, 1),
    reference="Arras et al., CLEVR-XAI, Information Fusion 81, 2022, arXiv:2003.07258",
)  # fmt: skip
def relevance_rank(comparison: Comparison) -> float:
    """Share of the k strongest voxels that lie inside the mask, k being the mask's size.

    Of voxels that tie for the last places a fair share is taken; voxels of value 0 are not strong,
    however few others there are.
    """
    size, ranked = comparison.mask_size, comparison.attention.ranked
    if size >= len(ranked):
        return float(np.count_nonzero(comparison.inside) / size)
    last = ranked[len(ranked) - size]
    above = len(ranked) - np.searchsorted(ranked, last, "right")
    tied = len(ranked) - np.searchsorted(ranked, last) - above
    inside_above = size - np.searchsorted(comparison.inside, last, "right")
    inside_tied = size - np.searchsorted(comparison.inside, last) - inside_above
    return float((inside_above + (size - above) * inside_tied / tied) / size)


def _above(comparison: Comparison, values: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many of all voxels are above each value."""
    ranked = comparison.attention.ranked
    return len(ranked) - np.searchsorted(ranked, values, "right")


def _at_or_above(comparison: Comparison, values: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many of all voxels are at or above each value."""
    ranked = comparison.attention.ranked
    found = len(ranked) - np.searchsorted(ranked, values)
    found[values == 0] = comparison.evidence.size
    return found
