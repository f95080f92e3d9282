"""What a map alone tells, without a mask: how much of it is evidence for, how concentrated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from attention_maps.types import Image


@dataclass(frozen=True)
class Figure:
    """A figure of a map alone.

    Args:
        name: Name in tables.
        label: Name for people.
        description: One line with its range.
        better: Which way a map is the more concentrated one.
        limits: Smallest and largest possible value.
        reference: Paper or definition.
        unit: Unit, empty where it has none.
    """

    name: str
    label: str
    description: str
    better: Literal["higher", "lower"]
    limits: tuple[float, float]
    reference: str
    unit: str = ""


FIGURES = {
    item.name: item
    for item in (
        Figure(
            "positive_share", "Positive share",
            "Evidence for, as share of all absolute values: 0..1; 1 for methods without a sign.",
            "higher", (0.0, 1.0), "Sum of the positive part over the sum of absolute values",
        ),
        Figure(
            "entropy", "Entropy",
            "Shannon entropy of the positive attention over that of an even map: 0 (one voxel) to "
            "1 (spread evenly over the whole image).",
            "lower", (0.0, 1.0), "Shannon, Bell System Technical Journal 27, 1948",
        ),
        Figure(
            "half_share", "Half in",
            "Smallest share of the image that holds half of the positive attention: 0..0.5, lower "
            "is more concentrated.",
            "lower", (0.0, 0.5), "Median of the voxels sorted by value",
        ),
    )
}  # fmt: skip
NO_EVIDENCE = "the map has no positive value, so there is no evidence to look for"


def map_figures(image: Image) -> dict[str, float]:
    """All `FIGURES` of a map.

    Args:
        image: (1, *spatial) map, signed.

    Returns:
        Value by name; NaN where the map has no positive value, but for the positive share, which is
        NaN only where the map is zero everywhere.
    """
    values = image.array[0].ravel(order="K")
    evidence = values[values > 0]
    total = float(evidence.sum(dtype=np.float64))
    everything = float(np.abs(values).sum(dtype=np.float64))
    share = total / everything if everything > 0 else math.nan
    if not total > 0:
        return {"positive_share": share, "entropy": math.nan, "half_share": math.nan}
    return {
        "positive_share": share,
        "entropy": _entropy(evidence, total, values.size),
        "half_share": _half_share(evidence, total, values.size),
    }


def _entropy(evidence: np.ndarray, total: float, voxels: int) -> float:
    if voxels == 1:
        return 0.0
    share = evidence / np.float64(total)
    return float(abs(np.dot(share, np.log(share))) / math.log(voxels))


def _half_share(evidence: np.ndarray, total: float, voxels: int) -> float:
    """Voxels, the last one in part, that hold half of the total."""
    descending = np.sort(evidence)[::-1]
    filled = np.cumsum(descending, dtype=np.float64)
    whole = int(np.searchsorted(filled, total / 2))
    before = filled[whole - 1] if whole else 0.0
    return float((whole + (total / 2 - before) / descending[whole]) / voxels)
