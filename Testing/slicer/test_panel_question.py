"""What the Question section shows and why."""

from dataclasses import replace

import pytest

from attention_maps.worker.results import WorkerAnswer
from SlicerAttentionMapsLib.Panel import QuestionPanel
from SlicerAttentionMapsLib.Panel.ClassChoices import classItems, leadingItem
from SlicerAttentionMapsLib.Panel.ExplainPanel import ExplainState
from SlicerAttentionMapsLib.Panel.InputPanel import InputState, VolumeFacts
from SlicerAttentionMapsLib.Panel.QuestionPanel import QuestionState
from SlicerAttentionMapsLib.Panel.State import PanelState

T1 = VolumeFacts("vtkMRMLScalarVolumeNode1", "T1", (10, 10, 10))
ANSWER = WorkerAnswer(
    "segmentation", "softmax", ("nothing", "organ", "tumor"), 0, (2, 1, 0),
    voxels=(900, 60, 40), volumes_ml=(1234.5, 12.34, 0.0567),
)  # fmt: skip
IDLE = ExplainState()
KINDS = WorkerAnswer(
    "classification", "softmax", ("healthy", "ill"), None, (1, 0), probabilities=(0.0234, 0.9766)
)


def model(names=("nothing", "organ", "tumor"), task="segmentation"):
    return {"class_names": list(names), "task": task}


def state(known=None, explain=IDLE, **question) -> PanelState:
    inputs = InputState(volumes=(T1,), model=model() if known is None else known)
    return PanelState(question=QuestionState(**question), input=inputs, explain=explain)


def shown(panelState, name):
    return QuestionPanel.controls(panelState)[name]


def labels(control):
    return [(item.key, item.label) for item in control.items]


def test_nothing_is_chosen():
    empty = PanelState()
    found = QuestionPanel.controls(empty)
    assert labels(found["classComboBox"]) == [("", "Likeliest")]
    assert not found["classComboBox"].enabled
    assert "Choose a model first" in found["classComboBox"].toolTip
    assert found["runNetworkButton"].toolTip == "Choose a volume and a model first."
    assert not found["runNetworkButton"].enabled
    assert not found["liveCheckBox"].enabled
    assert not found["questionHintLabel"].visible
    assert not found["otherClassComboBox"].enabled
    assert QuestionPanel.problem(empty) == ""
    assert QuestionPanel.task(empty) == ""


def test_classes_before_and_after_the_network_has_run():
    before = shown(state(), "classComboBox")
    names = [("nothing", "nothing"), ("organ", "organ"), ("tumor", "tumor")]
    assert labels(before) == [("", "Largest"), *names]
    assert "Once the network has run" in before.toolTip
    after = shown(state(answer=ANSWER, className="organ"), "classComboBox")
    assert labels(after) == [
        ("", "Largest (tumor)"),
        ("tumor", "tumor (0.057 ml)"),
        ("organ", "organ (12.3 ml)"),
        ("nothing", "nothing (1234 ml)"),
    ]
    assert after.current == "organ"
    assert "largest first" in after.toolTip


def test_probabilities_likeliest_first():
    found = shown(state(model(("healthy", "ill"), ""), answer=KINDS), "classComboBox")
    assert labels(found) == [
        ("", "Likeliest (ill)"), ("ill", "ill (98 %)"), ("healthy", "healthy (2.3 %)"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (1.0, "100 %"), (0.9996, "100 %"), (0.997, "99.7 %"), (0.5, "50 %"), (0.0999, "10.0 %"),
        (0.031, "3.1 %"), (0.001, "0.1 %"), (0.0004, "< 0.1 %"),
    ],
)  # fmt: skip
def test_probability_in_words(probability, text):
    answer = WorkerAnswer("classification", "softmax", ("a",), None, (0,), (probability,))
    assert classItems(model(("a",)), answer)[0].label == f"a ({text})"


@pytest.mark.parametrize(
    ("volume", "text"),
    [(0.0001, "< 0.001 ml"), (0.25, "0.250 ml"), (2.345, "2.35 ml"), (98.76, "98.8 ml"),
     (1520.4, "1520 ml")],
)  # fmt: skip
def test_volume_in_words(volume, text):
    answer = WorkerAnswer(
        "segmentation", "sigmoid", ("a",), None, (0,), voxels=(5,), volumes_ml=(volume,)
    )
    assert classItems(model(("a",)), answer)[0].label == f"a ({text})"


