"""Resampling against scipy, placing, masks, and the memory it all takes."""

import itertools
import tracemalloc

import numpy as np
import pytest
from nibabel.affines import from_matvec
from nibabel.eulerangles import euler2mat
from scipy.ndimage import map_coordinates

from attention_maps.errors import ImageError
from attention_maps.geometry import (
    affine_of_layer,
    change_spacing,
    crop_grid,
    flip_axes,
    index_transform,
    permute_axes,
    resize_grid,
)
from attention_maps.interpolation_aligned import aligned_axes
from attention_maps.resampling import mask_on_grid, place, resample
from attention_maps.types import Grid, Image

OBLIQUE = from_matvec(euler2mat(0.3, -0.2, 0.4) @ np.diag([0.8, 1.1, 2.5]), [12.0, -30.0, 45.0])
SHEAR = np.array([[1, 0.2, 0, 3], [0, 1, -0.1, 2], [0.3, 0, 1, 1], [0, 0, 0, 1.0]])
SHAPE = (7, 9, 6)


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def source_index(source: Grid, target: Grid) -> np.ndarray:
    """(n, *target.shape) continuous source indices, by way of the world."""
    index = np.stack(np.meshgrid(*map(np.arange, target.shape), indexing="ij"), axis=-1)
    return np.moveaxis(source.to_index(target.to_world(index)), -1, 0)


def reference(array: np.ndarray, source: Grid, target: Grid, order: int = 1) -> np.ndarray:
    """Resampling of (C, *spatial) by scipy with repeated edges."""
    coordinates = source_index(source, target)
    if order == 0:
        coordinates = np.floor(np.round(coordinates, 4) + 0.5)
    channels = array.astype(np.float64)
    return np.stack(
        [map_coordinates(one, coordinates, order=order, mode="nearest") for one in channels]
    )


def outside_of(grid: Grid, target: Grid) -> np.ndarray:
    limits = np.reshape(grid.shape, (-1,) + (1,) * target.ndim) - 0.5
    index = source_index(grid, target)
    return ((index < -0.5 - 1e-4) | (index > limits + 1e-4)).any(axis=0)


def aligned_targets() -> dict[str, Grid]:
    grid = Grid(SHAPE, OBLIQUE)
    return {
        "same": grid,
        "shifted": Grid(SHAPE, OBLIQUE @ from_matvec(np.eye(3), [0.3, -0.7, 2.2])),
        "shifted by voxels": crop_grid(grid, (2, -3, 1), (8, 8, 4)),
        "finer": resize_grid(grid, (21, 20, 25)),
        "coarser": resize_grid(grid, (3, 2, 4)),
        "finer and coarser": change_spacing(grid, (0.4, 3.0, 2.5)),
        "flipped": flip_axes(resize_grid(grid, (10, 9, 8)), (0, 2)),
        "permuted": permute_axes(resize_grid(grid, (10, 9, 8)), (2, 0, 1)),
        "permuted and flipped": flip_axes(
            permute_axes(resize_grid(grid, (5, 9, 8)), (1, 2, 0)), (1,)
        ),
        "single voxel": Grid((1, 1, 1), OBLIQUE @ from_matvec(np.eye(3), [1.3, 2.5, 0.1])),
        "far away": crop_grid(grid, (50, 0, 0), SHAPE),
    }


def oblique_targets() -> dict[str, Grid]:
    turned = from_matvec(euler2mat(0.2, 0.1, -0.3) * 0.7, [13.0, -28.0, 47.0])
    return {
        "turned": Grid((12, 11, 15), turned),
        "sheared": Grid((12, 11, 15), OBLIQUE @ SHEAR),
        "straight": Grid((9, 8, 30), from_matvec(np.eye(3) * 0.9, [9.0, -31.0, 40.0])),
    }


TARGETS = {**aligned_targets(), **oblique_targets()}


@pytest.mark.parametrize("name", TARGETS)
def test_only_parallel_axes_take_the_separable_path(name):
    matrix, _ = index_transform(Grid(SHAPE, OBLIQUE), TARGETS[name])
    assert (aligned_axes(matrix, TARGETS[name].shape) is not None) == (name in aligned_targets())


@pytest.mark.parametrize("name", TARGETS)
def test_linear_is_that_of_scipy(name):
    array, source, target = noise((2, *SHAPE)), Grid(SHAPE, OBLIQUE), TARGETS[name]
    result = resample(array, source, target)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, reference(array, source, target), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", TARGETS)
def test_nearest_is_that_of_scipy(name):
    labels = np.random.default_rng(0).integers(0, 5, (1, *SHAPE)).astype(np.uint8)
    source, target = Grid(SHAPE, OBLIQUE), TARGETS[name]
    result = resample(labels, source, target, interpolation="nearest")
    expected = reference(labels, source, target, order=0)
    if name in oblique_targets():  # where a position halfway between voxels may go either way
        halfway = np.abs(source_index(source, target) % 1 - 0.5).min(axis=0) < 1e-4
        assert halfway.mean() < 0.2
        result[:, halfway] = expected[:, halfway]
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
@pytest.mark.parametrize("name", TARGETS)
def test_a_number_fills_beyond_the_outer_voxels_only(name, interpolation):
    array, source, target = noise((2, *SHAPE)), Grid(SHAPE, OBLIQUE), TARGETS[name]
    result = resample(array, source, target, interpolation=interpolation, outside=-7.0)
    edge = resample(array, source, target, interpolation=interpolation)
    beyond = outside_of(source, target)
    np.testing.assert_array_equal(result, np.where(beyond, np.float32(-7), edge))


