"""Affines and grids: orientation, spacing, padding, and where a layer's voxels lie.

Every affine is (4, 4) and maps voxel indices of an array (I, J, K) to RAS millimeters at voxel
centers. A 2D grid uses the first two columns and the origin of its affine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_maps.errors import ImageError
from attention_maps.types import Grid, Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

AXIS_CODES = ("RL", "AP", "SI")
PLANE_TOLERANCE_MM = 1e-3


def orientation_of(affine: ArrayLike) -> str:
    """Return the anatomical direction in which each voxel axis points, such as 'RAS'.

    An oblique axis takes the direction nearest to it; each of the three pairs is used once.

    Args:
        affine: (4, 4) voxel index -> RAS mm.

    >>> orientation_of(np.diag([-1.0, -1.0, 2.0, 1.0]))
    'LPS'
    """
    matrix = np.asarray(affine, dtype=np.float64)[:3, :3]
    left, _, right = np.linalg.svd(matrix / np.linalg.norm(matrix, axis=0))
    rotation = left @ right
    remaining = np.abs(rotation)
    codes = ["", "", ""]
    for _ in range(3):
        world, axis = np.unravel_index(np.argmax(remaining), (3, 3))
        codes[axis] = AXIS_CODES[world][int(rotation[world, axis] < 0)]
        remaining[world, :] = -1
        remaining[:, axis] = -1
    return "".join(codes)


def axis_moves(affine: ArrayLike, orientation: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return how to get axes that point in the wanted directions: (order, flipped).

    Args:
        affine: (4, 4) voxel index -> RAS mm of the present axes.
        orientation: Three letters, such as 'RAS': where the new axes shall point.

    Returns:
        order: The present axis that becomes new axis 0, 1, 2.
        flipped: New axes that run against the present axis.

    Raises:
        ImageError: If the orientation is not one letter of each of R/L, A/P and S/I.

    >>> axis_moves(np.diag([-1.0, 1.0, 1.0, 1.0]), "SAR")
    ((2, 1, 0), (2,))
    """
    wanted = [_world_axis(letter) for letter in orientation]
    if sorted(wanted) != [0, 1, 2]:
        raise ImageError(
            "Expected an orientation of three letters, one of R/L, one of A/P, one of S/I "
            f"(such as 'RAS' or 'LPS'), got '{orientation}'."
        )
    present = orientation_of(affine)
    world_of_present = [_world_axis(letter) for letter in present]
    order = tuple(world_of_present.index(world) for world in wanted)
    flipped = tuple(new for new in range(3) if present[order[new]] != orientation[new])
    return order, flipped


def _world_axis(letter: str) -> int:
    return next((world for world, pair in enumerate(AXIS_CODES) if letter in pair), -1)


def reorient(image: Image, orientation: str) -> Image:
    """Return the image with its axes permuted and flipped to the wanted orientation.

    The array is a view, no voxel is resampled, and every voxel keeps its world position. An
    oblique image stays oblique: its axes take the nearest directions.

    Args:
        image: (C, I, J, K).
        orientation: Three letters, such as 'RAS': where axes I, J and K shall point.

    Raises:
        ImageError: If the image is 2D or the orientation is not valid.

    >>> image = Image(np.arange(2.0).reshape(1, 2, 1, 1), np.diag([-1.0, 1.0, 1.0, 1.0]))
    >>> reorient(image, "RAS").array.ravel().tolist()
    [1.0, 0.0]
    """
    if image.ndim != 3:
        raise ImageError(
            f"Expected a 3D image to reorient to '{orientation}', got a 2D one; "
            "2D pictures are rows first and have no anatomical orientation."
        )
    order, flipped = axis_moves(image.affine, orientation)
    grid = flip_axes(permute_axes(image.grid, order), flipped)
    array = image.array.transpose(0, *(1 + axis for axis in order))
    array = np.flip(array, tuple(1 + axis for axis in flipped))
    return Image(array, grid.affine)


def permute_axes(grid: Grid, order: Sequence[int]) -> Grid:
    """Return the grid whose axis a is axis `order[a]` of the given one, at the same place.

    >>> permute_axes(Grid((2, 3, 4), np.diag([5.0, 6.0, 7.0, 1.0])), (2, 1, 0)).spacing
    (7.0, 6.0, 5.0)
    """
    if sorted(order) != list(range(grid.ndim)):
        raise ImageError(f"Expected an order of axes 0..{grid.ndim - 1}, got {tuple(order)}.")
    columns = [*order, *range(grid.ndim, 4)]
    return Grid(tuple(grid.shape[axis] for axis in order), grid.affine[:, columns])


def flip_axes(grid: Grid, axes: Sequence[int]) -> Grid:
    """Return the grid at the same place, counted from the other end along the given axes.

    >>> flip_axes(Grid((3, 1, 1), np.eye(4)), (0,)).to_world((0, 0, 0)).tolist()
    [2.0, 0.0, 0.0]
    """
    step = np.eye(4)
    for axis in axes:
        step[axis, axis] = -1
        step[axis, 3] = grid.shape[axis] - 1
    return Grid(grid.shape, grid.affine @ step)


