"""What the Method and Layer section shows and why."""

from typing import Annotated, Literal

import pytest

import attention_maps as am
from attention_maps.registry import Option, _options
from attention_maps.types import LayerInfo
from SlicerAttentionMapsLib.Panel import LayerRows, MethodPanel, OptionFields
from SlicerAttentionMapsLib.Panel.InputPanel import InputState, VolumeFacts
from SlicerAttentionMapsLib.Panel.MethodPanel import MethodState
from SlicerAttentionMapsLib.Panel.State import PanelState

METHODS = am.methods()
LAYERS = (
    LayerInfo("init.0", "Conv3d", (1, 16, 32, 32, 32), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0)),
    LayerInfo("act", "ReLU", (1, 16, 32, 32, 32), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0)),
    LayerInfo("init", "Sequential", (1, 16, 32, 32, 16), (2.0, -2.0, 4.0), (0.0, 0.0, 0.0)),
    LayerInfo("act#2", "ReLU", (1, 16, 32, 32, 32), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0)),
    LayerInfo("up.a.conv", "Conv3d", (1, 2, 64, 64, 64), (1.0, 1.0, 1.0)),
    LayerInfo("head", "Linear", (1, 2), None, None, False, "no spatial axes"),
    LayerInfo("aux", "", (), None, None, False),
)
AUTOMATIC = ["auto", "auto:bottleneck", "all"]


def model(**changes):
    return {"spacing": [], "spatial_dims": 3, "spec": {}, **changes}


def state(known=None, spacing=(1.0, 1.0, 1.0), **method) -> PanelState:
    volume = VolumeFacts("V", "T1", (10, 10, 10), spacing)
    chosen = MethodState(**{"methods": METHODS, **method})
    return PanelState(method=chosen, input=InputState(volumes=(volume,), model=known or model()))


def shown(panelState, name):
    return MethodPanel.controls(panelState)[name]


def test_methods_come_from_the_register():
    box = shown(state(method="hires_cam"), "methodComboBox")
    assert [(item.key, item.label) for item in box.items] == [
        (name, item.label) for name, item in METHODS.items()
    ]
    assert box.current == "hires_cam"
    for item in box.items:
        assert METHODS[item.key].reference in item.toolTip
        assert METHODS[item.key].description in item.toolTip
        assert ("Caution: " in item.toolTip) == bool(METHODS[item.key].remark)
        assert ("negative values" in item.toolTip) == METHODS[item.key].signed
    label = shown(state(method="hires_cam"), "methodDescriptionLabel")
    assert label.text == METHODS["hires_cam"].description
    assert "2011.08891" in label.toolTip


def test_before_the_methods_are_known():
    found = MethodPanel.controls(PanelState())
    assert found["methodComboBox"].items == ()
    assert found["methodDescriptionLabel"].text == ""
    assert not found["optionsWidget"].visible
    assert not found["defaultOptionsButton"].enabled
    assert found["layerHintLabel"].text == "Choose a model: its layers are listed here."
    assert MethodPanel.fields(PanelState()) == ()
    assert MethodPanel.problem(PanelState()) == ""
    assert MethodPanel.tree(PanelState()).enabled


def test_options_are_there_where_a_method_has_some():
    assert not shown(state(), "optionsWidget").visible
    assert shown(state(method="occlusion"), "optionsWidget").visible
    assert not shown(state(method="occlusion"), "defaultOptionsButton").enabled
    changed = state(method="occlusion", options={"size": 8})
    assert shown(changed, "defaultOptionsButton").enabled
    same = state(method="occlusion", options={"size": 0})
    assert not shown(same, "defaultOptionsButton").enabled
    assert MethodPanel.fields(changed)[0].value == 8


@pytest.mark.parametrize("name", METHODS)
def test_every_option_of_every_method_has_a_field(name):
    fields = OptionFields.optionFields(METHODS[name], {})
    assert [field.name for field in fields] == list(METHODS[name].options)
    for field in fields:
        assert field.value == field.default == METHODS[name].options[field.name].default
        assert field.kind in ("int", "float", "bool", "choice")
        assert field.label[0].isupper()
        assert "efault" in field.toolTip
        if field.kind in ("int", "float"):
            assert field.low <= field.default <= field.high
        if field.kind == "float":
            assert round(field.default, field.decimals) == field.default


def test_lengths_say_that_they_are_mm():
    (field,) = OptionFields.optionFields(am.metrics()["pointing_game"], {})
    assert (field.label, field.unit) == ("Tolerance", "mm")


def example(
    probe,
    *,
    two_words: Annotated[int, Option("a number", 1, 5)] = 2,
    seed: Annotated[int, Option("a seed", 0)] = 0,
    share: Annotated[float, Option("a share", 0, 1)] = 0.5,
    fine: Annotated[float, Option("a small share")] = 0.00002,
    flag: Annotated[bool, Option("a switch")] = False,
    kind: Annotated[Literal["a", "b"], Option("a choice")] = "a",
):
    """An example."""


