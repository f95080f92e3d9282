"""What callers have as an image comes in at its place."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK
import torch
from monai.data import MetaTensor

import attention_maps as am
from attention_maps.inputs import as_image
from tiny_networks import SmallUNet, seeded

AFFINE = np.array([[-2.0, 0.1, 0, 30], [0.1, 3.0, 0, -20], [0, 0, 4.0, 7], [0, 0, 0, 1]])


@pytest.fixture
def volume():
    """A small asymmetric volume (I, J, K)."""
    return np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)


def test_nibabel_image(volume):
    image = as_image(nibabel.Nifti1Image(volume, AFFINE))
    np.testing.assert_array_equal(image.array, volume[None])
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-6)


def test_nibabel_channels_come_last(volume):
    image = as_image(nibabel.Nifti1Image(np.stack([volume, -volume], -1), AFFINE))
    np.testing.assert_array_equal(image.array, [volume, -volume])


def test_simpleitk_image(volume):
    picture = SimpleITK.GetImageFromArray(volume.T)
    picture.SetSpacing((2.0, 3.0, 4.0))
    picture.SetOrigin((-30.0, 20.0, 7.0))
    image = as_image(picture)
    np.testing.assert_array_equal(image.array, volume[None])
    position = picture.TransformIndexToPhysicalPoint((1, 2, 3))
    np.testing.assert_allclose(image.grid.to_world((1, 2, 3)), np.multiply(position, (-1, -1, 1)))


def test_metatensor_keeps_its_affine(volume):
    image = as_image(MetaTensor(torch.from_numpy(volume)[None], affine=torch.from_numpy(AFFINE)))
    np.testing.assert_array_equal(image.array, volume[None])
    np.testing.assert_allclose(image.affine, AFFINE)


def test_arrays_without_a_channel_axis_where_the_network_tells(volume):
    np.testing.assert_array_equal(as_image(volume, axes=3).array, volume[None])
    np.testing.assert_array_equal(as_image(volume[None], axes=3).array, volume[None])
    np.testing.assert_array_equal(as_image(volume[None, None], axes=3).array, volume[None])


def test_batches_are_refused(volume):
    with pytest.raises(am.ImageError, match="one image, got a batch of 2"):
        as_image(np.stack([volume[None]] * 2))


def test_one_channel_of_a_picture_is_no_volume_of_one_slice(volume):
    assert as_image(volume[:1], 3).ndim == 2
    assert as_image(volume, 3).ndim == 3
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3, padding=1), torch.nn.ReLU())
    with pytest.raises(am.ImageError, match=r"Expected a 3D image .* got a 2D one"):
        am.explain(network, volume[:1])


def test_batches_of_pictures_come_in_wherever_an_image_is_asked_for():
    model = am.load_model(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU()))
    assert [info.shape for info in model.layers(torch.zeros(1, 1, 9, 8))] == [(1, 2, 7, 6)] * 2


def test_affines_that_are_no_numbers_are_refused(volume):
    with pytest.raises(am.ImageError, match=r"\(4, 4\) affine of numbers .* got 'abc'"):
        am.Image(volume[None], "abc")


@pytest.mark.parametrize("axes", [2, 3])
def test_axes_are_told_by_the_weights_where_only_channels_are_named(axes):
    model = am.load_model(seeded(SmallUNet(axes), 1), {"channels": ["T1"]})
    assert model.expected_input() == (1, axes)
