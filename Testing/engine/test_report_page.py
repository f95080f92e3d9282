"""The page: true figures, pictures of the heat, nothing from elsewhere, readable by all."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from torch import nn
from typer.testing import CliRunner

import attention_maps as am
from attention_maps.cli import app
from attention_maps.faithfulness.findings import Curve, Finding, TrustReport
from attention_maps.figure_parts import Style
from attention_maps.report import pictures
from attention_maps.report.cells import cell_of, number_text, table_of
from attention_maps.report.cohort_view import cohort_view
from attention_maps.report.pictures import draw_map
from attention_maps.report.tables import score_rows
from attention_maps.report.view_parts import figure_rows, position_text
from attention_maps.sweep_table import Sweep
from browser import open_page
from reported import AFFINE, HOT, SHAPE, attention_map, hot_array, mask, scan

EVIL = "<script>alert('x')</script>\"'><img src=http://example.invalid/x.png onerror=alert(1)>"
EMPTY = ("meta", "link", "img", "br", "hr", "input")
LOADING = ("src", "href", "srcset", "data", "action", "poster", "xlink:href", "background")


class Outline(HTMLParser):
    """What is in a page: elements with their attributes, texts, headings, tables."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag):
        return [text for name, text in self.texts if name == tag]


def trust_report(made):
    x = tuple(np.linspace(0, 1, 5).tolist())
    findings = (
        Finding(
            "deletion", "Deletion", "passed", "The answer rests on what the map marks.",
            {"area": 0.25}, {"area, random map 1": 0.5, "area, random map 2": 0.6},
            (Curve("map", x, (1, 0.6, 0.3, 0.1, 0), "share", "score"),
             Curve("random map 1", x, (1, 0.8, 0.5, 0.2, 0), "share", "score")),
            reference="Petsiuk 2018",
        ),
        Finding("randomization", "Randomization", "failed", f"Unchanged {EVIL}.",
                {"ssim": float("nan")}, rows=({"layer": EVIL, "ssim": float("nan")},)),
        Finding("residual", "Completeness", "not tested", "", reason="no such map"),
    )  # fmt: skip
    return TrustReport(made, findings, {**made.provenance, "trust": {"seed": 0}}, scan())


