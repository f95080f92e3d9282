"""Metrics against numbers worked out by hand, and masks on other grids."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest

import attention_maps as am
from attention_maps.errors import ImageError, MethodError
from attention_maps.measures.attention import Attention
from attention_maps.measures.comparison import Comparison
from attention_maps.measures.threshold import otsu_threshold, read_threshold
from attention_maps.registry import find_metric

THREE = ["energy_inside", "iou", "dice"]
AFFINE = np.array([[-2.0, 0, 0, 30], [0, 1.5, 0, -20], [0, 0, 3, 7], [0, 0, 0, 1]])


@pytest.fixture
def bright() -> am.Image:
    """(1, 4, 4, 4): values 4, 3, 1 in one row, -2 beside them, 0 elsewhere."""
    array = np.zeros((1, 4, 4, 4), np.float32)
    array[0, 1, :3, 2] = 4, 3, 1
    array[0, 2, 0, 2] = -2
    return am.Image(array, AFFINE)


def mask_of(*voxels: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros((4, 4, 4), bool)
    mask[tuple(np.transpose(voxels))] = True
    return mask


def test_values_by_hand(bright: am.Image) -> None:
    """Inside: 4, the voxel of -2 and two of 0; above half of 4: the voxels of 4 and 3."""
    mask = mask_of((1, 0, 2), (2, 0, 2), (0, 0, 0), (3, 3, 3))
    found = am.evaluate(bright, mask, THREE, 0.5)
    assert found == pytest.approx(
        {"energy_inside": 4 / 8, "iou": 1 / (2 + 4 - 1), "dice": 2 * 1 / (2 + 4)}
    )


def test_perfect_mask(bright: am.Image) -> None:
    mask = mask_of((1, 0, 2), (1, 1, 2), (1, 2, 2))
    assert am.evaluate(bright, mask, THREE, 0.0) == {"energy_inside": 1, "iou": 1, "dice": 1}


def test_mask_beside_the_attention(bright: am.Image) -> None:
    found = am.evaluate(bright, mask_of((3, 3, 3)), THREE, 0.0)
    assert found == {"energy_inside": 0, "iou": 0, "dice": 0}


def test_threshold_is_a_fraction_of_the_maximum(bright: am.Image) -> None:
    """Above 0.75 x 4 = 3 lies 4 alone; above 0.74 x 4 lies 3, too."""
    mask = mask_of((1, 0, 2))
    assert am.evaluate(bright, mask, ["iou"], 0.75) == {"iou": 1.0}
    assert am.evaluate(bright, mask, "iou", 0.74) == {"iou": 0.5}


def brute_force_otsu(values: np.ndarray, cuts: np.ndarray) -> float:
    """The cut of the smallest variance within both classes."""

    def within(cut: float) -> float:
        parts = values[values > cut], values[values <= cut]
        return sum(len(part) * part.var() for part in parts if len(part))

    return float(min(cuts, key=within))


def test_otsu_parts_the_values_like_an_exhaustive_search() -> None:
    generator = np.random.default_rng(0)
    dim, lit = generator.normal(1, 0.2, 4000), generator.normal(4, 0.6, 900)
    values = np.clip(np.concatenate([dim, lit, np.zeros(2000)]), 0, None).astype(np.float32)
    best = brute_force_otsu(values.astype(np.float64), np.linspace(0, values.max(), 2001)[:-1])
    assert otsu_threshold(values) == pytest.approx(best, abs=1.5 * float(values.max()) / 256)


def test_otsu_like_itk() -> None:
    import SimpleITK

    generator = np.random.default_rng(1)
    values = generator.gamma(2.0, 1.0, (12, 13, 14)).astype(np.float32)
    values[0, 0, 0] = 0  # so that ITK's bins begin at 0, too
    otsu = SimpleITK.OtsuThresholdImageFilter()
    otsu.SetNumberOfHistogramBins(256)
    otsu.Execute(SimpleITK.GetImageFromArray(values))
    assert otsu_threshold(values) == pytest.approx(
        otsu.GetThreshold(), abs=1.1 * float(values.max()) / 256
    )


def test_otsu_splits_two_values_between_them() -> None:
    values = np.array([0, 0, 0, 5, 5], np.float32)
    assert 0 < otsu_threshold(values) < 5


def test_map_that_is_the_same_everywhere_is_all_attention() -> None:
    flat = am.Image(np.full((1, 2, 2, 2), 0.3, np.float32))
    mask = np.zeros((2, 2, 2), bool)
    mask[0] = True
    assert am.evaluate(flat, mask, THREE) == pytest.approx(
        {"energy_inside": 0.5, "iou": 0.5, "dice": 2 / 3}
    )


def test_default_threshold_is_otsu(bright: am.Image) -> None:
    """61 zeros, 1, 3 and 4 are parted between 1 and 3."""
    assert am.evaluate(bright, mask_of((1, 0, 2), (1, 1, 2)))["iou"] == 1.0


def test_negative_values_are_no_evidence(bright: am.Image) -> None:
    against = am.Image(np.minimum(bright.array, 0) + np.maximum(bright.array, 0), AFFINE)
    mask = mask_of((1, 0, 2), (2, 0, 2))
    with_negative = am.evaluate(against, mask)
    without = am.evaluate(am.Image(np.maximum(bright.array, 0), AFFINE), mask)
    assert with_negative == without


@pytest.mark.parametrize("axes", [(1,), (2,), (3,), (1, 2, 3)])
def test_mask_saved_in_another_direction(bright: am.Image, axes: tuple[int, ...]) -> None:
    """The same place in the world, counted from the other end."""
    mask = mask_of((1, 0, 2), (0, 3, 1))[None]
    step = np.eye(4)
    for axis in axes:
        step[axis - 1, axis - 1], step[axis - 1, 3] = -1, 3
    flipped = am.Image(np.flip(mask, axes), AFFINE @ step)
    assert am.evaluate(bright, flipped, threshold=0.5) == am.evaluate(
        bright, mask[0], threshold=0.5
    )


def test_mask_on_a_shifted_and_finer_grid(bright: am.Image) -> None:
    """Voxel (1, 0..2, 2) as 2 x 2 x 2 voxels each, on a grid that begins elsewhere."""
    fine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1.0])
    fine[:3, 3] += AFFINE[:3, :3] @ [0.75, -0.25, 1.75]
    mask = am.Image(np.ones((1, 2, 6, 2), np.float32), fine)
    assert am.evaluate(bright, mask, THREE, 0.0) == {"energy_inside": 1, "iou": 1, "dice": 1}


def test_files(bright: am.Image, tmp_path) -> None:
    mask = am.Image(mask_of((1, 0, 2))[None], AFFINE)
    am.write_image(bright, tmp_path / "map.nii.gz")
    am.write_image(mask, tmp_path / "mask.nrrd", dtype="uint8")
    assert am.evaluate(tmp_path / "map.nii.gz", str(tmp_path / "mask.nrrd"), "energy_inside") == {
        "energy_inside": 0.5
    }


def test_pictures() -> None:
    picture = am.Image(np.array([[[0, 1], [3, 0]]], np.float32))
    assert am.evaluate(picture, np.array([[0, 0], [1, 0]]))["energy_inside"] == 0.75


@pytest.mark.parametrize("case", ["empty mask", "mask elsewhere", "zero map", "negative map"])
def test_nothing_to_measure_is_nan_and_says_why(
    bright: am.Image, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    mask, shown, word = am.Image(mask_of((1, 0, 2))[None], AFFINE), bright, "mask"
    if case == "empty mask":
        mask = am.Image(np.zeros((1, 4, 4, 4), np.float32), AFFINE)
    elif case == "mask elsewhere":
        mask = am.Image(mask.array, np.eye(4))
    else:
        shown = am.Image(bright.array * (0 if case == "zero map" else -1), AFFINE)
        shown.array[shown.array > 0] = 0
        word = "no positive value"
    with caplog.at_level(logging.WARNING):
        found = am.evaluate(shown, mask)
    assert set(found) == set(am.metrics())
    assert all(math.isnan(value) for value in found.values())
    assert word in caplog.text


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"metrics": ["dise"]}, MethodError, "closest: dice"),
        ({"threshold": 1.0}, MethodError, "0 <= fraction < 1"),
        ({"threshold": "mean"}, MethodError, "'otsu', a fraction"),
        ({"threshold": True}, MethodError, "'otsu', a fraction"),
        ({"threshold": math.nan}, MethodError, "'otsu', a fraction"),
        ({"mask": np.ones((3, 4, 4))}, ImageError, "shape"),
        ({"mask": am.Image(np.ones((2, 4, 4, 4)))}, ImageError, "one channel"),
        ({"mask": am.Image(np.ones((1, 4, 4)))}, ImageError, "3 spatial axes .* got 2; take"),
        ({"result": am.Image(np.ones((2, 4, 4, 4)))}, ImageError, "one channel"),
        ({"result": am.Image(np.full((1, 4, 4, 4), math.nan))}, ImageError, "NaN"),
        ({"result": 3}, ImageError, "got int"),
    ],
)
def test_refusals(bright: am.Image, options: dict, error: type, words: str) -> None:
    call = {"result": bright, "mask": mask_of((1, 0, 2))} | options
    with pytest.raises(error, match=words):
        am.evaluate(**call)


def test_missing_file(bright: am.Image, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.nii"):
        am.evaluate(bright, tmp_path / "nowhere.nii")


@pytest.mark.parametrize("name", list(am.metrics()))
def test_every_metric_is_a_number_that_does_not_depend_on_the_scale(name: str) -> None:
    item = find_metric(name)
    assert item.label
    assert item.reference
    assert item.description.endswith(".")
    generator = np.random.default_rng(2)
    values = generator.random((5, 6, 7)).astype(np.float32)
    mask = generator.random((5, 6, 7)) > 0.5
    grid = am.Grid((5, 6, 7), AFFINE)

    def found(factor: float) -> float:
        evidence = np.float32(factor) * values
        return item.function(Comparison(Attention(evidence, grid, read_threshold(0.4)), mask))

    assert found(4) == pytest.approx(found(1), rel=1e-6)
    assert item.limits[0] <= found(1) <= item.limits[1]
