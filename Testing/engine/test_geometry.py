"""Affines and grids: orientation, spacing, padding, layers."""

import doctest
import itertools

import nibabel
import numpy as np
import pytest
from nibabel.affines import from_matvec

from attention_maps import geometry
from attention_maps.errors import ImageError
from attention_maps.geometry import (
    affine_of_layer,
    axis_moves,
    change_spacing,
    crop_grid,
    flip_axes,
    index_transform,
    orientation_of,
    pad_crop_grid,
    permute_axes,
    reorient,
    resize_grid,
)
from attention_maps.types import Grid, Image

CODES = [
    "".join(letters)
    for pairs in itertools.permutations(("RL", "AP", "SI"))
    for letters in itertools.product(*pairs)
]
TILT = nibabel.eulerangles.euler2mat(0.3, -0.2, 0.4)
OBLIQUE = from_matvec(TILT @ np.diag([0.8, 1.1, 2.5]), [12.0, -30.0, 45.0])


def affine_with(code: str, tilt: np.ndarray) -> np.ndarray:
    """Affine of an image whose axes point along `code`, with spacing 0.8, 1.1, 2.5 and a tilt."""
    orientation = nibabel.orientations.axcodes2ornt(code)
    matrix = np.zeros((3, 3))
    for axis, (world, sign) in enumerate(orientation):
        matrix[int(world), axis] = sign * (0.8, 1.1, 2.5)[axis]
    return from_matvec(tilt @ matrix, [12.0, -30.0, 45.0])


def edges(grid: Grid) -> np.ndarray:
    """World positions of the outer corners, half a voxel beyond the outermost centers."""
    ends = [(-0.5, size - 0.5) for size in grid.shape]
    return grid.to_world(list(itertools.product(*ends)))


def test_doctests():
    assert doctest.testmod(geometry).failed == 0


def test_there_are_48_orientations():
    assert len(set(CODES)) == 48


@pytest.mark.parametrize("tilt", [np.eye(3), TILT], ids=["straight", "oblique"])
@pytest.mark.parametrize("code", CODES)
def test_orientation_is_that_of_nibabel(code, tilt):
    affine = affine_with(code, tilt)
    assert orientation_of(affine) == code == "".join(nibabel.aff2axcodes(affine))


def test_each_direction_is_used_once_where_two_axes_are_near_the_same():
    assert sorted(orientation_of(OBLIQUE @ np.diag([1, 1, 1, 1.0]))) == ["A", "R", "S"]
    shear = np.eye(4)
    shear[0, 1] = 1.5  # axis J is nearer to R than to A
    assert orientation_of(shear) == "RAS"


@pytest.mark.parametrize("tilt", [np.eye(3), TILT], ids=["straight", "oblique"])
@pytest.mark.parametrize("code", CODES)
def test_reoriented_voxels_stay_in_place(code, tilt):
    array = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    image = Image(array, affine_with(code, tilt))
    result = reorient(image, "RAS")
    assert orientation_of(result.affine) == "RAS"
    assert np.shares_memory(result.array, array)
    for index in np.ndindex(array.shape[1:]):
        at = np.rint(result.grid.to_index(image.grid.to_world(index))).astype(int)
        np.testing.assert_array_equal(
            result.array[(slice(None), *at)], array[(slice(None), *index)]
        )
        np.testing.assert_allclose(
            result.grid.to_world(at), image.grid.to_world(index), rtol=0, atol=1e-10
        )


@pytest.mark.parametrize("code", CODES)
def test_reorienting_back_is_the_identity(code):
    image = Image(np.random.default_rng(0).normal(size=(1, 3, 4, 5)), OBLIQUE)
    back = reorient(reorient(image, code), orientation_of(OBLIQUE))
    np.testing.assert_array_equal(back.array, image.array)
    np.testing.assert_allclose(back.affine, image.affine, rtol=0, atol=1e-10)


def test_reorient_is_that_of_nibabel():
    image = Image(np.random.default_rng(0).normal(size=(1, 3, 4, 5)), affine_with("PIR", TILT))
    expected = nibabel.as_closest_canonical(nibabel.Nifti1Image(image.array[0], image.affine))
    result = reorient(image, "RAS")
    np.testing.assert_array_equal(result.array[0], expected.get_fdata(dtype=np.float32))
    np.testing.assert_allclose(result.affine, expected.affine, rtol=0, atol=1e-10)


@pytest.mark.parametrize("code", ["", "RA", "RASL", "RLS", "ras", "XYZ"])
def test_wrong_orientations_are_refused(code):
    with pytest.raises(ImageError, match="three letters"):
        axis_moves(np.eye(4), code)


def test_pictures_have_no_orientation():
    with pytest.raises(ImageError, match="2D"):
        reorient(Image(np.zeros((1, 2, 2))), "RAS")


def test_permuted_and_flipped_axes_keep_positions():
    grid = Grid((3, 4, 5), OBLIQUE)
    np.testing.assert_allclose(
        permute_axes(grid, (2, 0, 1)).to_world((4, 1, 3)), grid.to_world((1, 3, 4))
    )
    np.testing.assert_allclose(
        flip_axes(grid, (0, 2)).to_world((0, 1, 1)), grid.to_world((2, 1, 3))
    )
    with pytest.raises(ImageError, match="order of axes"):
        permute_axes(grid, (0, 1, 1))


