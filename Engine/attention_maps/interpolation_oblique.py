"""Interpolation between any two grids, chunk by chunk, by SimpleITK."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attention_maps.interpolation_aligned import VOXEL_TOLERANCE, taps_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from attention_maps.interpolation_aligned import Float32Array, Interpolation

CHUNK_VOXELS = 2**18


def chunks(shape: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ranges along the slowest axis of at most about CHUNK_VOXELS voxels."""
    height = max(1, CHUNK_VOXELS // max(1, int(np.prod(shape[1:]))))
    for start in range(0, shape[0], height):
        yield start, min(start + height, shape[0])


class Field(NamedTuple):
    """The voxels of a grid, as seen from the indices of another.

    Args:
        matrix: (n, n) and
        offset: (n,) from an index of the other grid to an index of this one.
        shape: Voxels of this grid per axis.
    """

    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]
    shape: tuple[int, ...]

    def inside_of_chunk(self, start: int, shape: Sequence[int]) -> NDArray[np.bool_]:
        """Return where a chunk that begins at `start` lies inside, (*shape,).

        Along the fastest axis that is one run of voxels, so only its ends are computed.
        """
        fronts = np.indices((*shape[:-1], 1), dtype=np.float64, sparse=True)
        first, last = -np.inf, np.inf
        for row, shift, size in zip(self.matrix, self.offset, self.shape, strict=True):
            begin = sum(
                (weight * index for weight, index in zip(row, fronts, strict=True)),
                shift + row[0] * start,
            )
            step = row[-1] if abs(row[-1]) > 1e-12 else 1e-12
            low = (-0.5 - VOXEL_TOLERANCE - begin) / step
            high = (size - 0.5 + VOXEL_TOLERANCE - begin) / step
            first = np.maximum(first, np.minimum(low, high))
            last = np.minimum(last, np.maximum(low, high))
        along = np.arange(shape[-1], dtype=np.int32)
        limits = -1, shape[-1]
        first = np.clip(np.ceil(first), *limits).astype(np.int32)
        last = np.clip(np.floor(last), *limits).astype(np.int32)
        return (along >= first) & (along <= last)


def interpolate_oblique(
    values: NDArray[np.generic],
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    result: Float32Array,
    interpolation: Interpolation,
    within: Field | None,
) -> None:
    """Interpolate by SimpleITK between the index spaces, where any affine is a transform.

    SimpleITK gives nothing outside the source, so those voxels come back as NaN and are computed
    here. They stay NaN where they are not `within` a field, because the caller fills them.
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
            if within is not None and missing.any():
                missing &= within.inside_of_chunk(start, chunk.shape)
            if missing.any():
                index = np.stack(np.nonzero(missing))
                at = matrix @ index + (offset + matrix[:, 0] * start)[:, None]
                chunk[missing] = _interpolate_points(volume, at, interpolation)


def _interpolate_points(
    volume: NDArray[np.generic], coordinates: NDArray[np.float64], interpolation: Interpolation
) -> Float32Array:
    """Values at continuous indices, clamped to the volume; (N,) from (n, N)."""
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
