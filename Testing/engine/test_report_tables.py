"""Tables are read back as they were written, and no name becomes a formula."""

from __future__ import annotations

import csv
import json
import math
import statistics

import numpy as np
import openpyxl
import pandas
import pytest

import attention_maps as am
from attention_maps.concentration import FIGURES, map_figures
from attention_maps.errors import ImageError, MissingPackageError
from attention_maps.report.provenance import provenance_rows
from attention_maps.report.tables import mean_rows, score_rows, tables_of
from attention_maps.report.writing import cell, write_tables
from reported import AFFINE, HOT, SHAPE, attention_map, hot_array, mask, scan

DANGEROUS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\uff1d1")
ROWS = [
    {"case": "a", "value": 0.1 + 0.2, "count": 3, "good": True, "nothing": None},
    {"case": "b", "value": -1.5e-9, "count": -2, "good": False, "later": "x"},
    {"case": "c", "value": math.nan, "count": 0, "good": None},
]


def test_excel_is_read_back_as_it_was(tmp_path):
    path = write_tables(tmp_path / "t.xlsx", {"scores": ROWS, "more": ROWS[:1], "none": []})
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["scores", "more", "none"]
    rows = list(book["scores"].iter_rows(values_only=True))
    assert rows == [  # Excel keeps 16 digits
        ("case", "value", "count", "good", "nothing", "later"),
        ("a", pytest.approx(0.1 + 0.2, rel=1e-15), 3, True, None, None),
        ("b", -1.5e-9, -2, False, None, "x"),
        ("c", None, 0, None, None, None),
    ]
    assert book["scores"].freeze_panes == "A2"
    found = pandas.read_excel(path)["value"].tolist()[:2]
    assert found == pytest.approx([0.1 + 0.2, -1.5e-9], rel=1e-15)


def test_csv_is_read_back_and_others_lie_beside(tmp_path):
    path = write_tables(tmp_path / "t.csv", {"scores": ROWS, "a/../b": ROWS[:1]})
    with path.open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    assert [float(row["value"] or "nan") for row in found[:2]] == [0.1 + 0.2, -1.5e-9]
    assert found[2]["value"] == ""
    assert [row["count"] for row in found] == ["3", "-2", "0"]
    assert found[1]["later"] == "x"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["t.a-..-b.csv", "t.csv"]


def test_json_has_null_for_what_is_not_defined(tmp_path):
    path = write_tables(tmp_path / "t.json", {"scores": ROWS})
    found = json.loads(path.read_text(encoding="utf-8"))["scores"]
    assert found[0] == ROWS[0]
    assert found[2]["value"] is None


@pytest.mark.parametrize("text", DANGEROUS)
def test_names_are_no_formulas(tmp_path, text):
    rows = [{"case": text, text: 1.0}]
    book = openpyxl.load_workbook(write_tables(tmp_path / "t.xlsx", {text: rows}))
    for row in book.worksheets[0].iter_rows():
        for found in row:
            assert found.data_type in ("s", "n", "d")
            assert not (found.data_type == "n" and isinstance(found.value, str))
    assert book.worksheets[0]["A2"].value.strip() == text.strip()
    path = write_tables(tmp_path / "t.csv", {"scores": rows})
    with path.open(encoding="utf-8-sig", newline="") as file:
        for line in csv.reader(file):
            for found in line:
                assert not found.lstrip().startswith(tuple("=+-@\uff1d"))


def test_negative_numbers_stay_numbers(tmp_path):
    path = write_tables(tmp_path / "t.csv", {"scores": [{"x": -1.5, "text": "-1.5"}]})
    assert path.read_text(encoding="utf-8-sig").splitlines()[1] == "-1.5,'-1.5"


def test_what_excel_refuses_is_replaced(tmp_path):
    long = "x" * 40_000
    rows = [{"case": "bell\x07", "long": long, "list": [1, "b"], "number": np.float32(0.5)}]
    book = openpyxl.load_workbook(write_tables(tmp_path / "t.xlsx", {"a[b]:*?/\\" * 9: rows}))
    sheet = book.worksheets[0]
    assert len(sheet.title) <= 31
    assert sheet["A2"].value == "bell\N{REPLACEMENT CHARACTER}"
    assert sheet["B2"].value == long[:32_767]
    assert (sheet["C2"].value, sheet["D2"].value) == ('[1, "b"]', 0.5)


