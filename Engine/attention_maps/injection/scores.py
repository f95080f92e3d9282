"""M3d-CAM's scores of a map against a mask, by its definitions.

The map is taken by its absolute value if it has negative ones, brought to the mask's size by linear
interpolation, scaled to 0..1 from its smallest to its largest value, and cut at the threshold.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import ImageError, MethodError
from attention_maps.injection.arrays import as_array, of_size
from attention_maps.measures.threshold import otsu_threshold
from attention_maps.registry import find_metric
from attention_maps.registry import metrics as all_metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attention_maps.injection.settings import Metric

logger = logging.getLogger(__name__)

METRICS = ("wioa", "ioa", "iou", "wiou")


def check_metric(metric: Any) -> None:
    """Refuse what is no metric.

    Raises:
        MethodError: If it is neither M3d-CAM's, nor the engine's, nor a function.
    """
    if callable(metric) or metric in METRICS:
        return
    if not isinstance(metric, str) or metric not in all_metrics():
        raise MethodError(
            f"Expected a metric {', '.join(METRICS)}, one of attention_maps.metrics(), or a "
            f"function of a map and a mask, got {metric!r}."
        )


def check_threshold(threshold: Any) -> None:
    """Refuse what is no threshold.

    Raises:
        MethodError: If it is neither "otsu" nor from 0 to 1.
    """
    number = isinstance(threshold, int | float | np.number) and not isinstance(threshold, bool)
    if threshold == "otsu" or (number and 0 <= threshold <= 1):
        return
    raise MethodError(
        "Expected the threshold to be 'otsu' or a share of the map's range from 0 to 1, got "
        f"{threshold!r}."
    )


def compute_score(
    attention_map: Any, mask: Any, metric: Metric = "wioa", threshold: str | float = "otsu"
) -> float:
    """Hold a map against a mask.

    Args:
        attention_map: (*spatial) map, array or tensor.
        mask: (*spatial) of 0 and 1, array or tensor; may have more or fewer voxels than the map,
            over the same field of view.
        metric: "wioa" (weighted intersection over attention: share of the attention above the
            threshold that is inside the mask), "ioa" (the same of voxels), "iou" (intersection over
            union), "wiou" (attention inside over attention outside plus the mask), the name of one
            of the engine's metrics, or a function of the map on the mask's grid and the mask.
        threshold: "otsu", or a share of the map's range from its smallest to its largest value;
            the engine's metrics take a share of its maximum.

    Returns:
        The score; NaN, with a logged warning, where the mask is empty or no attention is above the
        threshold.

    Raises:
        ImageError: If map or mask cannot be used.
        MethodError: If metric or threshold is not known.
    """
    check_metric(metric)
    check_threshold(threshold)
    values, inside = _as_map(attention_map), _as_mask(mask)
    if metric in METRICS and values.min() < 0:
        values = np.abs(values)
    if inside.ndim != values.ndim:
        raise ImageError(
            f"Expected a mask with {values.ndim} axes as the map, got shape {inside.shape}; take "
            "one image and channel of it: mask[0, 0]."
        )
    if inside.shape != values.shape:
        values = of_size(values, inside.shape)
    if callable(metric):
        return float(metric(values, inside.astype(np.uint8)))
    if metric not in METRICS:
        return _by_engine(values, inside, metric, threshold)
    weights = _scaled(values)
    attended = weights >= _cut(weights, threshold)
    return _ratio(metric, weights, attended, inside)


def _ratio(
    metric: str, weights: NDArray[np.float64], attended: NDArray[np.bool_],
    inside: NDArray[np.bool_],
) -> float:  # fmt: skip
    """One of `METRICS`."""
    if not metric.startswith("w"):
        weights = np.ones_like(weights)
    common = float(weights[attended & inside].sum())
    if metric.endswith("ioa"):
        whole = float(weights[attended].sum())
    else:
        whole = float(weights[attended & ~inside].sum()) + float(inside.sum())
    if not inside.any() or not attended.any():
        why = "no attention is above the threshold" if inside.any() else "the mask is empty"
        logger.warning("The score is not defined: %s.", why)
        return math.nan
    return common / whole


def _by_engine(
    values: NDArray[np.float32], inside: NDArray[np.bool_], metric: str, threshold: str | float
) -> float:
    from attention_maps.evaluation import evaluate
    from attention_maps.types import Image

    name = find_metric(metric).name
    return float(evaluate(Image(values[None]), inside, [name], threshold)[name])


def _as_map(attention_map: Any) -> NDArray[np.float32]:
    array = as_array(attention_map)
    if array.ndim not in (2, 3) or array.dtype.kind not in "fiub" or not array.size:
        raise ImageError(
            f"Expected a map (*spatial) with 2 or 3 axes, got shape {array.shape}, {array.dtype}; "
            "take one image and channel: attention_map[0, 0]."
        )
    if not np.isfinite(array).all():
        raise ImageError("Expected a map of finite values, got NaN or Inf.")
    return array.astype(np.float32)


def _as_mask(mask: Any) -> NDArray[np.bool_]:
    array = as_array(mask)
    if array.dtype.kind not in "fiub" or not array.size:
        raise ImageError(
            f"Expected a mask (*spatial) of 0 and 1, got shape {array.shape}, {array.dtype}."
        )
    if not np.isin(array, (0, 1)).all():
        raise ImageError(
            f"Expected a mask of 0 and 1, got values such as {array.ravel()[array.argmax()]:g}; "
            "give one class: mask == 2."
        )
    return array.astype(np.bool_)


def _scaled(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """From 0 at the smallest to 1 at the largest value; all 0 where there is but one."""
    wide = values.astype(np.float64)
    low, high = wide.min(), wide.max()
    return (wide - low) / (high - low) if high > low else np.zeros_like(wide)


def _cut(weights: NDArray[np.float64], threshold: str | float) -> float:
    """Value from which on the map is attention."""
    if weights.min() == weights.max():
        return 1.0
    return otsu_threshold(weights.astype(np.float32)) if threshold == "otsu" else float(threshold)