def test_half_a_voxel_beyond_the_outer_centers_still_belongs_to_the_grid():
    source = Grid((3, 1, 1), np.eye(4))
    fine = Grid((8, 1, 1), affine_of_layer(np.eye(4), (0.5, 1, 1), (-0.75, 0, 0)))
    result = resample(np.array([[10.0, 20, 30]]).reshape(1, 3, 1, 1), source, fine, outside=0.0)
    np.testing.assert_allclose(
        result.ravel(), [0, 10, 12.5, 17.5, 22.5, 27.5, 30, 0], rtol=0, atol=1e-6
    )


def test_fill_may_be_nan():
    source = Grid(SHAPE, OBLIQUE)
    for name in ("shifted by voxels", "turned"):
        result = resample(noise((1, *SHAPE)), source, TARGETS[name], outside=np.nan)[0]
        np.testing.assert_array_equal(np.isnan(result), outside_of(source, TARGETS[name]))


def test_same_grid_is_a_copy():
    array, grid = noise((2, *SHAPE)), Grid(SHAPE, OBLIQUE)
    result = resample(
        array, grid, Grid(SHAPE, OBLIQUE @ from_matvec(np.eye(3) * (1 + 1e-6), [1e-6, -1e-6, 1e-6]))
    )
    np.testing.assert_array_equal(result, array)
    assert not np.shares_memory(result, array)


@pytest.mark.parametrize("name", ["same", "shifted by voxels", "finer", "turned"])
def test_nan_stays_where_it_is(name):
    array, source, target = noise((1, *SHAPE)), Grid(SHAPE, OBLIQUE), TARGETS[name]
    array[0, 3, 4, 2] = np.nan
    touched = np.isnan(resample(array, source, target)[0])
    near = np.abs(source_index(source, target) - np.reshape([3, 4, 2], (3, 1, 1, 1))) < 1 - 1e-4
    np.testing.assert_array_equal(touched, near.all(axis=0))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("sign", [1, -1])
def test_any_memory_layout_gives_the_same(order, sign):
    array, source = noise((2, 40, 9, 6)), Grid((40, 9, 6), OBLIQUE)
    stored = array.transpose(0, *(1 + axis for axis in order))[..., ::sign].copy()
    view = stored[..., ::sign].transpose(0, *(1 + np.argsort(order)))
    view.setflags(write=False)
    for target in (resize_grid(source, (50, 7, 13)), Grid((9, 8, 7), OBLIQUE @ SHEAR)):
        np.testing.assert_array_equal(
            resample(view, source, target), resample(array, source, target)
        )


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int16, np.uint8, np.bool_, ">f4"])
def test_any_real_dtype_is_taken(dtype):
    array = (noise((1, *SHAPE)) * 3).astype(dtype)
    source = Grid(SHAPE, OBLIQUE)
    for name in ("finer", "turned"):
        expected = resample(array.astype(np.float32), source, TARGETS[name])
        np.testing.assert_allclose(resample(array, source, TARGETS[name]), expected, atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_2d_is_that_of_scipy_in_any_plane(angle):
    source = Grid((12, 17), OBLIQUE)
    move = from_matvec(euler2mat(z=angle) * 0.6, [2.0, 3.0, 0.0])
    target = Grid((20, 25), OBLIQUE @ move)
    array = noise((3, 12, 17))
    result = resample(array, source, target)
    np.testing.assert_allclose(result, reference(array, source, target), rtol=0, atol=1e-5)
    filled = resample(array, source, target, outside=0.0)
    beyond = outside_of(source, target)
    assert beyond.any()
    np.testing.assert_array_equal(filled, np.where(beyond, 0, result))


def test_large_oblique_targets_come_in_chunks_without_seams():
    array, source = noise((1, *SHAPE)), Grid(SHAPE, OBLIQUE)
    target = Grid((7, 300, 400), from_matvec(euler2mat(0.2) * 0.03, [13.0, -28.0, 47.0]))
    expected = reference(array, source, target)
    np.testing.assert_allclose(resample(array, source, target), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("array", "options", "reason"),
    [
        (np.zeros(SHAPE), {}, r"array \(C, 7, 9, 6\)"),
        (np.zeros((1, 6, 9, 7)), {}, r"got shape \(1, 6, 9, 7\)"),
        (np.zeros((1, *SHAPE), complex), {}, "real numbers"),
        (np.zeros((1, *SHAPE)), {"interpolation": "cubic"}, "'linear' or 'nearest'"),
        (np.zeros((1, *SHAPE)), {"outside": "zero"}, "'edge' or a number"),
    ],
)
def test_wrong_arguments_are_refused(array, options, reason):
    grid = Grid(SHAPE, OBLIQUE)
    with pytest.raises(ImageError, match=reason):
        resample(array, grid, grid, **options)


def test_placed_map_is_zero_where_the_network_did_not_look():
    scan = Grid((20, 24, 18), OBLIQUE)
    field = crop_grid(scan, (3, 4, 2), (12, 16, 8))
    layer = Grid((3, 4, 2), affine_of_layer(field.affine, (4, 4, 4), (0, 0, 0)))
    array = 1 + np.abs(noise((2, 3, 4, 2)))
    result = place(array, layer, field, scan)
    np.testing.assert_allclose(
        result[:, 3:15, 4:20, 2:10], reference(array, layer, field), rtol=0, atol=1e-5
    )
    result[:, 3:15, 4:20, 2:10] = 0
    assert not result.any()


@pytest.mark.parametrize("move", [np.eye(4), SHEAR], ids=["aligned", "oblique"])
def test_placing_on_a_resampled_field_keeps_its_outer_voxels(move):
    scan = Grid((20, 24, 18), OBLIQUE)
    field = change_spacing(
        crop_grid(Grid(scan.shape, OBLIQUE @ move), (3, 4, 2), (12, 16, 8)), (2, 2, 2)
    )
    layer = Grid((2, 3, 5), affine_of_layer(field.affine, (2, 2, 2), (0.5, 0, 0)))
    array = 1 + np.abs(noise((1, 2, 3, 5)))
    result = place(array, layer, field, scan)
    expected = np.where(outside_of(field, scan), 0, reference(array, layer, scan))
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)
    assert 0.05 < np.mean(result > 0) < 0.9


