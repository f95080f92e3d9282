"""evaluate and hot-spots from end to end, on maps whose numbers are known."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from typer.testing import CliRunner

import attention_maps as am
from attention_maps.cli import app

AFFINE = np.diag([1.0, 2, 5, 1])
VOXEL_ML = 0.01


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a command beside map.nii.gz, other.nii.gz, labels.nii.gz: (code, out, err)."""
    monkeypatch.chdir(tmp_path)
    array = np.zeros((1, 8, 8, 8), np.float32)
    array[0, 1, 1, 1], array[0, 4, 4, 3:5], array[0, 7, 7, 7] = 5, (9, 6), -30
    labels = np.zeros((1, 8, 8, 8), np.float32)
    labels[0, 4, 4, 3:7], labels[0, 1, 1] = 1, 2
    am.write_image(am.Image(array, AFFINE), "map.nii.gz")
    am.write_image(am.Image(array[:, ::-1], AFFINE), "other.nii.gz")
    am.write_image(am.Image(labels, AFFINE), "labels.nii.gz", dtype="uint8")

    def run(*arguments: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, list(arguments))
        return done.exit_code, done.stdout, done.stderr

    return run


def ok(result: tuple[int, str, str]) -> str:
    code, out, err = result
    assert code == 0, err
    return out


MEASURED = ("evaluate", "map.nii.gz", "labels.nii.gz")


def test_labels(call):
    out = ok(call(*MEASURED, "--label", "tumor=1", "--label", "2", "-t", "0.5", "--json"))
    found = json.loads(out)
    image, labels = (am.read_image(name) for name in ("map.nii.gz", "labels.nii.gz"))
    expected = am.evaluate(image, labels, None, 0.5, labels={"tumor": 1, "2": 2})
    assert found["mask"] == "labels.nii.gz"
    assert [item["label"] for item in found["scores"]] == ["tumor", "2"]
    for item in found["scores"]:
        assert item["metrics"] == expected[item["label"]]
        assert (item["cut"], item["voxels"]) == (4.5, {"tumor": 4, "2": 8}[item["label"]])


def test_several_maps_and_a_workbook(call):
    names = ["map.nii.gz", "other.nii.gz"]
    options = ["--label", "all", "--metric", "roc_auc", "--metric", "precision", "-t", "value:50"]
    out = ok(call("evaluate", *names, "labels.nii.gz", *options, "-o", "scores.xlsx"))
    assert "map.nii.gz | 1" in out
    assert "other.nii.gz | 2" in out
    assert "undefined" in out
    book = openpyxl.load_workbook("scores.xlsx")
    assert book.sheetnames == ["scores", "not defined"]
    heading, *rows = book["scores"].iter_rows(values_only=True)
    assert heading == ("map", "mask", "label", "threshold", "cut", "voxels", "roc_auc", "precision")
    assert [row[:3] for row in rows] == [(n, "labels.nii.gz", v) for n in names for v in "12"]
    image, labels = (am.read_image(name) for name in ("other.nii.gz", "labels.nii.gz"))
    expected = am.evaluate(image, labels, "roc_auc", labels=[2])["2"]["roc_auc"]
    assert rows[3][6] == pytest.approx(expected)
    assert [row[7] for row in rows] == [None] * 4
    reasons = list(book["not defined"].iter_rows(values_only=True))[1:]
    assert all(row[3:] == ("precision", "no voxel of the map is above the threshold")
               for row in reasons)  # fmt: skip


@pytest.mark.parametrize(("millimeters", "hit"), [("0", 0), ("9.9", 0), ("10", 1)])
def test_option(call, millimeters, hit):
    """The mask is two steps of 5 mm beside the hottest voxel."""
    mask = np.zeros((1, 8, 8, 8), np.float32)
    mask[0, 4, 4, 5] = 1
    am.write_image(am.Image(mask, AFFINE), "mask.nii.gz")
    arguments = ["--metric", "pointing_game", "--option", f"tolerance={millimeters}", "--json"]
    found = json.loads(ok(call("evaluate", "map.nii.gz", "mask.nii.gz", *arguments)))
    assert found["metrics"] == {"pointing_game": hit}


def test_sign(call):
    out = ok(call(*MEASURED, "--metric", "energy_inside", "--sign", "absolute", "--json"))
    assert json.loads(out)["metrics"]["energy_inside"] == pytest.approx(20 / 50)


