"""What the Input section shows and why."""

from dataclasses import replace

import pytest

from panel_states import MODEL, T1, T2, panelState
from SlicerAttentionMapsLib.Panel import Fit
from SlicerAttentionMapsLib.Panel.Control import Control
from SlicerAttentionMapsLib.Panel.ExplainPanel import ExplainState
from SlicerAttentionMapsLib.Panel.InputPanel import (
    channelControls,
    channelNames,
    controls,
    formEntries,
    isModelDrop,
    modelLine,
    problem,
    warning,
)
from SlicerAttentionMapsLib.Panel.SpecForm import REST

FOUR = {**MODEL, "channels": 2, "channel_names": ["T1", "T2"]}
SPEC_ERROR = "spec has 2 problems:\n- spacing[1]: expected greater than 0, got -1\n- foo: unknown"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ""),
        ({"volumes": (None,)}, "Choose a volume."),
        ({"volumes": ()}, "Choose a volume."),
        ({"modelPath": ""}, "Choose a model."),
        ({"modelFound": False}, "There is no file or folder '/models/net.pt'."),
        ({"unread": {"spacing": ("x", "expected numbers")}}, "cannot be read"),
        ({"model": None, "modelError": "It is a pickle."}, "cannot be used"),
        ({"model": None, "modelLoading": True}, "is being loaded"),
        ({"model": FOUR}, "Choose a volume for the channel 'T2'."),
        ({"model": FOUR, "volumes": (None, T2)}, "Choose a volume for the channel 'T1'."),
        ({"model": FOUR, "volumes": (T1, T2)}, ""),
        ({"model": {**MODEL, "spatial_dims": 2}}, "takes 2D pictures, 'T1' is a 3D volume"),
    ],
)
def test_what_is_missing_is_said(given, said):
    state = panelState(**given)
    assert said in problem(state)
    assert bool(problem(state)) == bool(said)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ""),
        ({"volumes": (None,)}, ""),
        ({"model": None, "modelError": "It is a pickle."}, "It is a pickle."),
        ({"model": None, "modelError": SPEC_ERROR, "edited": True}, SPEC_ERROR),
        ({"modelFound": False}, "There is no file or folder"),
        ({"modelFound": False, "volumes": (None,)}, ""),
        ({"model": None, "modelLoading": True}, ""),
        ({"model": None, "volumes": (replace(T1, problem="No voxels."),)}, "No voxels."),
        ({"volumes": (replace(T1, components=3),)}, "takes 1 channel, 3 are chosen"),
        ({"volumes": (replace(T1, size=(256, 256, 1)),)}, "'T1' has a single slice"),
        ({"model": FOUR, "volumes": (T1, T1)}, "'T1' is chosen for more than one channel."),
        ({"model": {**MODEL, "spacing": [1, 1, 1]}}, ""),
        (
            {
                "model": {**MODEL, "spacing": [1, 1, 1]},
                "volumes": (replace(T1, spacing=(0.5, 0.5, 5.0)),),
            },
            "has voxels of 0.5 x 0.5 x 5 mm, the model was made for 1 x 1 x 1 mm",
        ),
    ],
)
def test_a_warning_names_the_reason(given, said):
    text = warning(panelState(**given))
    assert said in text
    assert bool(text) == bool(said)
    shown = controls(panelState(**given))
    assert shown["inputWarningFrame"].visible == bool(said)
    assert shown["inputWarningLabel"].text == text


def test_a_guessed_number_of_channels_warns_and_prevents_nothing():
    """The first layer tells; a network may make its channels of one volume, though."""
    guessed = {**MODEL, "channels": None, "first_channels": 4}
    one = panelState(model=guessed, volumes=(T1, None, None, None))
    assert channelNames(guessed) == ("Channel 1", "Channel 2", "Channel 3", "Channel 4")
    assert problem(one) == ""
    assert warning(one) == "The model's first layer takes 4 channels, 1 is chosen."
    two = panelState(model=guessed, volumes=(T1, T2, None, None))
    assert problem(two) == "Choose a volume for the channel 'Channel 3'."
    color = replace(T1, components=4)
    assert channelNames(guessed, 4) == ("Volume",)
    assert warning(panelState(model=guessed, volumes=(color,))) == ""


def test_what_does_not_fit_prevents_the_question():
    assert Fit.obstacle(MODEL, (T1,)) == ""
    other = replace(T2, size=(10, 10, 10))
    two = {**MODEL, "channels": 2}
    assert "'T2' has 10 x 10 x 10 voxels, 'T1' has 176 x 256 x 256" in Fit.obstacle(
        two, (T1, other)
    )
    assert "takes 2 channels, 1 is chosen" in Fit.obstacle(two, (T1,))
    assert Fit.obstacle({**MODEL, "channels": None}, (T1, T2)) == ""
    bent = replace(T1, problem="bent")
    assert Fit.obstacle(MODEL, (bent,)) == "bent"
    flat = replace(T1, size=(256, 256, 1))
    assert Fit.obstacle({**MODEL, "spatial_dims": 2}, (flat,)) == ""