def test_amounts_of_pictures_and_of_what_is_not_predicted():
    answer = replace(ANSWER, voxels=(900, 60, 0), volumes_ml=None, ranking=(1, 0, 2))
    found = [item.label for item in classItems(model(), answer)]
    assert found == ["organ (60 pixels)", "nothing (900 pixels)", "tumor (not predicted)"]
    bare = replace(ANSWER, voxels=None, volumes_ml=None)
    assert [item.label for item in classItems(model(), bare)] == ["tumor", "organ", "nothing"]


def test_classes_without_names_are_asked_by_index():
    answer = replace(ANSWER, classes=("class 0", "class 1", "class 2"))
    assert classItems(model(()), None) == ()
    found = [(item.key, item.label) for item in classItems(model(()), answer)]
    assert found == [
        ("2", "class 2 (0.057 ml)"), ("1", "class 1 (12.3 ml)"), ("0", "class 0 (1234 ml)")
    ]  # fmt: skip


def test_two_names_of_one_channel():
    answer = WorkerAnswer("segmentation", "sigmoid", ("brain",), None, (0,), voxels=(5,))
    assert [item.key for item in classItems(model(("background", "brain")), answer)] == ["brain"]


@pytest.mark.parametrize(
    ("where", "task", "answer", "label"),
    [
        ("class", "", None, "Likeliest"),
        ("class", "segmentation", ANSWER, "Largest (tumor)"),
        ("contrast", "classification", KINDS, "Likeliest (ill)"),
        ("point", "segmentation", ANSWER, "Predicted there"),
        ("point", "classification", KINDS, "Likeliest (ill)"),
        ("component", "segmentation", None, "Predicted there"),
    ],
)
def test_first_entry_leaves_the_class_to_the_network(where, task, answer, label):
    item = leadingItem(where, task, answer)
    assert (item.key, item.label) == ("", label)
    assert item.toolTip


def test_chosen_class_is_shown_before_its_model_is_known():
    found = QuestionPanel.controls(state(model(()), className="7", otherClassName="heart"))
    assert found["classComboBox"].current == "7"
    assert labels(found["classComboBox"])[-1] == ("7", "class 7")
    assert found["otherClassComboBox"].current == "heart"
    assert labels(found["otherClassComboBox"])[-1] == ("heart", "heart")


def test_class_of_another_model_is_noticed():
    assert QuestionPanel.unknownClasses(state(className="heart", otherClassName="organ")) == (
        "heart",
    )
    assert QuestionPanel.unknownClasses(state(className="heart", otherClassName="heart")) == (
        "heart",
    )
    assert QuestionPanel.unknownClasses(state(model(()), className="7")) == ()
    assert QuestionPanel.unknownClasses(state()) == ()


def test_run_the_network():
    button = shown(state(), "runNetworkButton")
    assert (button.visible, button.enabled, button.text) == (True, True, "Run the network")
    button = shown(state(asking=True), "runNetworkButton")
    assert (button.visible, button.enabled, button.text) == (True, True, "Cancel")
    assert button.toolTip == "The network runs. Press to cancel."
    button = shown(state(explain=ExplainState(running=True)), "runNetworkButton")
    assert (button.enabled, button.toolTip) == (False, "Wait until the present run has ended.")
    assert not shown(state(answer=ANSWER), "runNetworkButton").visible


WIDGETS = {
    "point": {"pointLabel", "pointSelector", "placePointButton"},
    "segment": {"segmentLabel", "segmentSelector"},
    "roi": {"roiLabel", "roiSelector", "newRoiButton"},
    "contrast": {"otherClassLabel", "otherClassComboBox"},
}


@pytest.mark.parametrize(
    ("where", "group"),
    [("class", None), ("component", "point"), ("point", "point"), ("segment", "segment"),
     ("roi", "roi"), ("contrast", "contrast")],
)  # fmt: skip
def test_only_what_a_choice_needs_is_there(where, group):
    found = QuestionPanel.controls(state(where=where))
    for name, widgets in WIDGETS.items():
        for widget in widgets:
            assert found[widget].visible == (name == group), widget
    assert found["whereComboBox"].current == where
    assert found["whereComboBox"].toolTip
    assert found["classLabel"].text == ("Why:" if where == "contrast" else "Class:")