def test_sheets_of_one_name_are_told_apart(tmp_path):
    tables = {"x" * 40: ROWS, "x" * 41: ROWS, "X" * 31: ROWS}
    names = openpyxl.load_workbook(write_tables(tmp_path / "t.xlsx", tables)).sheetnames
    assert len({name.lower() for name in names}) == 3


def test_other_kinds_of_file_are_refused(tmp_path):
    with pytest.raises(ImageError, match=r"ends in \.xlsx, \.csv, \.json, got 't.ods'"):
        write_tables(tmp_path / "t.ods", {"scores": ROWS})
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(MissingPackageError, match="An Excel file needs the package openpyxl"):
        write_tables(tmp_path / "t.xlsx", {"scores": ROWS})
    assert list(tmp_path.iterdir()) == []


def test_cells_hold_what_was_given():
    assert [cell(value) for value in (1, 2.5, True, None, math.inf, "a")] == [
        1, 2.5, True, None, None, "a",
    ]  # fmt: skip


def test_figures_of_a_map_alone():
    """48 equal voxels: half of the evidence lies in 24 of them, entropy is that of 48 of all."""
    voxels = int(np.prod(SHAPE))
    found = map_figures(am.Image(hot_array(3.0), AFFINE))
    assert found["positive_share"] == 1
    assert found["half_share"] == pytest.approx(24 / voxels, rel=1e-6)
    assert found["entropy"] == pytest.approx(math.log(48) / math.log(voxels), rel=1e-6)
    signed = hot_array(3.0)
    signed[0, 0, 0, 0] = -36
    assert map_figures(am.Image(signed, AFFINE))["positive_share"] == pytest.approx(144 / 180)
    assert list(found) == list(FIGURES)


def test_figures_by_slow_definitions():
    values = np.random.default_rng(3).normal(size=(1, 6, 7, 5)).astype(np.float32)
    found = map_figures(am.Image(values, AFFINE))
    evidence = np.maximum(values, 0).astype(float).ravel()
    shares = [value / evidence.sum() for value in evidence if value > 0]
    entropy = -sum(share * math.log(share) for share in shares) / math.log(values.size)
    assert found["entropy"] == pytest.approx(entropy, rel=1e-6)
    total, taken = 0.0, 0
    for share in sorted(shares, reverse=True):
        if total + share >= 0.5:
            break
        total, taken = total + share, taken + 1
    last = sorted(shares, reverse=True)[taken]
    assert found["half_share"] == pytest.approx((taken + (0.5 - total) / last) / values.size)
    share = evidence.sum() / np.abs(values.astype(float)).sum()
    assert found["positive_share"] == pytest.approx(share, rel=1e-6)


def test_maps_without_evidence_have_no_figures():
    assert all(math.isnan(v) for v in map_figures(am.Image(hot_array(0), AFFINE)).values())
    against = map_figures(am.Image(hot_array(-1), AFFINE))
    assert against["positive_share"] == 0
    assert math.isnan(against["entropy"])
    even = map_figures(am.Image(np.ones((1, 4, 4, 4)), AFFINE))
    assert (even["entropy"], even["half_share"]) == (pytest.approx(1), pytest.approx(0.5))


def test_scores_are_those_of_evaluate():
    made = attention_map()
    case = am.ReportCase("a", scan(), [made], {"half": mask()}, threshold=0.5)
    (row,) = score_rows(case)
    expected = am.evaluate(made, mask(), threshold=0.5)
    assert {name: row[name] for name in expected} == expected
    assert (row["case"], row["label"], row["target"]) == ("a", "half", "organ")
    assert row["energy_inside"] == pytest.approx(0.5)
    assert row["threshold"] == pytest.approx(1.0)


def test_why_a_score_is_not_defined_is_beside_it():
    empty = np.zeros(SHAPE, bool)
    (row,) = score_rows(am.ReportCase("a", scan(), [attention_map()], {"none": empty}))
    assert math.isnan(row["dice"])
    assert "the mask has no voxel" in row["reason"]


def test_means_per_layer_and_label():
    rows = [
        {"case": str(n), "target": "t", "layer": layer, "method": "m", "label": label, "dice": v,
         "reason": ""}
        for n, (layer, label, v) in enumerate(
            [("a", "x", 0.1), ("a", "x", 0.5), ("a", "x", math.nan), ("a", "y", 1.0),
             ("b", "x", 0.7)]
        )
    ]  # fmt: skip
    found = {(row["layer"], row["label"]): row for row in mean_rows(rows)}
    assert found["a", "x"]["n"] == 2
    assert found["a", "x"]["not defined"] == 1
    assert found["a", "x"]["mean"] == pytest.approx(0.3)
    assert found["a", "x"]["sd"] == pytest.approx(statistics.stdev([0.1, 0.5]))
    assert found["a", "x"]["median"] == pytest.approx(0.3)
    assert (found["a", "x"]["lowest"], found["a", "x"]["highest"]) == (0.1, 0.5)
    assert math.isnan(found["b", "x"]["sd"])
    assert found["a", "y"]["mean"] == 1.0


