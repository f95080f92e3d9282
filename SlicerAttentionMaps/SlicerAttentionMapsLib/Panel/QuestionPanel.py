"""The Question section: what it shows and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..i18n import _
from .ClassChoices import classItems, leadingItem, leadingOtherItem, withChosen
from .Control import Control, Item
from .LivePanel import liveControl

if TYPE_CHECKING:
    from attention_maps.worker.results import WorkerAnswer

    from .Control import Controls
    from .State import PanelState

PLACES = ("component", "segment", "roi", "point")


@dataclass(frozen=True)
class QuestionState:
    """What the section knows.

    Attributes:
        where: what part of the answer is asked about.
        className: class that is asked about; empty for the likeliest, or what is predicted there.
        otherClassName: of a contrast, the class that it is held against; empty for the next.
        answer: what the network answered; None if it has not run on these volumes.
        asking: whether the network is being run for its answer alone.
        pointNode: ID of the point list, or empty.
        points: number of points in it.
        placing: whether the next click in a slice view places the point.
        roiNode: ID of the box, or empty.
        segmentationNode: ID of the segmentation, or empty.
        segmentId: of the chosen segment; empty if there is none of that ID.
        live: whether the map follows the crosshair.
        note: what was changed without being asked to, and why; else empty.
    """

    where: str = "class"
    className: str = ""
    otherClassName: str = ""
    answer: WorkerAnswer | None = None
    asking: bool = False
    pointNode: str = ""
    points: int = 0
    placing: bool = False
    roiNode: str = ""
    segmentationNode: str = ""
    segmentId: str = ""
    live: bool = False
    note: str = ""


def task(state: PanelState) -> str:
    """Return "classification", "segmentation", or "" as long as nobody knows."""
    if state.question.answer is not None:
        return state.question.answer.task
    model = state.input.model
    return (model["task"] or "") if model is not None else ""


def problem(state: PanelState) -> str:
    """Return what is missing for the question, in one sentence; empty if nothing is."""
    question = state.question
    if question.where in PLACES and task(state) == "classification":
        return _("This network gives one answer for the whole image: ask about all of it.")
    if question.where in ("component", "point") and not question.points:
        if question.placing:
            return _("Click in a slice view to place the point.")
        return _("Place a point in a slice view.")
    if question.where == "roi" and not question.roiNode:
        return _("Choose a box, or make a new one.")
    if question.where == "segment" and not question.segmentationNode:
        return _("Choose a segmentation and one of its segments.")
    if question.where == "segment" and not question.segmentId:
        return _("Choose a segment.")
    return _contrastProblem(state) if question.where == "contrast" else ""


def _contrastProblem(state: PanelState) -> str:
    question = state.question
    items = classItems(state.input.model, question.answer)
    if question.answer is not None and len(items) == 1:
        return _("This network knows one class alone: there is none to hold against it.")
    first = question.className
    if not first and question.answer is not None:
        first = items[0].key
    if first and first == question.otherClassName:
        return _("Choose two different classes.")
    return ""


def unknownClasses(state: PanelState) -> tuple[str, ...]:
    """Return chosen classes that this model has not got."""
    question = state.question
    known = {item.key for item in classItems(state.input.model, question.answer)}
    chosen = dict.fromkeys((question.className, question.otherClassName))
    return tuple(name for name in chosen if known and name and name not in known)


def controls(state: PanelState) -> Controls:
    """Return what each widget of the section shows."""
    question = state.question
    hint = problem(state) if state.input.ready else ""
    hint = hint or question.note
    return {
        **_classControls(state),
        "whereComboBox": Control(
            items=_whereItems(task(state)), current=question.where, toolTip=_whereTip(question)
        ),
        **_pointControls(question),
        "segmentLabel": Control(visible=question.where == "segment"),
        "segmentSelector": Control(visible=question.where == "segment"),
        "roiLabel": Control(visible=question.where == "roi"),
        "roiSelector": Control(visible=question.where == "roi", node=question.roiNode),
        "newRoiButton": Control(
            visible=question.where == "roi",
            enabled=any(state.input.volumes),
            toolTip=_("Make a box in the middle of the slice views; drag its handles."),
        ),
        "liveCheckBox": liveControl(state, task(state)),
        "questionHintLabel": Control(text=hint, visible=bool(hint)),
    }


def _classControls(state: PanelState) -> Controls:
    question = state.question
    contrast = question.where == "contrast"
    items = classItems(state.input.model, question.answer)
    leading = leadingItem(question.where, task(state), question.answer)
    others = withChosen(items, question.otherClassName)
    return {
        "classLabel": Control(text=_("Why:") if contrast else _("Class:")),
        "classComboBox": Control(
            items=(leading, *withChosen(items, question.className)),
            current=question.className,
            enabled=state.input.model is not None,
            toolTip=_classTip(state),
        ),
        "runNetworkButton": _runNetwork(state),
        "otherClassLabel": Control(visible=contrast),
        "otherClassComboBox": Control(
            visible=contrast,
            items=(leadingOtherItem(task(state)), *others),
            current=question.otherClassName,
            enabled=state.input.model is not None,
            toolTip=_("The class that it is held against: the map shows what speaks for the first "
                      "one rather than for this one."),
        ),
    }  # fmt: skip


def _classTip(state: PanelState) -> str:
    if state.input.model is None:
        return _("Choose a model first: its classes are listed here.")
    if state.question.answer is None:
        return _("The class that is asked about. Once the network has run, all classes are listed "
                 "with their probabilities or volumes.")  # fmt: skip
    return _("The class that is asked about, the likeliest or largest first.")


def _runNetwork(state: PanelState) -> Control:
    """It is there until the network's answer is."""
    asking, running = state.question.asking, state.explain.running
    if asking:
        tip = _("The network runs. Press to cancel.")
    elif not state.input.ready:
        tip = _("Choose a volume and a model first.")
    elif running:
        tip = _("Wait until the present run has ended.")
    else:
        tip = _("Run the network once, to see its classes with their probabilities or volumes "
                "before you ask.")  # fmt: skip
    return Control(
        visible=asking or state.question.answer is None,
        enabled=asking or (state.input.ready and not running),
        text=_("Cancel") if asking else _("Run the network"),
        toolTip=tip,
    )