def test_classification_has_no_places():
    known = model(("healthy", "ill"), "classification")
    items = {item.key: item for item in shown(state(known), "whereComboBox").items}
    assert [key for key, item in items.items() if item.enabled] == ["class", "contrast"]
    assert items["point"].toolTip == (
        "Not for this network: it gives one answer for the whole image."
    )
    assert items["class"].toolTip == "Why the network gives this class to the image."
    for where in QuestionPanel.PLACES:
        assert QuestionPanel.problem(state(known, where=where)) == (
            "This network gives one answer for the whole image: ask about all of it."
        )
    assert QuestionPanel.problem(state(known)) == ""
    both = {item.key: item for item in shown(state(), "whereComboBox").items}
    assert all(item.enabled and item.toolTip for item in both.values())


def test_task_is_the_one_that_was_found():
    assert QuestionPanel.task(state(model(task=None))) == ""
    assert QuestionPanel.task(state(model(task=None), answer=KINDS)) == "classification"


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ({"where": "class"}, ""),
        ({"where": "point"}, "Place a point in a slice view."),
        ({"where": "component", "pointNode": "F"}, "Place a point in a slice view."),
        ({"where": "point", "placing": True}, "Click in a slice view to place the point."),
        ({"where": "point", "pointNode": "F", "points": 1}, ""),
        ({"where": "roi"}, "Choose a box, or make a new one."),
        ({"where": "roi", "roiNode": "R"}, ""),
        ({"where": "segment"}, "Choose a segmentation and one of its segments."),
        ({"where": "segment", "segmentationNode": "S"}, "Choose a segment."),
        ({"where": "segment", "segmentationNode": "S", "segmentId": "Segment_1"}, ""),
        ({"where": "contrast"}, ""),
        ({"where": "contrast", "className": "organ", "otherClassName": "tumor"}, ""),
        ({"where": "contrast", "className": "organ", "otherClassName": "organ"},
         "Choose two different classes."),
        ({"where": "contrast", "otherClassName": "tumor"}, ""),
        ({"where": "contrast", "otherClassName": "tumor", "answer": ANSWER},
         "Choose two different classes."),
        ({"where": "contrast", "answer": replace(ANSWER, classes=("a",), ranking=(0,),
                                                 voxels=(1,), volumes_ml=(1.0,))},
         "This network knows one class alone: there is none to hold against it."),
    ],
)  # fmt: skip
def test_what_is_missing(question, text):
    found = state(**question)
    assert QuestionPanel.problem(found) == text
    hint = shown(found, "questionHintLabel")
    assert (hint.text, hint.visible) == (text, bool(text))


def test_note_is_shown_where_nothing_is_missing():
    hint = shown(state(note="Class 'x' is gone."), "questionHintLabel")
    assert (hint.text, hint.visible) == ("Class 'x' is gone.", True)


def test_next_class_of_a_contrast():
    found = shown(state(where="contrast", answer=ANSWER), "otherClassComboBox")
    assert found.items[0].label == "Next largest"
    known = model(("healthy", "ill"), "classification")
    found = shown(state(known, where="contrast"), "otherClassComboBox")
    assert found.items[0].label == "Next likeliest"


def test_placing_a_point():
    button = shown(state(where="point", placing=True), "placePointButton")
    assert (button.checked, button.toolTip) == (
        True, "Click in a slice view; press again to leave it."
    )  # fmt: skip
    button = shown(state(where="point"), "placePointButton")
    assert (button.checked, button.toolTip) == (False, "Then click in a slice view.")
    button = shown(state(where="point", points=1), "placePointButton")
    assert button.toolTip.startswith("Place the point anew.")
    assert shown(state(where="point", pointNode="F"), "pointSelector").node == "F"
    assert not shown(PanelState(), "newRoiButton").enabled


@pytest.mark.parametrize(
    ("changes", "running", "reason"),
    [
        ({}, False, ""),
        ({"live": True}, False, ""),
        ({"live": True}, True, "Wait until the present run has ended."),
        ({}, True, "Wait until the present run has ended."),
        ({"asking": True}, False, "Wait until the present run has ended."),
    ],
)
def test_live_and_why_not(changes, running, reason):
    found = shown(state(explain=ExplainState(running=running), **changes), "liveCheckBox")
    assert found.enabled == (not reason)
    assert found.checked == (changes.get("live", False) and not reason)
    assert found.toolTip == reason or (not reason and "Shift" in found.toolTip)


def test_live_needs_a_network_that_answers_for_every_voxel():
    found = shown(state(model(task="classification"), live=True), "liveCheckBox")
    assert (found.enabled, found.checked) == (False, False)
    assert "one answer for the whole image" in found.toolTip
    assert shown(state(model(task=None)), "liveCheckBox").enabled
