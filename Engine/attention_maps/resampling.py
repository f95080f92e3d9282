"""Bring arrays from one grid onto another: resample, place a layer's map, fit a mask.

Positions are voxel centers and a voxel reaches half a voxel to each side. Between the outermost
center and the outer edge the outermost value holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from attention_maps.errors import ImageError
from attention_maps.geometry import index_transform
from attention_maps.interpolation_aligned import (
    aligned_axes,
    along_axis,
    interpolate_aligned,
    is_inside,
)
from attention_maps.interpolation_oblique import Field, chunks, interpolate_oblique

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from attention_maps.interpolation_aligned import Float32Array, Interpolation
    from attention_maps.types import Grid, Image


def resample(
    array: ArrayLike,
    source: Grid,
    target: Grid,
    *,
    interpolation: Interpolation = "linear",
    outside: Literal["edge"] | float = "edge",
) -> Float32Array:
    """Return the array on another grid.

    Grids whose axes are parallel, in whatever order and direction, take a separable path with a
    work space of a few planes; all others are resampled by SimpleITK, chunk by chunk, which
    copies one channel of the source.

    Args:
        array: (C, *spatial) values on the source grid.
        source: Grid of the array.
        target: Grid of the result.
        interpolation: 'linear', or 'nearest' for labels.
        outside: 'edge' repeats the nearest source voxel; a number fills target voxels whose
            center lies outside every source voxel.

    Returns:
        (C, *target.shape), float32.

    Raises:
        ImageError: If the array does not fit its grid, or the grids have no common space.
    """
    values = _checked_array(array, source)
    if interpolation not in ("linear", "nearest"):
        raise ImageError(f"Expected interpolation 'linear' or 'nearest', got '{interpolation}'.")
    if isinstance(outside, str) and outside != "edge":
        raise ImageError(f"Expected outside='edge' or a number, got '{outside}'.")
    if outside == "edge":
        return _interpolate(values, source, target, interpolation, None)
    result = _interpolate(values, source, target, interpolation, source)
    fill_outside(result, source, target, float(outside))
    return result


def place(array: ArrayLike, layer_grid: Grid, field: Grid, target: Grid) -> Float32Array:
    """Return a layer's map on the scan's grid, 0 where the network did not look.

    Args:
        array: (C, *spatial) map on the layer's grid.
        layer_grid: Where the layer's voxels are centered; it may be smaller than the field, in
            which case its outermost values hold up to the field's edge.
        field: Grid of the network's input.
        target: Grid of the result.

    Returns:
        (C, *target.shape), float32.
    """
    values = _checked_array(array, layer_grid)
    result = _interpolate(values, layer_grid, target, "linear", field)
    fill_outside(result, field, target, 0.0)
    return result


def mask_on_grid(mask: Image, grid: Grid) -> NDArray[np.bool_]:
    """Return where the mask is not zero, by nearest neighbor, False outside the mask's grid.

    Args:
        mask: One channel, on any grid.
        grid: Grid of the result.

    Returns:
        (*grid.shape,), bool.

    Raises:
        ImageError: If the mask has several channels or NaN or Inf.
    """
    if mask.channels != 1:
        raise ImageError(
            f"Expected a mask with one channel, got {mask.channels}; choose one of them."
        )
    if not np.isfinite(mask.array).all():
        raise ImageError("Expected a mask of finite values, got NaN or Inf; set them to 0.")
    if mask.grid.same_as(grid):
        return mask.array[0] != 0
    marked = mask.array != 0
    return resample(marked, mask.grid, grid, interpolation="nearest", outside=0.0)[0] > 0.5


def fill_outside(array: Float32Array, grid: Grid, target: Grid, value: float) -> None:
    """Set all voxels whose center lies outside the grid's voxels, in place.

    Args:
        array: (C, *target.shape), changed.
        grid: The field to keep, on any grid.
        target: Grid of the array.
        value: What the others become.
    """
    seen = Field(*index_transform(grid, target), grid.shape)
    axes = aligned_axes(seen.matrix, target.shape)
    if axes is None:
        for start, stop in chunks(target.shape):
            chunk = array[:, start:stop]
            np.copyto(chunk, value, where=~seen.inside_of_chunk(start, chunk.shape[1:]))
        return
    for axis, source_axis in enumerate(axes):
        along = along_axis(seen.matrix, seen.offset, axis, source_axis, target.shape[axis])
        beyond = np.flatnonzero(~is_inside(along, grid.shape[source_axis]))
        moved = np.moveaxis(array, 1 + axis, 0)
        for run in np.split(beyond, np.flatnonzero(np.diff(beyond) > 1) + 1):
            if run.size:
                moved[run[0] : run[-1] + 1] = value


def _interpolate(
    values: NDArray[np.generic],
    source: Grid,
    target: Grid,
    interpolation: Interpolation,
    within: Grid | None,
) -> Float32Array:
    """Interpolate with repeated edges; what is not `within` a grid may come out as anything."""
    matrix, offset = index_transform(source, target)
    result = np.empty((values.shape[0], *target.shape), dtype=np.float32)
    axes = aligned_axes(matrix, target.shape)
    if axes is not None:
        interpolate_aligned(values, matrix, offset, axes, result, interpolation)
    else:
        seen = Field(*index_transform(within, target), within.shape) if within else None
        interpolate_oblique(values, matrix, offset, result, interpolation, seen)
    return result


def _checked_array(array: ArrayLike, source: Grid) -> NDArray[np.generic]:
    values = np.asarray(array)
    if values.dtype.kind not in "fiub":
        raise ImageError(f"Expected an array of real numbers, got dtype {values.dtype}.")
    if values.ndim != 1 + source.ndim or values.shape[1:] != source.shape:
        raise ImageError(
            f"Expected an array (C, {', '.join(map(str, source.shape))}) for its grid, "
            f"got shape {values.shape}."
        )
    return values