def _pointControls(question: QuestionState) -> Controls:
    shown = question.where in ("component", "point")
    if question.placing:
        tip = _("Click in a slice view; press again to leave it.")
    elif question.points:
        tip = _("Place the point anew. It can be dragged in the slice views, too.")
    else:
        tip = _("Then click in a slice view.")
    return {
        "pointLabel": Control(visible=shown),
        "pointSelector": Control(
            visible=shown,
            node=question.pointNode,
            toolTip=_("Point list; its last point counts. Move the point to ask about another "
                      "place."),
        ),
        "placePointButton": Control(visible=shown, checked=question.placing, toolTip=tip),
    }  # fmt: skip


def _whereItems(known: str) -> tuple[Item, ...]:
    """Return what can be asked about; a network that classifies has no places."""
    whole = known == "classification"
    reason = _("Not for this network: it gives one answer for the whole image.")
    every = (
        _("Why the network gives this class to the image.") if whole
        else _("Every voxel where the network predicts the class.")
    )  # fmt: skip
    return (
        Item("class", _("All of it"), every),
        *(
            Item(key, label, reason if whole else tip, not whole)
            for key, (label, tip) in _placeTexts().items()
        ),
        Item(
            "contrast",
            _("Class A against class B"),
            _("What speaks for one class rather than for another."),
        ),
    )


def _placeTexts() -> dict[str, tuple[str, str]]:
    return {
        "component": (
            _("The predicted part under a point"),
            _("The connected part of the prediction that the point lies in, such as one of "
              "several lesions."),
        ),
        "segment": (
            _("A segment"),
            _("The class within a segment, whatever the network predicts there."),
        ),
        "roi": (
            _("A box (ROI)"),
            _("The class within a box, whatever the network predicts there."),
        ),
        "point": (_("One point"), _("The class in the single voxel under a point.")),
    }  # fmt: skip


def _whereTip(question: QuestionState) -> str:
    texts = {item.key: item.toolTip for item in _whereItems("")}
    return texts[question.where]
