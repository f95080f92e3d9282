"""What the Compare section shows and why."""

import math
from dataclasses import replace

import pytest

import attention_maps as am
from panel_states import panelState
from SlicerAttentionMapsLib.Panel import (
    CheckRows,
    ComparePanel,
    SweepPanel,
    ThresholdChoice,
    TrustPanel,
)
from SlicerAttentionMapsLib.Panel.CheckRows import CheckRow
from SlicerAttentionMapsLib.Panel.ComparePanel import CompareState, Segment
from SlicerAttentionMapsLib.Panel.ExplainPanel import ExplainState
from SlicerAttentionMapsLib.Panel.ResultPanel import MapFacts, ResultState
from SlicerAttentionMapsLib.Panel.State import PanelState
from SlicerAttentionMapsLib.Panel.SweepPanel import SweepState
from SlicerAttentionMapsLib.Panel.ThresholdChoice import Threshold
from SlicerAttentionMapsLib.Panel.TrustPanel import Found, TrustState

TUMOR, EDEMA = Segment("s1", "tumor"), Segment("s2", "edema", chosen=False)
ROWS = (CheckRow("a", "A"), CheckRow("b", "B", checked=False))
COMPARE = CompareState(
    truth="n2",
    segments=(TUMOR, EDEMA),
    metrics=ROWS,
    sweep=SweepState(methods=ROWS),
    trust=TrustState(tests=ROWS),
)
RESULT = ResultState(maps=(MapFacts("n1", "T1 | tumor"),), current="n1")
READY = replace(panelState(), result=RESULT, compare=COMPARE)


def with_(**changes) -> PanelState:
    return replace(READY, compare=replace(COMPARE, **changes))


@pytest.mark.parametrize("signed", [True, False])
def test_evidence_against_can_be_chosen_where_a_map_has_it(signed):
    maps = (MapFacts("n1", "T1 | tumor"), MapFacts("n2", "T1 | edema", signed=signed))
    state = replace(with_(sign="negative"), result=ResultState(maps=maps, current="n1"))
    controls = ComparePanel.controls(state)
    assert controls["compareSignComboBox"].visible is signed
    assert controls["compareSignLabel"].visible is signed
    assert controls["compareSignComboBox"].current == "negative"
    assert ComparePanel.signOf(state) == ("negative" if signed else "positive")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (replace(READY, result=ResultState()), "no map yet"),
        (with_(truth=""), "Choose a segmentation"),
        (with_(segments=()), "no segments"),
        (with_(segments=(EDEMA,)), "at least one segment"),
        (with_(metrics=(ROWS[1],)), "at least one metric"),
        (replace(READY, explain=ExplainState(running=True)), "being answered"),
    ],
)
def test_one_sentence_says_why_nothing_can_be_compared(state, words):
    problem = ComparePanel.problem(state)
    assert words in problem
    controls = ComparePanel.controls(state)
    assert controls["compareButton"].enabled is False
    assert controls["compareButton"].toolTip == problem
    assert controls["compareStatusLabel"].text == problem
    assert controls["compareStatusLabel"].visible


def test_ready():
    controls = ComparePanel.controls(READY)
    assert ComparePanel.problem(READY) == ""
    for name in ("compare", "structures", "spots", "sweep", "trust", "saveReport"):
        assert controls[f"{name}Button"].enabled, name
    assert controls["compareStatusLabel"].visible is False
    assert controls["compareProgressBar"].visible is False
    assert controls["compareCancelButton"].visible is False
    assert controls["truthSelector"].node == "n2"
    assert controls["truthSegmentsList"].visible
    assert controls["compareMapsComboBox"].current == "all"
    assert controls["tablesWidget"].visible is False
    assert controls["plotButton"].enabled is controls["exportTableButton"].enabled is False


def test_without_ground_truth_hot_spots_sweeps_and_tests_are_possible():
    controls = ComparePanel.controls(with_(truth="", segments=()))
    for name in ("spots", "sweep", "trust", "saveReport"):
        assert controls[f"{name}Button"].enabled, name
    assert controls["structuresButton"].enabled is False
    assert "Choose a segmentation" in controls["structuresButton"].toolTip
    assert "measured by themselves" in controls["sweepButton"].toolTip


@pytest.mark.parametrize("kind", ["metrics", "structures", "spots", "sweep", "trust", "report"])
def test_one_thing_at_a_time_which_can_be_canceled(kind):
    state = with_(running=kind, message="Comparing A", fraction=0.314)
    controls = ComparePanel.controls(state)
    for name in ("compare", "structures", "spots", "sweep", "trust", "saveReport"):
        assert controls[f"{name}Button"].enabled is False
        assert "being measured" in controls[f"{name}Button"].toolTip
    assert controls["compareCancelButton"].enabled
    assert controls["compareCancelButton"].visible
    assert controls["compareProgressBar"].value == 31
    assert controls["compareStatusLabel"].text == "Comparing A"
    controls = ComparePanel.controls(with_(running=kind, canceling=True))
    assert controls["compareCancelButton"].enabled is False
    assert controls["compareStatusLabel"].text == "Canceling"
    assert ComparePanel.doing(CompareState(running=kind)) == "Starting"
    waiting = CompareState(running=kind, message="Deletion", secondsLeft=30.0)
    assert ComparePanel.doing(waiting) == "Deletion, about 30 s left"