def small_sweep():
    rows = [
        {"layer": layer, "method": method, "size": "4 x 4 x 4", "label": "half",
         "energy_inside": value, "reason": ""}
        for layer, method, value in (("a", "grad_cam", 0.25), ("a", "hires_cam", 0.5),
                                     ("b", "grad_cam", 0.75))
    ]  # fmt: skip
    rows.append({**rows[0], "layer": "b", "method": "hires_cam", "size": "",
                 "energy_inside": float("nan"), "reason": f"why {EVIL}"})  # fmt: skip
    return Sweep(
        rows, ("a", "b"), ("grad_cam", "hires_cam"), ("half",), ("energy_inside",),
        {"target": "organ"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def case():
    made = attention_map()
    masks = {"half": mask(), EVIL: np.zeros(SHAPE, bool)}
    return am.ReportCase(
        EVIL, scan(), [made, attention_map(hot_array(0), layer=EVIL)], masks,
        trust=trust_report(made), sweep=small_sweep(), threshold=0.5,
        hot_spots=am.hot_spots(made, 0.5, segments={"half": mask()}),
        evidence=am.evidence_table(made, {"half": mask()}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(case, tmp_path_factory):
    return am.write_report(tmp_path_factory.mktemp("page") / "page.html", case)


@pytest.fixture(scope="module")
def several(case, tmp_path_factory):
    """A page of more cases than are shown in full, one of which failed."""
    cases = [
        am.ReportCase(f"case {n}", scan(), [attention_map(hot_array(n + 1.0))], {"half": mask()})
        for n in range(9)
    ]
    cases.append(am.ReportCase(EVIL, error=f"No file {EVIL}."))
    return am.write_report(tmp_path_factory.mktemp("page") / "several.html", cases)


@pytest.fixture(params=["page", "several"])
def written(request):
    return request.getfixturevalue(request.param)


def test_nothing_is_loaded_from_elsewhere(written):
    text = written.read_text(encoding="utf-8")
    outline = Outline(text)
    for _, attributes in outline.elements:
        for name in LOADING:
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (name, value[:80])
    style = "".join(outline.text("style"))
    assert "url(" not in style
    assert "@import" not in style
    assert outline.all("script") == outline.all("iframe") == outline.all("object") == []
    assert not any(name.startswith("on") for _, given in outline.elements for name in given)
    (policy,) = [
        item["content"] for item in outline.all("meta")
        if item.get("http-equiv") == "Content-Security-Policy"
    ]  # fmt: skip
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")


def test_a_browser_opens_it_without_errors_or_requests(written, tmp_path):
    opened = open_page(written, tmp_path)
    assert opened.console == []
    assert opened.requests == []
    assert "Research use only." in opened.dom
    assert "<script" not in opened.dom


def test_the_browser_would_have_told(tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text(
        '<img src="http://example.invalid/x.png"><script>console.error("boom"); lost()</script>',
        encoding="utf-8",
    )
    opened = open_page(bad, tmp_path)
    assert opened.requests == ["http://example.invalid/x.png"]
    assert len(opened.console) == 2
    assert "boom" in opened.console[0]


def test_people_who_do_not_see_it_can_read_it(written):
    outline = Outline(written.read_text(encoding="utf-8"))
    assert outline.all("html")[0]["lang"] == "en"
    assert len(outline.text("title")) == 1
    assert all(item["alt"] and item["width"] and item["height"] for item in outline.all("img"))
    assert len(outline.all("caption")) == len(outline.all("table")) > 0
    assert all(item["scope"] in ("row", "col") for item in outline.all("th"))
    levels = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    anchors = {item["id"] for _, item in outline.elements if "id" in item}
    links = [item["href"] for item in outline.all("a")]
    assert {link.removeprefix("#") for link in links} <= anchors
    assert any("width=device-width" in item.get("content", "") for item in outline.all("meta"))


def test_names_from_files_stay_texts(page, several):
    for path in (page, several):
        outline = Outline(path.read_text(encoding="utf-8"))
        assert any(EVIL in text for _, text in outline.texts)
        assert outline.all("script") == []


def test_it_is_small_and_says_its_size(written):
    size = written.stat().st_size
    assert size < 900_000
    found = re.search(r"This page is one file of (\d+) kB", written.read_text(encoding="utf-8"))
    assert int(found[1]) == round(size / 1000)


def rows_of(path, caption):
    """Texts of a table by the text of its first column."""
    text = path.read_text(encoding="utf-8")
    part = next(p for p in text.split("<table>") if f"<caption>{caption}" in p).split("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", part, re.DOTALL)
    strip = re.compile(r"<[^>]+>")
    cells = [
        [strip.sub("", c).strip() for c in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in rows
    ]
    return {row[0]: row[1:] for row in cells}


def test_figures_are_those_of_evaluate(page):
    scores = am.evaluate(attention_map(), mask(), threshold=0.5)
    table = rows_of(page, "Held against half")
    for name, metric in am.metrics().items():
        label = f"{metric.label} ({metric.unit})" if metric.unit else metric.label
        assert table[label][0] == cell_of(scores[name]).text, name
        assert table[label][1] == "not defined"
    text = page.read_text(encoding="utf-8")
    assert "Not defined: the mask has no voxel" in text
    assert "Not defined: the map is zero everywhere" in text or "no positive value" in text


def test_every_figure_is_explained(page):
    table = rows_of(page, "Figures of this page")
    for metric in am.metrics().values():
        assert table[metric.label][1] == (metric.unit or "none")
        assert table[metric.label][3] == metric.better


def test_tests_and_controls_are_shown(page):
    table = rows_of(page, "Tests of the map")
    assert [row[0].split()[-1] for row in table.values()][1:] == ["passed", "failed", "tested"]
    assert rows_of(page, "Deletion: figures")["area"] == ["0.25", "0.5 to 0.6 (2 random maps)"]
    assert "1 passed, 1 failed, 1 not tested." in page.read_text(encoding="utf-8")


def test_sweep_is_shown(page):
    assert rows_of(page, "Best by each figure")["Energy inside"][:4] == [
        "half", "b", "grad_cam", "0.75",
    ]  # fmt: skip
    assert rows_of(page, "Maps that could not be made")["HiResCAM"][0] == "1"


def test_provenance_is_shown(page):
    table = rows_of(page, "What the maps were made with")
    assert table["model.sha256"] == ["ab" * 32]
    assert table["versions.torch"] == ["2.9"]


def test_summary_of_many_cases(several):
    table = rows_of(several, "Grad-CAM at enc.1: organ, in half")
    assert table["Energy inside"] == ["0.5", "0", "0.5", "0.5", "0.5", "9"]
    assert len(rows_of(several, "Figures of every case")) == 10
    assert next(iter(rows_of(several, "Cases without a result"))) == "Case"
    text = several.read_text(encoding="utf-8")
    assert "9 evaluated, 1 failed" in text
    assert text.count('class="viewer"') == 3  # worst, middle, best


def decoded(shot):
    kind, _, content = shot.source.partition(";base64,")
    assert kind in ("data:image/jpeg", "data:image/png")
    picture = Picture.open(io.BytesIO(base64.b64decode(content))).convert("RGB")
    assert picture.size == (shot.width, shot.height)
    return np.asarray(picture).astype(int)


def colored(pixels):
    """Where a pixel is no gray: red stands out from blue, as in the heat."""
    return pixels[..., 0] - pixels[..., 2] > 60


def test_pictures_are_colored_where_the_heat_is():
    """The hot box in the axial plane, patient's left on the right, anterior up."""
    gray = am.Image(np.full((1, *SHAPE), 50.0), AFFINE)
    drawn = draw_map(attention_map(), gray, {}, "case")
    pixels = decoded(drawn.planes[0])
    height, width = pixels.shape[:2]
    hot = np.argwhere(colored(pixels))
    # RAS indices: i grows to the patient's right, which is on the left; j grows to anterior, up.
    high_mm, wide_mm = SHAPE[1] * 1.5, SHAPE[0] * 2.0
    scale = min(height / (SHAPE[2] * 3.0), width / wide_mm)
    aside = (width - wide_mm * scale) / 2
    above = (height - high_mm * scale) / 2
    left = aside + (SHAPE[0] - HOT[0].stop) * 2.0 * scale
    top = above + (SHAPE[1] - HOT[1].stop) * 1.5 * scale
    middle = hot.mean(0)
    assert middle[1] == pytest.approx(left + 4 * scale, abs=0.6 * scale)
    assert middle[0] == pytest.approx(top + 3 * scale, abs=0.6 * scale)
    titles = [shot.title.split()[0] for shot in drawn.planes]
    assert titles == ["Axial", "Coronal", "Sagittal"]


def test_masks_are_outlined_in_their_color():
    gray = am.Image(np.full((1, *SHAPE), 50.0), AFFINE)
    drawn = draw_map(attention_map(), gray, {"half": mask()}, "case")
    names = {name: color for name, color, _ in drawn.names}
    assert set(names) == {"Answer: organ", "half"}
    for color in names.values():
        wanted = np.array([int(color[n : n + 2], 16) for n in (1, 3, 5)])
        near = [np.abs(decoded(shot) - wanted).sum(-1).min() for shot in drawn.planes]
        assert min(near) < 90


def test_maps_without_evidence_have_no_bar():
    drawn = draw_map(attention_map(hot_array(0)), scan(), {}, "case")
    assert drawn.bar is None
    assert drawn.caption == "No evidence: the map is zero everywhere."
    assert not colored(decoded(drawn.planes[0])).any()


@pytest.mark.parametrize("largest", [5e-5, 0.5, 3e6])
def test_words_of_the_color_bar_stay_apart(largest, monkeypatch):
    figures = []
    monkeypatch.setattr(pictures, "plot_shot", lambda figure, *rest: figures.append(figure))
    pictures._bar(Style(True, largest), "Guided backpropagation")
    (figure,) = figures
    axes = figure.axes[-1]
    figure.draw_without_rendering()
    ticks = [text for text in axes.get_xticklabels() if abs(text.get_position()[0]) <= largest]
    texts = [*figure.texts, *ticks]
    boxes = [text.get_window_extent() for text in texts if text.get_text() and text.get_visible()]
    boxes.append(axes.get_window_extent())
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(figure.bbox.fully_containsx(side) for box in boxes for side in (box.x0, box.x1))
    assert min(box.y0 for box in boxes) >= 0
    assert len([text for text in figure.texts if text.get_text()]) == (1 if largest == 0.5 else 2)


def test_planes_are_at_one_scale():
    drawn = draw_map(attention_map(), scan(), {}, "case")
    sides = [step * n for step, n in zip((2.0, 1.5, 3.0), SHAPE, strict=True)]
    widths = [sides[0], sides[0], sides[1]]  # axial and coronal: left to right
    scales = [shot.width / side for shot, side in zip(drawn.planes, widths, strict=True)]
    assert scales == pytest.approx([scales[0]] * 3, rel=0.01)
    assert len({shot.height for shot in drawn.planes}) == 1


def test_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = torch.jit.trace(_picture_network(), torch.zeros(1, 1, 24, 20))
    made.save("model.pt")
    labels = np.zeros((24, 20), np.uint8)
    labels[:12, 15:], labels[12:, 15:] = 1, 2
    Picture.fromarray((np.indices((24, 20)).sum(0) * 5).astype(np.uint8)).save("scan.png")
    Picture.fromarray(labels).save("labels.png")
    line = ["report", "model.pt", "scan.png", "--mask", "labels.png", "--label", "core=1"]
    line += ["--label", "rim=2", "-l", "0", "-m", "grad_cam", "-m", "hires_cam", "--sweep"]
    line += [
        "--target",
        "1",
        "-o",
        "r.html",
        "-o",
        "r.json",
        "--name",
        "Case 7",
        "--threshold",
        "0.5",
    ]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    session = am.Explainer("model.pt", "scan.png")
    image = am.Image(labels[None].astype(float), session.source.affine)
    for row in rows["scores"]:
        expected = am.evaluate(
            session.explain(row["method"], "0", 1),
            image,
            "energy_inside",
            0.5,
            labels={"core": 1, "rim": 2},
        )
        assert row["energy_inside"] > 0
        assert row["energy_inside"] == pytest.approx(expected[row["label"]]["energy_inside"])
    assert len(rows["scores"]) == 4
    assert {row["method"] for row in rows["sweep"]} > {"grad_cam", "hires_cam"}
    assert Outline((tmp_path / "r.html").read_text(encoding="utf-8")).text("h1") == ["Case 7"]
    # A file beside the model would be taken for its specification from then on.
    for name in ("r.docx", "folder", "model.json"):
        wrong = CliRunner().invoke(app, [*line, "-o", name])
        assert wrong.exit_code == 2
        assert not (tmp_path / name).exists()
    twice = CliRunner().invoke(app, [*line, "--mask", "scan.png"])
    assert twice.exit_code == 2
    assert "Expected one --mask for --label" in twice.output


def test_numbers_are_readable():
    assert number_text(0.000123456) == "0.0001235"
    assert number_text(-2.5) == "\N{MINUS SIGN}2.5"
    assert number_text(1234567) == "1\N{NO-BREAK SPACE}234\N{NO-BREAK SPACE}567"
    assert position_text((-30.04, 2.0, 7.5)) == "L 30.0, A 2.0, S 7.5"
    table = table_of("t", [{"a": "x", "b": 0.256}], {"a": "A", "b": "B"}, percent=["b"])
    assert table.rows[0][1].text == "25.6\N{NO-BREAK SPACE}%"
    assert table.rows[0][1].share == 25.6


def test_columns_of_texts_and_numbers_stand_on_the_left():
    rows = [{"item": "version", "value": 1}, {"item": "file", "value": "a.pt"}]
    mixed = table_of("t", rows, {"item": "Item", "value": "Value"})
    assert not mixed.columns[1].number
    assert not any(cell.number for row in mixed.rows for cell in row)
    numbers = table_of("t", [{"a": "x", "b": 1}, {"a": "y", "b": None}], {"a": "A", "b": "B"})
    assert numbers.columns[1].number


def test_two_cases_are_the_best_and_the_worst(tmp_path):
    gray = am.Image(np.full((1, *SHAPE), 50.0), AFFINE)
    cases = [
        am.ReportCase(name, gray, [attention_map()], {"half": mask()}, [scores])
        for name, scores in (("a", {"dice": 0.2}), ("b", {"dice": 0.7}))
    ]
    rows = [row for case in cases for row in score_rows(case)]
    shot = draw_map(cases[0].maps[0], gray, {}, "case")
    view = cohort_view(rows, {}, None, lambda row: (shot, ""))
    assert [item.heading.split(",")[0] for item in view.examples] == ["Best: b", "Worst: a"]
    assert dict(view.facts)["Methods"] == "Grad-CAM"


def test_long_names_of_masks_do_not_stretch_tables(tmp_path):
    name = "a structure of a very long name " * 4
    case = am.ReportCase("a", None, [attention_map()], {name: mask()})
    text = am.write_report(tmp_path / "p.html", case).read_text(encoding="utf-8")
    (head,) = re.findall(r'<th scope="col" class="number" title="([^"]+)">([^<]+)</th>', text)
    assert head[0] == name
    assert len(head[1]) < 70


def test_masks_without_a_color_are_told(tmp_path):
    gray = am.Image(np.full((1, *SHAPE), 50.0), AFFINE)
    case = am.ReportCase("a", gray, [attention_map()], {f"m{n}": mask() for n in range(8)})
    text = am.write_report(tmp_path / "p.html", case).read_text(encoding="utf-8")
    assert "Outlined are the first 6 of 8 masks." in text


def test_controls_without_a_figure_keep_a_row_of_their_own():
    finding = Finding(
        "t", "T", "note", "s", {"overlap": 0.5}, {"by chance": 0.05, "edge map, overlap": 0.1}
    )
    assert figure_rows(finding) == [
        {"figure": "overlap", "value": 0.5, "control": "0.1 (edge map)"},
        {"figure": "by chance", "value": None, "control": 0.05},
    ]


def test_the_wrong_image_gives_words_instead_of_a_picture(tmp_path):
    other = am.Image(np.zeros((1, 4, 4, 4)), AFFINE)
    path = am.write_report(tmp_path / "p.html", am.ReportCase("a", other, [attention_map()]))
    assert "No picture: Expected the image that was explained" in path.read_text(encoding="utf-8")


def test_two_dimensional_maps_are_one_picture(tmp_path):
    image = am.Image(np.random.default_rng(0).random((1, 24, 20)))
    made = am.explain(_picture_network(), image, layer="0")
    path = am.write_report(tmp_path / "p.html", am.ReportCase("picture", image, [made]))
    text = path.read_text(encoding="utf-8")
    assert text.count('class="plane"') == 1
    Outline(text)


def _picture_network():
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 3, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)
    return nn.Sequential(*layers).eval()