def affine_of_layer(
    affine: ArrayLike, stride: Sequence[float], offset: Sequence[float]
) -> NDArray[np.float64]:
    """Return the affine of a feature map: feature i lies at input index i * stride + offset.

    Args:
        affine: (4, 4) index of the network's input -> RAS mm.
        stride: Input voxels from one feature to the next, per spatial axis (2 or 3 of them).
        offset: Input voxel (continuous index) at which feature 0 is centered, per axis.

    >>> affine_of_layer(np.diag([2.0, 2.0, 2.0, 1.0]), (4, 4, 4), (1.5, 0, 0))[0].tolist()
    [8.0, 0.0, 0.0, 3.0]
    """
    n = len(stride)
    step = np.eye(4)
    step[range(n), range(n)] = stride
    step[:n, 3] = offset
    return np.asarray(affine, dtype=np.float64) @ step


def crop_grid(grid: Grid, start: Sequence[int], shape: Sequence[int]) -> Grid:
    """Return the part of a grid from voxel `start` on; a negative start or a larger shape pads.

    >>> crop_grid(Grid((8, 8), np.eye(4)), (2, -1), (4, 9)).to_world((0, 0)).tolist()
    [2.0, -1.0, 0.0]
    """
    shape = _shape_for(grid, shape)
    return Grid(shape, affine_of_layer(grid.affine, (1,) * grid.ndim, start))


def pad_crop_grid(grid: Grid, shape: Sequence[int]) -> Grid:
    """Return a grid of the given shape about the same center, with the voxels in place.

    Voxels are added or removed at both ends. Where an odd number is added, the end gets the
    odd one; an axis of n voxels cropped to m starts at voxel n // 2 - m // 2 (as in MONAI).

    >>> pad_crop_grid(Grid((4, 5), np.eye(4)), (7, 2)).to_world((0, 0)).tolist()
    [-1.0, 1.0, 0.0]
    """
    shape = _shape_for(grid, shape)
    start = [
        -((new - old) // 2) if new > old else old // 2 - new // 2
        for old, new in zip(grid.shape, shape, strict=True)
    ]
    return crop_grid(grid, start, shape)


def resize_grid(grid: Grid, shape: Sequence[int]) -> Grid:
    """Return a grid of the given shape with the same outer edges.

    The edges are those of the outermost voxels, half a voxel beyond their centers, so the first
    center moves when the voxel size changes (align_corners=False in torch).

    >>> resize_grid(Grid((4, 4), np.eye(4)), (2, 8)).to_world((0, 0)).tolist()
    [0.5, -0.25, 0.0]
    """
    shape = _shape_for(grid, shape)
    scale = np.divide(grid.shape, shape)
    return Grid(shape, affine_of_layer(grid.affine, tuple(scale), tuple((scale - 1) / 2)))


def change_spacing(grid: Grid, spacing: Sequence[float]) -> Grid:
    """Return a grid over the same field of view with about the given spacing.

    The number of voxels is n * old / new, rounded to the nearest integer (halves to even) and at
    least 1. The outer edges stay exactly where they are, so the spacing comes out as field of
    view / number of voxels, which is not quite the one asked for when that is no integer.

    Args:
        grid: The grid to cover.
        spacing: Wanted spacing in mm along each axis of the grid.

    >>> change_spacing(Grid((10, 10), np.eye(4)), (2.0, 3.0)).shape
    (5, 3)
    """
    wanted = np.asarray(spacing, dtype=np.float64)
    if wanted.shape != (grid.ndim,) or not np.isfinite(wanted).all() or (wanted <= 0).any():
        raise ImageError(
            f"Expected {grid.ndim} positive spacings in mm, one per axis, got {spacing}."
        )
    # Files hold affines in single precision: of a thousand voxels that is a tenth of a thousandth
    # of a voxel, which must not decide how a half rounds.
    voxels = np.round(np.multiply(grid.shape, grid.spacing) / wanted, 3)
    return resize_grid(grid, [max(1, int(n)) for n in np.rint(voxels)])


def index_transform(source: Grid, target: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (matrix, offset) with source index = matrix @ target index + offset.

    Args:
        source: The grid whose indices come out.
        target: The grid whose indices go in; both 3D, or both 2D and in the same plane.

    Returns:
        matrix: (n, n) for n spatial axes.
        offset: (n,) source index of target voxel 0.

    Raises:
        ImageError: If one grid is 2D and the other 3D, or two 2D grids lie in different planes.

    >>> fine = Grid((4, 4), np.diag([0.5, 0.5, 1.0, 1.0]))
    >>> index_transform(Grid((2, 2), np.eye(4)), fine)[0].tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    if source.ndim != target.ndim:
        raise ImageError(
            f"Expected two grids of the same dimension, got {source.ndim}D {source.shape} and "
            f"{target.ndim}D {target.shape}."
        )
    n = source.ndim
    axes = source.affine[:3, :n]
    inverse = np.linalg.pinv(axes)
    matrix = inverse @ target.affine[:3, :n]
    offset = inverse @ (target.affine[:3, 3] - source.affine[:3, 3])
    ends = np.array(np.meshgrid(*([0, size - 1] for size in target.shape))).reshape(n, -1)
    back = axes @ (matrix @ ends + offset[:, None]) + source.affine[:3, 3:]
    gap = np.abs(back.T - target.to_world(ends.T)).max()
    if gap > PLANE_TOLERANCE_MM:
        raise ImageError(
            f"Expected two 2D images in the same plane, got planes {gap:.3g} mm apart; "
            "use images of the same slice, or 3D images."
        )
    return matrix, offset


def _shape_for(grid: Grid, shape: Sequence[int]) -> tuple[int, ...]:
    if len(shape) != grid.ndim or min(shape) < 1:
        raise ImageError(
            f"Expected {grid.ndim} numbers of voxels of at least 1, one per axis, "
            f"got {tuple(shape)}."
        )
    return tuple(int(n) for n in shape)
