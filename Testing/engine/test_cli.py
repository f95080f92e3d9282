"""The command line from end to end, on a network whose evidence is known."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image as Picture
from typer.testing import CliRunner

import attention_maps as am
from attention_maps.cli import app
from monai_bundles import SEGMENTATION, changed, write_bundle

SHAPE = (12, 14, 10)
AFFINE = np.array([[-1.5, 0, 0, 20], [0, 0, 2.0, -30], [0, 1.2, 0, 5], [0, 0, 0, 1.0]])
SPOT, SECOND = (3, 9, 4), (9, 3, 7)


class Segmenter(torch.nn.Module):
    """Class 1 has the logit relu(x), class 0 has 0.5, so class 1 is predicted where x > 0.5."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Conv3d(1, 2, 1, bias=False)
        self.act = torch.nn.ReLU()
        self.head = torch.nn.Conv3d(2, 2, 1)
        with torch.no_grad():
            self.features.weight[:, 0, 0, 0, 0] = torch.tensor([1.0, -1.0])
            self.head.weight.zero_()
            self.head.weight[1, 0] = 1
            self.head.bias.copy_(torch.tensor([0.5, 0.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.act(self.features(x)))


class Classifier(torch.nn.Module):
    """Logits: mean of relu(x), mean of relu(-x), -1."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Conv3d(1, 2, 1, bias=False)
        self.act = torch.nn.ReLU()
        self.head = torch.nn.Linear(2, 3)
        with torch.no_grad():
            self.features.weight[:, 0, 0, 0, 0] = torch.tensor([1.0, -1.0])
            self.head.weight.copy_(torch.tensor([[1.0, 0], [0, 1], [0, 0]]))
            self.head.bias.copy_(torch.tensor([0.0, 0, -1]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.act(self.features(x)).mean((2, 3, 4)))


def bright() -> np.ndarray:
    """Two bright spots on a dim gradient."""
    array = 0.2 * np.indices(SHAPE).sum(0).astype(np.float32) / sum(SHAPE)
    array[SPOT], array[SECOND] = 4, 2
    return array


def save(module: torch.nn.Module, path: Path, **spec: object) -> Path:
    torch.jit.trace(module.eval(), torch.zeros(1, 1, *SHAPE)).save(str(path))
    if spec:
        path.with_suffix(".json").write_text(json.dumps({"format_version": 1, **spec}))
    return path


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A folder with model.pt and its sidecar, scan.nii.gz, mask.nii.gz."""
    save(Segmenter(), tmp_path / "model.pt", name="tiny", class_names=["background", "spot"])
    save(Classifier(), tmp_path / "grade.pt", class_names=["up", "down", "none"])
    nib.save(nib.Nifti1Image(bright(), AFFINE), tmp_path / "scan.nii.gz")
    program = torch.export.export(Segmenter().eval(), (torch.zeros(1, 1, *SHAPE),))
    torch.export.save(program, tmp_path / "exported.pt2")
    (tmp_path / "in.csv").write_text("slice\n")
    inside = (bright() > 3).astype(np.uint8)
    nib.save(nib.Nifti1Image(inside, AFFINE), tmp_path / "mask.nii.gz")
    return tmp_path


@pytest.fixture
def call(case: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a command in the case's folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(case)

    def run(*arguments: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, list(arguments))
        return done.exit_code, done.stdout, done.stderr

    return run


def ok(result: tuple[int, str, str]) -> str:
    code, out, err = result
    assert code == 0, err
    return out


def test_explain_writes_the_known_evidence(call, case: Path) -> None:
    ok(
        call(
            "explain", "model.pt", "scan.nii.gz", "-l", "act", "-m", "hires_cam", "-o", "map.nii.gz"
        )
    )
    written = nib.load("map.nii.gz")
    assert written.get_data_dtype() == np.float32
    assert written.affine == pytest.approx(AFFINE, abs=1e-6)
    x = bright()
    assert written.get_fdata() == pytest.approx(np.where(x > 0.5, x, 0), abs=1e-6)
    known = json.loads(Path("map.json").read_text())
    assert known["model"]["name"] == "tiny"
    assert known["target"] == "spot"
    assert known["score"] == pytest.approx(6)


def test_explain_as_json(call) -> None:
    found = json.loads(ok(call("explain", "model.pt", "scan.nii.gz", "-l", "act",
                               "-m", "hires_cam", "--json")))  # fmt: skip
    (only,) = found["maps"]
    assert only["maximum"] == pytest.approx(4)
    assert only["maximum_voxel"] == list(SPOT)
    expected = AFFINE[:3, :3] @ SPOT + AFFINE[:3, 3]
    assert only["maximum_ras"] == pytest.approx(expected.tolist(), abs=1e-5)
    assert only["score"] == pytest.approx(6)
    assert only["file"] is None
    volume = 1.5 * 2.0 * 1.2 / 1000
    first, second = found["answer"]
    assert (first["name"], first["voxels"]) == ("spot", 2)
    assert first["ml"] == pytest.approx(2 * volume)
    assert second["ml"] == pytest.approx((np.prod(SHAPE) - 2) * volume)


def test_explain_prints_answer_and_place(call) -> None:
    code, out, err = call("explain", "model.pt", "scan.nii.gz", "-l", "act", "-m", "hires_cam")
    assert code == 0
    assert "Answer: spot 0.0 ml" in out
    assert "R 15.5, P 22.0, S 15.8 mm" in out
    assert err.startswith("Nothing was saved")


def test_probabilities_of_a_classification(call) -> None:
    found = json.loads(ok(call("explain", "grade.pt", "scan.nii.gz", "-l", "act", "--json")))
    logits = np.array([bright().mean(), 0, -1])
    shares = np.exp(logits) / np.exp(logits).sum()
    assert [item["name"] for item in found["answer"]] == ["up", "down", "none"]
    assert [item["probability"] for item in found["answer"]] == pytest.approx(shares, rel=1e-4)
    assert found["task"] == "classification"


def targets_of(out: str) -> list[tuple[str, float]]:
    return [(item["target"], item["score"]) for item in json.loads(out)["maps"]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-t", "up"], [("up", 0.1)]),
        (["-t", "1"], [("down", 0.0)]),
        (["-t", "up vs none"], [("up rather than none", 1.1)]),
        (["-t", "up", "-t", "down vs. none"], [("up", 0.1), ("down rather than none", 1.0)]),
        (["--top", "2"], [("up", 0.1), ("down", 0.0)]),
    ],
)
def test_questions_about_classes(call, arguments: list[str], expected: list) -> None:
    mean = float(bright().mean())
    out = ok(call("explain", "grade.pt", "scan.nii.gz", "-l", "act", "--json", *arguments))
    wanted = [(name, pytest.approx(score + (mean - 0.1) * name.startswith("up"), abs=1e-5))
              for name, score in expected]  # fmt: skip
    assert targets_of(out) == wanted


def at(voxel: tuple[int, ...]) -> str:
    return ",".join(f"{value:.2f}" for value in AFFINE[:3, :3] @ voxel + AFFINE[:3, 3])


@pytest.mark.parametrize(
    ("arguments", "score"),
    [
        (["--point", at(SPOT)], 4.0),
        (["--point", at((0, 0, 0)), "-t", "background"], 0.5),
        (["--component", at(SECOND)], 2.0),
        (["--component", at(SPOT), "-t", "spot"], 4.0),
        (["--region", "mask.nii.gz", "-t", "spot"], 4.0),
        (["--region", "mask.nii.gz"], 4.0),
    ],
)
def test_questions_about_places(call, arguments: list[str], score: float) -> None:
    out = ok(call("explain", "model.pt", "scan.nii.gz", "-l", "act", "--json", *arguments))
    ((_, found),) = targets_of(out)
    assert found == pytest.approx(score)


def test_negative_coordinates_are_no_options(call) -> None:
    assert at(SPOT).count("-") == 1
    assert at((13, 2, 2)).startswith("0.50,-26")
    code, _, err = call("explain", "model.pt", "scan.nii.gz", "--point", "-99,0,0")
    assert code == 1
    assert "inside the network's answer" in err


def test_several_maps_go_to_a_folder(call) -> None:
    out = ok(call("explain", "model.pt", "scan.nii.gz", "-l", "act", "-l", "features",
                  "-m", "grad_cam", "-m", "hires_cam", "-o", "maps", "-f", "pictures",
                  "--json"))  # fmt: skip
    names = {f"spot_{layer}_{method}" for layer in ("act", "features")
             for method in ("grad_cam", "hires_cam")}  # fmt: skip
    assert {path.name for path in Path("maps").iterdir()} == {
        f"{name}.{kind}" for name in names for kind in ("nii.gz", "json")
    }
    assert {path.stem for path in Path("pictures").iterdir()} == names
    assert {
        Path(item["file"]).name.removesuffix(".nii.gz") for item in json.loads(out)["maps"]
    } == (names)


def test_maps_of_the_same_name_are_kept_apart(call) -> None:
    ok(call("explain", "model.pt", "scan.nii.gz", "-l", "act", "-t", "spot", "-t", "1",
            "-o", "maps"))  # fmt: skip
    assert {path.name for path in Path("maps").glob("*.nii.gz")} == {
        "spot_act_grad_cam.nii.gz", "spot_act_grad_cam~2.nii.gz",
    }  # fmt: skip


def test_figure(call) -> None:
    ok(call("explain", "model.pt", "scan.nii.gz", "--figure", "map.png", "--mask", "mask.nii.gz"))
    with Picture.open("map.png") as picture:
        assert min(picture.size) > 400
    assert not Path("map.json").exists()


def test_options_reach_the_method(call) -> None:
    out = ok(call("explain", "model.pt", "scan.nii.gz", "-m", "smooth_grad", "--option",
                  "samples=3", "--option", "noise=0", "--json"))  # fmt: skip
    (only,) = json.loads(out)["maps"]
    assert only["options"] == {"samples": 3, "noise": 0.0, "seed": 0}


def test_layers(call) -> None:
    found = json.loads(ok(call("layers", "model.pt", "scan.nii.gz", "--json")))
    rows = {row["name"]: row for row in found["layers"]}
    assert list(rows)[:3] == ["features", "act", "head"]
    assert rows["act"]["shape"] == [1, 2, *SHAPE]
    assert rows["act"]["stride"] == [1, 1, 1]
    assert rows["act"]["offset"] == [0, 0, 0]
    assert rows["act"]["explainable"] is True
    assert found["auto"] in rows
    table = ok(call("layers", "model.pt", "scan.nii.gz"))
    assert "auto" in table
    assert "ReLU" in table


def test_layers_without_an_image(call) -> None:
    found = json.loads(ok(call("layers", "grade.pt", "--json")))
    rows = {row["name"]: row for row in found["layers"]}
    assert rows["head"]["explainable"] is False
    assert rows["head"]["reason"]


@pytest.mark.parametrize(
    ("option", "value", "name"),
    [
        ("--configuration", "3d_lowres", "configuration"),
        ("--folds", "0,1", "folds"),
        ("--checkpoint", "best", "checkpoint"),
        ("--previous-stage", "mask.nii.gz", "previous_stage"),
    ],
)
def test_choices_that_a_single_file_does_not_offer(call, option, value, name) -> None:
    for model in (["model.pt"], ["exported.pt2", "--trust"]):
        code, _, said = call("explain", *model, "scan.nii.gz", option, value)
        assert code == 1
        assert f"Error: Expected no `{name}`, as '{model[0]}' offers no such choice" in said


def test_consent_on_the_command_line(call) -> None:
    arguments = ["explain", "exported.pt2", "scan.nii.gz", "--trust", "-l", "act"]
    ok(call(*arguments, "-t", "1", "-m", "hires_cam", "-o", "map.nii.gz"))
    x = bright()
    assert nib.load("map.nii.gz").get_fdata() == pytest.approx(np.where(x > 0.5, x, 0), abs=1e-6)


def test_slices_as_a_table(call) -> None:
    """One row per map and slice: the map's sum, its share, where the slice lies."""
    layers = ["-l", "act", "-m", "hires_cam", "-m", "grad_cam", "-t", "spot"]
    ok(call("explain", "model.pt", "scan.nii.gz", *layers, "--slices", "slices.csv"))
    with Path("slices.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["hires_cam"] * 10 + ["grad_cam"] * 10
    assert {(row["target"], row["layer"]) for row in rows} == {("spot", "act")}
    x = bright()
    sums = np.where(x > 0.5, x, 0).sum((0, 1))  # slices are thickest along k
    for k, row in enumerate(rows[:10]):
        assert int(row["slice"]) == k
        assert float(row["value"]) == pytest.approx(sums[k], rel=1e-5)
        assert float(row["share"]) == pytest.approx(sums[k] / sums.sum(), rel=1e-5)
        center = AFFINE @ [5.5, 6.5, k, 1]
        place = [float(row[name]) for name in ("r_mm", "a_mm", "s_mm")]
        assert place == pytest.approx(center[:3], abs=1e-3)


WINDOWS = {"class_names": ["background", "spot"], "patch_size": [4, 7, 5],
           "sliding_window": {"overlap": 0}}  # fmt: skip


def test_only_windows_that_meet_a_region_are_run(call) -> None:
    """The other spot lies in another window: it is not even predicted."""
    Path("windows.json").write_text(json.dumps(WINDOWS))
    arguments = ["explain", "model.pt", "scan.nii.gz", "--spec", "windows.json", "-m", "hires_cam"]
    arguments += ["-l", "act", "-t", "spot", "-o", "map.nii.gz"]
    code, _, said = call(*arguments)
    assert code == 0
    assert "12 windows, " in said
    assert {tuple(v) for v in np.argwhere(nib.load("map.nii.gz").get_fdata())} == {SPOT, SECOND}
    code, _, said = call(*arguments, "--within", "mask.nii.gz", "--batch-size", "2")
    assert code == 0
    assert "windows" not in said
    values = nib.load("map.nii.gz").get_fdata()
    assert {tuple(v) for v in np.argwhere(values)} == {SPOT}
    assert values[SPOT] == pytest.approx(4)
    assert json.loads(Path("map.json").read_text())["windows"]["count"] == 1


def test_which_model_of_a_bundle(call) -> None:
    """Configuration and checkpoint of a small bundle."""
    root = write_bundle(Path("blobs"))
    whole = changed(SEGMENTATION, inferer={"_target_": "SimpleInferer"})
    (root / "configs" / "whole.json").write_text(json.dumps(whole))
    out = ok(call("layers", "blobs", "--configuration", "whole", "--json"))
    assert json.loads(out)["layers"]
    for option, named in (("--configuration", "inference, whole"), ("--checkpoint", "model.pt")):
        code, _, said = call("layers", "blobs", option, "none")
        assert code == 1
        assert named in said


def test_evaluate(call) -> None:
    ok(
        call(
            "explain", "model.pt", "scan.nii.gz", "-l", "act", "-m", "hires_cam", "-o", "map.nii.gz"
        )
    )
    out = ok(call("evaluate", "map.nii.gz", "mask.nii.gz", "--threshold", "0.4", "--json"))
    found = json.loads(out)
    assert list(found["metrics"]) == list(am.metrics())
    expected = {"energy_inside": 4 / 6, "iou": 1 / 2, "dice": 2 / 3}
    assert {name: found["metrics"][name] for name in expected} == pytest.approx(expected)
    assert found["cut"] == pytest.approx(1.6)
    assert found["reasons"] == {}
    out = ok(call("evaluate", "map.nii.gz", "mask.nii.gz", "--metric", "energy_inside"))
    assert "0.6667" in out
    assert "dice" not in out


def test_evaluate_without_evidence(call) -> None:
    nothing = np.zeros(SHAPE, np.float32)
    nib.save(nib.Nifti1Image(nothing, AFFINE), "none.nii.gz")
    code, out, err = call("evaluate", "none.nii.gz", "mask.nii.gz", "--json", "--metric", "iou")
    assert code == 0
    assert json.loads(out)["metrics"] == {"iou": None}
    assert err.startswith("Warning: The metrics are not defined")


def test_methods(call) -> None:
    found = {item["name"]: item for item in json.loads(ok(call("methods", "--json")))}
    assert set(found) == set(am.methods())
    assert found["smooth_grad"]["options"]["samples"]["default"] == 25
    table = ok(call("methods"))
    assert all(name in table for name in am.methods())
    assert "samples=25 (1 to 1000)" in table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain", "nowhere.pt", "scan.nii.gz"], "'nowhere.pt' does not exist"),
        (["explain", "model.pt", "nowhere.nii"], "'nowhere.nii' does not exist"),
        (["explain", "scan.nii.gz", "scan.nii.gz"], "scan.nii.gz"),
        (["explain", "model.pt", "scan.nii.gz", "-l", "akt"], "closest: 'act'"),
        (["explain", "model.pt", "scan.nii.gz", "-m", "gradcam2"], "is not known"),
        (["explain", "model.pt", "scan.nii.gz", "-t", "spott"], "closest: spot"),
        (["explain", "model.pt", "scan.nii.gz", "--device", "abacus"], "abacus"),
        (["explain", "model.pt", "scan.nii.gz", "--option", "samples=3"], "'samples'"),
        (["explain", "model.pt", "scan.nii.gz", "-m", "smooth_grad", "--option", "samples=many"],
         "'many'"),
        (["explain", "model.pt", "scan.nii.gz", "--spec", "other"], "deepbet_bbox"),
        (["explain", "model.pt", "scan.nii.gz", "--mask", "no.nii"], "'no.nii' does not exist"),
        (["explain", "model.pt", "scan.nii.gz", "-o", "no/map.nii.gz"], "existing folder"),
        (["explain", "model.pt", "scan.nii.gz", "--component", at((1, 1, 1)), "-t", "spot"],
         "mm away"),
        (["explain", "model.pt", "scan.nii.gz", "scan.nii.gz"], "channel"),
        (["explain", "model.pt", "scan.nii.gz", "--within", "no.nii"], "'no.nii' does not exist"),
        (["explain", "model.pt", "scan.nii.gz", "--within", "mask.nii.gz"], "leave out the region"),
        (["explain", "model.pt", "scan.nii.gz", "--previous-stage", "no.nii"],
         "'no.nii' does not exist"),
        (["explain", "model.pt", "scan.nii.gz", "--slices", "no/slices.csv"], "existing folder"),
        (["explain", "exported.pt2", "scan.nii.gz"], "--trust"),
        (["evaluate", "nowhere.nii", "mask.nii.gz"], "'nowhere.nii' does not exist"),
        (["evaluate", "scan.nii.gz", "mask.nii.gz", "--metric", "dise"], "closest: dice"),
        (["layers", "nowhere.pt"], "'nowhere.pt' does not exist"),
    ],
)  # fmt: skip
def test_errors_are_one_line(call, case: Path, arguments: list[str], words: str) -> None:
    before = sorted(case.rglob("*"))
    code, out, err = call(*arguments)
    assert code == 1
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("Error: ")
    assert words in err
    assert sorted(case.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Usage"),
        (["explain"], "Missing"),
        (["explain", "model.pt", "scan.nii.gz", "--colour", "red"], "--colour"),
        (["explain", "model.pt", "scan.nii.gz", "--point", "1,2"], "R,A,S"),
        (["explain", "model.pt", "scan.nii.gz", "--top", "2", "-t", "spot"], "--top"),
        (["explain", "model.pt", "scan.nii.gz", "--option", "samples"], "key=value"),
        (["explain", "model.pt", "scan.nii.gz", "-l", "all", "-o", "map.nii.gz"], "folder"),
        (["explain", "model.pt", "scan.nii.gz", "-o", "map.jpg"], ".nii.gz"),
        (["explain", "model.pt", "scan.nii.gz", "-o", "scan.nii.gz"], "input"),
        (["explain", "model.pt", "scan.nii.gz", "-o", "model.nii.gz"], "input"),
        (["explain", "model.pt", "scan.nii.gz", "-o", "./mask.nii.gz", "--mask", "mask.nii.gz"],
         "input"),
        (["explain", "model.pt", "scan.nii.gz", "--slices", "slices.txt"], ".csv"),
        (["explain", "model.pt", "scan.nii.gz", "--slices", "in.csv", "--mask", "in.csv"], "input"),
        (["evaluate", "scan.nii.gz", "mask.nii.gz", "--threshold", "otto"], "--threshold"),
    ],
)  # fmt: skip
def test_wrong_usage_has_its_own_exit_code(call, arguments: list[str], words: str) -> None:
    before = {path: path.read_bytes() for path in Path().iterdir()}
    code, out, err = call(*arguments)
    assert code == 2
    assert words in " ".join((out + err).replace("│", " ").split())
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_existing_maps_are_replaced(call) -> None:
    Path("map.nii.gz").write_text("old")
    ok(call("explain", "model.pt", "scan.nii.gz", "-o", "map.nii.gz"))
    assert nib.load("map.nii.gz").shape == SHAPE


