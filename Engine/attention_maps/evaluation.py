"""Hold a map against masks: how much of the attention is where it should be."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from attention_maps.measures.attention import Attention, what_counts
from attention_maps.measures.comparison import Comparison, Undefined
from attention_maps.measures.threshold import read_threshold
from attention_maps.regions import as_map, named_masks
from attention_maps.registry import find_metric, split_options
from attention_maps.registry import metrics as all_metrics
from attention_maps.scores import Scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from attention_maps.measures.attention import Sign
    from attention_maps.regions import Labels
    from attention_maps.registry import Metric

logger = logging.getLogger(__name__)

NOTHING = {
    "positive": "the map has no positive value, so there is no evidence to look for",
    "negative": "the map has no negative value, so there is no evidence against to look for",
    "absolute": "the map is zero everywhere, so there is no evidence to look for",
}
NO_MASK = (
    "the mask has no voxel inside the map's grid (it is empty, or lies elsewhere in the world)"
)


@overload
def evaluate(
    result: Any,
    mask: Mapping[str, Any],
    metrics: Sequence[str] | str | None = None,
    threshold: str | float = "otsu",
    *,
    sign: Sign = "positive",
    **options: Any,
) -> dict[str, Scores]: ...
@overload
def evaluate(
    result: Any,
    mask: Any,
    metrics: Sequence[str] | str | None = None,
    threshold: str | float = "otsu",
    *,
    labels: Labels,
    sign: Sign = "positive",
    **options: Any,
) -> dict[str, Scores]: ...
@overload
def evaluate(
    result: Any,
    mask: Any,
    metrics: Sequence[str] | str | None = None,
    threshold: str | float = "otsu",
    *,
    labels: None = None,
    sign: Sign = "positive",
    **options: Any,
) -> Scores: ...
def evaluate(
    result: Any,
    mask: Any,
    metrics: Sequence[str] | str | None = None,
    threshold: str | float = "otsu",
    *,
    labels: Labels | None = None,
    sign: Sign = "positive",
    **options: Any,
) -> Scores | dict[str, Scores]:
    """Compare a map with one mask or several by some metrics.

    Args:
        result: An AttentionMap, an Image with one channel, or a path.
        mask: Where the attention should be: an Image or a path, on any grid (brought onto the
            map's by nearest neighbor through world coordinates), or an array (*spatial) on the
            map's grid. What is not 0 is inside. A dict {name: mask} holds several, which may
            overlap.
        metrics: Names of metrics; None for all (`attention_maps.metrics()` lists them).
        threshold: Where metrics that need a region cut the map; above it is attention. "otsu"
            (Otsu's method on what counts of the map, 256 bins, voxels of value 0 included), a
            fraction of the maximum from 0 up to 1, "value:0.3" in the map's own unit,
            "quantile:0.95" of all voxels; each as text with "+largest" for the largest connected
            part alone.
        labels: The mask is a label map, and these of its labels are a mask each: {name: value}, a
            list of values, or "all" that occur in it besides 0.
        sign: What counts of a signed map: "positive" is what speaks for the answer, "negative" what
            speaks against it, "absolute" both. The rest is taken as 0.
        options: Options of the metrics, such as `tolerance` of the pointing game.

    Returns:
        Value by name of metric; with several masks, such a dict by name of the mask. A metric that
        is not defined, as all are for an empty mask or a map without evidence, is NaN, its reason
        in `reasons`, and a warning is logged.

    Raises:
        FileNotFoundError: If a file does not exist.
        ImageError: If map, mask or labels cannot be used.
        MethodError: If a metric, option or threshold is not known.
    """
    names = [metrics] if isinstance(metrics, str) else metrics
    chosen = list(all_metrics().values()) if names is None else [find_metric(n) for n in names]
    given = split_options(chosen, options)
    rule = read_threshold(threshold)
    shown = as_map(result)
    attention = Attention(what_counts(shown.array[0], sign), shown.grid, rule)
    found = {}
    for name, inside in named_masks(mask, labels, shown):
        reason = _why_not(attention, inside, sign)
        if reason:
            scores = _undefined(chosen, reason, inside)
        else:
            scores = _scores(chosen, given, Comparison(attention, inside))
        _warn(scores, name)
        found[name] = scores
    several = labels is not None or hasattr(mask, "items")
    return found if several else found[""]


def _why_not(attention: Attention, inside: NDArray[np.bool_], sign: str) -> str:
    """Why there is nothing to measure, else empty."""
    if not inside.any():
        return NO_MASK
    return "" if attention.maximum > 0 else NOTHING[sign]


def _undefined(chosen: Sequence[Metric], reason: str, inside: NDArray[np.bool_]) -> Scores:
    values = {item.name: math.nan for item in chosen}
    return Scores(values, dict.fromkeys(values, reason), None, int(np.count_nonzero(inside)))


def _scores(
    chosen: Sequence[Metric], options: Mapping[str, Mapping[str, Any]], comparison: Comparison
) -> Scores:
    values, reasons = {}, {}
    for item in chosen:
        try:
            values[item.name] = item.function(comparison, **options[item.name])
        except Undefined as undefined:
            values[item.name], reasons[item.name] = math.nan, str(undefined)
    attention = comparison.attention
    cut = attention.cut if "cut" in vars(attention) else None
    return Scores(values, reasons, cut, comparison.mask_size)


def _warn(scores: Scores, label: str) -> None:
    """Log once per reason which metrics are not defined."""
    where = f" for '{label}'" if label else ""
    for reason in dict.fromkeys(scores.reasons.values()):
        names = [name for name, other in scores.reasons.items() if other == reason]
        if len(names) == len(scores):
            logger.warning("The metrics are not defined%s: %s.", where, reason)
        else:
            verb = "is" if len(names) == 1 else "are"
            logger.warning("%s %s not defined%s: %s.", ", ".join(names), verb, where, reason)
