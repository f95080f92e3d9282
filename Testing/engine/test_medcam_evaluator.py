"""`Evaluator` beside M3d-CAM's: scores, means, tables."""

from __future__ import annotations

import copy
import math

import numpy as np
import pandas
import pytest
import torch

import attention_maps as am
from attention_maps import medcam as ours
from peer_medcam import medcam, tolerated  # noqa: F401, a fixture
from tiny_networks import SHAPES, FlatClassifier, SmallUNet, seeded

METRICS = ("wioa", "ioa", "iou", "wiou")


def example(axes: int, seed: int, finer: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A map of a bright spot on a slope, and a mask beside it, which may have more voxels."""
    rng = np.random.default_rng(seed)
    shape = SHAPES[axes]
    places = np.indices(shape).astype(np.float64)
    center = [rng.uniform(2, n - 3) for n in shape]
    distance = np.sqrt(sum((p - c) ** 2 for p, c in zip(places, center, strict=True)))
    values = np.exp(-((distance / 3) ** 2)) + 0.02 * places[0] + 0.05 * rng.random(shape)
    fine = np.indices([n * finer for n in shape]) / finer
    gap = sum((p - c - 1) ** 2 for p, c in zip(fine, center, strict=True))
    return values.astype(np.float32), (gap < 9).astype(np.int64)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("threshold", ["otsu", 0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("finer", [1, 2])
def test_scores_are_the_same(medcam, metric, threshold, finer):  # noqa: F811
    for axes in (2, 3):
        for seed in range(4):
            values, mask = example(axes, seed, finer)
            expected = medcam.compute_score(values, mask, metric, threshold)
            got = ours.compute_score(values, mask, metric, threshold)
            assert got == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("finer", [1, 2])
def test_scores_of_signed_maps_are_the_same(medcam, metric, finer):  # noqa: F811
    """Both take their absolute value first, as guided backpropagation needs it."""
    values, mask = example(3, 7, finer)
    values = values - 0.4
    expected = medcam.compute_score(values, mask, metric)
    assert ours.compute_score(values, torch.from_numpy(mask), metric) == pytest.approx(expected)


def test_scores_by_hand():
    values = np.array([[0.0, 0.5], [1.0, 0.75]])
    mask = np.array([[0, 0], [1, 0]])
    found = {name: ours.compute_score(values, mask, name, 0.5) for name in METRICS}
    assert found["wioa"] == pytest.approx(1 / 2.25)
    assert found["ioa"] == pytest.approx(1 / 3)
    assert found["iou"] == pytest.approx(1 / 3)
    assert found["wiou"] == pytest.approx(1 / (1.25 + 1))


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_to_score(medcam, metric, caplog):  # noqa: F811
    """Not a number, with a reason; M3d-CAM has 0 for most, which counts in its means."""
    empty, mask = np.zeros((4, 4)), np.eye(4)
    with tolerated():
        assert math.isnan(medcam.compute_score(empty, mask, metric)) == metric.endswith("ioa")
        assert medcam.compute_score(mask, empty, metric) == 0
    assert math.isnan(ours.compute_score(empty, mask, metric))
    assert "no attention is above the threshold" in caplog.text
    assert math.isnan(ours.compute_score(mask, empty, metric))
    assert "the mask is empty" in caplog.text


def test_functions_and_the_engines_metrics():
    """A function gets the map on the mask's grid, as M3d-CAM's page says (and its code fails)."""
    values, mask = example(2, 1, finer=2)
    assert ours.compute_score(values, mask, lambda m, k: m.shape == k.shape) == 1
    coarse = mask[::2, ::2]
    by_engine = am.evaluate(am.Image(values[None]), coarse, ["dice"], 0.5)["dice"]
    assert ours.compute_score(values, coarse, "dice", 0.5) == by_engine


def test_tables_are_the_same(medcam, tmp_path):  # noqa: F811
    """Scores and their means by layer and class, in the order of the network."""
    order = ["enc", "dec.1", "dec"]
    folders = {}
    for name, cls in (("ours", am.Evaluator), ("theirs", medcam.Evaluator)):
        folders[name] = tmp_path / name
        folders[name].mkdir()
        evaluator = cls(f"{folders[name]}/", metric="ioa", threshold=0.4, layer_ordering=order)
        for seed, layer in enumerate(["dec.1", "enc", "dec.1", "enc", "enc"]):
            values, mask = example(3, seed)
            with tolerated():
                evaluator.comp_score(values, mask, layer, class_label=1, name=f"case{seed}")
        with tolerated():
            evaluator.dump()
    names = {path.name for path in folders["theirs"].iterdir()}
    assert {path.name for path in folders["ours"].iterdir()} == names
    assert names == {"scores.xlsx", "mean_scores.png"}
    read = {
        name: pandas.read_excel(folder / "scores.xlsx", sheet_name=None)
        for name, folder in folders.items()
    }
    assert list(read["ours"]) == list(read["theirs"]) == ["Scores", "Mean Scores"]
    for sheet, table in read["theirs"].items():
        table = table.drop(columns="Unnamed: 0")
        pandas.testing.assert_frame_equal(read["ours"][sheet], table, check_dtype=False)


def test_several_classes_of_a_layer(medcam, tmp_path):  # noqa: F811
    """M3d-CAM cannot plot their means."""
    for cls in (am.Evaluator, medcam.Evaluator):
        evaluator = cls(f"{tmp_path}/", layer_ordering=["a", "b"])
        with tolerated():
            for label in (0, 1):
                evaluator.comp_score(*example(2, label), layer="a", class_label=label)
            if cls is am.Evaluator:
                evaluator.dump()
                means = pandas.read_excel(tmp_path / "scores.xlsx", sheet_name="Mean Scores")
                assert means["class_label"].tolist() == [0, 1]
            else:
                with pytest.raises(ValueError, match="same first dimension"):
                    evaluator.dump()


def test_dump_chooses(tmp_path):
    evaluator = am.Evaluator(tmp_path / "first_")
    for seed, layer in enumerate(["a", "b", "b"]):
        evaluator.comp_score(*example(2, seed), layer=layer, class_label=seed)
    frame = evaluator.scores
    assert list(frame.columns) == ["evaluation", "layer", "class_label", "name"]
    assert frame["layer"].tolist() == ["a", "b", "b"]
    evaluator.dump(mean_only=True, layer="b", class_label=2)
    sheets = pandas.read_excel(tmp_path / "first_scores.xlsx", sheet_name=None)
    assert list(sheets) == ["Mean Scores"]
    assert sheets["Mean Scores"]["mean_score"].tolist() == [frame["evaluation"][2]]
    with pytest.raises(am.MethodError, match="there are: a \\(class 0\\), b"):
        evaluator.dump(layer="c")


def test_means_leave_out_what_is_none(tmp_path, caplog):
    evaluator = am.Evaluator(f"{tmp_path}/")
    score = evaluator.comp_score(*example(2, 0), layer="a", class_label=1)
    evaluator.comp_score(np.zeros((4, 4)), np.eye(4), layer="a", class_label=1)
    evaluator.dump()
    means = pandas.read_excel(tmp_path / "scores.xlsx", sheet_name="Mean Scores")
    assert means["mean_score"].tolist() == [pytest.approx(score)]
    assert "not defined" in caplog.text


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("metric", ["wioa", "ioa", "iou"])
def test_injected_scores_are_the_same(medcam, axes, metric, tmp_path):  # noqa: F811
    """Of maps on the layer's grid, which both bring to the mask's by interpolation."""
    generator = torch.Generator().manual_seed(5)
    for cls, layers in ((SmallUNet, ["enc", "up"]), (FlatClassifier, ["first", "act2"])):
        network = seeded(cls(axes))
        batch = torch.randn(2, 1, *SHAPES[axes], generator=generator)
        mask = (torch.rand(2, 1, *SHAPES[axes], generator=generator) < 0.3).long()
        for layer in layers:
            options = {"layer": layer, "label": 1, "metric": metric, "evaluate": True}
            options |= {"return_score": True, "output_dir": str(tmp_path)}
            _, scores = am.inject(network, data_shape="layer", **options)(batch, mask=mask)
            peer = medcam.inject(copy.deepcopy(network), **options)
            with tolerated():
                _, expected = peer(batch, mask=mask)
            assert list(scores) == list(expected) == [layer]
            shown = [not math.isnan(score) for score in scores[layer]]  # else the map is empty
            assert any(shown)
            np.testing.assert_allclose(
                np.array(scores[layer])[shown], np.array(expected[layer])[shown], rtol=1e-6
            )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "woia"}, "Expected a metric wioa"),
        ({"threshold": "ostu"}, "Expected the threshold"),
        ({"threshold": 2}, "share of the map's range from 0 to 1, got 2"),
    ],
)
def test_wrong_choices(arguments, message):
    with pytest.raises(am.MethodError, match=message):
        am.Evaluator("x", **arguments)


@pytest.mark.parametrize(
    ("values", "mask", "message"),
    [
        (np.ones((2, 2)), np.full((2, 2), 3), "mask of 0 and 1, got values such as"),
        (np.ones((1, 1, 2, 2)), np.ones((2, 2)), r"attention_map\[0, 0\]"),
        (np.ones((2, 2)), np.ones((1, 2, 2)), r"mask\[0, 0\]"),
        (np.full((2, 2), np.nan), np.ones((2, 2)), "finite values"),
        (np.ones((2, 2)), np.full((2, 2), np.nan), "mask of 0 and 1, got values such as nan"),
        (np.ones((0, 2)), np.ones((0, 2)), r"Expected a map .* got shape \(0, 2\)"),
        (np.ones((2, 2)), np.ones((0, 2)), r"mask .* got shape \(0, 2\)"),
    ],
)
def test_wrong_arrays(values, mask, message):
    with pytest.raises(am.ImageError, match=message):
        am.Evaluator("x").comp_score(values, mask)
