"""Interpolation between any two grids, chunk by chunk, by SimpleITK."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from attention_maps.interpolation_aligned import VOXEL_TOLERANCE, taps_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from attention_maps.interpolation_aligned import Float32Array, Interpolation

    Coordinates = list[NDArray[np.float64]]

CHUNK_VOXELS = 2**18


def is_inside(coordinates: Coordinates, shape: Sequence[int]) -> NDArray[np.bool_]:
    """Return where indices, one array per axis, are at most half a voxel off the outer centers."""
    inside = [
        (along >= -0.5 - VOXEL_TOLERANCE) & (along <= size - 0.5 + VOXEL_TOLERANCE)
        for along, size in zip(coordinates, shape, strict=True)
    ]
    return np.logical_and.reduce(np.broadcast_arrays(*inside))


def chunks(shape: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ranges along the slowest axis of at most about CHUNK_VOXELS voxels."""
    height = max(1, CHUNK_VOXELS // max(1, int(np.prod(shape[1:]))))
    for start in range(0, shape[0], height):
        yield start, min(start + height, shape[0])


def coordinates_of(
    matrix: NDArray[np.float64], offset: NDArray[np.float64], start: int, shape: Sequence[int]
) -> Coordinates:
    """Source index along each source axis for a chunk that begins at `start`, each (*shape,)."""
    ranges = [range(start, start + shape[0]), *(range(size) for size in shape[1:])]
    index = np.ix_(*(np.asarray(one, dtype=np.float64) for one in ranges))
    return [
        sum((weight * along for weight, along in zip(row, index, strict=True)), shift)
        for row, shift in zip(matrix, offset, strict=True)
    ]


def interpolate_oblique(
    values: NDArray[np.generic],
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    result: Float32Array,
    interpolation: Interpolation,
    everywhere: bool,
) -> None:
    """Interpolate by SimpleITK between the index spaces, where any affine is a transform.

    SimpleITK gives nothing outside the source, so those voxels come back as NaN and are computed
    here: all of them if `everywhere`, else only those that the source's edge touches.
    """
    import SimpleITK

    n = matrix.shape[0]
    resampler = SimpleITK.ResampleImageFilter()
    resampler.SetInterpolator(
        SimpleITK.sitkLinear if interpolation == "linear" else SimpleITK.sitkNearestNeighbor
    )
    resampler.SetDefaultPixelValue(float("nan"))
    transform = SimpleITK.AffineTransform(n)
    transform.SetMatrix(matrix[::-1, ::-1].ravel().tolist())  # ITK counts the fastest axis first
    for volume, out in zip(values, result, strict=True):
        source = SimpleITK.GetImageFromArray(np.ascontiguousarray(volume, dtype=np.float32))
        for start, stop in chunks(out.shape):
            chunk = out[start:stop]
            transform.SetTranslation((offset + matrix[:, 0] * start)[::-1].tolist())
            resampler.SetTransform(transform)
            resampler.SetSize(chunk.shape[::-1])
            resampled = resampler.Execute(source)  # a name, because the view does not own it
            chunk[...] = SimpleITK.GetArrayViewFromImage(resampled)
            missing = np.isnan(chunk)
            if missing.any():
                coordinates = [
                    c[missing] for c in coordinates_of(matrix, offset, start, chunk.shape)
                ]
                if not everywhere:
                    inside = is_inside(coordinates, volume.shape)
                    missing[missing] = inside
                    coordinates = [c[inside] for c in coordinates]
                chunk[missing] = _interpolate_points(volume, coordinates, interpolation)


def _interpolate_points(
    volume: NDArray[np.generic], coordinates: Coordinates, interpolation: Interpolation
) -> Float32Array:
    """Values at continuous indices, clamped to the volume; (N,) from one (N,) array per axis."""
    taps = [
        taps_of(along, size, interpolation)
        for along, size in zip(coordinates, volume.shape, strict=True)
    ]
    result = np.zeros(len(coordinates[0]), dtype=np.float32)
    for corner in product((False, True), repeat=volume.ndim):
        weight = np.ones_like(result)
        for upper, tap in zip(corner, taps, strict=True):
            weight *= tap.fraction if upper else 1 - tap.fraction
        at = tuple(t.upper if upper else t.lower for upper, t in zip(corner, taps, strict=True))
        # Corners without weight repeat a neighbor that has one, so NaN does not spread.
        result += weight * volume[at].astype(np.float32)
    return result