def test_a_table_can_be_plotted_and_saved():
    shown = {"tables": (("n3", "First"), ("n4", "Second")), "table": "n3"}
    columns = (("IoU", "IoU"), ("Dice", "Dice"))
    state = with_(**shown, columns=columns, column="Dice", maps="current", remark="why")
    controls = ComparePanel.controls(state)
    assert controls["tablesWidget"].visible
    assert controls["plotButton"].enabled
    assert controls["exportTableButton"].enabled
    assert controls["tablesComboBox"].current == "n3"
    assert controls["tablesComboBox"].toolTip == "why"
    metrics = controls["plotColumnComboBox"]
    assert [(item.key, item.label) for item in metrics.items] == [
        ("", "The usual"), ("IoU", "IoU"), ("Dice", "Dice"),
    ]  # fmt: skip
    assert metrics.current == "Dice"
    assert controls["compareMapsComboBox"].current == "current"
    gone = ComparePanel.controls(with_(**shown, columns=columns[:1], column="Dice"))
    assert gone["plotColumnComboBox"].current == ""
    nothing = ComparePanel.controls(with_(**shown))
    assert nothing["plotButton"].enabled is False
    assert "nothing to plot" in nothing["plotButton"].toolTip


THRESHOLDS = {
    "otsu": Threshold(),
    "otsu+largest": Threshold(largest=True),
    "0.4": Threshold("share", 0.4),
    "0.4+largest": Threshold("share", 0.4, True),
    "value:1.5": Threshold("value", 1.5),
    "quantile:0.95+largest": Threshold("quantile", 0.95, True),
}


@pytest.mark.parametrize(("text", "threshold"), THRESHOLDS.items(), ids=THRESHOLDS)
def test_thresholds_are_those_of_the_engine(text, threshold):
    from attention_maps.measures.threshold import read_threshold

    assert ThresholdChoice.parsed(text) == threshold
    assert threshold.text == text
    read = read_threshold(threshold.value)
    kinds = {"otsu": "otsu", "share": "fraction", "value": "value", "quantile": "quantile"}
    assert read.kind == kinds[threshold.kind]
    assert (read.number, read.largest) == (threshold.number, threshold.largest)
    controls = ThresholdChoice.controls(text)
    assert controls["compareThresholdComboBox"].current == threshold.kind
    assert controls["compareThresholdSpinBox"].visible is (threshold.kind != "otsu")
    assert controls["compareLargestCheckBox"].checked is threshold.largest


@pytest.mark.parametrize("text", ["", "li", "1.5", "quantile:2", "share:0.5:3", "value:x"])
def test_a_broken_threshold_of_a_scene_is_otsus(text):
    assert ThresholdChoice.parsed(text).kind == "otsu"


def test_another_kind_of_threshold_begins_with_its_usual_number():
    threshold = ThresholdChoice.ofKind(Threshold("share", 0.4, True), "quantile")
    assert threshold == Threshold("quantile", 0.95, True)
    assert ThresholdChoice.withNumber(threshold, 0.9).text == "quantile:0.9+largest"
    assert ThresholdChoice.withLargest(threshold, False).text == "quantile:0.95"


def test_all_metrics_of_the_registry_are_offered_with_what_they_are():
    rows = CheckRows.metricRows(am.metrics(), [])
    assert [row.key for row in rows] == list(am.metrics())
    assert all(row.checked for row in rows)
    by = {row.key: row for row in CheckRows.metricRows(am.metrics(), ["dice"])}
    assert [key for key, row in by.items() if row.checked] == ["dice"]
    assert by["peak_distance"].label == "Peak distance (mm)"
    for key, item in am.metrics().items():
        assert item.description in by[key].toolTip
        assert f"{item.better.title()} is better." in by[key].toolTip
        assert item.reference in by[key].toolTip


def test_methods_of_a_layer_and_tests_are_offered():
    methods = {row.key: row for row in CheckRows.methodRows(am.methods(), [])}
    assert set(methods) == {name for name, item in am.methods().items() if item.has_layer}
    assert methods["grad_cam"].checked
    assert not methods["score_cam"].checked
    assert "many times" in methods["score_cam"].toolTip
    assert not methods["cam"].checked
    rows = CheckRows.testRows(am.trust_tests(), ["deletion"])
    assert [row.key for row in rows if row.checked] == ["deletion"]
    assert CheckRows.chosen(rows) == ["deletion"]


def test_the_usual_choice_is_stored_as_none():
    assert CheckRows.stored(["a", "b"], ["a", "b"]) == "[]"
    assert CheckRows.stored(["b"], ["a", "b"]) == '["b"]'
    assert CheckRows.stored([], ["a"]) == '[""]'


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (with_(segments=(EDEMA,)), "at least one segment"),
        (with_(sweep=SweepState(methods=ROWS[1:])), "at least one method"),
        (replace(READY, input=PanelState().input), "Choose a volume"),
        (with_(running="trust"), "being measured"),
    ],
)
def test_one_sentence_says_why_nothing_can_be_tried(state, words):
    assert words in SweepPanel.problem(state)
    assert ComparePanel.controls(state)["sweepButton"].toolTip == SweepPanel.problem(state)


