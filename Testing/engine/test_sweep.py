"""A sweep gives what single questions give, from one forward and one backward pass."""

from __future__ import annotations

import json
import math
import re
import weakref

import numpy as np
import openpyxl
import pytest
import torch
from PIL import Image as Picture
from torch import nn
from typer.testing import CliRunner

import attention_maps as am
from attention_maps.cli import app
from attention_maps.concentration import FIGURES, map_figures
from attention_maps.errors import Cancelled, LayerError, MethodError, ModelRunError, TargetError
from attention_maps.report.sweep_plots import draw_heat_map, draw_lines, number_text
from attention_maps.sweep_table import Sweep
from attention_maps.tracing.trace import Trace
from tiny_networks import SHAPES, SmallUNet, TokenClassifier, picture, seeded

LAYERS = ("enc", "act1", "down", "act2", "up", "merge", "act3", "out")
METHODS = ("grad_cam", "hires_cam", "layer_cam")
TARGET = 2  # of which all maps have positive values


class Passes:
    """Counts forward passes of a model, and backward passes of all."""

    def __init__(self, model, monkeypatch):
        self.forward = self.backward = 0
        run, grad = model.network.run, torch.autograd.grad

        def counted(*args):
            self.forward += 1
            return run(*args)

        def followed(*args, **options):
            self.backward += 1
            return grad(*args, **options)

        monkeypatch.setattr(model.network, "run", counted)
        monkeypatch.setattr(torch.autograd, "grad", followed)


@pytest.fixture
def model():
    return am.load_model(seeded(SmallUNet(3), 1))


@pytest.fixture
def image():
    return am.Image(picture(3))


@pytest.fixture
def mask():
    inside = np.zeros(SHAPES[3], bool)
    inside[2:6, 3:8, 2:6] = True
    return inside


@pytest.mark.parametrize("labels", [None, {"core": 1, "rim": 2}])
def test_rows_are_those_of_single_questions(model, image, mask, labels):
    truth = mask.astype(np.uint8)
    truth[4:6, 3:8, 2:6] *= 2
    metrics = ["energy_inside", "dice", "peak_distance"]
    options = {"threshold": 0.4, "metrics": metrics, "labels": labels}
    found = am.sweep(model, image, truth, target=TARGET, methods=METHODS, **options)
    session = am.Explainer(model, image)
    assert found.layers == LAYERS
    assert len(found.rows) == len(LAYERS) * len(METHODS) * (2 if labels else 1)
    for row in found.rows:
        made = session.explain(row["method"], row["layer"], TARGET)
        scores = am.evaluate(made, truth, metrics, 0.4, labels=labels)
        expected = scores[row["label"]] if labels else scores
        for name, value in {**expected, **map_figures(made.image)}.items():
            assert row[name] == pytest.approx(value, nan_ok=True), (row, name)
        assert row["size"] == " x ".join(map(str, made.raw.grid.shape))


def test_one_forward_and_one_backward_pass(model, image, mask, monkeypatch):
    passes = Passes(model, monkeypatch)
    found = am.sweep(model, image, mask, target=TARGET, layers=LAYERS, methods=METHODS)
    assert (passes.forward, passes.backward) == (1, 1)
    assert not any(row["reason"] for row in found.rows if row["energy_inside"] > 0)


def test_all_layers_cost_one_pass_more_to_be_found(model, image, monkeypatch):
    passes = Passes(model, monkeypatch)
    am.sweep(model, image, target=TARGET, methods=METHODS)
    assert (passes.forward, passes.backward) == (2, 1)
    session = am.Explainer(model, image)
    am.sweep(session, target=TARGET, methods=METHODS)
    am.sweep(session, target=2, methods="eigen_cam")
    assert (passes.forward, passes.backward) == (3, 3)  # the layers are known by now


def test_windows_are_walked_once_for_all_maps(monkeypatch):
    spec = am.ModelSpec(patch_size=(8, 8, 8))
    model = am.load_model(seeded(SmallUNet(3), 1), spec=spec)
    image = am.Image(np.random.default_rng(0).normal(size=(1, 12, 10, 14)))
    passes = Passes(model, monkeypatch)
    one = am.sweep(am.Explainer(model, image), target=TARGET, layers=["enc"], methods="hires_cam")
    forward, backward = passes.forward, passes.backward
    found = am.sweep(am.Explainer(model, image), target=TARGET, methods=METHODS)
    assert (passes.forward, passes.backward) == (2 * forward, 2 * backward)
    assert len(found.rows) == len(LAYERS) * len(METHODS)
    row = next(r for r in found.rows if (r["layer"], r["method"]) == ("enc", "hires_cam"))
    assert row == one.rows[0]