def test_permuting_a_2d_grid_keeps_its_normal():
    grid = Grid((3, 4), OBLIQUE)
    swapped = permute_axes(grid, (1, 0))
    assert swapped.shape == (4, 3)
    np.testing.assert_array_equal(swapped.affine, OBLIQUE[:, [1, 0, 2, 3]])


def test_halved_spacing_moves_the_first_center_by_a_quarter_voxel():
    fine = change_spacing(Grid((10, 10, 10), np.diag([2.0, 2.0, 2.0, 1.0])), (1.0, 1.0, 1.0))
    assert fine.shape == (20, 20, 20)
    np.testing.assert_allclose(fine.to_world((0, 0, 0)), [-0.5, -0.5, -0.5])
    np.testing.assert_allclose(fine.spacing, (1, 1, 1))


def test_doubled_spacing_centers_between_two_voxels():
    coarse = change_spacing(Grid((10, 10, 10), np.eye(4)), (2.0, 2.0, 2.0))
    assert coarse.shape == (5, 5, 5)
    np.testing.assert_allclose(coarse.to_world((0, 0, 0)), [0.5, 0.5, 0.5])


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 3.1, 2.2), (50.0, 1.1, 2.5)])
def test_changed_spacing_keeps_the_outer_edges(spacing):
    grid = Grid((31, 20, 7), OBLIQUE)
    result = change_spacing(grid, spacing)
    np.testing.assert_allclose(edges(result), edges(grid), rtol=0, atol=1e-9)
    field = np.multiply(grid.shape, grid.spacing)
    assert result.shape == tuple(np.maximum(1, np.rint(field / spacing)).astype(int))
    np.testing.assert_allclose(np.multiply(result.shape, result.spacing), field)


def test_same_spacing_is_the_same_grid():
    grid = Grid((31, 20, 7), OBLIQUE)
    assert change_spacing(grid, grid.spacing).same_as(grid, 1e-9)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.0, 1.0, 1.0), (-1, 1, 1), (np.nan, 1, 1)])
def test_wrong_spacings_are_refused(spacing):
    with pytest.raises(ImageError, match="positive spacings"):
        change_spacing(Grid((3, 3, 3), np.eye(4)), spacing)


def test_resized_grid_keeps_the_outer_edges_in_2d():
    grid = Grid((31, 20), OBLIQUE)
    np.testing.assert_allclose(edges(resize_grid(grid, (8, 33))), edges(grid), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("old", "new"), [(4, 7), (7, 4), (5, 2), (2, 5), (6, 6), (5, 8), (8, 5)])
def test_padding_and_cropping_is_centered(old, new):
    start = pad_crop_grid(Grid((old, old), np.eye(4)), (new, new)).to_world((0, 0))[0]
    assert start == int(start)
    # MONAI: SpatialPad adds the odd voxel at the end, CenterSpatialCrop cuts n // 2 - m // 2.
    assert start == (-((new - old) // 2) if new > old else old // 2 - new // 2)
    off_center = (start + (new - 1) / 2) - (old - 1) / 2
    assert abs(off_center) <= 0.5


def test_cropped_grid_starts_at_its_voxel():
    grid = Grid((9, 9, 9), OBLIQUE)
    part = crop_grid(grid, (2, -3, 0), (4, 12, 9))
    np.testing.assert_allclose(part.to_world((1, 3, 2)), grid.to_world((3, 0, 2)))
    with pytest.raises(ImageError, match="numbers of voxels"):
        crop_grid(grid, (0, 0, 0), (4, 0, 9))


def test_features_lie_at_stride_times_index_plus_offset():
    grid = Grid((32, 32, 32), OBLIQUE)
    layer = Grid((8, 8, 4), affine_of_layer(OBLIQUE, (4, 4, 8), (1.5, 0.0, -0.5)))
    np.testing.assert_allclose(layer.to_world((3, 2, 1)), grid.to_world((13.5, 8.0, 7.5)))
    flat = affine_of_layer(OBLIQUE, (4, 2), (1.5, 0.5))
    np.testing.assert_allclose(
        Grid((8, 8), flat).to_world((3, 2)), Grid((32, 32), OBLIQUE).to_world((13.5, 4.5))
    )


@pytest.mark.parametrize("ndim", [2, 3])
def test_index_transform_goes_through_the_world(ndim):
    source = Grid((9,) * ndim, OBLIQUE)
    to_plane = np.eye(4)
    to_plane[:2, :2] = [[0.5, 0.2], [-0.3, 0.8]]
    to_plane[:2, 3] = [3.0, -1.0]
    target = Grid((5,) * ndim, OBLIQUE @ to_plane)
    matrix, offset = index_transform(source, target)
    index = np.arange(1.0, ndim + 1)
    np.testing.assert_allclose(matrix @ index + offset, source.to_index(target.to_world(index)))


def test_grids_without_common_space_are_refused():
    with pytest.raises(ImageError, match="same dimension"):
        index_transform(Grid((3, 3), np.eye(4)), Grid((3, 3, 3), np.eye(4)))
    above = np.eye(4)
    above[2, 3] = 2.0
    with pytest.raises(ImageError, match="planes 2 mm apart"):
        index_transform(Grid((3, 3), np.eye(4)), Grid((3, 3), above))
