"""What the Compare section shows and why."""

from dataclasses import replace

import pytest

from SlicerAttentionMapsLib.Panel import ComparePanel
from SlicerAttentionMapsLib.Panel.ComparePanel import CompareState, Segment
from SlicerAttentionMapsLib.Panel.ExplainPanel import ExplainState
from SlicerAttentionMapsLib.Panel.ResultPanel import MapFacts, ResultState
from SlicerAttentionMapsLib.Panel.State import PanelState

TUMOR, EDEMA = Segment("s1", "tumor"), Segment("s2", "edema", chosen=False)
COMPARE = CompareState(truth="n2", segments=(TUMOR, EDEMA))
RESULT = ResultState(maps=(MapFacts("n1", "T1 | tumor"),), current="n1")
READY = PanelState(result=RESULT, compare=COMPARE)


def with_(**changes) -> PanelState:
    return replace(READY, compare=replace(COMPARE, **changes))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (replace(READY, result=ResultState()), "no map yet"),
        (with_(truth=""), "Choose a segmentation"),
        (with_(segments=()), "no segments"),
        (with_(segments=(EDEMA,)), "at least one segment"),
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
    assert controls["compareButton"].enabled
    assert controls["compareButton"].text == "Compare"
    assert controls["compareStatusLabel"].visible is False
    assert controls["truthSelector"].node == "n2"
    assert controls["truthSegmentsList"].visible
    assert controls["compareOtsuCheckBox"].checked
    assert controls["compareMapsComboBox"].current == "all"
    assert controls["metricsBox"].visible is False
    assert controls["plotButton"].enabled is controls["exportTableButton"].enabled is False


def test_running_can_be_canceled():
    controls = ComparePanel.controls(with_(running=True, message="Comparing A", truth=""))
    assert controls["compareButton"].text == "Cancel"
    assert controls["compareButton"].enabled
    assert controls["compareStatusLabel"].text == "Comparing A"


def test_a_table_can_be_plotted_and_saved():
    controls = ComparePanel.controls(
        with_(table="n3", metrics=("IoU", "Dice"), metric="Dice", maps="current", threshold="0.4")
    )
    assert controls["metricsBox"].visible
    assert controls["plotButton"].enabled
    assert controls["exportTableButton"].enabled
    metrics = controls["plotMetricComboBox"]
    assert [(item.key, item.label) for item in metrics.items] == [
        ("", "All metrics"), ("IoU", "IoU"), ("Dice", "Dice"),
    ]  # fmt: skip
    assert metrics.current == "Dice"
    assert controls["compareMapsComboBox"].current == "current"
    assert controls["compareShareSlider"].value == 0.4
    gone = ComparePanel.controls(with_(table="n3", metrics=("IoU",), metric="Dice"))
    assert gone["plotMetricComboBox"].current == ""