def test_everything_that_can_be_used_says_what_it_is():
    used = ("Button", "ComboBox", "SpinBox", "CheckBox", "Selector")
    for name, control in ComparePanel.controls(READY).items():
        if name.endswith(used):
            assert control.toolTip, name


SWEPT = SweepState(
    methods=ROWS,
    table="n5",
    metrics=(("iou", "IoU"), ("peak_distance", "Peak distance (mm)")),
    metric="iou",
    segments=("tumor", "edema"),
    segment="tumor",
    rows=("up1", "up2"),
    columns=("grad_cam", "hires_cam"),
    labels=("Grad-CAM", "HiResCAM"),
    values=((0.1, 0.5), (math.nan, 0.9)),
    best=("up2", "hires_cam"),
)


def test_heat_map_is_light_where_it_is_best():
    cells = SweepPanel.cells(SWEPT)
    assert [[cell.text for cell in row] for row in cells] == [["0.1", "0.5"], ["", "0.9"]]
    assert cells[1][0].color is None
    assert cells[0][0].color == (68, 1, 84)
    assert cells[1][1].color == (253, 231, 37)
    assert cells[0][0].isDark
    assert not cells[1][1].isDark
    lower = SweepPanel.cells(replace(SWEPT, better="lower"))
    assert lower[0][0].color == (253, 231, 37)
    same = SweepPanel.cells(replace(SWEPT, values=((0.5, 0.5), (0.5, math.nan))))
    assert same[0][0].color == (253, 231, 37)
    assert SweepPanel.cells(SweepState()) == ()


def test_the_best_is_named_and_can_be_shown():
    controls = ComparePanel.controls(with_(sweep=SWEPT))
    assert controls["sweepResultWidget"].visible
    assert controls["sweepBestLabel"].text == "Best: HiResCAM at up2, 0.9."
    assert SweepPanel.bestCell(SWEPT) == (1, 1)
    assert controls["showBestButton"].enabled
    assert controls["sweepSegmentComboBox"].visible
    assert controls["sweepMetricComboBox"].current == "iou"
    nothing = ComparePanel.controls(with_(sweep=replace(SWEPT, best=None)))
    assert nothing["showBestButton"].enabled is False
    assert nothing["sweepBestLabel"].text == "No map has a value."
    busy = ComparePanel.controls(with_(sweep=SWEPT, running="trust"))
    assert busy["showBestButton"].enabled is False


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (replace(READY, result=ResultState()), "no map yet"),
        (with_(trust=TrustState("unknown", tests=ROWS, why="It is gone.")), "It is gone."),
        (with_(trust=TrustState("other model", "/x/net.pt", tests=ROWS)), "choose '/x/net.pt'"),
        (with_(trust=TrustState("other volumes", tests=ROWS)), "other volumes"),
        (with_(trust=TrustState(tests=ROWS[1:])), "at least one test"),
        (replace(READY, explain=ExplainState(running=True)), "being answered"),
    ],
)
def test_one_sentence_says_why_a_map_cannot_be_tested(state, words):
    assert words in TrustPanel.problem(state)
    controls = ComparePanel.controls(state)
    assert controls["trustButton"].enabled is False
    assert controls["trustButton"].toolTip == TrustPanel.problem(state)


FINDING = {
    "test": "deletion", "label": "Deletion", "verdict": "passed", "sentence": "It is so.",
    "figures": {"area": 0.1}, "controls": {}, "curves": [{}], "rows": [], "reason": "",
    "reference": "A paper",
}  # fmt: skip


def test_findings_are_read_with_their_verdict():
    found = TrustPanel.foundOf(FINDING, lambda numbers: str(numbers or ""))
    assert found.text == "Deletion (passed)\nIt is so."
    assert found.toolTip == "It is so.\nMap: {'area': 0.1}\nA paper"
    assert found.hasCurves
    untested = {**FINDING, "verdict": "not tested", "sentence": "", "reason": "No layers."}
    assert TrustPanel.foundOf(untested, str).text == "Deletion (not tested)\nNo layers."


def test_curves_of_the_chosen_finding_are_plotted():
    found = (Found("a", "note", "A (note)\nx"), Found("b", "passed", "B (passed)\ny", "", True))
    trust = TrustState(tests=ROWS, findings=found, remark="Fails sanity checks.")
    controls = ComparePanel.controls(with_(trust=trust))
    assert controls["trustResultWidget"].visible
    assert controls["trustRemarkLabel"].text == "Fails sanity checks."
    assert controls["trustCurvesButton"].text == "Plot: B (passed)"
    controls = ComparePanel.controls(with_(trust=replace(trust, chosen="a")))
    assert controls["trustCurvesButton"].enabled is False
    assert controls["trustCurvesButton"].text == "Plot curves"
