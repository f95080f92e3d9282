"""Interpolation between grids with parallel axes, one axis after the other.

The work space is a few planes of the result, whatever the size of the volumes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Float32Array = NDArray[np.float32]

Interpolation = Literal["linear", "nearest"]
VOXEL_TOLERANCE = 1e-4
ROUNDING = 1e-9
SLAB_BYTES = 8 * 2**20


class Taps(NamedTuple):
    """Interpolation along one axis: (1 - fraction) * source[lower] + fraction * source[upper].

    Args:
        lower: (n,) source index at or below each target voxel.
        upper: (n,) its neighbor, or `lower` again where the fraction is 0.
        fraction: (n,) share of the upper one, 0 <= fraction < 1.
        identity: Whether the axis comes out as it went in.
    """

    lower: NDArray[np.intp]
    upper: NDArray[np.intp]
    fraction: NDArray[np.float32]
    identity: bool


def aligned_axes(
    matrix: NDArray[np.float64], target_shape: Sequence[int]
) -> tuple[int, ...] | None:
    """Return the source axis that runs along each target axis, or None for oblique grids.

    What a target axis moves along the other source axes must stay below the tolerance over the
    whole grid; an axis of a single voxel moves nothing.
    """
    n = len(target_shape)
    moves = np.abs(matrix) * (np.asarray(target_shape) - 1) > VOXEL_TOLERANCE / n
    if (moves.sum(axis=0) > 1).any() or (moves.sum(axis=1) > 1).any():
        return None
    free = [axis for axis in range(n) if not moves[axis].any()]
    return tuple(
        int(np.argmax(moves[:, axis])) if moves[:, axis].any() else free.pop(0) for axis in range(n)
    )


def along_axis(
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    axis: int,
    source_axis: int,
    size: int,
) -> NDArray[np.float64]:
    """Source index of every target index along one axis; integers exact."""
    along = matrix[source_axis, axis] * np.arange(size) + offset[source_axis]
    whole = np.rint(along)
    distance = np.abs(along - whole)
    # An axis that maps voxel to voxel is copied; elsewhere only float64's rounding is undone.
    near = VOXEL_TOLERANCE if distance.max() < VOXEL_TOLERANCE else ROUNDING
    return np.where(distance < near, whole, along)


def is_inside(along: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    """Return which continuous indices are at most half a voxel off the outermost centers."""
    return (along >= -0.5 - VOXEL_TOLERANCE) & (along <= size - 0.5 + VOXEL_TOLERANCE)


def _nearest(along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nearest integer, halves up; noise of the affine must not decide a half."""
    return np.floor(np.round(along, 4) + 0.5)


def taps_of(along: NDArray[np.float64], size: int, interpolation: Interpolation) -> Taps:
    """Return the taps of continuous source indices (n,), clamped to an axis of `size` voxels."""
    along = np.clip(_nearest(along) if interpolation == "nearest" else along, 0, size - 1)
    lower = np.floor(along).astype(np.intp)
    fraction = (along - lower).astype(np.float32)
    # A weight of zero must not read its neighbor: 0 * NaN is NaN.
    upper = np.where(fraction > 0, np.minimum(lower + 1, size - 1), lower)
    identity = len(along) == size and np.array_equal(along, np.arange(size))
    return Taps(lower, upper, fraction, identity)


def interpolate_aligned(
    values: NDArray[np.generic],
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    axes: tuple[int, ...],
    result: Float32Array,
    interpolation: Interpolation,
) -> None:
    """Interpolate axis by axis into `result`, (C, *spatial)."""
    taps = [
        taps_of(
            along_axis(matrix, offset, axis, source_axis, result.shape[1 + axis]),
            values.shape[1 + source_axis],
            interpolation,
        )
        for axis, source_axis in enumerate(axes)
    ]
    volumes = values.transpose(0, *(1 + axis for axis in axes))
    if len(axes) == 2:  # planes of one row
        taps.insert(1, taps_of(np.zeros(1), 1, interpolation))
        volumes, result = volumes[:, :, None], result[:, :, None]
    for volume, out in zip(volumes, result, strict=True):
        _interpolate_volume(volume, taps, out)


def _interpolate_volume(volume: NDArray[np.generic], taps: list[Taps], out: Float32Array) -> None:
    """Interpolate (I, J, K) into `out`: each source plane once, then between two planes.

    Source planes are visited in order, so that two of them on the target's in-plane grid are all
    that has to be kept.
    """
    read_plane = _plane_reader(volume)
    slow, *in_plane = taps
    share = np.empty(out.shape[1:], dtype=np.float32)
    planes: dict[int, Float32Array] = {}
    for index, (lower, upper, fraction) in enumerate(
        zip(slow.lower.tolist(), slow.upper.tolist(), slow.fraction, strict=True)
    ):
        planes = {
            k: planes[k] if k in planes else _interpolate_plane(read_plane(k), *in_plane)
            for k in (lower, upper)
        }
        if lower == upper:
            out[index] = planes[lower]
        else:
            np.multiply(planes[lower], 1 - fraction, out=out[index])
            out[index] += np.multiply(planes[upper], fraction, out=share)


def _plane_reader(volume: NDArray[np.generic]) -> Callable[[int], NDArray[np.generic]]:
    """Return a function that gives plane k of (I, J, K).

    Where neighbors along K are far apart in memory, a plane alone would read a cache line for
    each voxel, so such volumes are copied some planes at a time.
    """
    if volume.strides[-1] == volume.itemsize:
        return volume.__getitem__
    height = max(1, min(16, SLAB_BYTES // max(1, volume[0].nbytes)))
    slab: dict[int, NDArray[np.generic]] = {}

    def read_plane(k: int) -> NDArray[np.generic]:
        start = k - k % height
        if start not in slab:
            slab.clear()
            slab[start] = np.ascontiguousarray(volume[start : start + height])
        return slab[start][k - start]

    return read_plane


def _interpolate_plane(plane: NDArray[np.generic], rows: Taps, columns: Taps) -> Float32Array:
    """Interpolate (J, K) along both axes, beginning with the one that leaves less to do."""
    values = plane.astype(np.float32, copy=False)
    columns_first = plane.shape[0] * len(columns.lower) <= len(rows.lower) * plane.shape[1]
    steps = [(1, columns), (0, rows)] if columns_first else [(0, rows), (1, columns)]
    for axis, taps in steps:
        values = _interpolate_axis(values, taps, axis)
    return values


def _interpolate_axis(values: Float32Array, taps: Taps, axis: int) -> Float32Array:
    if taps.identity:
        return values
    result = values.take(taps.lower, axis=axis)
    if taps.fraction.any():
        fraction = taps.fraction[:, None] if axis == 0 else taps.fraction
        upper = values.take(taps.upper, axis=axis)
        upper *= fraction
        result *= 1 - fraction
        result += upper
    return result
