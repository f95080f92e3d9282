"""Every voxel of the network's input lies where its grid says, whatever was done to get there."""

import numpy as np
import pytest

from attention_maps.errors import ImageError, SpecError
from attention_maps.intensity import Clip, Scale, ZScore
from attention_maps.preprocessing import prepare
from attention_maps.spec import ModelSpec
from attention_maps.types import Image

SHAPE = (12, 10, 8)
PADDING = 1e6


def affine_of(orientation, spacing=(1.0, 1.0, 1.0), degrees=0.0):
    """Affine with axes that point as the letters say, then turned about an oblique axis."""
    axes = np.zeros((3, 3))
    for column, letter in enumerate(orientation):
        row = next(row for row, pair in enumerate(("RL", "AP", "SI")) if letter in pair)
        axes[row, column] = 1 if letter in "RAS" else -1
    x, y, z = np.array([1.0, 2.0, -1.0]) / np.sqrt(6)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    affine = np.eye(4)
    affine[:3, :3] = turn @ axes * spacing
    affine[:3, 3] = (-31.5, 12.25, 7.0)
    return affine


AFFINES = {
    "RAS": affine_of("RAS"),
    "LPS": affine_of("LPS"),
    "LAS anisotropic": affine_of("LAS", (0.75, 1.5, 3.0)),
    "PIR": affine_of("PIR", (1.0, 2.0, 1.0)),
    "oblique": affine_of("SLA", degrees=17),
    "oblique anisotropic": affine_of("LPS", (0.5, 0.5, 2.5), degrees=-23),
}
SPECS = {
    "nothing": ModelSpec(),
    "orientation": ModelSpec(orientation="RAS"),
    "kji": ModelSpec(axis_order="kji"),
    "spacing": ModelSpec(orientation="LPS", spacing=(1.3, 0.7, 2.0)),
    "resize": ModelSpec(
        orientation="RAS", input_size={"kind": "fixed", "shape": (16, 16, 16)}, axis_order="kji"
    ),
    "pad and crop": ModelSpec(
        orientation="RAS",
        input_size={"kind": "fixed", "shape": (9, 15, 8), "fit": "pad_crop", "value": PADDING},
    ),
    "multiple": ModelSpec(input_size={"kind": "multiple_of", "factor": 8, "value": PADDING}),
    "everything": ModelSpec(
        orientation="SPL",
        spacing=(1.0, 1.5, 0.8),
        input_size={"kind": "multiple_of", "factor": (4, 8, 16), "value": PADDING},
        axis_order="kji",
    ),
    "spacing, then pad and crop": ModelSpec(
        orientation="RAI",
        spacing=(1.0, 1.0, 1.0),
        input_size={"kind": "fixed", "shape": (10, 20, 6), "fit": "pad_crop", "value": PADDING},
        axis_order="kji",
    ),
}


def indices_of(shape):
    return np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)


def world_image(affine, shape=SHAPE):
    """An image whose three channels are the RAS position of each voxel."""
    grid = Image(np.zeros((1, *shape)), affine).grid
    return Image(np.moveaxis(grid.to_world(indices_of(shape)), -1, 0), affine)


def is_inside(image, positions, margin):
    """Whether RAS positions lie within the outermost voxel centers, widened by `margin` voxels."""
    index = image.grid.to_index(positions)
    return ((index >= -margin) & (index <= np.array(image.array.shape[1:]) - 1 + margin)).all(-1)


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("spec", SPECS)
def test_every_voxel_holds_its_own_position(spec, affine):
    image = world_image(AFFINES[affine])
    ready = prepare(image, SPECS[spec])
    positions = ready.grid.to_world(indices_of(ready.grid.shape))
    values = np.moveaxis(ready.array, 0, -1)
    within = is_inside(image, positions, 1e-6)
    assert within.sum() > 100
    np.testing.assert_allclose(values[within], positions[within], atol=1e-4)
    assert (values[~is_inside(image, positions, 0.51)] == PADDING).all()
    assert not (values[is_inside(image, positions, 0.49)] == PADDING).any()


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("spec", SPECS)
def test_nearest_is_at_most_half_a_voxel_off(spec, affine):
    image = world_image(AFFINES[affine])
    ready = prepare(image, SPECS[spec].replace(interpolation="nearest"))
    positions = ready.grid.to_world(indices_of(ready.grid.shape))
    within = is_inside(image, positions, 0.5)
    values = np.moveaxis(ready.array, 0, -1)[within]
    gap = image.grid.to_index(values) - image.grid.to_index(positions[within])
    assert np.abs(gap).max() < 0.5 + 1e-4


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("spec", SPECS)
def test_bright_voxel_stays_in_its_place(spec, affine):
    array = np.zeros((1, *SHAPE))
    index = (6, 4, 3)
    array[(0, *index)] = 1
    image = Image(array, AFFINES[affine])
    ready = prepare(image, SPECS[spec])
    found = np.where(ready.array[0] == PADDING, 0, ready.array[0])
    brightest = np.unravel_index(np.argmax(found), found.shape)
    gap = ready.grid.to_index(image.grid.to_world(index)) - brightest
    moves_whole_voxels = SPECS[spec].spacing is None and spec != "resize"
    assert np.abs(gap).max() <= (1e-9 if moves_whole_voxels else 0.5 + 1e-6)


