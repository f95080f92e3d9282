"""Maps as files: volumes as float32 NIfTI in their place, 2D ones as pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import ImageError
from attention_maps.image_io import write_image
from attention_maps.image_io.files import written_whole
from attention_maps.injection.arrays import as_array, of_size
from attention_maps.injection.places import on_grid, place_of
from attention_maps.inputs import as_image

if TYPE_CHECKING:
    from pathlib import Path

    from attention_maps.types import Image

SMALLEST = 500  # pixels of a picture's shorter side, where no picture lies below the map


def save_map(stem: Path, made: Image, signed: bool, raw: Any = None) -> Path:
    """Write a map.

    Args:
        stem: Path without its ending; the folder is made.
        made: (1, *spatial) map, not normalized.
        signed: Whether negative values speak against.
        raw: For 2D the picture below the map.

    Returns:
        The path: .nii.gz (float32, the map's affine), or .png (colors of the map divided by its
        largest absolute value).
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    if made.ndim == 3:
        return write_image(made, stem.with_name(f"{stem.name}.nii.gz"))
    path = stem.with_name(f"{stem.name}.png")
    from PIL import Image as Picture

    with written_whole(path) as part:
        Picture.fromarray(_drawn(made.array[0], signed, raw)).save(part, format="PNG")
    return path


def save_array(stem: Path, attention_map: Any, signed: bool, raw: Any = None) -> Path:
    """Write a map that comes as an array.

    Args:
        stem: Path without its ending; the folder is made.
        attention_map: (*spatial) array or tensor; leading axes of length 1 are left out.
        signed: Whether negative values speak against.
        raw: The image of the map: for 3D what has a place in the world, for 2D also a picture.

    Raises:
        ImageError: If it is not one map with 2 or 3 axes of finite values.
    """
    array = as_array(attention_map)
    while array.ndim > 2 and array.shape[0] == 1:  # as get_attention_map() gives it
        array = array[0]
    if array.ndim not in (2, 3):
        raise ImageError(
            f"Expected one map (*spatial) with 2 or 3 axes, got shape {array.shape}; take one "
            "image: attention_map[0, 0]."
        )
    if not np.isfinite(array).all():
        raise ImageError("Expected a map of finite values, got NaN or Inf.")
    where = place_of(None if array.ndim == 2 else raw, array.shape)
    return save_map(stem, on_grid(array[None], np.eye(4), where, "default"), signed, raw)


def _drawn(values: np.ndarray, signed: bool, raw: Any) -> np.ndarray:
    """(rows, columns, 3) uint8."""
    from attention_maps.figure_parts import Style

    style = Style(signed, float(np.abs(values).max()))
    if raw is None:
        factor = math.ceil(SMALLEST / min(values.shape))
        size = tuple(n * factor for n in values.shape)
        colors = style.scale.to_rgba(of_size(values, size), bytes=True)
        return np.ascontiguousarray(colors[..., :3])
    below = _picture(raw)
    if not style.largest:
        return np.rint(below * 255).astype(np.uint8)
    above = style.colors(of_size(values, below.shape[:2]))
    opacity = above[..., 3:]
    mixed = above[..., :3] * opacity + below * (1 - opacity)
    return np.rint(mixed * 255).astype(np.uint8)


def _picture(raw: Any) -> np.ndarray:
    """(rows, columns, 3) from 0 to 1 of a picture, colors first or last, of whatever range."""
    if not isinstance(raw, np.ndarray) and not hasattr(raw, "detach"):
        raw = as_image(raw, 2).array
    array = as_array(raw).astype(np.float64)
    if array.ndim == 3 and array.shape[-1] not in (1, 3, 4) and array.shape[0] in (1, 3, 4):
        array = np.moveaxis(array, 0, -1)
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4):
        raise ImageError(
            "Expected raw_input as a picture (rows, columns), (rows, columns, 3) or (3, rows, "
            f"columns), got shape {array.shape}."
        )
    array = np.broadcast_to(array[..., :3], (*array.shape[:2], 3))
    low, high = float(array.min()), float(array.max())
    if low >= 0 and high <= 255:
        return array / (255 if high > 1 else 1)
    return (array - low) / ((high - low) or 1)
