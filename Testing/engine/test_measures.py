"""Every metric against an independent implementation, on maps with and without ties."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import gaussian_filter
from sklearn import metrics as sklearn_metrics

import attention_maps as am
from attention_maps.measures.threshold import otsu_threshold

SHAPE = (21, 18, 13)
TILTED = np.array([[0.6, 0.2, 0.1, 9], [-0.3, 1.7, 0.2, 3], [0.1, -0.4, 2.9, -8], [0, 0, 0, 1]])
KINDS = ["continuous", "tied", "sparse", "signed", "faint"]


def case(kind: str) -> tuple[am.Image, np.ndarray]:
    """A map on an oblique grid, and a mask that it half agrees with."""
    generator = np.random.default_rng(KINDS.index(kind))
    values = gaussian_filter(generator.normal(size=SHAPE), 1.5)
    mask = values + gaussian_filter(generator.normal(size=SHAPE), 2.0) > 0.15
    values = values - values.min() + 0.01
    if kind == "tied":
        values = np.maximum(np.rint(6 * values / values.max()) - 2, 0)
    elif kind == "sparse":
        values = np.where(generator.random(SHAPE) > 0.97, values, 0)
    elif kind == "signed":
        values = values - np.median(values)
    elif kind == "faint":
        values = 1e-12 * values
    return am.Image(values[None].astype(np.float32), TILTED), mask


def attended(evidence: np.ndarray, threshold: float) -> np.ndarray:
    return evidence > threshold * evidence.max()


def energy(evidence, mask, threshold):
    return sum(map(float, evidence[mask])) / sum(map(float, evidence.ravel()))


def weighted(evidence, mask, threshold):
    """Sum of the weights in the intersection, and in the attention beside the mask."""
    region = attended(evidence, threshold)
    weights = evidence.astype(np.float64) / evidence.max()
    return weights[region & mask].sum(), weights[region & ~mask].sum()


def wioa(evidence, mask, threshold):
    common, beside = weighted(evidence, mask, threshold)
    return common / (common + beside)


def wiou(evidence, mask, threshold):
    common, beside = weighted(evidence, mask, threshold)
    return common / (beside + mask.sum())


def rank(evidence, mask, threshold):
    """The mean over all orders of the voxels that tie; voxels of value 0 do not count."""
    size, last = mask.sum(), np.sort(evidence.ravel())[-mask.sum()]
    surely = (evidence > last)[mask].sum()
    tied = evidence == last
    left = size - (evidence > last).sum()
    by_chance = left * tied[mask].mean() * tied[mask].size / tied.sum() if last > 0 else 0
    return (surely + by_chance) / size


def of_sklearn(function: Callable) -> Callable:
    def compute(evidence, mask, threshold):
        return function(mask.ravel(), attended(evidence, threshold).ravel())

    return compute


REFERENCES: dict[str, Callable] = {
    "energy_inside": energy,
    "relevance_mass": energy,
    "iou": of_sklearn(sklearn_metrics.jaccard_score),
    "dice": of_sklearn(sklearn_metrics.f1_score),
    "precision": of_sklearn(sklearn_metrics.precision_score),
    "ioa": of_sklearn(sklearn_metrics.precision_score),
    "recall": of_sklearn(sklearn_metrics.recall_score),
    "wioa": wioa,
    "wiou": wiou,
    "average_precision": lambda e, m, _: sklearn_metrics.average_precision_score(m.ravel(),
                                                                                 e.ravel()),
    "roc_auc": lambda e, m, _: sklearn_metrics.roc_auc_score(m.ravel(), e.ravel()),
    "relevance_rank": rank,
}  # fmt: skip
IN_MM = [name for name, item in am.metrics().items() if item.unit == "mm"]


def test_every_metric_has_a_reference():
    """Those in mm, and the pointing game with them, have theirs in test_measures_distances."""
    assert {*REFERENCES, *IN_MM, "pointing_game"} == set(am.metrics())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", list(REFERENCES))
def test_reference(name, kind):
    image, mask = case(kind)
    evidence = np.maximum(image.array[0], 0)
    expected = REFERENCES[name](evidence, mask, 0.45)
    assert am.evaluate(image, mask, name, 0.45)[name] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_simpleitk_overlap(kind):
    image, mask = case(kind)
    region = attended(np.maximum(image.array[0], 0), 0.3)
    measured = SimpleITK.LabelOverlapMeasuresImageFilter()
    measured.Execute(*(SimpleITK.GetImageFromArray(x.astype(np.uint8)) for x in (region, mask)))
    expected = {
        "iou": measured.GetJaccardCoefficient(), "dice": measured.GetDiceCoefficient(),
        "precision": 1 - measured.GetFalseDiscoveryRate(1),
        "recall": 1 - measured.GetFalseNegativeError(1),
    }  # fmt: skip
    assert am.evaluate(image, mask, list(expected), 0.3) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", list(am.metrics()))
@pytest.mark.parametrize("kind", ["continuous", "tied", "sparse"])
def test_how_the_array_lies_does_not_matter(name, kind):
    """The same map and mask with other axes first, from the other ends, in Fortran order."""
    image, mask = case(kind)
    expected = am.evaluate(image, mask, name)[name]
    order, flipped = (2, 0, 1), (0, 2)
    step = np.eye(4)
    step[:3, :3] = np.eye(3)[list(order)].T
    values, marks = image.array[0].transpose(order), mask.transpose(order)
    for axis in flipped:
        end = np.eye(4)
        end[axis, axis], end[axis, 3] = -1, values.shape[axis] - 1
        step = step @ end
    values, marks = (np.asfortranarray(np.flip(item, flipped)) for item in (values, marks))
    moved = am.Image(values[None], TILTED @ step)
    found = am.evaluate(moved, marks, name)[name]
    assert found == pytest.approx(expected, rel=1e-6)
    there = am.Image(mask[None].astype(np.float32), TILTED)
    assert am.evaluate(moved, there, name)[name] == found


@pytest.mark.parametrize("name", list(am.metrics()))
def test_mask_on_an_oblique_grid_as_simpleitk_resamples_it(name):
    generator = np.random.default_rng(9)
    mask = gaussian_filter(generator.normal(size=(30, 25, 20)), 2) > 0.02
    affine = about(np.array([4.0, 1, -2]), (30, 25, 20), (0.6, 1.2, 1.7), seed=1)
    of_map = about(np.array([3.0, 2, 0]), SHAPE, (0.7, 1.8, 3), seed=2)
    shown = am.Image(case("continuous")[0].array, of_map)
    moving, fixed = (in_simpleitk(array, matrix) for array, matrix in
                     ((mask.astype(np.uint8), affine), (shown.array[0], of_map)))  # fmt: skip
    there = SimpleITK.Resample(moving, fixed, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor)
    expected = am.evaluate(shown, SimpleITK.GetArrayFromImage(there).T, name)[name]
    assert not math.isnan(expected)
    found = am.evaluate(shown, am.Image(mask[None].astype(np.float32), affine), name)[name]
    assert found == pytest.approx(expected, rel=1e-6)


def about(center: np.ndarray, shape: tuple, spacing: tuple, seed: int) -> np.ndarray:
    """Affine of a turned grid about a center."""
    axes, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    affine[:3, 3] = center - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def in_simpleitk(array: np.ndarray, affine: np.ndarray) -> SimpleITK.Image:
    """The same image; its world may as well be called RAS."""
    image = SimpleITK.GetImageFromArray(array.T)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    return image


def test_pointing_game_with_a_tolerance():
    """The hottest voxel is 2 voxels of 3 mm beside the mask."""
    array = np.zeros((1, 9, 9, 9), np.float32)
    array[0, 4, 4, 6] = 1
    array[0, 4, 4, 4] = 0.9
    mask = np.zeros((9, 9, 9))
    mask[4, 4, 2:5] = 1
    image = am.Image(array, np.diag([1, 1, 3.0, 1]))
    hits = {mm: am.evaluate(image, mask, "pointing_game", tolerance=mm)["pointing_game"]
            for mm in (0, 5.9, 6, 10)}  # fmt: skip
    assert hits == {0: 0, 5.9: 0, 6: 1, 10: 1}
    assert am.evaluate(image, mask, "peak_distance")["peak_distance"] == pytest.approx(6)


def test_option_of_another_metric_is_refused():
    image, mask = case("tied")
    with pytest.raises(am.MethodError, match="'tolerance' is not known to dice"):
        am.evaluate(image, mask, "dice", tolerance=3)
    with pytest.raises(am.MethodError, match="at least 0"):
        am.evaluate(image, mask, "pointing_game", tolerance=-1)


@pytest.mark.parametrize(
    ("change", "words", "undefined"),
    [
        ("whole mask", "covers the whole map", {"roc_auc"}),
        ("flat map", "same everywhere", {"pointing_game", "peak_distance"}),
        ("high threshold", "above the threshold",
         {"precision", "ioa", "wioa", "hausdorff_distance", "hausdorff_distance_95",
          "mean_surface_distance"}),
    ],
)  # fmt: skip
def test_what_is_not_defined_has_a_reason(change, words, undefined, caplog):
    image, mask = case("continuous")
    threshold: str | float = 0.4
    if change == "whole mask":
        mask = np.ones(SHAPE)
    elif change == "flat map":
        image = am.Image(np.full((1, *SHAPE), 0.2, np.float32), TILTED)
    else:
        threshold = "value:1e6"
    found = am.evaluate(image, mask, threshold=threshold)
    assert {name for name, value in found.items() if math.isnan(value)} == undefined
    assert set(found.reasons) == undefined
    assert all(words in reason for reason in found.reasons.values())
    assert words in caplog.text


@pytest.mark.parametrize("scale", [2.0**-130, 2.0**-60, 2.0**100])
@pytest.mark.parametrize("threshold", ["otsu", "quantile:0.9", 0.3])
def test_numbers_near_the_ends_of_float32(scale, threshold):
    """Powers of two change no digit. Nothing overflows, and an absolute limit is nowhere."""
    values = np.random.default_rng(3).integers(0, 4000, SHAPE).astype(np.float32)
    mask = np.random.default_rng(4).random(SHAPE) > 0.7
    expected = am.evaluate(am.Image(values[None], TILTED), mask, None, threshold)
    scaled = am.Image(values[None] * np.float32(scale), TILTED)
    found = am.evaluate(scaled, mask, None, threshold)
    assert found == pytest.approx(expected, rel=1e-6)


def test_nothing_above_the_threshold_is_no_overlap():
    image, mask = case("continuous")
    found = am.evaluate(image, mask, ["iou", "dice", "recall", "wiou"], "value:1e6")
    assert found == {"iou": 0, "dice": 0, "recall": 0, "wiou": 0}


@pytest.mark.parametrize("sign", ["positive", "negative", "absolute"])
def test_sign(sign):
    image, mask = case("signed")
    array = image.array
    counts = {"positive": np.maximum(array, 0), "negative": np.maximum(-array, 0),
              "absolute": np.abs(array)}[sign]  # fmt: skip
    found = am.evaluate(image, mask, sign=sign)
    assert found == am.evaluate(am.Image(counts, TILTED), mask)
    assert found.threshold == otsu_threshold(counts[0])
    with pytest.raises(am.MethodError, match="'positive', 'negative', 'absolute', got 'both'"):
        am.evaluate(image, mask, sign="both")


def test_zero_evidence_of_a_sign():
    image, mask = case("continuous")
    found = am.evaluate(image, mask, "dice", sign="negative")
    assert math.isnan(found["dice"])
    assert "no negative value" in found.reasons["dice"]