def test_methods_at_the_input_come_once(model, image):
    found = am.sweep(
        model, image, target=TARGET, layers=["enc", "up"], methods=["saliency", "grad_cam"]
    )
    assert [(row["layer"], row["method"]) for row in found.rows] == [
        ("enc", "grad_cam"), ("up", "grad_cam"), ("input", "saliency"),
    ]  # fmt: skip
    assert found.layers == ("enc", "up", "input")


def test_maps_are_dropped_unless_they_are_kept(model, image, monkeypatch):
    alive = weakref.WeakSet()
    most = []
    wrap = am.AttentionMap.__init__

    def noted(self, *args, **options):
        wrap(self, *args, **options)
        alive.add(self)
        most.append(len(alive))

    monkeypatch.setattr(am.AttentionMap, "__init__", noted)
    found = am.sweep(model, image, target=TARGET, methods=METHODS)
    assert found.maps == []
    assert len(most) == len(LAYERS) * len(METHODS)
    assert max(most) <= 2
    kept = am.sweep(model, image, target=TARGET, methods=METHODS, keep=True)
    assert len(kept.maps) == len(LAYERS) * len(METHODS)
    assert all("image" not in made.__dict__ for made in kept.maps)
    assert kept.maps[0].image.array.shape == (1, *SHAPES[3])


def test_maps_that_cannot_be_made_are_rows_with_the_reason(model, image, mask):
    found = am.sweep(model, image, mask, target=TARGET, methods=["cam", "grad_cam"])
    failed = [row for row in found.rows if not row["size"]]
    assert [(row["layer"], row["method"]) for row in failed] == [(name, "cam") for name in LAYERS]
    for row in failed:
        assert row["reason"].startswith("Expected a layer that goes through global average pooling")
        assert math.isnan(row["energy_inside"])
        assert row["label"] == "mask"


def test_failures_are_counted_by_map_whatever_the_structures(model, image, mask):
    masks = {"core": mask, "rim": ~mask}
    found = am.sweep(model, image, masks, target=TARGET, methods=["cam", "grad_cam"])
    assert [(row["method"], row["maps"]) for row in found.failures()] == [("cam", len(LAYERS))]


