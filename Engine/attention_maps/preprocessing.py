"""From the image as it is to the array that a network expects, and back by geometry alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_maps.errors import ImageError, SpecError
from attention_maps.geometry import (
    change_spacing,
    pad_crop_grid,
    permute_axes,
    reorient,
    resize_grid,
)
from attention_maps.input_size import FixedSize
from attention_maps.intensity import apply_steps
from attention_maps.resampling import resample
from attention_maps.spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

    from attention_maps.types import Grid, Image

LARGEST_GRID = 2**31


@dataclass(frozen=True, eq=False)
class NetworkInput:
    """What goes into a network, and where it is in the world.

    Args:
        array: (C, *spatial) float32, spatial axes in the network's order. Where nothing had to be
            done it is the image's own memory, which may be read-only or have negative strides.
        grid: The voxel grid of `array`: index in the network's axis order -> RAS mm.
        source: The image's own grid.
        restore: The model's own way from logits (classes, *spatial) to a label map on `source`;
            None where labels are resampled as everything else.
    """

    array: NDArray[np.float32]
    grid: Grid
    source: Grid
    restore: Callable[[torch.Tensor], NDArray[np.float32]] | None = None


def prepare(image: Image, spec: ModelSpec | None = None) -> NetworkInput:
    """Bring an image to what a network expects.

    Without a specification, or with an empty one, the array goes in as it is. What was done to the
    geometry is in `grid` alone: resampling from it to `source` undoes all of it.

    Args:
        image: The image; stays as it is.
        spec: What the network expects.

    Raises:
        ImageError: If the image has NaN or Inf.
        SpecError: If the image does not fit the specification.
    """
    spec = spec or ModelSpec()
    check_finite(image.array)
    check_fit(image, spec)
    source, untouched = image.grid, image.array
    if spec.orientation is not None:
        image = reorient(image, spec.orientation)
    array, grid = image.array, image.grid
    turned = grid
    if spec.intensity_stage == "source":
        array = apply_steps(array, spec.intensity)

    resampled = _checked_size(_resampled_grid(grid, spec))
    if not resampled.same_as(grid):
        array = resample(array, grid, resampled, interpolation=spec.interpolation, outside="edge")
        grid = resampled
    if spec.intensity_stage == "resampled":
        array = apply_steps(array, spec.intensity)

    padded = _checked_size(_padded_grid(grid, spec))
    if padded.shape != grid.shape:
        value = spec.input_size.value if spec.input_size is not None else 0.0
        array, grid = _move(array, grid, padded, value), padded
    if spec.intensity_stage == "input":
        array = apply_steps(array, spec.intensity)
    order = _order_of_axes(turned, spec)
    if order is not None:
        array = array.transpose(0, *(1 + axis for axis in order))
        grid = permute_axes(grid, order)
    if array is not untouched:
        array = np.ascontiguousarray(array)
    return NetworkInput(array, grid, source)


def check_finite(array: NDArray[np.float32]) -> None:
    bad = sum(channel.size - int(np.isfinite(channel).sum()) for channel in array)
    if bad:
        raise ImageError(
            f"Expected finite voxels, got {bad} with NaN or Inf of {array.size}; replace them "
            "first, for example by numpy.nan_to_num(array)."
        )


def check_fit(image: Image, spec: ModelSpec) -> None:
    """Refuse an image that the specification does not mean."""
    if spec.channels is not None and len(spec.channels) != image.channels:
        raise SpecError(
            f"The network expects {len(spec.channels)} channels ({', '.join(spec.channels)}), the "
            f"image has {image.channels}; give one image per channel, in this order."
        )
    expected = _axes_of(spec)
    if expected is None or expected == image.ndim:
        return
    shape = image.array.shape[1:]
    if expected == 2:
        raise SpecError(
            f"The network expects pictures with 2 axes, the image is a volume of shape {shape}; "
            "give one slice of it, for example Image(array[..., k])."
        )
    raise SpecError(
        f"The network expects volumes with 3 axes, the image is a picture of shape {shape}; give "
        "the whole volume, or a network for pictures."
    )


def _axes_of(spec: ModelSpec) -> int | None:
    """Number of spatial axes that a specification implies."""
    if spec.spatial_dims is not None:
        return spec.spatial_dims
    if spec.orientation is not None or spec.axis_order == "kji" or spec.slices is not None:
        return 3
    size = spec.input_size
    shape = None if size is None else size.shape if isinstance(size, FixedSize) else size.factor
    per_axis = [value for value in (spec.spacing, shape) if isinstance(value, tuple)]
    return len(per_axis[0]) if per_axis else None


def _order_of_axes(grid: Grid, spec: ModelSpec) -> tuple[int, ...] | None:
    """Axes of the image in the network's order; None where they are so already.

    Args:
        grid: Of the image as it is turned, before resampling: where its slices are thick.
        spec: What the network expects.
    """
    if spec.slices is not None:
        return spec.slices.order_of(grid, spec.axis_order)
    return (2, 1, 0) if spec.axis_order == "kji" else None


def _resampled_grid(grid: Grid, spec: ModelSpec) -> Grid:
    """The grid after the changes that need interpolation."""
    slices = spec.slices
    if slices is not None and slices.size is not None:
        _, rows, columns = slices.order_of(grid, spec.axis_order)
        shape = list(grid.shape)
        shape[rows], shape[columns] = slices.size
        grid = resize_grid(grid, shape)
    if spec.spacing is not None:
        voxels = math.prod(
            n * old / new
            for n, old, new in zip(grid.shape, grid.spacing, spec.spacing, strict=True)
        )
        if voxels > LARGEST_GRID:  # before a grid of that size is made
            raise SpecError(_too_large(f"spacing {list(spec.spacing)} mm", voxels))
        grid = change_spacing(grid, spec.spacing)
    if isinstance(spec.input_size, FixedSize) and spec.input_size.fit == "resize":
        grid = resize_grid(grid, spec.input_size.shape)
    return grid


def _padded_grid(grid: Grid, spec: ModelSpec) -> Grid:
    """The grid after padding and cropping by whole voxels."""
    size = spec.input_size
    if size is None:
        return grid
    if isinstance(size, FixedSize):
        return pad_crop_grid(grid, size.shape)
    factors = size.factor if isinstance(size.factor, tuple) else (size.factor,) * grid.ndim
    return pad_crop_grid(
        grid, tuple(-(-n // factor) * factor for n, factor in zip(grid.shape, factors, strict=True))
    )


def _checked_size(grid: Grid) -> Grid:
    voxels = math.prod(grid.shape)
    if voxels > LARGEST_GRID:
        raise SpecError(_too_large(f"shape {grid.shape}", voxels))
    return grid


def _too_large(what: str, voxels: float) -> str:
    return (
        f"Expected at most {LARGEST_GRID} voxels for the network, got {voxels:.3g} by {what}; "
        "correct the specification, or the spacing in the image's header."
    )


def _move(
    array: NDArray[np.float32], grid: Grid, target: Grid, value: float
) -> NDArray[np.float32]:
    """Copy voxels to a grid that differs by whole voxels; `value` where there was no image."""
    first = np.rint(grid.to_index(target.to_world([0] * grid.ndim))).astype(int)
    result = np.full((len(array), *target.shape), value, dtype=np.float32)
    here, there = [slice(None)], [slice(None)]
    for start, old, new in zip(first.tolist(), grid.shape, target.shape, strict=True):
        begin, end = max(start, 0), min(start + new, old)
        there.append(slice(begin, end))
        here.append(slice(begin - start, end - start))
    result[tuple(here)] = array[tuple(there)]
    return result
