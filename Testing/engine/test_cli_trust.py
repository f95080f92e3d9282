"""attention-maps trust: a table, JSON, reports."""

import json
import re

import pytest
from typer.testing import CliRunner

import attention_maps as am
from attention_maps.cli import app
from documents import make_files

QUICK = ["--test", "randomization", "--test", "residual"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_files(tmp_path, spacing=None)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, ["trust", *arguments])


def test_table_and_notes(folder):
    result = run("model.pt", "t1.nii.gz", "--target", "tumour", *QUICK)
    assert result.exit_code == 0, result.output
    assert "tumour | grad_cam" in result.stdout
    assert "Cascading randomization" in result.stdout
    assert "not tested" in result.stdout
    assert "passes through the network" in result.stderr


def test_json_is_the_report(folder):
    arguments = ["--method", "hires_cam", "--seed", "3", "--option", "blocks=1", *QUICK]
    result = run("model.pt", "t1.nii.gz", "--json", "--quiet", *arguments)
    assert result.exit_code == 0, result.output
    given = json.loads(result.stdout)
    report = am.trust("model.pt", "t1.nii.gz", "hires_cam", seed=3, blocks=1,
                      tests=["randomization", "residual"])  # fmt: skip
    assert given["findings"] == report.to_dict()["findings"]
    assert given["provenance"]["trust"]["seed"] == 3
    assert len(given["findings"][0]["rows"]) == 1


@pytest.mark.parametrize("ending", ["html", "xlsx", "csv", "json"])
def test_reports_and_map(folder, ending):
    result = run("model.pt", "t1.nii.gz", "-o", f"trust.{ending}", "--map", "map.nii.gz", *QUICK)
    assert result.exit_code == 0, result.output
    assert (folder / f"trust.{ending}").stat().st_size > 0
    if ending == "html":
        title = re.search(r"<h1>(.+)</h1>", (folder / "trust.html").read_text(encoding="utf-8"))
        assert title[1].startswith("Grad-CAM at ")
    assert am.read_image("map.nii.gz").grid.same_as(am.read_image("t1.nii.gz").grid)
    assert json.loads((folder / "map.json").read_text())["method"] == "grad_cam"


def test_places(folder):
    result = run("model.pt", "t1.nii.gz", "--point", "0,0,0", "--json", "-q", "--test", "residual")
    assert result.exit_code == 0, result.output
    assert " at (0.0, 0.0, 0.0) mm" in json.loads(result.stdout)["target"]


def test_list(folder):
    result = run("--list")
    assert result.exit_code == 0
    for name, item in am.trust_tests().items():
        assert name in result.stdout
        assert all(option in result.stdout for option in item.options)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--test", "deleton"], 1, "closest: deletion"),
        (["--option", "blocks=few"], 1, "whole number"),
        (["--target", "1", "--point", "0,0,0", "--component", "0,0,0"], 2, "one map"),
        (["-o", "trust.pdf"], 2, ".html, .xlsx, .csv, .json"),
        (["-o", "model.json"], 2, "is an input"),
        (["-o", "folder"], 2, "to be a file that ends in"),
        (["-o", "map.json", "--map", "map.nii.gz"], 2, "another name than 'map.json'"),
    ],
)
def test_wrong_calls(folder, arguments, code, message):
    result = run("model.pt", "t1.nii.gz", *arguments)
    assert result.exit_code == code
    assert message in " ".join(result.output.replace("\u2502", " ").split())  # without the frame


@pytest.mark.parametrize("method", ["guided_backprop", "guided_grad_cam"])
def test_remarks_are_told_wherever_a_method_is_offered(folder, method):
    remark = am.methods()[method].remark
    assert "sanity checks" in remark
    assert "1810.03292" in remark
    listed = CliRunner().invoke(app, ["methods", "--json"]).stdout
    assert {item["name"]: item["remark"] for item in json.loads(listed)}[method] == remark
    model = ["traced.pt", "t1.nii.gz", "--method", method]
    (folder / "traced.pt").write_bytes((folder / "model.pt").read_bytes())
    explained = CliRunner().invoke(app, ["explain", *model, "--json", "-q"]).stdout
    assert json.loads(explained)["maps"][0]["remark"] == remark
    table = CliRunner().invoke(app, ["explain", *model]).stdout
    assert remark in " ".join(table.split())
    trusted = run(*model, "--test", "residual")
    assert remark in " ".join(trusted.stdout.split())
    assert am.trust("model.pt", "t1.nii.gz", method, tests="residual").remark == remark
    swept = CliRunner().invoke(app, ["sweep", *model, "--layer", "1"])
    assert remark in " ".join(swept.stdout.split())
    made = am.explain("model.pt", "t1.nii.gz", method)
    assert made.provenance["remark"] == remark