@pytest.mark.parametrize(
    ("spacing", "wanted", "said"),
    [
        ((1, 1, 3), [3, 1, 1], ""),  # the axes may be in another order
        ((1, 1, 1.9), [1, 1, 1], ""),
        ((1, 1, 2.1), [1, 1, 1], "resampling cannot bring detail back"),
        ((0.3, 0.3, 0.3), [1, 1, 1], ""),
        ((0.001, 0.001, 0.001), [1, 1, 1], "check its unit"),
        ((1, 1, 12), [], "up to 12 mm"),
        ((1, 1, 9), [], ""),
    ],
)
def test_spacings_that_are_far_off(spacing, wanted, said):
    text = Fit.warning({**MODEL, "spacing": wanted}, (replace(T1, spacing=spacing),))
    assert said in text
    assert bool(text) == bool(said)


def test_a_picture_has_no_spacing_to_warn_of():
    picture = replace(T1, size=(256, 256, 1), spacing=(9, 9, 99))
    assert Fit.warning({**MODEL, "spatial_dims": 2}, (picture,)) == ""


def test_there_is_a_selector_per_channel():
    assert channelNames(None) == ("Volume",)
    assert channelNames(MODEL) == ("Volume",)
    assert channelNames(FOUR) == ("T1", "T2")
    assert channelNames({**MODEL, "channels": 2}) == ("Channel 1", "Channel 2")
    assert channelNames({**MODEL, "channels": None}) == ("Volume",)
    assert channelNames(FOUR, components=2) == ("Volume",)  # a volume that holds both


def test_selectors_show_the_chosen_volumes():
    shown = channelControls(panelState(model=FOUR, volumes=(None, T2)))
    assert [(name, control.node) for name, control in shown] == [("T1", ""), ("T2", T2.key)]
    shown = channelControls(panelState(volumes=(T1, T2)))
    assert [(name, control.node) for name, control in shown] == [("Volume", T1.key)]
    shown = channelControls(panelState(volumes=()))
    assert [control.node for _name, control in shown] == [""]


def test_nothing_can_be_changed_while_a_question_is_answered():
    state = panelState(explain=ExplainState(running=True))
    assert controls(state)["modelPathEdit"].enabled is False
    assert controls(state)["modelFolderButton"].enabled is False
    assert controls(state)["specificationBox"].enabled is False
    assert not any(control.enabled for _name, control in channelControls(state))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "net.pt: TorchScript, 3D"),
        ({"model": None, "modelError": "no"}, "The model could not be loaded."),
        ({"model": None, "modelError": "no", "edited": True}, "The specification was refused."),
        ({"model": None, "modelLoading": True}, "Loading net.pt"),
        ({"model": None}, ""),
    ],
)
def test_the_model_is_described_in_one_line(given, line):
    state = panelState(**given)
    assert modelLine(state.input) == line
    assert controls(state)["modelLineLabel"] == Control(text=line, visible=bool(line))


def test_the_form_shows_the_specification_and_its_problems():
    fields = {"spacing": [1, 2, 3], "name": "X"}
    entries = formEntries(panelState(specification=fields).input)
    assert entries["spacing"].editor.text == "1, 2, 3"
    assert '"name": "X"' in entries[REST].editor.text
    assert not any(entry.problem for entry in entries.values())

    refused = panelState(specification=fields, edited=True, model=None, modelError=SPEC_ERROR)
    entries = formEntries(refused.input)
    assert entries["spacing"].problem == "expected greater than 0, got -1"
    assert entries[REST].problem == "foo: unknown"

    refused = panelState(
        sidecarFound=True, model=None, modelError="/models/net.json: spacing: expected a list"
    )
    assert formEntries(refused.input)["spacing"].problem == "expected a list"

    unread = panelState(unread={"spacing": ("1, x", "expected numbers, got 'x'")})
    entries = formEntries(unread.input)
    assert entries["spacing"].editor.text == "1, x"  # what was typed stays
    assert entries["spacing"].problem == "expected numbers, got 'x'"


def test_a_problem_of_the_file_itself_is_none_of_the_form():
    state = panelState(model=None, modelError="'net.pt' is a pickle.", edited=False)
    assert not any(entry.problem for entry in formEntries(state.input).values())
    assert warning(state) == "'net.pt' is a pickle."


@pytest.mark.parametrize(
    ("given", "enabled", "said"),
    [
        ({}, True, "net.json"),
        ({"sidecar": ""}, False, "folder"),
        ({"model": None}, False, "can be loaded"),
        ({"unread": {"spacing": ("x", "no")}}, False, "can be loaded"),
    ],
)
def test_only_what_works_is_saved(given, enabled, said):
    control = controls(panelState(**given))["saveSidecarButton"]
    assert control.enabled is enabled
    assert said in control.toolTip


@pytest.mark.parametrize(
    ("given", "said", "revertible"),
    [
        ({}, "Found out from the model.", False),
        ({"sidecarFound": True}, "From net.json.", False),
        ({"sidecarFound": True, "edited": True}, "Changed here", True),
        ({"unread": {"spacing": ("x", "no")}}, "Found out", True),
    ],
)
def test_the_form_says_where_the_specification_is_from(given, said, revertible):
    shown = controls(panelState(**given))
    assert said in shown["specificationLabel"].text
    assert shown["revertButton"].enabled is revertible


def test_images_are_not_taken_for_models():
    assert isModelDrop("/a/net.pt")
    assert isModelDrop("/a/Dataset001_X")
    assert not isModelDrop("/a/T1.nii.gz")
    assert not isModelDrop("/a/scene.MRB")
    assert not isModelDrop("")
