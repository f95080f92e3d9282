"""How alike two maps are: rank correlation, SSIM, overlap of the hottest voxels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.packages import needed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.floating[Any]]
    Mask = NDArray[np.bool_]

MOST_VOXELS = 1 << 21
FEWEST_VOXELS = 8
SSIM_WINDOW = 7
WHAT = "Testing a map"


def rank_correlation(first: Values, second: Values) -> float:
    """Spearman's rank correlation of two arrays of one shape, ties at their mean rank.

    NaN where one of them is the same everywhere or not finite.
    """
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return math.nan
    if first.size < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    stats = needed("scipy.stats", WHAT)
    ranks = [stats.rankdata(values.ravel()) for values in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def structural_similarity(first: Values, second: Values) -> float:
    """Mean SSIM of two maps, each divided by its largest absolute value first.

    Wang et al., IEEE Transactions on Image Processing 13, 2004, as scikit-image computes it with a
    uniform window of 7 voxels, or of as many as the shorter axes allow. NaN where an axis has two
    voxels or less, or one of the maps is zero.
    """
    first, second = np.squeeze(first), np.squeeze(second)
    sizes = [float(np.abs(values).max(initial=0)) for values in (first, second)]
    shortest = min(first.shape, default=0)
    if shortest < 3 or not all(math.isfinite(size) and size > 0 for size in sizes):
        return math.nan
    metrics = needed("skimage.metrics", WHAT, "scikit-image")
    signed = min(first.min(), second.min()) < 0
    return float(
        metrics.structural_similarity(
            first.astype(np.float64) / sizes[0],
            second.astype(np.float64) / sizes[1],
            win_size=min(SSIM_WINDOW, shortest - 1 + shortest % 2),
            data_range=2.0 if signed else 1.0,
        )
    )


def hottest(values: Values, share: float) -> Mask:
    """(N,) bool: the given share of N values, the highest; of equal ones any."""
    count = max(1, round(share * values.size))
    mask = np.zeros(values.size, dtype=np.bool_)
    mask[np.argpartition(values, -count)[-count:]] = True
    return mask


def overlap_of_hottest(first: Values, second: Values, share: float) -> float:
    """Share of the hottest voxels of one map that are among those of the other, (N,) each."""
    both = hottest(first, share) & hottest(second, share)
    return float(both.sum() / hottest(first, share).sum())


def reduced(values: Values, most: int = MOST_VOXELS) -> Values:
    """An array (*spatial), averaged over blocks where it has more voxels than `most`.

    What is left over at the end of an axis is dropped.
    """
    factor = math.ceil((values.size / most) ** (1 / values.ndim))
    if factor <= 1:
        return values
    factors = [min(factor, n) for n in values.shape]
    kept = tuple(slice(n // f * f) for n, f in zip(values.shape, factors, strict=True))
    split = [part for n, f in zip(values.shape, factors, strict=True) for part in (n // f, f)]
    blocks = values[kept].reshape(split)
    mean: Values = blocks.mean(axis=tuple(range(1, 2 * values.ndim, 2)), dtype=np.float32)
    return mean


def bounding_box(mask: Mask) -> tuple[slice, ...]:
    """The smallest part of an array that holds all of a mask, which is not empty."""
    found = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        at = np.flatnonzero(mask.any(axis=others))
        found.append(slice(int(at[0]), int(at[-1]) + 1))
    return tuple(found)


class Resemblance:
    """Holds other maps against one, within the body.

    Args:
        original: (*spatial) map.
        body: (*spatial) bool; all voxels count where it holds too few.
    """

    def __init__(self, original: Values, body: Mask) -> None:
        self.original = reduced(original)
        inside = reduced(body.astype(np.float32)) >= 0.5
        self._inside = inside if inside.sum() >= FEWEST_VOXELS else np.ones_like(inside)

    def ranks(self, other: Values) -> float:
        """Rank correlation."""
        return rank_correlation(self.original[self._inside], reduced(other)[self._inside])

    def sizes(self, other: Values) -> float:
        """Rank correlation of absolute values."""
        first, second = np.abs(self.original), np.abs(reduced(other))
        return rank_correlation(first[self._inside], second[self._inside])

    def structure(self, other: Values) -> float:
        """SSIM, over all voxels."""
        return structural_similarity(self.original, reduced(other))

    def hottest(self, other: Values, share: float) -> float:
        """Overlap of the hottest voxels."""
        return overlap_of_hottest(self.original[self._inside], reduced(other)[self._inside], share)