def test_means_agree_with_pandas():
    values = np.random.default_rng(5).uniform(size=40)
    rows = [
        {"case": str(n), "target": "t", "layer": "ab"[n % 2], "method": "m", "label": "xyz"[n % 3],
         "iou": float(v)}
        for n, v in enumerate(values)
    ]  # fmt: skip
    expected = pandas.DataFrame(rows).groupby(["layer", "label"])["iou"]
    for row in mean_rows(rows):
        key = (row["layer"], row["label"])
        assert row["mean"] == pytest.approx(expected.mean()[key], rel=1e-12)
        assert row["sd"] == pytest.approx(expected.std()[key], rel=1e-12)
        assert row["median"] == pytest.approx(expected.median()[key], rel=1e-12)
        assert row["n"] == expected.count()[key]


def test_excel_report_has_all_sheets(tmp_path):
    made = attention_map()
    spots = am.hot_spots(made, 0.5, segments={"half": mask()})
    case = am.ReportCase(
        "=case", scan(), [made], {"half": mask()}, hot_spots=spots,
        evidence=am.evidence_table(made, {"half": mask()}),
    )  # fmt: skip
    path = am.write_report(tmp_path / "r.xlsx", [case, am.ReportCase("bad", error="no file")])
    sheets = pandas.read_excel(path, sheet_name=None)
    assert list(sheets) == ["scores", "means", "hot spots", "evidence", "errors", "provenance"]
    spot = sheets["hot spots"].iloc[0]
    assert (spot["voxels"], spot["in half"]) == (48, pytest.approx(0.5))
    assert spot["ml"] == pytest.approx(48 * 9 / 1000)
    assert [spot[f"size_{n}_mm"] for n in (1, 2, 3)] == [8, 6, 9]
    evidence = sheets["evidence"].set_index("name")
    assert evidence.loc["half", "share"] == pytest.approx(0.5)
    provenance = sheets["provenance"].set_index("item")["value"]
    assert provenance["model.sha256"] == "ab" * 32
    assert sheets["errors"]["error"].tolist() == ["no file"]
    means = sheets["means"].set_index("metric")
    assert means.loc["energy_inside", "mean"] == pytest.approx(0.5)


def test_json_report_is_that_of_the_tables(tmp_path):
    case = am.ReportCase("a", scan(), [attention_map()], {"half": mask()})
    found = json.loads(am.write_report(tmp_path / "r.json", case).read_text(encoding="utf-8"))
    assert list(found) == list(tables_of([case]))
    assert found["scores"][0]["energy_inside"] == pytest.approx(0.5)


def test_scores_must_fit_the_maps():
    with pytest.raises(ValueError, match="scores of each of the 1 maps of 'a', got 2"):
        am.ReportCase("a", maps=[attention_map()], scores=[{}, {}])


def test_reports_of_other_kinds_are_refused(tmp_path):
    with pytest.raises(ImageError, match=r"ends in \.html, \.xlsx, \.csv, \.json, got 'r.pdf'"):
        am.write_report(tmp_path / "r.pdf", am.ReportCase("a"))
    with pytest.raises(ValueError, match="at least one case"):
        am.write_report(tmp_path / "r.html", [])


@pytest.mark.parametrize("ending", [".xlsx", ".csv", ".json"])
def test_reports_of_nothing_are_refused(tmp_path, ending):
    with pytest.raises(ValueError, match="names alone"):
        am.write_report(tmp_path / f"r{ending}", am.ReportCase("a"))


def test_provenance_is_flat():
    rows = provenance_rows({"a": {"b": 1, "c": ""}, "d": [[1.0, 0.5], [2.0]], "e": None, "f": []})
    assert rows == [{"item": "a.b", "value": 1}, {"item": "d", "value": "[1, 0.5], [2]"}]


def test_hot_box_is_what_the_mask_halves():
    assert (mask() & (hot_array()[0] > 0)).sum() * 2 == (hot_array() > 0).sum()
    assert hot_array()[(0, *HOT)].size == 48
