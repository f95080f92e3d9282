"""What the tests of a map are made of, against independent implementations."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from skimage.metrics import structural_similarity as skimage_ssim
from torch import nn

from attention_maps.faithfulness import body
from attention_maps.faithfulness.orders import NEVER, random_like, steps_of
from attention_maps.faithfulness.similarity import (
    Resemblance,
    overlap_of_hottest,
    rank_correlation,
    reduced,
    structural_similarity,
)
from attention_maps.faithfulness.weights import Stage, initialize

RNG = np.random.default_rng(0)
FIRST, SECOND = RNG.standard_normal((2, 9, 10, 11)).astype(np.float32)


def test_rank_correlation_is_scipys():
    tied = np.maximum(FIRST, 0)
    for one, other in ((FIRST, SECOND), (tied, SECOND), (tied, FIRST)):
        expected = stats.spearmanr(one.ravel(), other.ravel()).statistic
        assert rank_correlation(one, other) == pytest.approx(expected, rel=1e-6)
    assert rank_correlation(FIRST, -FIRST) == pytest.approx(-1)
    assert rank_correlation(FIRST, np.exp(FIRST)) == pytest.approx(1)


@pytest.mark.parametrize("other", [np.zeros_like(FIRST), np.full_like(FIRST, np.nan)])
def test_rank_correlation_of_what_shows_nothing_is_undefined(other):
    assert math.isnan(rank_correlation(FIRST, other))


def ssim_by_hand(one, other, window, extent):
    """Mean SSIM with a uniform window, sample covariance, the border left out."""
    count = window**one.ndim
    mean = [ndimage.uniform_filter(a, window) for a in (one, other)]
    products = [ndimage.uniform_filter(a * b, window)
                for a, b in ((one, one), (other, other), (one, other))]  # fmt: skip
    vary = count / (count - 1)
    first, second = (vary * (products[n] - mean[n] ** 2) for n in range(2))
    both = vary * (products[2] - mean[0] * mean[1])
    c1, c2 = (0.01 * extent) ** 2, (0.03 * extent) ** 2
    top = (2 * mean[0] * mean[1] + c1) * (2 * both + c2)
    values = top / ((mean[0] ** 2 + mean[1] ** 2 + c1) * (first + second + c2))
    edge = (window - 1) // 2
    return values[(slice(edge, -edge),) * one.ndim].mean()


@pytest.mark.parametrize(("shape", "window"), [((9, 10, 11), 7), ((5, 8, 9), 5), ((6, 12), 5)])
@pytest.mark.parametrize("signed", [True, False])
def test_ssim_is_that_of_its_definition_and_of_scikit_image(shape, window, signed):
    one, other = RNG.standard_normal((2, *shape))
    if not signed:
        one, other = np.abs(one), np.abs(other)
    extent = 2.0 if signed else 1.0
    scaled = [values / np.abs(values).max() for values in (one, other)]
    found = structural_similarity(one, other)
    assert found == pytest.approx(ssim_by_hand(*scaled, window, extent), rel=1e-6)
    expected = skimage_ssim(*scaled, win_size=window, data_range=extent)
    assert found == pytest.approx(expected, rel=1e-9)
    assert structural_similarity(one, 5 * one) == pytest.approx(1)


def test_ssim_needs_three_voxels_and_something_to_see():
    assert math.isnan(structural_similarity(FIRST[:2], SECOND[:2]))
    assert math.isnan(structural_similarity(FIRST, 0 * FIRST))


def test_overlap_counts_the_hottest():
    first = np.arange(100.0)
    second = np.roll(first, 5)  # its hottest ten are 5 to 14, of which none, and 0 to 4 wrapped
    assert overlap_of_hottest(first, first, 0.1) == 1
    assert overlap_of_hottest(first, -first, 0.1) == 0
    assert overlap_of_hottest(first, second, 0.1) == pytest.approx(
        len({*range(90, 100)} & {*np.argsort(second)[-10:]}) / 10
    )


def test_large_maps_are_averaged_over_blocks():
    values = RNG.standard_normal((7, 8, 9)).astype(np.float32)
    small = reduced(values, 100)
    assert small.shape == (3, 4, 4)
    block = values[2:4, 4:6, 6:8]
    assert small[1, 2, 3] == pytest.approx(block.mean(), rel=1e-6)
    assert reduced(values, values.size) is values


def test_resemblance_looks_into_the_body_alone():
    inside = np.zeros(FIRST.shape, dtype=bool)
    inside[2:6, 3:9, 1:10] = True
    mixed = np.where(inside, FIRST, SECOND)
    alike = Resemblance(FIRST, inside)
    assert alike.ranks(mixed) == pytest.approx(1)
    assert alike.ranks(-mixed) == pytest.approx(-1)
    assert alike.sizes(-mixed) == pytest.approx(1)
    assert alike.hottest(mixed, 0.1) == 1
    assert Resemblance(FIRST, np.zeros_like(inside)).ranks(mixed) < 0.9  # no body: all voxels


def test_voxels_are_taken_in_the_order_of_the_map():
    values = RNG.permutation(60).reshape(3, 4, 5).astype(np.float32)
    inside = np.ones(values.shape, dtype=bool)
    inside[0, 0] = False
    steps = steps_of(values, inside, (0.1, 0.5), seed=0)
    ranks = np.sort(values[inside])[::-1]
    expected = np.full(values.shape, 2)
    expected[values >= ranks[round(0.5 * 55) - 1]] = 1
    expected[values >= ranks[round(0.1 * 55) - 1]] = 0
    expected[~inside] = NEVER
    np.testing.assert_array_equal(steps, expected)


def test_equal_values_are_taken_at_random():
    values = np.zeros((20, 20), dtype=np.float32)
    values[3, 3] = 1
    inside = np.ones(values.shape, dtype=bool)
    first, again, other = (steps_of(values, inside, (0.25,), seed) for seed in (0, 0, 1))
    assert first[3, 3] == 0
    assert (first == 0).sum() == 100
    assert 20 < (first[:10] == 0).sum() < 80
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("shape", [(12, 15), (9, 10, 11)])
def test_random_maps_are_as_smooth_as_the_map(shape):
    values = ndimage.gaussian_filter(RNG.standard_normal(shape), 1.5).astype(np.float32)
    random = [random_like(values, seed) for seed in range(30)]
    power = np.abs(np.fft.rfftn(values))
    np.testing.assert_allclose(np.abs(np.fft.rfftn(random[0])), power, atol=1e-3 * power.max())
    np.testing.assert_array_equal(random[0], random_like(values, 0))
    likeness = [np.corrcoef(values.ravel(), other.ravel())[0, 1] for other in random]
    assert abs(np.mean(likeness)) < 0.2


def test_the_body_has_no_holes():
    at = np.indices((20, 20, 20)) - 9.5
    radius = np.sqrt((at**2).sum(0))
    image = np.where((radius < 8) & (radius > 4), 100.0, -1000.0).astype(np.float32)[None]
    image += RNG.normal(0, 5, image.shape).astype(np.float32)
    np.testing.assert_array_equal(body.tissue_of(image), (radius < 8) & (radius > 4))
    np.testing.assert_array_equal(body.filled(body.tissue_of(image)), radius < 8)
    open_at_one_end = body.tissue_of(image) & (np.arange(20) < 10)
    hollow = body.filled(open_at_one_end)
    assert hollow[10, 10, 9]


@pytest.mark.parametrize("slices", [3, 4])
def test_flat_volumes_are_no_color_pictures(slices):
    image = np.random.default_rng(0).random((1, 20, 20, slices), dtype=np.float32)
    image[:, 4:16, 4:16] += 3
    inside = np.zeros((20, 20, slices), dtype=bool)
    inside[4:16, 4:16] = True
    np.testing.assert_array_equal(body.tissue_of(image), inside)


def test_something_bright_is_no_body():
    image = np.zeros((1, 10, 10, 10), dtype=np.float32)
    image[0, 4, 4, 4:6] = 1
    assert body.tissue_of(image).all()
    assert body.tissue_of(np.ones_like(image)).all()


def test_baselines():
    image = np.stack([FIRST, SECOND])
    mask = FIRST > 0
    mean = body.mean_of_tissue(image, mask)
    assert mean[1, 0, 0, 0] == pytest.approx(SECOND[mask].mean(), rel=1e-5)
    assert np.ptp(mean[0]) == 0
    blur = body.blurred(image, (2.0, 1.0, 1.0), 0.1)  # 10 mm is the shortest edge
    np.testing.assert_allclose(blur[1], ndimage.gaussian_filter(SECOND, (0.5, 1, 1)), rtol=1e-6)
    flat = body.blurred(image[:, :1], (4.0, 1.0, 1.0), 0.1)
    assert np.isfinite(flat).all()
    edges = body.edge_map(image)
    sizes = sum(ndimage.gaussian_gradient_magnitude(channel, 1.0) for channel in image)
    np.testing.assert_allclose(edges, sizes, rtol=1e-6)


def test_weights_are_those_of_a_network_that_has_learnt_nothing():
    tensors = {
        "conv.weight": torch.ones(64, 32, 3, 3, 3), "conv.bias": torch.ones(64),
        "norm.weight": torch.full((64,), 3.0), "norm.bias": torch.ones(64),
        "norm.running_mean": torch.ones(64), "norm.running_var": torch.full((64,), 4.0),
        "act.weight": torch.ones(1), "token": torch.randn(1, 500, 4) * 7,
    }  # fmt: skip
    kinds = ("Conv3d", "Conv3d", *["BatchNorm3d"] * 4, "PReLU", "Net")
    stage = Stage("conv", tuple(tensors), kinds)
    initialize(stage, tensors, torch.Generator().manual_seed(0))
    expected = nn.init.kaiming_normal_(
        torch.empty(64, 32, 3, 3, 3), nonlinearity="relu",
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert torch.equal(tensors["conv.weight"], expected)
    assert float(expected.std()) == pytest.approx(math.sqrt(2 / (32 * 27)), rel=0.02)
    values = {"conv.bias": 0, "norm.weight": 1, "norm.running_mean": 0, "norm.running_var": 1,
              "act.weight": 0.25}  # fmt: skip
    for name, value in values.items():
        assert (tensors[name] == value).all(), name
    assert float(tensors["norm.bias"].std()) == pytest.approx(0.1, rel=0.3)
    assert float(tensors["token"].std()) == pytest.approx(7, rel=0.1)