class SideBranch(nn.Module):
    """Two layers that the answer does not depend on, among others."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.aside = nn.Conv2d(3, 2, 3, padding=1)
        self.second = nn.Conv2d(3, 4, 3, padding=1)
        self.astray = nn.Conv2d(4, 2, 1)
        self.third = nn.Conv2d(4, 3, 3, padding=1)
        self.out = nn.Conv2d(3, 2, 1)

    def forward(self, x):
        x = self.first(x).relu()
        self.aside(x)
        x = self.second(x).relu()
        self.astray(x)
        return self.out(self.third(x).relu())


@pytest.mark.parametrize("layers", ["all", ["first", "aside", "second", "astray", "third"]])
def test_layers_that_the_answer_does_not_use_stop_no_others(layers, monkeypatch):
    model = am.load_model(seeded(SideBranch(), 0))
    image = am.Image(np.random.default_rng(0).normal(size=(1, 10, 12)))
    passes = Passes(model, monkeypatch)
    chosen = ["grad_cam", "hires_cam", "saliency"]
    found = am.sweep(model, image, target=1, layers=layers, methods=chosen)
    assert {row["layer"] for row in found.rows if not row["size"]} == {"aside", "astray"}
    reasons = {row["reason"] for row in found.rows if row["layer"] == "aside"}
    assert reasons == {"unused, the answer does not depend on it"}
    assert (passes.forward, passes.backward) == (2, 2)  # saliency has its own
    check_rows(found, am.Explainer(model, image))


def test_layers_without_a_gradient_are_found_by_halves(monkeypatch):
    """Where nobody knows beforehand which layer stops the backward pass."""
    model = am.load_model(seeded(SmallUNet(2), 1))
    gradients = Trace.gradients

    def stumbling(self, seed, names, **options):
        if {"down", "merge"} & set(names):
            raise ModelRunError("could not be followed back")
        return gradients(self, seed, names, **options)

    monkeypatch.setattr(Trace, "gradients", stumbling)
    session = am.Explainer(model, am.Image(picture(2)))
    found = am.sweep(session, layers=LAYERS, target=1, methods=["hires_cam", "saliency"])
    failed = [(row["layer"], row["reason"]) for row in found.rows if not row["size"]]
    assert failed == [(name, "could not be followed back") for name in ("down", "merge")]
    assert len(found.rows) == len(LAYERS) + 1
    check_rows(found, session)


def check_rows(found, session):
    """The figures are those of single questions."""
    for row in found.rows:
        if row["size"]:
            layer = "auto" if row["layer"] == "input" else row["layer"]
            made = session.explain(row["method"], layer, 1)
            expected = map_figures(made.image)["entropy"]
            assert row["entropy"] == pytest.approx(expected, nan_ok=True)


def test_layers_that_have_no_place_are_named():
    """A class token has none; the layers of a transformer that are pictures have one."""
    model = am.load_model(seeded(TokenClassifier(), 0))
    found = am.sweep(model, am.Image(picture(2)), methods="grad_cam")
    reasons = {info.name: info.reason for info in model.layers() if info.reason}
    assert reasons
    for row in found.rows:
        if row["layer"] in reasons:
            assert row["reason"] == reasons[row["layer"]]
    asked = am.sweep(model, am.Image(picture(2)), layers=["auto", "head"], methods="grad_cam")
    assert "head" in {row["layer"] for row in asked.rows if row["reason"]}


def test_a_network_that_fails_is_an_error():
    model = am.load_model(seeded(SmallUNet(3), 1))
    with pytest.raises(ModelRunError):
        am.sweep(model, am.Image(np.zeros((3, 8, 8, 8))), layers=["enc", "up"], target=TARGET)


def test_wrong_questions_are_refused_before_anything_runs(model, image, mask, monkeypatch):
    passes = Passes(model, monkeypatch)
    for error, options in (
        (MethodError, {"methods": "grad_camm"}),
        (MethodError, {"methods": []}),
        (MethodError, {"metrics": "dicee"}),
        (MethodError, {"mask": None, "metrics": "dice"}),
        (LayerError, {"layers": []}),
        (TargetError, {"target": [1, 2]}),
        (TargetError, {"target": am.TopTarget(2)}),
    ):
        with pytest.raises(error):
            am.sweep(model, image, **{"mask": mask, **options})
    assert passes.forward == 0
    with pytest.raises(LayerError, match="closest"):
        am.sweep(model, image, layers=["encc"], target=TARGET)
    with pytest.raises(TypeError, match="an image, or an Explainer"):
        am.sweep(model)
    with pytest.raises(TypeError, match="no image beside an Explainer"):
        am.sweep(am.Explainer(model, image), image)


def test_progress_grows_and_cancels(model, image):
    seen = []
    am.sweep(model, image, target=TARGET, methods=METHODS, progress=lambda f, _: seen.append(f))
    assert seen == sorted(seen)
    assert seen[-1] == 1
    with pytest.raises(Cancelled):
        am.sweep(model, image, target=TARGET, progress=lambda f, _: f < 0.5)


def test_every_metric_and_figure_can_be_asked_for(model, image, mask):
    names = [*am.metrics(), *FIGURES]
    found = am.sweep(
        model, image, mask, layers="up", methods="layer_cam", target=TARGET, metrics=names
    )
    assert set(names) == set(found.metrics)
    assert all(name in found.rows[0] for name in names)


def test_options_reach_methods_and_metrics(model, image, mask):
    asked = {"metrics": ["pointing_game"], "target": TARGET, "layers": "act2"}
    found = am.sweep(model, image, mask, methods="seg_xres_cam", tolerance=30, **asked)
    assert found.rows[0]["pointing_game"] == 1  # everything is within 30 mm
    far = am.sweep(model, image, mask, methods="hires_cam", tolerance=0, **asked)
    made = am.explain(model, image, "hires_cam", "act2", TARGET)
    expected = am.evaluate(made, mask, "pointing_game", tolerance=0)
    assert far.rows[0]["pointing_game"] == expected["pointing_game"]
    with pytest.raises(MethodError, match="tolerancee"):
        am.sweep(model, image, mask, methods="hires_cam", tolerancee=0, **asked)


def table(better_rows):
    """A sweep of two layers and two methods."""
    rows = [
        {"layer": layer, "method": method, "size": "2 x 2", "label": label, "energy_inside": e,
         "peak_distance": d, "reason": ""}
        for layer, method, label, e, d in better_rows
    ]  # fmt: skip
    return Sweep(
        rows, ("a", "b"), ("grad_cam", "hires_cam"), ("x", "y"),
        ("energy_inside", "peak_distance"), {"model": {"name": "=net"}},
    )  # fmt: skip


NAN = math.nan
SMALL = table(
    [("a", "grad_cam", "x", 0.25, 3.0), ("a", "grad_cam", "y", 0.1, 1.0),
     ("a", "hires_cam", "x", NAN, NAN), ("a", "hires_cam", "y", NAN, NAN),
     ("b", "grad_cam", "x", 0.75, 9.0), ("b", "grad_cam", "y", 0.9, NAN),
     ("b", "hires_cam", "x", 0.5, 2.0), ("b", "hires_cam", "y", 0.2, 4.0)]
)  # fmt: skip


def test_best_knows_which_way_is_better():
    assert SMALL.best("energy_inside")["energy_inside"] == 0.9
    assert SMALL.best("energy_inside", "x")["layer"] == "b"
    assert SMALL.best("peak_distance")["peak_distance"] == 1.0
    assert SMALL.best("peak_distance", "x")["method"] == "hires_cam"
    nothing = table([("a", "grad_cam", "x", NAN, NAN)])
    assert nothing.best("energy_inside") is None
    with pytest.raises(MethodError, match="a metric of the sweep"):
        SMALL.best("dice")
    with pytest.raises(MethodError, match="a structure of the sweep"):
        SMALL.best("energy_inside", "z")


def test_values_are_layers_by_methods():
    np.testing.assert_equal(SMALL.values("energy_inside"), [[0.25, NAN], [0.75, 0.5]])
    np.testing.assert_equal(SMALL.values("peak_distance", "y"), [[1.0, NAN], [NAN, 4.0]])


def test_a_sweep_is_saved_and_read_back(tmp_path):
    record = json.loads(SMALL.save(tmp_path / "s.json").read_text(encoding="utf-8"))
    assert record["sweep"][0]["energy_inside"] == 0.25
    assert record["sweep"][2]["energy_inside"] is None
    book = openpyxl.load_workbook(SMALL.save(tmp_path / "s.xlsx"))
    assert book.sheetnames == ["sweep", "best", "provenance"]
    rows = list(book["best"].values)
    assert rows[1] == ("energy_inside", "x", "higher", "b", "grad_cam", 0.75, None)
    assert rows[2] == ("peak_distance", "x", "lower", "b", "hires_cam", 2, "mm")
    assert book["provenance"]["B2"].data_type == "s"
    assert "0.25" in SMALL.save(tmp_path / "s.csv").read_text(encoding="utf-8-sig")
    again = Sweep.from_dict(json.loads(json.dumps(SMALL.to_dict())))
    np.testing.assert_equal(again.rows, SMALL.rows)
    assert (again.layers, again.metrics, again.labels) == (
        SMALL.layers, SMALL.metrics, SMALL.labels,
    )  # fmt: skip


def test_the_heat_map_shows_the_values():
    """The lightest cell is the largest value, numbers are written, what is missing is gray."""
    axes = draw_heat_map(SMALL, "energy_inside", "x").axes[0]
    texts = [item.get_text() for item in axes.texts]
    assert texts == ["0.250", "\N{EN DASH}", "0.750", "0.500"]
    (mesh,) = axes.collections
    np.testing.assert_equal(
        np.ma.filled(mesh.get_array().astype(float), NAN).reshape(2, 2), [[0.25, NAN], [0.75, 0.5]]
    )
    (frame,) = axes.patches
    assert frame.get_xy() == (0, 1)  # grad_cam at b
    assert [item.get_text() for item in axes.get_yticklabels()] == ["a", "b"]
    lower = draw_heat_map(SMALL, "peak_distance", "x").axes[0]
    assert lower.patches[0].get_xy() == (1, 1)
    assert lower.get_title(loc="left") == "Peak distance (mm), x: lower is better"


def test_lines_show_the_values():
    axes = draw_lines(SMALL, "energy_inside", "x").axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    np.testing.assert_equal(lines["Grad-CAM"], [0.25, 0.75])
    np.testing.assert_equal(lines["HiResCAM"], [NAN, 0.5])


def test_pictures_are_written(tmp_path):
    for name in ("s.png", "s.jpg"):
        with Picture.open(SMALL.heat_map(tmp_path / name, "energy_inside")) as found:
            assert min(found.size) > 300
    svg = SMALL.plot(tmp_path / "s.svg", "peak_distance").read_text(encoding="utf-8")
    assert svg.startswith("<?xml")
    first = SMALL.heat_map(tmp_path / "a.svg", "energy_inside").read_bytes()
    assert first == SMALL.heat_map(tmp_path / "b.svg", "energy_inside").read_bytes()
    with pytest.raises(am.ImageError, match=r"ends in \.png"):
        SMALL.plot(tmp_path / "s.gif", "energy_inside")


def test_names_of_layers_are_no_mathematics(tmp_path):
    rows = [{**row, "layer": "$\\bad{" + row["layer"]} for row in SMALL.rows]
    layers = ("$\\bad{a", "$\\bad{b")
    odd = Sweep(rows, layers, SMALL.methods, SMALL.labels, SMALL.metrics, {})
    odd.heat_map(tmp_path / "s.png", "energy_inside")
    odd.plot(tmp_path / "s.png", "energy_inside")


def test_many_layers_still_fit():
    layers = [f"block.{n}.conv" for n in range(200)]
    rows = [
        {"layer": name, "method": "grad_cam", "label": "x", "size": "2", "energy_inside": n / 200,
         "reason": ""}
        for n, name in enumerate(layers)
    ]  # fmt: skip
    long = Sweep(rows, tuple(layers), ("grad_cam",), ("x",), ("energy_inside",), {})
    figure = draw_heat_map(long, "energy_inside")
    assert max(figure.get_size_inches()) < 21
    assert [item.get_text() for item in figure.axes[0].get_yticklabels()][:2] == [
        "block.0.conv", "block.4.conv",
    ]  # fmt: skip
    lines = draw_lines(long, "energy_inside")
    assert max(lines.get_size_inches()) <= 15
    assert len(lines.axes[0].lines[0].get_ydata()) == 200


def test_numbers_in_cells():
    assert [number_text(v) for v in (0.12345, -3.0, 123.45, NAN)] == [
        "0.123", "\N{MINUS SIGN}3.000", "123.5", "\N{EN DASH}",
    ]  # fmt: skip


def test_command_line(tmp_path, monkeypatch, image, mask):
    monkeypatch.chdir(tmp_path)
    traced = torch.jit.trace(seeded(SmallUNet(3), 1), torch.as_tensor(image.array)[None])
    traced.save("model.pt")
    am.write_image(image, "scan.nii.gz")
    am.write_image(am.Image(mask[None].astype(np.float32), image.affine), "truth.nii.gz")
    line = [
        "sweep",
        "model.pt",
        "scan.nii.gz",
        "--mask",
        "organ=truth.nii.gz",
        "--target",
        str(TARGET),
    ]
    line += ["-l", "up", "-l", "merge", "-m", "grad_cam", "-m", "hires_cam", "--metric", "dice"]
    line += ["-o", "s.xlsx", "--heat-map", "h.png", "--plot", "p.svg", "--json"]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    expected = am.sweep(
        am.load_model("model.pt"), image, {"organ": mask}, layers=["up", "merge"],
        methods=["grad_cam", "hires_cam"], metrics="dice", target=TARGET,
    )  # fmt: skip
    assert [row["dice"] for row in found["rows"]] == pytest.approx(
        [row["dice"] for row in expected.rows]
    )
    assert {path.name for path in tmp_path.iterdir()} >= {"s.xlsx", "h.png", "p.svg"}
    shown = CliRunner().invoke(app, [*line[:-1], "-m", "cam"])
    assert shown.exit_code == 0, shown.output
    assert re.search(r"dice +organ +[\d.]+ +\w+ +\w+ +higher", shown.output)
    assert "Note: 2 maps of cam not made: Expected a layer" in shown.output
    unknown = CliRunner().invoke(app, [*line, "--by", "entropie"])
    assert unknown.exit_code == 2
    assert "Expected --by to be one of dice, positive_share" in " ".join(unknown.output.split())
    for option, name in (("-o", "truth.nii.gz"), ("-o", "model.json"), ("--plot", "folder")):
        wrong = CliRunner().invoke(app, [*line[:7], option, name])
        assert wrong.exit_code == 2, name
