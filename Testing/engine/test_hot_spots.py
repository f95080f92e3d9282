"""Hot spots against SimpleITK's shape and intensity statistics, and by hand."""

from __future__ import annotations

import itertools
import json
import logging
import math

import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import gaussian_filter

import attention_maps as am

SHAPE = (22, 19, 16)
SPACING = (0.8, 1.3, 2.4)


def affine_of(kind: str) -> np.ndarray:
    turned, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    axes = {
        "straight": np.diag([-1.0, 1, 1]),
        "oblique": turned,
        "sheared": turned @ np.array([[1, 0.4, 0.1], [0, 0.9, 0.3], [0, 0, 0.95]]),
    }[kind]
    affine = np.eye(4)
    affine[:3, :3] = axes * SPACING
    affine[:3, 3] = -20, 31, 4
    return affine


def blobs(kind: str, seed: int = 0, order: str = "C") -> am.Image:
    values = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 1.8)
    return am.Image(np.array(values[None], np.float32, order=order), affine_of(kind))


def statistics(image: am.Image, cut: float) -> list[dict]:
    """What SimpleITK measures of every component, hottest first."""
    values = SimpleITK.GetImageFromArray(image.array[0].T)
    values.SetSpacing(image.grid.spacing)
    values.SetDirection((image.affine[:3, :3] / image.grid.spacing).ravel().tolist())
    values.SetOrigin(image.affine[:3, 3].tolist())
    labels = SimpleITK.ConnectedComponent(values > cut)
    shape, level = (
        SimpleITK.LabelShapeStatisticsImageFilter(),
        SimpleITK.LabelIntensityStatisticsImageFilter(),
    )
    shape.Execute(labels)
    level.Execute(labels, values)
    found = [
        {
            "ml": shape.GetPhysicalSize(n) / 1000, "voxels": shape.GetNumberOfPixels(n),
            "box": shape.GetBoundingBox(n), "peak": level.GetMaximum(n), "mean": level.GetMean(n),
            "peak_ras": values.TransformIndexToPhysicalPoint(level.GetMaximumIndex(n)),
        }
        for n in shape.GetLabels()
    ]  # fmt: skip
    return sorted(found, key=lambda item: -item["peak"])


