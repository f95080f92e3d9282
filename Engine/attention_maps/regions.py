"""Maps and masks as they are given: read, checked, and brought onto the map's grid."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attention_maps.errors import ImageError
from attention_maps.resampling import mask_on_grid, resample
from attention_maps.result import AttentionMap
from attention_maps.types import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attention_maps.types import Grid

    Labels = Mapping[str, int] | Sequence[int] | Literal["all"]

logger = logging.getLogger(__name__)

LARGEST_LABEL = 2**24  # float32 holds all whole numbers up to here
CHUNK = 1 << 22  # voxels at once


def as_map(result: Any) -> Image:
    """A map with one channel of finite values: an AttentionMap, an Image or a path.

    Raises:
        ImageError: If it is none.
        FileNotFoundError: If the file does not exist.
    """
    if isinstance(result, AttentionMap):
        shown = result.image
    elif isinstance(result, Image):
        shown = result
    elif _is_path(result):
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


def named_masks(
    given: Any, labels: Labels | None, shown: Image
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Each mask by name, on a map's grid and in its order of memory.

    Args:
        given: A mask or label map (Image, path, or array on the map's grid), or a dict of masks by
            name. What is not 0 is inside.
        labels: None: one mask, without a name. Else the labels of a label map that are one mask
            each: {name: value}, a list of values, or "all" that occur besides 0.
        shown: The map.

    Raises:
        ImageError: If a mask cannot be used, or a label map holds other than whole numbers.
    """
    if isinstance(given, Mapping):
        if labels is not None:
            raise ImageError("Expected labels of one label map, or a dict of masks, got both.")
        _refuse_twice(given)
        for name, item in given.items():
            yield str(name), _in_order(mask_on_grid(_as_image(item, shown.grid), shown.grid), shown)
    elif labels is None:
        image = _as_image(given, shown.grid)
        yield "", _in_order(mask_on_grid(image, shown.grid), shown)
    else:
        present, wanted = label_map(given, labels, shown)
        for name, value in wanted.items():
            yield name, present == value


def label_map(given: Any, labels: Labels, shown: Image) -> tuple[NDArray[np.int32], dict[str, int]]:
    """A label map on a map's grid by nearest neighbor, 0 outside, and the labels that are asked.

    Args:
        given: Image, path, or array on the map's grid.
        labels: {name: value}, a list of values, or "all" that occur besides 0.
        shown: The map.

    Returns:
        (*spatial) int32 in the map's order of memory, and value by name.

    Raises:
        ImageError: If it has several channels or other than whole numbers, or the labels are none.
    """
    image = _as_image(given, shown.grid)
    if image.channels != 1:
        raise ImageError(
            f"Expected a label map with one channel, got {image.channels}; choose one of them."
        )
    whole = _whole_numbers(image.array)
    wanted = _named(labels, whole)
    if image.grid.same_as(shown.grid):
        return _in_order(whole[0], shown), wanted
    there = resample(image.array, image.grid, shown.grid, interpolation="nearest", outside=0.0)
    return _in_order(there[0], shown).astype(np.int32, copy=False), wanted


def _named(labels: Labels, present: NDArray[np.int32]) -> dict[str, int]:
    """Value by name of the labels that are asked."""
    if isinstance(labels, str) and labels == "all":
        found = {str(value): value for value in _occurring(present)}
        if not found:
            logger.warning("The label map has no label besides 0.")
        return found
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise ImageError(
            f"Expected labels as {{name: value}}, a list of values or 'all', got {labels!r}."
        )
    pairs = labels.items() if isinstance(labels, Mapping) else ((str(v), v) for v in labels)
    _refuse_twice(labels if isinstance(labels, Mapping) else ())
    wanted = {}
    for name, value in pairs:
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number or not float(value).is_integer() or value == 0:
            raise ImageError(
                f"Expected labels that are whole numbers and not 0, got {value!r} for '{name}'."
            )
        wanted[str(name)] = int(value)
    if len(set(wanted.values())) < len(wanted):
        raise ImageError(f"Expected each label under one name, got {wanted}.")
    return wanted


def _refuse_twice(names: Iterable[Any]) -> None:
    """Refuse names that are the same as text, such as 1 and "1"."""
    texts = [str(name) for name in names]
    twice = [text for text in dict.fromkeys(texts) if texts.count(text) > 1]
    if twice:
        raise ImageError(f"Expected each name once, got '{twice[0]}' twice.")


def _occurring(labels: NDArray[np.int32]) -> list[int]:
    flat = labels.ravel(order="K")
    lowest = int(flat.min())
    seen = np.zeros(int(flat.max()) - lowest + 1, dtype=bool)
    for start in range(0, len(flat), CHUNK):
        seen[flat[start : start + CHUNK] - lowest] = True
    return [int(value) for value in np.flatnonzero(seen) + lowest if value]


def _whole_numbers(array: NDArray[np.float32]) -> NDArray[np.int32]:
    lowest, highest = float(array.min()), float(array.max())
    if lowest >= -LARGEST_LABEL and highest <= LARGEST_LABEL:  # False for NaN, too
        whole = array.astype(np.int32)
        if np.array_equal(whole, array):
            return whole
    raise ImageError(
        f"Expected a label map of whole numbers up to {LARGEST_LABEL}, got values from {lowest:g} "
        f"to {highest:g}; without labels, what is not 0 is one mask."
    )


def _in_order(array: NDArray[Any], shown: Image) -> NDArray[Any]:
    """The same in a map's order of memory: going through two orders at once is far slower."""
    result = np.empty_like(shown.array[0], dtype=array.dtype)
    if result.strides == array.strides:
        return array
    result[...] = array
    return result


def _as_image(mask: Any, grid: Grid) -> Image:
    if isinstance(mask, Image) or _is_path(mask):
        image = mask if isinstance(mask, Image) else _read(mask)
        if image.ndim != grid.ndim:
            raise ImageError(
                f"Expected a mask with {grid.ndim} spatial axes as the map has, got {image.ndim}; "
                "take a slice of the volume, or the map of the volume."
            )
        return image
    array = np.asarray(mask)
    if array.ndim == grid.ndim:
        array = array[None]
    if array.shape[1:] != grid.shape:
        raise ImageError(
            f"Expected a mask of the map's shape {grid.shape}, got {np.shape(mask)}; pass an Image "
            "where the mask has a grid of its own."
        )
    return Image(array, grid.affine)


def _is_path(given: Any) -> bool:
    return isinstance(given, str) or hasattr(given, "__fspath__")


def _read(path: Any) -> Image:
    from attention_maps.image_io import read_image

    return read_image(path)