METHOD = am.registry.Method(
    "example", "Example", example, "input", True, False, "blend", "An example.", "doi:0",
    options=_options(example),
)  # fmt: skip


def test_fields_of_all_kinds():
    found = {field.name: field for field in OptionFields.optionFields(METHOD, {"flag": True})}
    described = {
        name: (field.kind, field.low, field.high, field.decimals) for name, field in found.items()
    }
    assert described == {
        "two_words": ("int", 1, 5, 0),
        "seed": ("int", 0, 2**31 - 1, 0),
        "share": ("float", 0, 1, 3),
        "fine": ("float", -1e6, 1e6, 6),
        "flag": ("bool", -1e6, 1e6, 0),
        "kind": ("choice", -1e6, 1e6, 0),
    }
    assert found["two_words"].label == "Two words"
    assert found["kind"].choices == ("a", "b")
    assert found["flag"].value is True
    tips = {name: field.toolTip for name, field in found.items()}
    assert tips == {
        "two_words": "A number. From 1 to 5; default: 2.",
        "seed": "A seed. At least 0; default: 0.",
        "share": "A share. From 0 to 1; default: 0.5.",
        "fine": "A small share. Default: 2e-05.",
        "flag": "A switch. Default: False.",
        "kind": "A choice. Default: a.",
    }


def test_values_that_are_not_allowed_count_as_defaults():
    chosen = {"two_words": 9, "kind": "c", "share": "x", "seed": 3, "gone": 1, "flag": False}
    assert OptionFields.changedOptions(METHOD, chosen) == {"seed": 3}


def rowsByKey(rows):
    found = {}
    for row in rows:
        found[row.key] = row
        found.update(rowsByKey(row.children))
    return found


def test_layers_are_nested_in_execution_order():
    rows = LayerRows.layerRows(LAYERS, (1.0, 1.0, 1.0))
    assert [row.key for row in rows] == [*AUTOMATIC, "init", "act", "act#2", "up", "head", "aux"]
    found = rowsByKey(rows)
    init = found["init"]
    assert (init.kind, init.size, init.enabled) == ("Sequential", "16 x 32 x 32 x 16", True)
    assert [child.key for child in init.children] == ["init.0"]
    assert found["init.0"].label == "0"
    assert (found["init.0"].size, found["head"].size) == ("16 x 32^3", "2")
    assert found["init.0"].toolTip == "init.0"
    assert found["up"].enabled is False
    assert found["up"].toolTip == "A group of layers: choose among those below it."
    assert [child.key for child in found["up"].children] == ["up.a"]
    assert found["up.a.conv"].label == "conv"
    assert (found["head"].enabled, found["head"].toolTip) == (False, "head: no spatial axes.")
    assert found["aux"].toolTip == "aux: it has no place in the scan."
    assert [row.key for row in LayerRows.layerRows(None, None)] == AUTOMATIC
    assert all(found[key].toolTip and found[key].enabled for key in AUTOMATIC)


@pytest.mark.parametrize(
    ("spacing", "even", "uneven"),
    [
        ((1.0, 1.0, 1.0), "2 (2 mm)", "2 x 2 x 4 (2 x 2 x 4 mm)"),
        ((0.5, 0.5, 1.25), "2 (1 x 1 x 2.5 mm)", "2 x 2 x 4 (1 x 1 x 5 mm)"),
        (None, "2", "2 x 2 x 4"),
        ((1.0, 1.0), "2", "2 x 2 x 4"),
    ],
)
def test_steps_in_voxels_and_mm(spacing, even, uneven):
    found = rowsByKey(LayerRows.layerRows(LAYERS, spacing))
    assert (found["init.0"].step, found["init"].step, found["head"].step) == (even, uneven, "")


@pytest.mark.parametrize(
    ("known", "spacing", "expected"),
    [
        ({}, (1.0, 2.0, 3.0), (1.0, 2.0, 3.0)),
        ({"spec": {"axis_order": "kji"}}, (1.0, 2.0, 3.0), (3.0, 2.0, 1.0)),
        ({"spacing": [1.5, 1.5, 2.0]}, (1.0, 2.0, 3.0), (1.5, 1.5, 2.0)),
        ({"spec": {"orientation": "RAS"}}, (1.0, 2.0, 3.0), None),
        ({"spec": {"orientation": "RAS"}}, (2.0, 2.0, 2.0), (2.0, 2.0, 2.0)),
        ({"spatial_dims": 2}, (1.0, 2.0, 3.0), None),
        ({"spec": {"input_size": {"kind": "fixed", "fit": "resize"}}}, (1.0, 1.0, 1.0), None),
        ({"spec": {"input_size": {"kind": "fixed"}}}, (1.0, 1.0, 1.0), None),
        ({"spec": {"input_size": {"kind": "multiple"}}}, (1.0, 1.0, 2.0), (1.0, 1.0, 2.0)),
        (
            {"spec": {"input_size": {"kind": "fixed", "fit": "pad_crop"}}},
            (1.0, 1.0, 1.0),
            (1.0, 1.0, 1.0),
        ),
    ],
)
def test_spacing_of_the_networks_input(known, spacing, expected):
    tree = MethodPanel.tree(state(model(**known), spacing, infos=LAYERS))
    assert tree.rows == LayerRows.layerRows(LAYERS, expected)


