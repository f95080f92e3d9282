"""Cohorts: every case as on its own, bad ones listed, done ones not computed again."""

from __future__ import annotations

import json
import logging
import math
import re

import numpy as np
import openpyxl
import pandas
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import attention_maps as am
from attention_maps.cli import app
from attention_maps.cohort_cases import CohortCase, read_cases
from attention_maps.cohort_records import file_names, fingerprint
from attention_maps.errors import Cancelled, ImageError, MethodError
from attention_maps.report.trust_plots import draw_distribution

SHAPE = (10, 12, 8)
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
METRICS = ["energy_inside", "dice"]
EVIL = "<script>alert(1)</script>"


class Bright(nn.Module):
    """Class 1 is predicted where the image is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv3d(1, 2, 1, bias=False)
        self.act = nn.ReLU()
        self.head = nn.Conv3d(2, 2, 1)
        with torch.no_grad():
            self.features.weight[:, 0, 0, 0, 0] = torch.tensor([1.0, -1.0])
            self.head.weight.zero_()
            self.head.weight[1, 0] = 1
            self.head.bias.copy_(torch.tensor([0.5, 0.0]))

    def forward(self, x):
        return self.head(self.act(self.features(x)))


def array_of(number: int) -> np.ndarray:
    """A bright box, of which case `number` has that many slices in the mask."""
    array = np.zeros((1, *SHAPE), np.float32)
    array[0, 2:6, 3:7, 2:6] = 1 + number
    return array


def mask_of(number: int) -> np.ndarray:
    mask = np.zeros((1, *SHAPE), np.float32)
    mask[0, 2 : 2 + number, 3:7, 2:6] = 1
    mask[0, 8, 3:7, 2:6] = 2
    return mask


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    """What takes the time: all kinds of pictures are drawn, but few."""
    monkeypatch.setattr("attention_maps.cohorts.MOST_PICTURES", 1)
    monkeypatch.setattr("attention_maps.report.cohort_view.MOST_PLOTS", 1)
    monkeypatch.setattr("attention_maps.report.pictures.HIGHEST", 120)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """model.pt, three cases with masks, and a table that names a missing and a broken one, too."""
    monkeypatch.chdir(tmp_path)
    torch.jit.trace(Bright().eval(), torch.zeros(1, 1, *SHAPE)).save("model.pt")
    lines = ["case,image,mask"]
    for number in (1, 2, 3):
        am.write_image(am.Image(array_of(number), AFFINE), f"s{number}.nii.gz")
        am.write_image(am.Image(mask_of(number), AFFINE), f"m{number}.nii.gz")
        lines.append(f"00{number},s{number}.nii.gz,m{number}.nii.gz")
    (tmp_path / "broken.nii.gz").write_bytes(b"no image")
    lines += [f"{EVIL},missing.nii.gz,", "=broken,broken.nii.gz,m1.nii.gz"]
    (tmp_path / "cases.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def run(folder, **options):
    chosen = {"layer": "act", "metrics": METRICS, "target": 1, "threshold": 0.5, **options}
    return am.run_cohort("model.pt", "cases.csv", folder / "out", **chosen)


def test_scores_are_those_of_single_cases(folder):
    found = run(folder)
    assert [row["case"] for row in found.rows] == ["001", "002", "003"]
    for number, row in enumerate(found.rows, start=1):
        made = am.explain("model.pt", f"s{number}.nii.gz", layer="act", target=1)
        expected = am.evaluate(made, f"m{number}.nii.gz", METRICS, 0.5)
        assert {name: row[name] for name in METRICS} == expected
        assert row["energy_inside"] == pytest.approx(number / 4)
        assert row["label"] == "mask"
    means = {row["metric"]: row for row in found.means}
    assert means["energy_inside"]["mean"] == pytest.approx(0.5)
    assert means["energy_inside"]["sd"] == pytest.approx(0.25)
    assert means["energy_inside"]["n"] == 3


def test_bad_cases_are_listed_and_stop_no_others(folder, caplog):
    with caplog.at_level(logging.WARNING):
        found = run(folder)
    assert list(found.errors) == [EVIL, "=broken"]
    assert "missing.nii.gz" in found.errors[EVIL]
    assert "broken.nii.gz" in found.errors["=broken"]
    assert len([text for text in caplog.messages if "failed" in text]) == 2
    book = openpyxl.load_workbook(folder / "out" / "cohort.xlsx")
    assert book.sheetnames == ["scores", "means", "errors", "provenance"]
    assert book["errors"]["A3"].value == "=broken"
    assert book["errors"]["A3"].data_type == "s"
    page = (folder / "out" / "cohort.html").read_text(encoding="utf-8")
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "3 evaluated, 2 failed" in page


def test_the_excel_file_has_what_was_found(folder):
    found = run(folder, method=["grad_cam", "hires_cam"], layer=["features", "act"])
    sheets = pandas.read_excel(folder / "out" / "cohort.xlsx", sheet_name=None, dtype={"case": str})
    scores = sheets["scores"]
    assert len(scores) == len(found.rows) == 3 * 4
    assert scores["case"].tolist()[0] == "001"
    assert scores["energy_inside"].tolist() == pytest.approx(
        [row["energy_inside"] for row in found.rows]
    )
    means = sheets["means"]
    assert set(zip(means["layer"], means["method"], strict=True)) == {
        (layer, method) for layer in ("features", "act") for method in ("grad_cam", "hires_cam")
    }
    hashes = sheets["provenance"].query("item == 'model.sha256'")["value"]
    assert hashes.nunique() == 1
    assert len(hashes) == 12


def test_cases_that_were_done_are_not_computed_again(folder, monkeypatch):
    first = run(folder)
    made = []
    explain = am.Explainer.explain

    def counted(self, *args, **options):
        made.append(1)
        return explain(self, *args, **options)

    monkeypatch.setattr("attention_maps.cohorts.Explainer.explain", counted)
    second = run(folder)
    assert made == []
    assert second.continued == ("001", "002", "003")
    assert second.rows == first.rows
    assert second.provenance == json.loads(json.dumps(first.provenance))
    assert list(second.errors) == list(first.errors)
    am.write_image(am.Image(mask_of(4), AFFINE), "m3.nii.gz")  # one mask has changed
    third = run(folder)
    assert len(made) == 1
    assert third.rows[2]["energy_inside"] == 1
    run(folder, method="hires_cam")  # another question
    assert len(made) == 4
    run(folder, method="hires_cam", again=True)
    assert len(made) == 7
    am.write_image(am.Image(array_of(1), AFFINE), "missing.nii.gz")  # what failed is tried again
    assert EVIL not in run(folder, method="hires_cam").errors
    assert len(made) == 8


def test_a_cohort_goes_on_where_it_was_stopped(folder):
    def stop(fraction, message):
        return fraction < 0.3

    with pytest.raises(Cancelled):
        run(folder, progress=stop)
    seen = []

    def note(fraction, message):
        seen.append((fraction, message))

    found = run(folder, progress=note)
    assert found.continued == ("001",)
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert any(re.fullmatch(r"2 of 5, 002: .+", message) for _, message in seen)


def test_modules_in_memory_are_never_taken_for_the_same(folder):
    cases = [CohortCase("a", (folder / "s1.nii.gz",), folder / "m1.nii.gz")]
    for _ in range(2):
        found = am.run_cohort(Bright().eval(), cases, folder / "out", layer="act", target=1)
        assert found.continued == ()


def test_functions_as_targets_are_never_taken_for_the_same(folder):
    def of_class(index):
        return lambda logits: logits[:, index].flatten(1).sum(1)

    first, second = (run(folder, target=of_class(index)) for index in (0, 1))
    assert second.continued == ()
    assert first.rows[0]["score"] != second.rows[0]["score"]
    assert run(folder, target=am.ContrastTarget(1, 0)).continued == ()
    assert run(folder, target=am.ContrastTarget(1, 0)).continued == ("001", "002", "003")


def test_cases_are_the_same_wherever_one_stands(folder, monkeypatch, tmp_path_factory):
    run(folder)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    found = am.run_cohort(
        folder / "model.pt", folder / "cases.csv", folder / "out", layer="act", metrics=METRICS,
        target=1, threshold=0.5,
    )  # fmt: skip
    assert found.continued == ("001", "002", "003")


def test_folders_of_slices_are_looked_into(tmp_path):
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "1.dcm").write_bytes(b"one")
    case = CohortCase("a", (tmp_path / "dicom",))
    first = fingerprint(case, "model", {})
    assert fingerprint(case, "model", {}) == first
    (tmp_path / "dicom" / "1.dcm").write_bytes(b"another")
    assert fingerprint(case, "model", {}) != first


@pytest.mark.parametrize(
    ("cases", "out"), [("maps", "."), ("cohort.xlsx", "."), ("out/cohort.xlsx", "out")]
)
def test_results_are_never_written_onto_what_is_read(folder, cases, out):
    path = folder / cases
    if path.suffix:
        path.parent.mkdir(exist_ok=True)
        rows = [["case", "image"], ["a", str(folder / "s1.nii.gz")]]
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(path)
    else:
        path.mkdir()
        am.write_image(am.Image(array_of(1), AFFINE), path / "a.nii.gz")
    read = path if path.is_file() else path / "a.nii.gz"
    before = read.read_bytes()
    with pytest.raises(ImageError, match="another folder"):
        am.run_cohort("model.pt", path, folder / out, layer="act", target=1, maps=True)
    assert read.read_bytes() == before


def test_what_no_case_could_do_is_refused_before_any(folder):
    case = CohortCase("a", (folder / "s1.nii.gz",))
    with pytest.raises(ImageError, match="a name of its own"):
        am.run_cohort("model.pt", [case, case], folder / "out")
    with pytest.raises(ImageError, match="at least one case"):
        am.run_cohort("model.pt", [], folder / "out")
    with pytest.raises(MethodError, match="Option 'samples' is not known"):
        run(folder, samples=3)
    assert not (folder / "out").exists()


def test_labels_are_a_row_each(folder):
    found = run(folder, labels={"core": 1, "ring": 2})
    assert [(row["case"], row["label"]) for row in found.rows[:2]] == [
        ("001", "core"), ("001", "ring"),
    ]  # fmt: skip
    assert found.rows[0]["energy_inside"] == pytest.approx(0.25)
    assert found.rows[1]["energy_inside"] == 0
    page = (folder / "out" / "cohort.html").read_text(encoding="utf-8")
    assert '<li style="--color:#33bfff;--dash:dashed">core</li>' in page


def test_cases_without_a_mask_have_figures_of_the_map(folder):
    cases = [CohortCase("a", (folder / "s1.nii.gz",))]
    (row,) = am.run_cohort("model.pt", cases, folder / "out", layer="act", target=1).rows
    assert row["half_share"] == pytest.approx(32 / math.prod(SHAPE))
    assert "dice" not in row


def test_plots_keep_the_order_of_layers():
    rows = [
        {"case": str(n), "target": "t", "layer": layer, "method": "m", "label": "", "dice": value}
        for n, (layer, value) in enumerate([("a", math.nan), ("b", 0.5), ("a", 0.25), ("c", None)])
    ]
    axes = draw_distribution(rows, "dice").axes[0]
    assert [item.get_text() for item in axes.get_yticklabels()] == ["a", "b"]
    assert draw_distribution(rows, "iou") is None


def test_plots_tell_how_many_rows_they_leave_out():
    rows = [{"case": "a", "layer": f"l{n}", "method": "grad_cam", "dice": 0.5} for n in range(15)]
    assert draw_distribution(rows, "dice").axes[0].get_xlabel() == "Dice; 3 more rows are left out"


def test_plots_show_every_case(folder):
    found = run(folder)
    points = draw_distribution(found.rows, "energy_inside").axes[0].lines[-1].get_xdata()
    assert sorted(points) == pytest.approx([0.25, 0.5, 0.75])
    assert found.plot(folder / "p.svg", "dice").read_text(encoding="utf-8").startswith("<?xml")
    with pytest.raises(MethodError, match="a metric that has values"):
        found.plot(folder / "p.svg", "iou")


def test_maps_and_pages_are_written_where_they_are_wanted(folder):
    run(folder, maps=True, pages=True)
    out = folder / "out"
    assert sorted(path.name for path in (out / "pages").iterdir()) == [
        "001.html", "002.html", "003.html",
    ]  # fmt: skip
    saved = am.read_image(out / "maps" / "002.nii.gz")
    made = am.explain("model.pt", "s2.nii.gz", layer="act", target=1)
    np.testing.assert_array_equal(saved.array, made.image.array)


def test_a_cohort_of_failures_is_reported(folder):
    cases = [CohortCase("a", (folder / "no.nii.gz",))]
    found = am.run_cohort("model.pt", cases, folder / "out")
    assert found.rows == []
    assert "0 evaluated, 1 failed" in (folder / "out" / "cohort.html").read_text(encoding="utf-8")


def test_command_line(folder):
    line = ["cohort", "model.pt", "cases.csv", "-o", "out", "--layer", "act", "--target", "1"]
    line += ["--metric", "energy_inside", "--threshold", "0.5"]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 1  # two cases failed
    assert re.search(
        r"Energy inside +mask +\S.* +act +grad_cam +0\.5 +0\.25 +0\.5 +3", result.output
    )
    again = CliRunner().invoke(app, line)
    assert "Done before: 3 cases" in again.output
    as_json = CliRunner().invoke(app, [*line, "--json", "--quiet"])
    found = json.loads(as_json.stdout)
    assert found["means"][0]["mean"] == pytest.approx(0.5)
    assert list(found["errors"]) == [EVIL, "=broken"]


def test_what_is_kept_of_an_interrupted_cohort_is_told(folder, monkeypatch):
    def stopped(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("attention_maps.cohorts.Explainer.explain", stopped)
    result = CliRunner().invoke(app, ["cohort", "model.pt", "cases.csv", "-o", "out"])
    assert result.exit_code == 130
    assert "Interrupted; cases that were done are kept" in result.output


@pytest.mark.parametrize("kind", ["csv", "semicolons", "tsv", "xlsx"])
def test_tables_of_every_kind(tmp_path, kind):
    rows = [["Case", "image_1", "image_2", "Mask", "target"],
            ["007", "a.nii.gz", "b.nii.gz", "m.nii.gz", ""],
            ["a, b", "c.nii.gz", "", "", "edema"], ["", "d/e.nrrd", "", "", ""]]  # fmt: skip
    path = tmp_path / ("t.tsv" if kind == "tsv" else "t.xlsx" if kind == "xlsx" else "t.csv")
    if kind == "xlsx":
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(path)
    else:
        delimiter = {"csv": ",", "semicolons": ";", "tsv": "\t"}[kind]
        table = pandas.DataFrame(rows[1:], columns=rows[0])
        table.to_csv(path, sep=delimiter, index=False, encoding="utf-8-sig")
    assert read_cases(path) == [
        CohortCase("007", (tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"), tmp_path / "m.nii.gz"),
        CohortCase("a, b", (tmp_path / "c.nii.gz",), None, "edema"),
        CohortCase("e", (tmp_path / "d" / "e.nrrd",)),
    ]


def test_folders_of_nnunet(tmp_path):
    for name in ("imagesTr/a_0000", "imagesTr/a_0001", "imagesTr/b_0000", "imagesTr/b_0001",
                 "labelsTr/a"):  # fmt: skip
        path = tmp_path / f"{name}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    images = tmp_path / "imagesTr"
    assert read_cases(tmp_path) == [
        CohortCase("a", (images / "a_0000.nii.gz", images / "a_0001.nii.gz"),
                   tmp_path / "labelsTr" / "a.nii.gz"),
        CohortCase("b", (images / "b_0000.nii.gz", images / "b_0001.nii.gz")),
    ]  # fmt: skip


def test_folders_with_masks_beside_the_images(tmp_path):
    for name in ("a.nrrd", "a_mask.nrrd", "b.nii.gz", "b-seg.nii.gz", "c.png", "notes.txt"):
        (tmp_path / name).touch()
    assert read_cases(tmp_path) == [
        CohortCase("a", (tmp_path / "a.nrrd",), tmp_path / "a_mask.nrrd"),
        CohortCase("b", (tmp_path / "b.nii.gz",), tmp_path / "b-seg.nii.gz"),
        CohortCase("c", (tmp_path / "c.png",)),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("case,mask\na,b", "Expected a column 'image'"),
        ("", "Expected a column 'image'"),
        ("case,image\n", "at least one case"),
        ("case,image\na,x.nii\na,y.nii", "a name of its own for each case, got twice: 'a'"),
        ("case,image\na,", "Expected an image in each row"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "t.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ImageError, match=message):
        read_cases(path)


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "t.docx").touch()
    with pytest.raises(ImageError, match="Expected a table of cases"):
        read_cases(tmp_path / "t.docx")
    with pytest.raises(FileNotFoundError, match="table or folder of cases"):
        read_cases(tmp_path / "none.csv")


def test_file_names_are_safe_and_unlike():
    cases = [
        CohortCase(name, ()) for name in ("a", "A", "../../etc/passwd", "a/b", "a:b", "", "x y")
    ]
    names = file_names(cases)
    assert names["a"] == "a"
    assert len({name.lower() for name in names.values()}) == len(cases)
    assert all(re.fullmatch(r"[\w+-]+", name) for name in names.values())
