"""What the Explain section shows and why, its caption, and what is said of errors."""

from dataclasses import replace

import pytest

from attention_maps.errors import Cancelled, ImageError, WorkerError
from panel_states import MODEL, panelState
from SlicerAttentionMapsLib.Panel import Messages
from SlicerAttentionMapsLib.Panel.Caption import captionOf
from SlicerAttentionMapsLib.Panel.Control import Control
from SlicerAttentionMapsLib.Panel.ExplainPanel import ExplainState, controls, doing, problem

MAP = {
    "target": "brain",
    "score": 1234.5678,
    "voxels": 4200,
    "method_label": "Grad-CAM",
    "layer": "up1",
    "evidence": True,
    "note": "",
}


def test_all_is_there():
    shown = controls(panelState())
    assert problem(panelState()) == ""
    assert shown["explainButton"].enabled is True
    assert shown["cancelButton"].enabled is False
    assert shown["explainProblemLabel"].visible is False
    assert shown["explainProgressBar"].visible is False
    assert shown["explainMessageLabel"].visible is False


def test_what_is_missing_is_said_beside_the_button_and_in_its_tool_tip():
    shown = controls(panelState(modelPath=""))
    assert shown["explainButton"].enabled is False
    assert shown["explainButton"].toolTip == "Choose a model."
    assert shown["explainProblemLabel"] == Control(text="Choose a model.", visible=True)


def test_while_it_runs_it_can_be_canceled():
    running = ExplainState(running=True, fraction=0.257, message="Running the network")
    shown = controls(panelState(explain=running))
    assert shown["explainButton"].enabled is False
    assert "cancel it" in shown["explainButton"].toolTip
    assert shown["cancelButton"].enabled is True
    assert shown["explainProgressBar"] == Control(visible=True, value=26)
    assert shown["explainMessageLabel"] == Control(visible=True, text="Running the network")
    assert shown["captionLabel"].visible is False

    shown = controls(panelState(explain=replace(running, canceling=True)))
    assert shown["cancelButton"].enabled is False
    assert shown["explainMessageLabel"].text == "Canceling"


@pytest.mark.parametrize(("fraction", "value"), [(-1.0, 0), (0.0, 0), (0.999, 100), (7.0, 100)])
def test_the_bar_stays_within_its_ends(fraction, value):
    state = panelState(explain=ExplainState(running=True, fraction=fraction))
    assert controls(state)["explainProgressBar"].value == value


def test_time_is_told_once_it_is_known():
    assert doing(ExplainState(running=True)) == "Starting"
    asked = ExplainState(running=True, message="Masking", secondsLeft=42.0)
    assert doing(asked) == "Masking, about 45 s left"


def test_the_log_is_copied_where_there_is_one():
    assert controls(panelState())["copyLogButton"].enabled is False
    shown = controls(panelState(explain=ExplainState(log="12:00 Asked")))
    assert shown["copyLogButton"].enabled is True
    assert shown["logText"].text == "12:00 Asked"


def test_the_caption_stays_until_the_next_question():
    shown = controls(panelState(explain=ExplainState(caption="brain")))
    assert shown["captionLabel"] == Control(text="brain", visible=True)


def test_a_caption_tells_class_score_method_and_layer():
    assert captionOf([]) == ""
    assert captionOf([MAP]) == (
        "brain: score 1235, 4200 voxels of the network's answer\nGrad-CAM | up1"
    )


def test_a_caption_says_where_there_is_no_evidence():
    text = captionOf([{**MAP, "evidence": False, "voxels": None, "score": 0.0}])
    assert text == "brain: score 0\nGrad-CAM | up1: no evidence, the map is zero everywhere"


def test_a_caption_tells_what_the_engine_remarks():
    assert "it is not predicted" in captionOf([{**MAP, "note": "it is not predicted"}])


def test_a_caption_of_many_maps_stays_short():
    lines = captionOf([{**MAP, "layer": f"up{n}"} for n in range(20)]).splitlines()
    assert len(lines) == 8
    assert lines[-1] == "... and 14 more"


def test_errors_that_people_can_help_are_told_as_they_are():
    for error in (
        ImageError("Expected a volume."),
        WorkerError("It ended."),
        FileNotFoundError("gone"),
    ):
        assert Messages.isExpected(error)
        assert Messages.textOf(error) == str(error)
    assert Messages.textOf("Just so.") == "Just so."


def test_errors_that_nobody_expects_name_the_log():
    error = KeyError("x")
    assert not Messages.isExpected(error)
    assert "KeyError: 'x'" in Messages.textOf(error)
    assert "log" in Messages.textOf(error)
    assert "RuntimeError" in Messages.textOf(RuntimeError())


def test_what_a_person_canceled_is_no_error():
    assert Messages.isCancel(Cancelled("x"))
    assert not Messages.isCancel(ImageError("x"))
    assert not Messages.isCancel("Cancelled")


def test_messages_are_few_and_none_stands_there_twice():
    messages: tuple[str, ...] = ()
    for text in ("a", "b", "a", "c", "d"):
        messages = Messages.withMessage(messages, text)
    assert messages == ("d", "c", "a")
    assert Messages.controls(messages)["messageFrame"].visible is True
    assert Messages.controls(messages)["messageLabel"].text == "d\n\nc\n\na"
    assert Messages.controls(())["messageFrame"].visible is False


WINDOWS = {**MODEL, "windows": True}


def test_what_a_run_over_windows_takes_is_said_before_it():
    known = ExplainState(estimate="128 windows, about 2.1 GiB, 40 s", regionNode="ROI1")
    shown = controls(panelState(model=WINDOWS, explain=known))
    assert shown["estimateLabel"].visible is True
    assert shown["estimateLabel"].text == "Takes 128 windows, about 2.1 GiB, 40 s."
    assert shown["limitBox"].visible is True
    assert shown["regionSelector"].node == "ROI1"
    assert shown["regionSelector"].enabled is True
    running = controls(panelState(model=WINDOWS, explain=replace(known, running=True)))
    assert running["estimateLabel"].visible is False
    assert running["regionSelector"].enabled is False
    assert controls(panelState(model=WINDOWS))["estimateLabel"].visible is False
    outside = ExplainState(estimateProblem="No window holds anything of the region.")
    shown = controls(panelState(model=WINDOWS, explain=outside))
    assert shown["estimateLabel"].visible is True
    assert shown["estimateLabel"].text == "No window holds anything of the region."


@pytest.mark.parametrize("model", [MODEL, None])
def test_a_model_without_windows_is_not_limited(model):
    shown = controls(panelState(model=model, explain=ExplainState(estimate="about 1 GiB")))
    assert shown["estimateLabel"].visible is False
    assert shown["limitBox"].visible is False