def test_spacing_without_a_volume_or_model():
    rows = LayerRows.layerRows(LAYERS, None)
    known = MethodState(methods=METHODS, infos=LAYERS)
    assert MethodPanel.tree(PanelState(method=known)).rows == rows
    inputs = InputState(volumes=(None,), model=model())
    assert MethodPanel.tree(PanelState(method=known, input=inputs)).rows == rows


@pytest.mark.parametrize(
    ("before", "now", "after"),
    [
        (["auto"], ["auto", "up"], ["up"]),
        (["up"], ["up", "down"], ["up", "down"]),
        (["up", "down"], ["up", "down", "auto"], ["auto"]),
        (["up"], ["all", "up"], ["all"]),
        (["all"], ["all", "auto"], ["auto"]),
        (["auto"], ["auto", "auto:bottleneck"], ["auto:bottleneck"]),
        (["up"], [], ["auto"]),
        (["auto"], ["auto"], ["auto"]),
        (["up"], ["auto", "all", "up"], ["auto"]),
    ],
)
def test_an_automatic_choice_stands_alone(before, now, after):
    assert LayerRows.settledSelection(before, now) == tuple(after)


def test_chosen_layers_are_in_the_order_in_which_they_run():
    names = ("act", "act#2", "init", "init.0")  # as the tree nests them
    assert LayerRows.inOrder(names, LAYERS) == ("init.0", "act", "init", "act#2")
    assert LayerRows.inOrder(("init", "all"), LAYERS) == ("all", "init")
    assert LayerRows.inOrder(names, None) == names


def test_rows_are_found_by_name_and_kind():
    found = rowsByKey(LayerRows.layerRows(LAYERS, None))
    for key, text, match in (
        ("init", "seq", True), ("init", "CONV", True), ("init.0", " conv ", True),
        ("up", "conv", True), ("up", "a.co", True), ("act", "conv", False), ("act", "", True),
    ):  # fmt: skip
        assert LayerRows.matches(found[key], text) == match, (key, text)


def test_tree_of_a_method_that_needs_no_layer():
    found = state(method="saliency", infos=LAYERS)
    text = "Saliency works on the network's input: it needs no layer."
    assert (MethodPanel.tree(found).enabled, MethodPanel.tree(found).toolTip) == (False, text)
    assert shown(found, "layerHintLabel").text == text
    assert not shown(found, "layerFilterEdit").enabled
    tree = MethodPanel.tree(state(infos=LAYERS, layers=("init", "act")))
    assert (tree.enabled, tree.selected) == (True, ("init", "act"))
    assert "Ctrl" in tree.toolTip


@pytest.mark.parametrize(
    ("known", "loading", "infos", "note", "text"),
    [
        (True, False, LAYERS, "", ""),
        (True, False, LAYERS, "Layer 'x' is gone.", "Layer 'x' is gone."),
        (True, True, None, "", "Looking at the network's layers..."),
        (True, False, None, "", "The layers are listed here once a volume is chosen."),
        (False, False, None, "", "Choose a model: its layers are listed here."),
        (True, False, LAYERS[-2:], "x", "No layer of this network can be explained: choose a "
         "method that needs none, such as Saliency."),
    ],
)  # fmt: skip
def test_hint_over_the_layers(known, loading, infos, note, text):
    chosen = MethodState(methods=METHODS, infos=infos, loading=loading, note=note)
    inputs = InputState(model=model() if known else None)
    hint = shown(PanelState(method=chosen, input=inputs), "layerHintLabel")
    assert (hint.text, hint.visible) == (text, bool(text))


def test_model_that_is_still_loading():
    inputs = InputState(modelLoading=True)
    found = PanelState(method=MethodState(methods=METHODS), input=inputs)
    assert shown(found, "layerHintLabel").text == "Looking at the network's layers..."


def test_filter_needs_layers():
    assert shown(state(infos=LAYERS), "layerFilterEdit").enabled
    assert not shown(state(), "layerFilterEdit").enabled


def test_what_cannot_be_explained():
    assert MethodPanel.problem(state(infos=LAYERS)) == ""
    assert MethodPanel.problem(state(infos=LAYERS[-2:], method="saliency")) == ""
    assert MethodPanel.problem(state(infos=LAYERS[-2:])).startswith("No layer")


def test_layers_of_another_model():
    chosen = ("init", "head", "gone", "auto")
    assert MethodPanel.missingLayers(state(infos=LAYERS, layers=chosen)) == ("head", "gone")
    assert MethodPanel.missingLayers(state(layers=chosen)) == ()