@pytest.mark.parametrize("kind", ["straight", "oblique"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_simpleitk(kind, order):
    image = blobs(kind, order=order)
    cut = 0.45 * image.array.max()
    expected = statistics(image, float(cut))
    found = am.hot_spots(image, 0.45)
    assert [spot.number for spot in found] == list(range(1, len(expected) + 1))
    assert len(found) > 4
    total = np.maximum(image.array, 0).sum(dtype=np.float64)
    for spot, other in zip(found, expected, strict=True):
        lower, size = other["box"][:3], other["box"][3:]
        upper = tuple(np.add(lower, size).tolist())
        assert spot.bounds == (lower, upper)
        assert spot.voxels == other["voxels"]
        assert spot.ml == pytest.approx(other["ml"], rel=1e-6)
        assert (spot.peak, spot.mean) == pytest.approx((other["peak"], other["mean"]), rel=1e-6)
        assert spot.peak_ras == pytest.approx(other["peak_ras"], rel=1e-6)
        assert spot.size_mm == pytest.approx(np.multiply(size, SPACING), rel=1e-6)
        middle = image.grid.to_world(np.add(lower, upper) / 2 - 0.5)
        assert spot.center_ras == pytest.approx(middle, rel=1e-6)
        assert np.transpose(spot.axes) * SPACING == pytest.approx(image.affine[:3, :3])
        assert spot.share == pytest.approx(spot.mean * spot.voxels / total, rel=1e-5)
        assert math.isnan(spot.mm2)
        json.dumps(spot.to_dict())


@pytest.mark.parametrize("kind", ["straight", "oblique", "sheared"])
def test_box_is_the_smallest_around_the_corners_of_all_voxels(kind):
    image = blobs(kind, 1)
    found = am.hot_spots(image, 0.5)
    corners = np.array(list(itertools.product([-0.5, 0.5], repeat=3)))
    labels = SimpleITK.GetArrayFromImage(
        SimpleITK.ConnectedComponent(
            SimpleITK.GetImageFromArray((image.array[0] > 0.5 * image.array.max()).astype(np.uint8))
        )
    )
    for spot in found:
        axes = np.array(spot.axes)
        assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-9)
        peak = np.rint(image.grid.to_index(spot.peak_ras)).astype(int)
        voxels = np.argwhere(labels == labels[tuple(peak)])
        ras = image.grid.to_world((voxels[:, None] + corners).reshape(-1, 3))
        along = (ras - spot.center_ras) @ axes.T
        half = np.array(spot.size_mm) / 2
        np.testing.assert_allclose(along.max(axis=0), half, rtol=1e-6)
        np.testing.assert_allclose(along.min(axis=0), -half, rtol=1e-6)


def test_axes_of_a_sheared_grid_are_the_nearest_at_right_angles():
    """The polar factor: no other right-angled axes are nearer to the grid's directions."""
    spot = am.hot_spots(blobs("sheared"), 0.5)[0]
    directions = affine_of("sheared")[:3, :3] / SPACING
    directions = directions / np.linalg.norm(directions, axis=0)
    axes = np.transpose(spot.axes)
    gap = np.linalg.norm(axes - directions)
    generator = np.random.default_rng(1)
    for _ in range(200):
        turn, _ = np.linalg.qr(np.eye(3) + 0.1 * generator.normal(size=(3, 3)))
        turn *= np.sign(np.diag(turn))
        assert np.linalg.norm(axes @ turn - directions) >= gap - 1e-9


def test_volume_of_a_sheared_grid():
    spot = am.hot_spots(blobs("sheared"), 0.5)[0]
    voxel = abs(np.linalg.det(affine_of("sheared")[:3, :3]))
    assert spot.ml == pytest.approx(spot.voxels * voxel / 1000, rel=1e-6)


@pytest.fixture
def three() -> am.Image:
    """Parts of 1, 2 and 3 voxels of 0.01 ml with peaks 5, 9 and 7."""
    array = np.zeros((1, 8, 8, 8), np.float32)
    array[0, 1, 1, 1] = 5
    array[0, 4, 4, 3:5] = 9, 8
    array[0, 6, 1:4, 6] = 6, 7, 7
    return am.Image(array, np.diag([1.0, 2, 5, 1]))


def test_hottest_first_and_limits(three):
    every = am.hot_spots(three, 0.1)
    assert [(spot.peak, spot.voxels) for spot in every] == [(9, 2), (7, 3), (5, 1)]
    assert [spot.share for spot in every] == pytest.approx([17 / 42, 20 / 42, 5 / 42])
    assert am.hot_spots(three, 0.1, most=2) == every[:2]
    assert am.hot_spots(three, 0.1, minimum_ml=0.02) == every[:2]
    assert [spot.voxels for spot in am.hot_spots(three, 0.1, minimum_ml=0.025)] == [3]
    assert [spot.number for spot in am.hot_spots(three, 0.1, minimum_ml=0.025)] == [1]
    assert [spot.peak for spot in am.hot_spots(three, "value:0+largest")] == [7]
    assert am.hot_spots(three, 0.8)[0].voxels == 2


def test_overlap_with_segments(three):
    labels = np.zeros((8, 8, 8))
    labels[4, 4, 3] = 3
    labels[6, :3] = 1
    found = am.hot_spots(three, 0.1, segments=labels)
    assert [spot.overlaps for spot in found] == [
        {"1": 0, "3": 0.5}, {"1": pytest.approx(2 / 3), "3": 0}, {"1": 0, "3": 0},
    ]  # fmt: skip
    named = am.hot_spots(three, 0.1, segments=labels, labels={"cyst": 3}, most=1)
    assert named[0].overlaps == {"cyst": 0.5}
    masks = {"all": np.ones((8, 8, 8)), "none": np.zeros((8, 8, 8))}
    found = am.hot_spots(three, 0.1, segments=masks)
    assert all(spot.overlaps == {"all": 1, "none": 0} for spot in found)


def test_segments_on_another_grid(three):
    segment = np.zeros((1, 4, 4, 8))
    segment[0, 3, 0:2] = 1  # indices 6..7 and 0..3 of the map
    affine = np.diag([2.0, 4, 5, 1])
    affine[:3, 3] = 0.5, 1, 0
    found = am.hot_spots(three, 0.1, segments={"s": am.Image(segment, affine)})
    assert [spot.overlaps["s"] for spot in found] == pytest.approx([0, 1, 0])


def test_negative_hot_spots():
    array = np.zeros((1, 5, 5, 5), np.float32)
    array[0, 1, 1, 1], array[0, 3, 3, 3] = 2, -3
    image = am.Image(array)
    peaks = {sign: [spot.peak_ras for spot in am.hot_spots(image, 0.1, sign=sign)]
             for sign in ("positive", "negative", "absolute")}  # fmt: skip
    one, other = (1, 1, 1), (3, 3, 3)
    assert peaks == {"positive": [one], "negative": [other], "absolute": [other, one]}


def test_pictures():
    """Rows of 2 mm, columns of 3 mm, in an oblique plane."""
    turned, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turned * [2, 3, 1]
    affine[:3, 3] = 5, 6, 7
    array = np.zeros((1, 9, 9), np.float32)
    array[0, 2, 3:6] = 1, 2, 3
    array[0, 3, 3] = 1
    (spot,) = am.hot_spots(am.Image(array, affine), 0.1)
    assert spot.bounds == ((2, 3), (4, 6))
    assert spot.size_mm == pytest.approx((4, 9))
    assert spot.mm2 == pytest.approx(4 * 6)
    assert math.isnan(spot.ml)
    assert spot.center_ras == pytest.approx(am.Grid((9, 9), affine).to_world((2.5, 4)))
    assert abs(np.dot(spot.axes[2], turned[:, 2])) == pytest.approx(1)
    with pytest.raises(am.MethodError, match="picture"):
        am.hot_spots(am.Image(array, affine), minimum_ml=1)


def test_box_in_a_sheared_picture():
    affine = np.array([[2.0, 0.9, 0, 3], [0, 1.5, 0, 4], [0, 0, 1, 11], [0, 0, 0, 1]])
    array = np.zeros((1, 6, 6), np.float32)
    array[0, 2:4, 1:5] = 1
    (spot,) = am.hot_spots(am.Image(array, affine), 0.1)
    corners = [[a, b] for a in (1.5, 3.5) for b in (0.5, 4.5)]
    along = (am.Grid((6, 6), affine).to_world(corners) - spot.center_ras) @ np.transpose(spot.axes)
    assert along.max(axis=0) == pytest.approx([spot.size_mm[0] / 2, spot.size_mm[1] / 2, 0])
    assert along.min(axis=0) == pytest.approx([-spot.size_mm[0] / 2, -spot.size_mm[1] / 2, 0])


def test_noise_falls_into_too_many(caplog):
    """Every other voxel of 30 x 30 x 3, none beside another."""
    array = np.indices((30, 30, 3)).sum(0) % 2 * np.arange(1, 2701).reshape(30, 30, 3)
    image = am.Image(array[None].astype(np.float32))
    found = am.hot_spots(image, "value:0")
    assert [spot.peak for spot in found] == sorted(array.ravel().tolist(), reverse=True)[:1000]
    assert "has 1350 hot spots" in caplog.text
    assert len(am.hot_spots(image, "value:0", most=1200)) == 1200


@pytest.mark.parametrize(
    ("array", "threshold", "words"),
    [
        (np.zeros((1, 4, 4, 4)), "otsu", "no positive value"),
        (-np.ones((1, 4, 4, 4)), "otsu", "no positive value"),
        (np.ones((1, 4, 4, 4)), "value:3", "above the threshold"),
    ],
)
def test_none_says_why(array, threshold, words, caplog):
    with caplog.at_level(logging.WARNING):
        assert am.hot_spots(am.Image(array), threshold) == []
    assert words in caplog.text


def test_map_that_is_the_same_everywhere_is_one_spot():
    (spot,) = am.hot_spots(am.Image(np.ones((1, 4, 5, 6))))
    assert spot.bounds == ((0, 0, 0), (4, 5, 6))
    assert spot.share == 1


@pytest.mark.parametrize(
    "options", [{"most": 0}, {"most": 1.5}, {"most": True}, {"most": math.inf},
                {"minimum_ml": -1}, {"minimum_ml": math.nan}, {"minimum_ml": "1"},
                {"threshold": "half"}],
)  # fmt: skip
def test_refusals(three, options):
    with pytest.raises(am.MethodError, match="Expected"):
        am.hot_spots(three, **options)
