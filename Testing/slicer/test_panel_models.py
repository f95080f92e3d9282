"""Folders of networks, consent and missing packages: what the panel offers and remembers."""

import os
from dataclasses import replace

import pytest

from panel_states import MODEL, T1, panelState
from SlicerAttentionMapsLib.ModelTrust import ModelTrust
from SlicerAttentionMapsLib.Panel import InputPanel, ModelOptions, ModelRefusal
from SlicerAttentionMapsLib.Panel.Control import Item
from SlicerAttentionMapsLib.Panel.ExplainPanel import ExplainState
from SlicerAttentionMapsLib.Panel.ModelOptions import ModelOptions as Options
from SlicerAttentionMapsLib.WorkerChoices import WorkerChoices

CONSENT = (
    "'/models/net.pt2' is a torch.export archive, whose loading executes code that the file may "
    "carry (it is unpickled). If you know where it comes from, load it with trust=True (command "
    "line: --trust)."
)
CHOICES = {
    "configurations": ["2d", "3d_fullres"],
    "configuration": "3d_fullres",
    "folds": ["0", "1", "all"],
    "checkpoints": ["final", "best"],
}


class Settings:
    """As much of QSettings as is used."""

    def __init__(self) -> None:
        self.kept = {}

    def value(self, key, default=None):
        return self.kept.get(key, default)

    def setValue(self, key, value) -> None:
        self.kept[key] = value


def refused(message, kind, **given):
    return panelState(model=None, modelError=message, modelErrorKind=kind, **given)


def withInterpreter(state, interpreter):
    choices = WorkerChoices(interpreter=interpreter)
    return replace(state, setup=replace(state.setup, choices=choices))


def test_consent_is_asked_for_beside_the_message():
    state = refused(CONSENT, "ConsentError")
    shown = InputPanel.controls(state)
    assert shown["remedyButton"].visible is True
    assert shown["remedyButton"].text == "Trust this model..."
    assert shown["inputWarningLabel"].text == (
        "'/models/net.pt2' is a torch.export archive, whose loading executes code that the file "
        "may carry (it is unpickled). Trust it only if you know where it comes from."
    )
    assert ModelRefusal.remedy(state).kind == ModelRefusal.TRUST
    question = ModelRefusal.consentQuestion("/models/net.pt2")
    assert "'net.pt2'" in question
    assert "/models/net.pt2" in question


def test_a_package_is_offered_for_slicers_own_python_only():
    message = "A MONAI bundle needs the package monai; install it with `pip install monai`."
    state = refused(message, "MissingPackageError")
    assert ModelRefusal.remedy(state).package == "monai"
    assert InputPanel.controls(state)["remedyButton"].text == "Install monai..."
    assert InputPanel.warning(state) == (
        "This model needs the Python package monai, which is not installed."
    )
    other = withInterpreter(state, "/usr/bin/python3")
    assert ModelRefusal.remedy(other) is None
    assert "/usr/bin/python3 -m pip install monai" in InputPanel.warning(other)
    unknown = refused(
        "The worker misses the Python package 'x'; install it.", "MissingPackageError"
    )
    assert ModelRefusal.remedy(unknown) is None
    assert InputPanel.warning(unknown) == unknown.input.modelError


def test_a_network_of_pictures_may_look_slice_by_slice():
    flat = {**MODEL, "spatial_dims": 2}
    assert ModelRefusal.remedy(panelState(model=flat)).kind == ModelRefusal.SLICES
    assert "slice by slice" in InputPanel.problem(panelState(model=flat))
    assert ModelRefusal.slicesField(panelState(model=flat)) == {}
    diagnosis = panelState(model={**flat, "task": "classification"})
    assert ModelRefusal.slicesField(diagnosis) == {"together": "batch"}
    picture = replace(T1, size=(64, 64, 1))
    assert ModelRefusal.remedy(panelState(model=flat, volumes=(picture,))) is None
    assert ModelRefusal.remedy(panelState(model=flat, volumes=(None,))) is None


@pytest.mark.parametrize(
    "state", [panelState(), refused("It is a pickle.", "ModelError"), panelState(modelPath="")]
)
def test_where_a_click_cannot_help_there_is_no_button(state):
    assert ModelRefusal.remedy(state) is None
    assert InputPanel.controls(state)["remedyButton"].visible is False


def test_the_choices_of_a_folder_are_shown():
    state = panelState(choices=CHOICES)
    shown = ModelOptions.controls(state)
    assert shown["modelOptionsBox"].visible is True
    assert shown["configurationComboBox"].items == (
        Item("2d", "2d"), Item("3d_fullres", "3d_fullres"),
    )  # fmt: skip
    assert shown["configurationComboBox"].current == "3d_fullres"
    assert shown["checkpointComboBox"].current == "final"
    assert shown["mirroringCheckBox"].checked is True
    assert shown["usualOptionsButton"].enabled is False
    assert ModelOptions.folds(state) == (("0", True), ("1", True), ("all", False))
    bundle = {"configurations": ["inference"], "checkpoints": ["model.pt"]}
    shown = ModelOptions.controls(panelState(choices=bundle))
    assert shown["modelOptionsBox"].visible is True
    assert shown["configurationComboBox"].enabled is False
    assert shown["mirroringCheckBox"].visible is False
    assert shown["foldsWidget"].visible is False
    running = panelState(choices=CHOICES, explain=ExplainState(running=True))
    assert ModelOptions.controls(running)["modelOptionsBox"].enabled is False
    assert ModelOptions.controls(panelState())["modelOptionsBox"].visible is False


