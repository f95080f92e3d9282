"""Where a map is cut: which of its voxels count as attention."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attention_maps.errors import MethodError
from attention_maps.measures.components import largest_component

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 256
TINY = 2.0**-100
LARGEST = "+largest"
GRAMMAR = (
    "'otsu', a fraction of the map's maximum (0 <= fraction < 1), 'value:0.3' (in the map's own "
    "unit) or 'quantile:0.95' (0 <= quantile < 1); with '+largest' after it, the largest connected "
    "part alone"
)


@dataclass(frozen=True)
class Threshold:
    """A rule that says which voxels of a map count as attention: those above the cut.

    Args:
        kind: How the cut is found.
        number: The fraction, value or quantile; without meaning for Otsu's method.
        largest: Only the largest part whose voxels hang together through faces counts.
    """

    kind: Literal["otsu", "fraction", "value", "quantile"]
    number: float = 0.0
    largest: bool = False

    def cut(self, evidence: NDArray[np.float32]) -> float:
        """The value above which a voxel counts.

        Args:
            evidence: (*spatial) values of 0 or more, not all 0.
        """
        if self.kind == "otsu":
            return otsu_threshold(evidence)
        if self.kind == "fraction":
            return self.number * float(evidence.max())
        if self.kind == "quantile":
            return float(np.quantile(evidence.ravel(order="K"), self.number))
        return self.number

    def region(self, evidence: NDArray[np.float32], cut: float) -> NDArray[np.bool_]:
        """(*spatial) where the map counts as attention, given its cut."""
        region = evidence > largest_float32(cut)
        return largest_component(region) if self.largest else region


def read_threshold(threshold: str | float | Threshold) -> Threshold:
    """The rule of a text or number; see `GRAMMAR`.

    Raises:
        MethodError: If it is none.

    >>> read_threshold("quantile:0.95+largest")
    Threshold(kind='quantile', number=0.95, largest=True)
    """
    if isinstance(threshold, Threshold):
        return threshold
    text = str(threshold).strip() if isinstance(threshold, str) else ""
    largest = text.endswith(LARGEST)
    text = text.removesuffix(LARGEST)
    if text == "otsu":
        return Threshold("otsu", largest=largest)
    kind, colon, rest = text.partition(":")
    if colon and kind == "value" and 0 <= _number(rest) < math.inf:
        return Threshold("value", _number(rest), largest)
    if colon and kind == "quantile" and 0 <= _number(rest) < 1:
        return Threshold("quantile", _number(rest), largest)
    fraction = _number(text if isinstance(threshold, str) else threshold)
    if 0 <= fraction < 1:
        return Threshold("fraction", fraction, largest)
    raise MethodError(f"Expected the threshold to be {GRAMMAR}; got {threshold!r}.")


def otsu_threshold(evidence: NDArray[np.float32]) -> float:
    """Value that parts the positive part of a map into two classes of greatest separation.

    The histogram has 256 bins from 0 to the maximum and holds all voxels, those of value 0 too. A
    map that is the same everywhere has nothing to part, and all of it is above the threshold.

    Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9, 1979.

    Args:
        evidence: Values of 0 or more, not all 0.

    Returns:
        Center of the last bin of the lower class.
    """
    values = evidence.ravel(order="K")  # as they lie in memory: else they would be copied
    maximum = float(evidence.max())
    if maximum < TINY:  # too small for 256 different bins in float32
        return otsu_threshold(evidence * np.float32(1 / TINY)) * TINY
    counts, edges = np.histogram(values, BINS, (0.0, maximum))
    edges = edges.astype(np.float64)
    centers = (edges[:-1] + edges[1:]) / 2
    share = counts / counts.sum()
    lower = np.cumsum(share)
    moment = np.cumsum(share * centers)
    upper = 1 - lower
    separable = (lower > 0) & (upper > 1e-12)
    separation = np.zeros(BINS)
    gap = moment[-1] * lower - moment
    np.divide(gap**2, lower * upper, out=separation, where=separable)
    return float(centers[int(separation.argmax())])


def largest_float32(number: float) -> np.float32:
    """The largest float32 that is not above a number.

    The float32 values above it are those above the number itself; comparing with the number would
    round it first, to either side, or convert the whole map to float64.
    """
    rounded = np.float32(min(number, float(np.finfo(np.float32).max)))
    return np.nextafter(rounded, np.float32(-np.inf)) if float(rounded) > number else rounded


def _number(value: Any) -> float:
    """A number, NaN where it is none."""
    if isinstance(value, bool | np.bool_):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