def test_sizes_that_divide_keep_the_center_of_the_light_exactly():
    array = np.zeros((1, *SHAPE))
    array[0, 6, 4, 3] = 1
    image = Image(array, AFFINES["oblique anisotropic"])
    size = {"kind": "fixed", "shape": (36, 30, 24)}
    ready = prepare(image, ModelSpec(input_size=size, axis_order="kji"))
    light = ready.array[0, ..., None] * indices_of(ready.grid.shape)
    center = light.sum((0, 1, 2)) / ready.array.sum()
    np.testing.assert_allclose(
        center, ready.grid.to_index(image.grid.to_world((6, 4, 3))), atol=1e-5
    )


def test_what_a_network_sees_does_not_depend_on_how_the_image_is_stored():
    spec = ModelSpec(
        orientation="RAS",
        input_size={"kind": "fixed", "shape": (16, 16, 16)},
        intensity=[{"kind": "percentile"}],
    )
    rng = np.random.default_rng(1)
    image = Image(rng.random((1, *SHAPE)), affine_of("RAS"))
    affine = image.affine.copy()  # the same image, stored the other way along every axis
    affine[:3, 3] = image.grid.to_world(np.array(SHAPE) - 1)
    affine[:3, :3] *= -1
    turned = Image(image.array[:, ::-1, ::-1, ::-1], affine)
    one, other = prepare(image, spec), prepare(turned, spec)
    assert one.grid.same_as(other.grid, 1e-9)
    np.testing.assert_array_equal(one.array, other.array)


def test_axis_order_reverses_the_array_and_its_grid():
    image = world_image(affine_of("RAS", (1, 2, 3)))
    ready = prepare(image, ModelSpec(axis_order="kji"))
    np.testing.assert_array_equal(ready.array, image.array.transpose(0, 3, 2, 1))
    assert ready.grid.shape == SHAPE[::-1]
    assert ready.grid.spacing == (3, 2, 1)
    assert ready.source.same_as(image.grid)


@pytest.mark.parametrize("spec", [None, ModelSpec(), ModelSpec(name="n", class_names=("a", "b"))])
def test_without_expectations_the_array_goes_in_as_it_is(spec):
    image = Image(np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)[:, ::-1], affine_of("LPS"))
    ready = prepare(image, spec)
    assert ready.array is image.array
    assert ready.grid.same_as(image.grid, 1e-12)
    assert ready.source.same_as(image.grid, 1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int16, np.uint8, bool])
def test_types_of_numbers(dtype):
    array = np.random.default_rng(0).integers(0, 2, (1, *SHAPE)).astype(dtype)
    spec = SPECS["everything"]
    expected = prepare(Image(array.astype(np.float32), AFFINES["PIR"]), spec).array
    ready = prepare(Image(array, AFFINES["PIR"]), spec)
    np.testing.assert_array_equal(ready.array, expected)
    assert ready.array.dtype == np.float32
    assert ready.array.flags.c_contiguous


def test_read_only_and_backward_arrays_stay_as_they_are():
    array = np.random.default_rng(0).random((1, *SHAPE)).astype(np.float32)
    spec = SPECS["everything"].replace(intensity=[ZScore(), Scale(add=1)])
    expected = prepare(Image(array[:, ::-1].copy(), AFFINES["LPS"]), spec).array
    before = array.copy()
    array.flags.writeable = False
    np.testing.assert_array_equal(
        prepare(Image(array[:, ::-1], AFFINES["LPS"]), spec).array, expected
    )
    np.testing.assert_array_equal(array, before)


