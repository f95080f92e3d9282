"""The demonstration on the real network and scan; skipped where they have not been fetched."""

from __future__ import annotations

import json
import math

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Picture
from typer.testing import CliRunner

from attention_maps import sample_data
from attention_maps.cli import app
from attention_maps.demo import LAYER_METHODS, LAYERS, MAIN, MODEL, SCAN, TEMPLATE, run_demo
from attention_maps.errors import Cancelled

FILES = {
    "scan.nii.gz", "attention_map.nii.gz", "attention_map.json", "prediction.nii.gz",
    "brain_mask.nii.gz", "overview.png", "report.html",
}  # fmt: skip


@pytest.fixture(scope="module")
def scan():
    try:
        for name in (MODEL, SCAN, TEMPLATE):
            sample_data.find(name)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return nib.load(sample_data.find(SCAN))


@pytest.fixture(scope="module")
def made(scan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    fractions = []
    found = run_demo(folder, lambda fraction, message: fractions.append(fraction))
    return folder, found, fractions


def test_files_lie_on_the_scan(made, scan) -> None:
    folder, found, _ = made
    assert {path.name for path in folder.iterdir()} == FILES
    assert {path.name for path in found.files} == FILES
    for name in FILES:
        if name.endswith(".nii.gz"):
            image = nib.load(folder / name)
            assert image.shape == scan.shape
            assert image.affine == pytest.approx(scan.affine, abs=1e-6)
    assert nib.load(folder / "attention_map.nii.gz").get_data_dtype() == np.float32
    assert nib.load(folder / "prediction.nii.gz").get_data_dtype() == np.uint8
    same = nib.load(folder / "scan.nii.gz").get_fdata()
    assert np.array_equal(same, scan.get_fdata().astype(np.float32))
    with Picture.open(folder / "overview.png") as picture:
        assert min(picture.size) > 500


def test_attention_is_in_the_brain(made) -> None:
    folder, found, _ = made
    share = {(row.layer, row.method): row.inside for row in found.rows}
    assert share[MAIN] > 0.9
    assert 0.2 < found.brain_share < 0.3
    attention = nib.load(folder / "attention_map.nii.gz").get_fdata()
    brain = nib.load(folder / "brain_mask.nii.gz").get_fdata() > 0
    positive = np.maximum(attention, 0)
    assert positive[brain].sum() / positive.sum() == pytest.approx(share[MAIN], rel=1e-5)


def test_mask_and_answer_agree(made) -> None:
    folder, found, _ = made
    brain = nib.load(folder / "brain_mask.nii.gz").get_fdata() > 0
    answer = nib.load(folder / "prediction.nii.gz").get_fdata() > 0
    assert "MNI152" in found.mask
    assert 2 * (brain & answer).sum() / (brain.sum() + answer.sum()) > 0.95


def test_table_is_complete(made) -> None:
    _, found, fractions = made
    asked = {(layer, method) for layer in LAYERS for method in LAYER_METHODS}
    assert {(row.layer, row.method) for row in found.rows} == asked | {("input", "saliency")}
    assert all(row.seconds > 0 for row in found.rows)
    assert all(0 <= row.inside <= 1 for row in found.rows)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_provenance(made) -> None:
    folder, _, _ = made
    known = json.loads((folder / "attention_map.json").read_text())
    assert (known["layer"], known["method"]) == MAIN
    assert known["target"] == "brain"
    assert known["signed"] is True
    assert math.isfinite(known["score"])
    assert len(known["model"]["sha256"]) == 64


def test_cancelled_demo_writes_nothing(scan, tmp_path) -> None:
    with pytest.raises(Cancelled):
        run_demo(tmp_path / "demo", lambda fraction, message: False)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def shown(made, monkeypatch):
    """The command's output for what the demonstration has found."""
    monkeypatch.setattr("attention_maps.demo.run_demo", lambda output, progress: made[1])

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["demo", *arguments])
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_command_prints_a_table(made, shown) -> None:
    out = shown()
    share = {(row.layer, row.method): row.inside for row in made[1].rows}
    assert all(layer in out for layer in LAYERS)
    assert all(method in out for method in LAYER_METHODS)
    assert f"{100 * share[MAIN]:.1f}*" in out
    assert f"{100 * share['up1', 'grad_cam']:.1f}" in out
    assert "MNI152" in out


def test_command_as_json(shown) -> None:
    table = json.loads(shown("--json"))
    assert table["main"] == {"layer": MAIN[0], "method": MAIN[1]}
    assert len(table["rows"]) == len(LAYERS) * len(LAYER_METHODS) + 1


def test_without_sample_data_the_error_says_what_to_do(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(sample_data.VARIABLE, str(tmp_path))
    done = CliRunner().invoke(app, ["demo", "--output", str(tmp_path / "demo")])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: Expected the sample file")
    assert not (tmp_path / "demo").exists()
