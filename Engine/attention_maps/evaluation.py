"""Hold a map against a mask: how much of the attention is where it should be."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import ImageError, MethodError
from attention_maps.measures.comparison import Comparison, otsu_threshold
from attention_maps.registry import find_metric
from attention_maps.registry import metrics as all_metrics
from attention_maps.resampling import mask_on_grid
from attention_maps.result import AttentionMap
from attention_maps.types import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attention_maps.types import Grid

logger = logging.getLogger(__name__)


def evaluate(
    result: Any,
    mask: Any,
    metrics: Sequence[str] | str | None = None,
    threshold: str | float = "otsu",
) -> dict[str, float]:
    """Compare a map with a mask by some metrics.

    Only what speaks for the answer counts: of a signed map that is its positive part, negative
    values are taken as 0.

    Args:
        result: An AttentionMap, an Image with one channel, or a path.
        mask: Where the attention should be: an Image or a path, on any grid (brought onto the
            map's by nearest neighbor through world coordinates), or an array (*spatial) on the
            map's grid. What is not 0 is inside.
        metrics: Names of metrics; None for all (`attention_maps.metrics()` lists them).
        threshold: Where metrics that need a region cut the map: "otsu" (Otsu's method on the
            positive part, 256 bins, voxels of value 0 included), or a fraction of the maximum,
            0 <= fraction < 1. Above it is attention.

    Returns:
        Value by name of metric. All are NaN, with a logged warning that says why, where the map
        has no positive value or the mask is empty on its grid.

    Raises:
        FileNotFoundError: If a file does not exist.
        ImageError: If map or mask cannot be used.
        MethodError: If a metric or threshold is not known.
    """
    names = [metrics] if isinstance(metrics, str) else metrics
    chosen = list(all_metrics().values()) if names is None else [find_metric(n) for n in names]
    fraction = _checked_threshold(threshold)
    shown = _as_map(result)
    values = shown.array[0]
    # In the map's order in memory: going through two orders at once is many times slower.
    inside = np.empty_like(values, dtype=np.bool_)
    inside[...] = mask_on_grid(_as_mask(mask, shown.grid), shown.grid)
    reason = _why_not(values, inside)
    if reason:
        logger.warning("The metrics are not defined: %s.", reason)
        return {item.name: math.nan for item in chosen}
    if fraction is None:
        cut = otsu_threshold(np.maximum(values, 0))
    else:
        cut = fraction * float(values.max())
    comparison = Comparison(values, inside, shown.grid, cut)
    return {item.name: item.function(comparison) for item in chosen}


def _checked_threshold(threshold: str | float) -> float | None:
    """Fraction of the maximum, or None for Otsu's method."""
    if threshold == "otsu":
        return None
    number = isinstance(threshold, int | float | np.number) and not isinstance(threshold, bool)
    if number and 0 <= threshold < 1:  # type: ignore[operator]
        return float(threshold)
    raise MethodError(
        "Expected the threshold to be 'otsu' or a fraction of the map's maximum, 0 <= fraction "
        f"< 1, got {threshold!r}."
    )


def _as_map(result: Any) -> Image:
    if isinstance(result, AttentionMap):
        shown = result.image
    elif isinstance(result, Image):
        shown = result
    elif isinstance(result, str) or hasattr(result, "__fspath__"):
        shown = _read(result)
    else:
        raise ImageError(
            f"Expected a map as AttentionMap, Image or path, got {type(result).__name__}."
        )
    if shown.channels != 1:
        raise ImageError(f"Expected a map with one channel, got {shown.channels}.")
    if not np.isfinite(shown.array).all():
        raise ImageError("Expected a map of finite values, got NaN or Inf.")
    return shown


def _as_mask(mask: Any, grid: Grid) -> Image:
    if isinstance(mask, Image):
        return mask
    if isinstance(mask, str) or hasattr(mask, "__fspath__"):
        return _read(mask)
    array = np.asarray(mask)
    if array.ndim == grid.ndim:
        array = array[None]
    if array.shape[1:] != grid.shape:
        raise ImageError(
            f"Expected a mask of the map's shape {grid.shape}, got {np.shape(mask)}; pass an Image "
            "where the mask has a grid of its own."
        )
    return Image(array, grid.affine)


def _read(path: Any) -> Image:
    from attention_maps.image_io import read_image

    return read_image(path)


def _why_not(values: np.ndarray, inside: np.ndarray) -> str:
    """Why there is nothing to measure, else empty."""
    if not inside.any():
        return (
            "the mask has no voxel inside the map's grid (it is empty, or lies elsewhere in the "
            "world)"
        )
    if not values.max() > 0:
        return "the map has no positive value, so there is no evidence to look for"
    return ""