def test_intensity_stages_see_the_image_as_they_say():
    array = np.random.default_rng(0).normal(50, 9, (1, 5, 5, 5)).astype(np.float32)
    image = Image(array)
    size = {"kind": "fixed", "shape": (7, 5, 5), "fit": "pad_crop", "value": -4}
    spec = ModelSpec(spacing=(1, 1, 0.5), input_size=size, intensity=[ZScore()])
    spaced = prepare(image, ModelSpec(spacing=(1, 1, 0.5))).array
    assert spaced.shape == (1, 5, 5, 10)

    def resized(x):
        """Padded by one plane at each end of I and cropped from ten planes along K to five."""
        cropped = x[..., 3:8]  # 10 // 2 - 5 // 2 = 3
        return np.pad(cropped, ((0, 0), (1, 1), (0, 0), (0, 0)), constant_values=-4)

    def standard(x, seen):
        return (x - seen.mean()) / seen.std()

    expected = {
        "source": resized(standard(spaced, array)),
        "resampled": resized(standard(spaced, spaced)),
        "input": standard(resized(spaced), resized(spaced)),
    }
    for stage, values in expected.items():
        ready = prepare(image, spec.replace(intensity_stage=stage))
        np.testing.assert_allclose(ready.array, values, atol=1e-5, err_msg=stage)


def test_spacing_and_resize_interpolate_once():
    image = world_image(np.eye(4))
    size = {"kind": "fixed", "shape": (24, 20, 16)}
    once = prepare(image, ModelSpec(input_size=size)).array
    both = prepare(image, ModelSpec(spacing=(3, 3, 3), input_size=size)).array
    np.testing.assert_allclose(both, once, atol=1e-5)


def test_multiple_of_leaves_sizes_that_fit():
    image = Image(np.ones((1, 16, 8, 24)))
    ready = prepare(image, ModelSpec(input_size={"kind": "multiple_of", "factor": 8}))
    assert ready.array is image.array


def test_pictures_are_rows_first():
    picture = Image(np.arange(2 * 6 * 4).reshape(2, 6, 4), np.diag([0.5, 2.0, 1.0, 1.0]))
    spec = ModelSpec(
        spatial_dims=2,
        channels=("red", "green"),
        spacing=(1.0, 2.0),
        input_size={"kind": "multiple_of", "factor": (1, 8), "value": -1},
    )
    ready = prepare(picture, spec)
    assert ready.grid.shape == (3, 8)
    rows = (picture.array[:, ::2] + picture.array[:, 1::2]) / 2
    np.testing.assert_allclose(ready.array[:, :, 2:6], rows)
    np.testing.assert_array_equal(ready.array[:, :, [0, 1, 6, 7]], -1)
    np.testing.assert_allclose(ready.grid.to_world((0, 2)), (0.25, 0, 0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("spec", [None, ModelSpec(intensity=[Clip(low=0)])])
def test_voxels_that_are_not_finite(value, spec):
    array = np.zeros((2, 3, 3, 3))
    array[1, :2, 0, 0] = value
    with pytest.raises(ImageError, match=r"got 2 with NaN or Inf of 54; .*nan_to_num"):
        prepare(Image(array), spec)


VOLUME = Image(np.zeros((1, 4, 4, 4)))
PICTURE = Image(np.zeros((1, 4, 4)))
MISFITS = {
    "channels": (VOLUME, {"channels": ["T1", "FLAIR"]}, r"2 channels \(T1, FLAIR\).*has 1"),
    "volume for 2D": (VOLUME, {"spatial_dims": 2}, r"volume of shape \(4, 4, 4\).*one slice"),
    "picture for 3D": (PICTURE, {"spatial_dims": 3}, r"picture of shape \(4, 4\).*whole volume"),
    "picture, orientation": (PICTURE, {"orientation": "RAS"}, "3 axes.*picture"),
    "picture, kji": (PICTURE, {"axis_order": "kji"}, "3 axes.*picture"),
    "picture, 3D spacing": (PICTURE, {"spacing": [1, 1, 1]}, "3 axes.*picture"),
    "volume, 2D patch": (
        VOLUME,
        {"input_size": {"kind": "fixed", "shape": [4, 4]}},
        "2 axes.*volume",
    ),
    "volume, 2D factor": (
        VOLUME,
        {"input_size": {"kind": "multiple_of", "factor": [4, 4]}},
        "2 axes.*volume",
    ),
    "absurd spacing": (VOLUME, {"spacing": [1e-5] * 3}, r"2147483648 voxels.*6.4e\+16 by spacing"),
    "absurd size": (
        VOLUME,
        {"input_size": {"kind": "fixed", "shape": [4096, 4096, 4096]}},
        "2147483648 voxels.*by shape",
    ),
    "absurd factor": (
        VOLUME,
        {"input_size": {"kind": "multiple_of", "factor": 10**9}},
        "2147483648 voxels.*by shape",
    ),
    "step of a missing channel": (
        VOLUME,
        {"intensity": [{"kind": "clip", "low": 0, "channels": [3]}]},
        r"channels below 1.*got \[3\]",
    ),
}


@pytest.mark.parametrize("case", MISFITS)
def test_images_that_do_not_fit(case):
    image, fields, message = MISFITS[case]
    with pytest.raises(SpecError, match=message):
        prepare(image, ModelSpec(**fields))
