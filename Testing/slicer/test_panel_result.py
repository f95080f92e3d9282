"""What the Result section shows and why."""

from dataclasses import replace

import pytest

from SlicerAttentionMapsLib.Panel import ResultPanel
from SlicerAttentionMapsLib.Panel.ResultPanel import MapFacts, ResultState
from SlicerAttentionMapsLib.Panel.State import PanelState

FIRST = MapFacts("n1", "T1 | tumor", shown=True, onTop=True, largest=0.0123456, caption="Says.")
SECOND = MapFacts("n2", "T1 | edema", shown=False, largest=2.0)
EMPTY = MapFacts("n3", "T1 | none", shown=True, largest=0.0)
RESULT = ResultState(maps=(FIRST, SECOND), current="n1", scale=0.0123456)


def shown(result: ResultState) -> dict:
    return ResultPanel.controls(PanelState(result=result))


@pytest.mark.parametrize("result", [ResultState(), replace(RESULT, current="gone")])
def test_without_maps_it_says_where_they_come_from(result):
    controls = shown(result)
    assert controls["noMapsLabel"].visible
    assert "Explain" in controls["noMapsLabel"].text
    assert controls["resultBox"].visible is False


def test_the_newest_map_is_the_first_row():
    rows = ResultPanel.rows(replace(RESULT, maps=(FIRST, SECOND, EMPTY)))
    assert [row.id for row in rows] == ["n3", "n2", "n1"]
    assert [row.largest for row in rows] == ["no evidence", "2", "0.0123"]
    assert [row.checked for row in rows] == [True, False, True]
    assert [row.strong for row in rows] == [False, False, True]
    assert rows[2].toolTip == "Says.\nDouble-click or F2 to rename, Delete to remove."
    assert rows[1].toolTip == "Double-click or F2 to rename, Delete to remove."


@pytest.mark.parametrize(
    ("count", "current", "after"),
    [(3, "n3", "n2"), (3, "n2", "n1"), (3, "n1", "n2"), (1, "n1", ""), (0, "", "")],
)
def test_the_next_in_the_list_is_chosen_after_one_is_removed(count, current, after):
    maps = (FIRST, SECOND, EMPTY)[:count]  # listed the newest first
    assert ResultPanel.mapAfter(ResultState(maps=maps, current=current)) == after


def test_what_lies_on_top_cannot_be_brought_there():
    controls = shown(RESULT)
    assert controls["resultBox"].visible
    assert controls["noMapsLabel"].visible is False
    assert controls["topButton"].enabled is False
    assert "already" in controls["topButton"].toolTip
    assert shown(replace(RESULT, current="n2"))["topButton"].enabled


def test_a_single_map_needs_no_order():
    controls = shown(replace(RESULT, maps=(FIRST,)))
    assert controls["topButton"].visible is False
    assert controls["removeAllMapsButton"].visible is False


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "Colors from 0 to 0.0123; weaker than 0.00123 is not drawn."),
        (
            {"signed": True, "scale": 2.0, "hiddenFraction": 0.25},
            "Colors from -2 to 2; weaker than 0.5 is not drawn. "
            "Negative values speak against the answer.",
        ),
        (
            {"maps": (EMPTY,), "current": "n3"},
            "No evidence: the map is zero everywhere, so nothing is drawn.",
        ),
    ],
)
def test_words_about_the_scale(changes, text):
    assert shown(replace(RESULT, **changes))["scaleLabel"].text == text


def test_display_shows_what_the_map_has():
    controls = shown(
        replace(
            RESULT, opacity=0.7, hiddenFraction=0.2, colorTable="id", ownColors=False,
            smooth=False, legend=False, commonScale=True, in3D=True,
        )
    )  # fmt: skip
    assert controls["opacitySlider"].value == 0.7
    assert controls["hiddenSlider"].value == 0.2
    assert controls["colorTableComboBox"].node == "id"
    assert controls["ownColorsButton"].enabled
    assert controls["smoothCheckBox"].checked is False
    assert controls["legendCheckBox"].checked is False
    assert controls["commonScaleCheckBox"].checked
    assert controls["render3DCheckBox"].checked
    assert shown(RESULT)["ownColorsButton"].enabled is False


def test_an_empty_map_cannot_be_measured():
    controls = shown(ResultState(maps=(EMPTY,), current="n3"))
    for name in ("jumpButton", "segmentButton", "boxButton", "hiddenSlider", "render3DCheckBox"):
        assert controls[name].enabled is False
        assert controls[name].toolTip == "The map is zero everywhere."
    assert shown(RESULT)["boxButton"].enabled
    onceShown = ResultState(maps=(EMPTY,), current="n3", in3D=True)
    assert shown(onceShown)["render3DCheckBox"].enabled  # so that it can be hidden


def test_scrubber_is_there_for_several_layers():
    for layers in ((), ("enc.1",)):
        controls = shown(replace(RESULT, layers=layers))
        assert controls["layerScrubSlider"].visible is False
        assert controls["layerNameLabel"].visible is False
    controls = shown(replace(RESULT, layers=("enc.1", "enc.2", "up1"), layer=1))
    assert controls["layerScrubSlider"].visible
    assert controls["layerScrubSlider"].value == 1
    assert controls["layerNameLabel"].text == "enc.2 (2 of 3)"


@pytest.mark.parametrize(
    ("threshold", "automatic", "value"), [("otsu", True, 0.5), ("0.3", False, 0.3)]
)
def test_threshold(threshold, automatic, value):
    controls = shown(replace(RESULT, threshold=threshold))
    assert controls["regionOtsuCheckBox"].checked is automatic
    assert controls["regionShareSlider"].enabled is not automatic
    assert controls["regionShareSlider"].value == value
    assert ResultPanel.thresholdValue(threshold) == ("otsu" if automatic else 0.3)