def test_a_choice_that_is_not_there_any_more_can_be_taken_back():
    state = panelState(options=Options("3d_lowres", checkpoint="latest"))
    shown = ModelOptions.controls(state)
    assert shown["modelOptionsBox"].visible is True
    assert shown["configurationComboBox"].current == "3d_lowres"
    assert shown["configurationComboBox"].items == (Item("3d_lowres", "3d_lowres"),)
    assert shown["checkpointComboBox"].current == "latest"
    assert shown["usualOptionsButton"].enabled is True


def test_folds_are_chosen_one_by_one_and_the_last_one_stays():
    state = panelState(choices=CHOICES)
    one = ModelOptions.withFold(state, "1", False)
    assert one.folds == ("0",)
    state = panelState(choices=CHOICES, options=one)
    assert ModelOptions.folds(state) == (("0", True), ("1", False), ("all", False))
    assert ModelOptions.withFold(state, "0", False).folds == ("0",)
    assert ModelOptions.withFold(state, "1", True).folds == ()  # the usual ones
    assert ModelOptions.withFold(state, "all", True).folds == ("0", "all")
    assert ModelOptions.withConfiguration(replace(one, mirroring=False), "2d") == Options(
        "2d", mirroring=False
    )


@pytest.mark.parametrize(
    "options",
    [Options(), Options("2d"), Options("2d", ("0", "2"), "best", mirroring=False)],
)
def test_choices_survive_the_scene(options):
    assert ModelOptions.parsed(ModelOptions.written(options)) == options
    assert (ModelOptions.written(options) == "") == (options == Options())


@pytest.mark.parametrize("text", ["{", "[1]", '{"folds": 3}', "null", '{"configuration": null}'])
def test_choices_that_cannot_be_read_are_none(text):
    assert ModelOptions.parsed(text) == Options()


def test_choices_go_to_the_engine():
    assert ModelOptions.forEngine(Options()) == {}
    chosen = Options("2d", ("0", "2"), "best", mirroring=False)
    assert ModelOptions.forEngine(chosen, trusted=True) == {
        "configuration": "2d", "folds": ["0", "2"], "checkpoint": "best", "trust": True,
    }  # fmt: skip
    assert ModelOptions.specificationFor({}, Options("2d")) is None
    assert ModelOptions.specificationFor({"orientation": "RAS"}, Options()) == {
        "orientation": "RAS"
    }
    windows = {"style": "nnunet", "overlap": 0.5, "blending": "gaussian"}
    assert ModelOptions.specificationFor({}, chosen) == {"sliding_window": windows}
    edited = {"sliding_window": {"overlap": 0.25, "mirror_axes": [0, 1]}, "name": "x"}
    assert ModelOptions.specificationFor(edited, chosen) == {
        "sliding_window": {"overlap": 0.25}, "name": "x",
    }  # fmt: skip


def test_consent_is_for_a_file_as_it_is(tmp_path):
    path, settings = tmp_path / "net.pt2", Settings()
    path.write_bytes(b"one")
    trust = ModelTrust(settings)
    assert not trust.covers(str(path))
    trust.give(str(path))
    assert trust.covers(str(path))
    assert not trust.covers(str(tmp_path))
    assert not trust.covers("")
    assert settings.kept == {}
    assert not ModelTrust(settings).covers(str(path))
    path.write_bytes(b"another")
    assert not trust.covers(str(path))


def test_consent_for_ever_is_kept_on_this_computer(tmp_path):
    path, settings = tmp_path / "net.pt2", Settings()
    path.write_bytes(b"one")
    ModelTrust(settings).give(str(path), always=True)
    assert ModelTrust(settings).covers(str(path))
    os.utime(path, ns=(1, 1))
    assert not ModelTrust(settings).covers(str(path))
    path.unlink()
    assert not ModelTrust(settings).covers(str(path))
    settings.kept = dict.fromkeys(settings.kept, "{")
    assert not ModelTrust(settings).covers(str(path))


def test_consent_for_a_folder_ends_when_a_file_in_it_changes(tmp_path):
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "model.pt"
    file.write_bytes(b"one")
    trust = ModelTrust(Settings())
    trust.give(str(tmp_path))
    assert trust.covers(str(tmp_path))
    (tmp_path / "models" / "__pycache__").mkdir()
    (tmp_path / "models" / "__pycache__" / "code.pyc").write_bytes(b"")
    (tmp_path / "run.log").write_text("loaded")
    assert trust.covers(str(tmp_path))
    (tmp_path / "models" / "code.py").write_text("pass")
    assert not trust.covers(str(tmp_path))