def test_structures(call):
    out = ok(call(*MEASURED, "--structures", "--label", "tumor=1", "-o", "structures.csv"))
    assert "outside all" in out
    with Path("structures.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["tumor", "outside all"]
    assert float(rows[0]["share"]) == pytest.approx(15 / 20)
    assert float(rows[0]["ml"]) == pytest.approx(4 * VOXEL_ML)
    assert float(rows[0]["share_per_ml"]) == pytest.approx(15 / 20 / (4 * VOXEL_ML))
    found = json.loads(ok(call(*MEASURED, "--structures", "--json")))
    assert [row["name"] for row in found["structures"]] == ["1", "2", "outside all"]
    assert found["structures"][0]["mm2"] is None


def test_hot_spots(call):
    arguments = ["map.nii.gz", "-t", "0.1", "--segments", "labels.nii.gz", "--label", "tumor=1"]
    out = ok(call("hot-spots", *arguments, "-o", "spots.csv"))
    assert "1.0 x 2.0 x 10.0" in out
    assert "tumor 100%" in out
    with Path("spots.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["peak"], row["voxels"], row["in tumor"]) for row in rows] == [
        ("9.0", "2", "1.0"), ("5.0", "1", "0.0"),
    ]  # fmt: skip
    first = rows[0]
    assert [first[name] for name in ("i_from", "i_to", "k_from", "k_to")] == ["4", "4", "3", "4"]
    assert [float(first[f"center_{axis}_mm"]) for axis in "ras"] == [4, 8, 17.5]
    assert float(first["ml"]) == pytest.approx(2 * VOXEL_ML)
    found = json.loads(ok(call("hot-spots", *arguments, "--most", "1", "--json")))["hot_spots"]
    expected = am.hot_spots("map.nii.gz", 0.1, most=1, segments="labels.nii.gz",
                            labels={"tumor": 1})  # fmt: skip
    assert found == json.loads(json.dumps([expected[0].to_dict() | {"mm2": None}]))


def test_no_hot_spots(call):
    code, out, err = call("hot-spots", "map.nii.gz", "-t", "value:100")
    assert (code, out) == (0, "No hot spots.\n")
    assert err.startswith("Warning: There are no hot spots")


def test_list(call):
    out = ok(call("evaluate", "--list"))
    assert all(name in out for name in am.metrics())
    assert "tolerance=0" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*MEASURED, "-t", "quantile:2"], "--threshold: Expected"),
        ([*MEASURED, "--label", "tumor"], "NAME=NUMBER"),
        ([*MEASURED, "--label", "all", "--label", "1"], "all alone"),
        ([*MEASURED, "--label", "a=1", "--label", "a=2"], "'a' twice"),
        ([*MEASURED, "--label", "=1"], "NAME=NUMBER"),
        ([*MEASURED, "--structures", "--metric", "dice"], "got both"),
        ([*MEASURED, "--sign", "both"], "positive, negative or absolute"),
        ([*MEASURED, "-o", "scores.txt"], ".csv, .xlsx, .json"),
        ([*MEASURED, "--option", "tolerance"], "key=value"),
        (["hot-spots", "map.nii.gz", "-t", "mean"], "--threshold: Expected"),
        (["hot-spots", "map.nii.gz", "--most", "0"], "--most"),
        (["hot-spots", "map.nii.gz", "--label", "1"], "--segments"),
        (["hot-spots"], "Missing"),
    ],
)
def test_wrong_usage(call, arguments, words):
    code, out, err = call(*arguments)
    assert code == 2
    assert words in " ".join((out + err).replace("│", " ").split())
    assert not Path("scores.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*MEASURED, "--metric", "dice", "--option", "tolerance=1"], "not known to dice"),
        ([*MEASURED, "--label", "0"], "not 0"),
        (["evaluate", "nowhere.nii", "labels.nii.gz"], "nowhere.nii"),
        ([*MEASURED, "-o", "nowhere/scores.csv"], "existing folder"),
        (["hot-spots", "nowhere.nii"], "nowhere.nii"),
    ],
)
def test_errors_are_one_line(call, arguments, words):
    code, out, err = call(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert words in err
    assert len(err.splitlines()) == 1