def test_debug_shows_the_traceback(call, capfd: pytest.CaptureFixture) -> None:
    code, _, err = call("layers", "nowhere.pt", "--debug")
    assert code == 1
    assert "Traceback" in err
    assert "FileNotFoundError" in err


def test_what_nobody_expected_is_one_line_too(call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("attention_maps.explainer.Explainer.explain", broken)
    code, _, err = call("explain", "model.pt", "scan.nii.gz")
    assert code == 1
    assert err.startswith("Error: Unexpected RuntimeError: first line second line (--debug")


INTERRUPTED = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
from attention_maps.explainer import Explainer
explain = Explainer.explain
def started(self, *arguments, **options):
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    return explain(self, *arguments, **options)
Explainer.explain = started
from attention_maps.cli import main
sys.argv = ["attention-maps", *sys.argv[1:]]
main()
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_interrupt_stops_and_leaves_nothing(case: Path) -> None:
    arguments = ["explain", "model.pt", "scan.nii.gz", "-m", "smooth_grad", "--batch-size", "1",
                 "--option", "samples=1000", "-o", "map.nii.gz"]  # fmt: skip
    large = np.zeros((96, 96, 96), np.float32)
    large[5, 5, 5] = 4
    nib.save(nib.Nifti1Image(large, AFFINE), case / "scan.nii.gz")
    before = sorted(case.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *arguments],
        cwd=case, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert done.stderr.strip() == "Interrupted; nothing was written."
    assert done.stdout == ""
    assert sorted(case.iterdir()) == before


def fresh(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "attention_maps.cli", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["layers", "explain", "evaluate", "hot-spots", "methods", "demo"])
def test_help_explains_with_examples(call, name: str) -> None:
    out = ok(call(name, "--help"))
    assert f"attention-maps {name}" in out or name == "methods"
    assert "Examples" in out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom attention_maps.cli import app\n"
        "try:\n    app(['explain', '--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'SimpleITK', 'matplotlib', 'nibabel', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_version() -> None:
    assert fresh("--version").stdout == f"attention-maps {am.__version__}\n"
