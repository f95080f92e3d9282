"""Where a map is cut, against NumPy and SimpleITK."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu

import attention_maps as am
from attention_maps.measures.components import largest_component
from attention_maps.measures.threshold import Threshold, largest_float32, read_threshold


def blobs(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(17, 15, 13))
    return np.maximum(gaussian_filter(noise, 1.6), 0).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("otsu", Threshold("otsu")),
        (" otsu+largest", Threshold("otsu", largest=True)),
        (0, Threshold("fraction", 0.0)),
        (0.5, Threshold("fraction", 0.5)),
        (np.float32(0.5), Threshold("fraction", 0.5)),
        ("0.5", Threshold("fraction", 0.5)),
        ("0.5+largest", Threshold("fraction", 0.5, True)),
        ("value:7", Threshold("value", 7.0)),
        ("value:1e-9+largest", Threshold("value", 1e-9, True)),
        ("quantile:0.95", Threshold("quantile", 0.95)),
        (Threshold("value", 3.0), Threshold("value", 3.0)),
    ],
)
def test_grammar(text, expected):
    assert read_threshold(text) == expected


@pytest.mark.parametrize(
    "text",
    [1, -0.1, math.nan, True, None, "", "largest", "+largest", "mean", "value:", "value:-1",
     "value:inf", "value:nan", "quantile:1", "quantile:x", "otsu:3", "fraction:0.5", [0.5]],
)  # fmt: skip
def test_what_is_no_threshold(text):
    with pytest.raises(am.MethodError, match=r"'quantile:0.95'.*\+largest.*; got "):
        read_threshold(text)


@pytest.mark.parametrize("seed", range(4))
def test_otsu_is_that_of_scikit_image(seed):
    """Its bins reach from the smallest value, which is 0 in a map without negative values."""
    values = blobs(seed)
    assert Threshold("otsu").cut(values) == pytest.approx(threshold_otsu(values), rel=1e-6)


@pytest.mark.parametrize("quantile", [0, 0.3, 0.9, 0.999])
def test_quantile_counts_all_voxels(quantile):
    values = blobs()
    found = am.evaluate(am.Image(values[None]), values > 0, "precision", f"quantile:{quantile}")
    assert found.threshold == pytest.approx(np.quantile(values, quantile), rel=1e-6)
    region = Threshold("quantile", quantile).region(values, found.threshold)
    if quantile > 0.6:  # there are no ties
        assert region.sum() == pytest.approx((1 - quantile) * values.size, abs=1)


def test_value_is_in_the_maps_unit():
    values = 40 * blobs()
    found = am.evaluate(am.Image(values[None]), values > 5, "iou", "value:5")
    assert found == {"iou": 1}
    assert found.threshold == 5


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("seed", range(3))
def test_largest_component_as_simpleitk_ranks_them(seed, order):
    region = np.array(blobs(seed) > 0.1, order=order)
    parts = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(region.astype(np.uint8)))
    ranked = SimpleITK.RelabelComponent(parts, sortByObjectSize=True)
    expected = SimpleITK.GetArrayFromImage(ranked) == 1
    found = largest_component(region)
    np.testing.assert_array_equal(found, expected)
    assert found.strides == region.strides


@pytest.mark.parametrize("order", ["C", "F"])
def test_of_equally_large_parts_the_first_is_taken(order):
    region = np.zeros((5, 5), bool, order=order)
    region[3, 0] = region[0, 3] = True
    assert np.argwhere(largest_component(region)).tolist() == [[0, 3]]
    nothing = np.zeros((5, 5), bool, order=order)
    assert not largest_component(nothing).any()


def test_largest_part_alone_is_measured():
    values = np.zeros((1, 9, 9), np.float32)
    values[0, 1, 1:5] = 1
    values[0, 6, 6:8] = 4
    mask = np.zeros((9, 9))
    mask[1, 1:5] = 1
    found = am.evaluate(am.Image(values), mask, ["iou", "wioa"], "value:0+largest")
    assert found == {"iou": 1, "wioa": 1}
    assert am.evaluate(am.Image(values), mask, "wioa", "value:0")["wioa"] == pytest.approx(4 / 12)


@pytest.mark.parametrize("number", [0.1, 0.3, 1 / 3, 1e-40, 16777217.0, 1e300, 0.0])
def test_comparison_in_float32_is_exact(number):
    """Values are above the rounded number where they are above the number itself."""
    near = np.float32(min(number, 3e38))
    values = np.array(
        [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    )
    with np.errstate(over="ignore"):
        expected = values.astype(np.float64) > number
    np.testing.assert_array_equal(values > largest_float32(number), expected)