def test_placing_in_2d():
    scan = Grid((20, 24), OBLIQUE)
    field = crop_grid(scan, (3, 4), (12, 16))
    layer = Grid((3, 4), affine_of_layer(field.affine, (4, 4), (1.5, 1.5)))
    array = 1 + np.abs(noise((1, 3, 4)))
    expected = np.where(outside_of(field, scan), 0, reference(array, layer, scan))
    np.testing.assert_allclose(place(array, layer, field, scan), expected, rtol=0, atol=1e-5)


def test_mask_keeps_its_place_on_another_grid():
    mask = Image(np.zeros((1, *SHAPE)), OBLIQUE)
    mask.array[0, 2, 3, 4] = 3
    mask.array[0, 6, 8, 5] = 1
    target = flip_axes(permute_axes(resize_grid(mask.grid, (14, 9, 12)), (1, 0, 2)), (0,))
    result = mask_on_grid(mask, target)
    assert result.dtype == bool
    assert result.sum() == 2 * 4
    for index in np.argwhere(result):
        at = np.floor(mask.grid.to_index(target.to_world(index)) + 0.5).astype(int)
        assert tuple(at) in [(2, 3, 4), (6, 8, 5)]
    larger = crop_grid(mask.grid, (0, 0, 0), (20, 20, 20))
    assert mask_on_grid(mask, larger).sum() == 2
    np.testing.assert_array_equal(mask_on_grid(mask, mask.grid), mask.array[0] > 0)


def test_masks_of_several_channels_or_nan_are_refused():
    grid = Grid((2, 2, 2), np.eye(4))
    with pytest.raises(ImageError, match="one channel"):
        mask_on_grid(Image(np.zeros((2, 2, 2, 2))), grid)
    with pytest.raises(ImageError, match="NaN"):
        mask_on_grid(Image(np.full((1, 2, 2, 2), np.nan)), grid)


def peak_beside_result(array: np.ndarray, layer: Grid, field: Grid, scan: Grid) -> int:
    """Bytes that place() takes at its peak beyond its result."""
    tracemalloc.start()
    try:
        result = place(array, layer, field, scan)
        return tracemalloc.get_traced_memory()[1] - result.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("layout", ["C", "F"])
def test_placing_a_coarse_map_on_a_large_scan_takes_its_result_and_few_planes(layout):
    scan = Grid((512, 512, 200), np.diag([0.7, 0.7, 1.0, 1.0]))
    layer = Grid((32, 32, 38), affine_of_layer(scan.affine, (16, 16, 5), (0, 0, 0)))
    array = np.asarray(noise((1, *layer.shape)), order=layout)
    assert peak_beside_result(array, layer, scan, scan) < 16 * 2**20


def test_fine_maps_in_any_layout_take_few_planes():
    scan = Grid((256, 256, 128), np.eye(4))
    array = noise((1, 128, 256, 256)).T[..., 0][None]
    layer = Grid((256, 256, 128), from_matvec(np.eye(3), [0.3, 0.2, 0.1]))
    assert peak_beside_result(array, layer, scan, scan) < 32 * 2**20


def test_oblique_placing_takes_chunks():
    scan = Grid((200, 256, 256), np.eye(4))
    turned = from_matvec(euler2mat(0.2) * 8, [0.0, 0.0, 0.0])
    layer = Grid((24, 32, 32), turned)
    assert peak_beside_result(noise((1, *layer.shape)), layer, scan, scan) < 64 * 2**20
