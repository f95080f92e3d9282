"""The Explain section: what it shows and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..i18n import _
from . import InputPanel, MethodPanel, QuestionPanel, SetupPanel
from .Control import Control
from .TimeLeft import inWords

if TYPE_CHECKING:
    from .Control import Controls
    from .State import PanelState


@dataclass(frozen=True)
class ExplainState:
    """What the section knows.

    Attributes:
        running: whether a question of the person is being answered.
        canceling: whether it is being canceled.
        message: what is being done.
        fraction: share of it that is done, 0..1.
        secondsLeft: how long it will take, None if nobody knows yet.
        log: what was done and said so far.
        caption: what the last map is and says.
        estimate: what the question will take, in words; empty as long as that is not known.
        estimateProblem: why nobody can say that; empty if nothing is in the way.
        regionNode: ID of the box that the run is limited to; empty for none.
    """

    running: bool = False
    canceling: bool = False
    message: str = ""
    fraction: float = 0.0
    secondsLeft: float | None = None
    log: str = ""
    caption: str = ""
    estimate: str = ""
    estimateProblem: str = ""
    regionNode: str = ""


def problem(state: PanelState) -> str:
    """Return why nothing can be explained now, in one sentence; empty if it can."""
    for section in (SetupPanel, InputPanel, QuestionPanel, MethodPanel):
        found = section.problem(state)
        if found:
            return found
    return ""


def controls(state: PanelState) -> Controls:
    """Return what each widget of the section shows."""
    explain, why = state.explain, problem(state)
    toolTip = why or _("Compute the map and lay it over the scan in the slice views.")
    if explain.running:
        toolTip = _("A question is being answered; cancel it to ask another.")
    return {
        "explainButton": Control(
            enabled=not why and not explain.running, toolTip=toolTip, visible=True
        ),
        "cancelButton": Control(
            enabled=explain.running and not explain.canceling,
            toolTip=_("Stop what is being computed; the scene stays as it is."),
        ),
        "explainProblemLabel": Control(text=why, visible=bool(why) and not explain.running),
        "explainProgressBar": Control(
            visible=explain.running, value=round(100 * min(1.0, max(0.0, explain.fraction)))
        ),
        "explainMessageLabel": Control(visible=explain.running, text=doing(explain)),
        "captionLabel": Control(
            text=explain.caption, visible=bool(explain.caption) and not explain.running
        ),
        **_limits(state),
        "logText": Control(text=explain.log),
        "copyLogButton": Control(enabled=bool(explain.log)),
    }


def _limits(state: PanelState) -> Controls:
    """Return what is shown of a run over windows; another model sees the volume at once."""
    explain, model = state.explain, state.input.model
    isWindowed = model is not None and bool(model.get("windows"))
    text = explain.estimateProblem
    if explain.estimate:
        text = _("Takes {estimate}.").format(estimate=explain.estimate)
    return {
        "estimateLabel": Control(
            text=text,
            visible=isWindowed and bool(text) and not explain.running,
            toolTip=_(
                "Of the first question about the whole volume, at one layer. Later ones need no "
                "prediction; methods that look many times take as many times longer."
            ),
        ),
        "limitBox": Control(visible=isWindowed),
        "regionSelector": Control(
            node=explain.regionNode,
            enabled=not explain.running,
            toolTip=_(
                "Windows that hold nothing of this box are not looked at, and nothing is predicted "
                "there."
            ),
        ),
    }


def doing(explain: ExplainState) -> str:
    """Return what is being done and how long it will take."""
    if explain.canceling:
        return _("Canceling")
    message = explain.message or _("Starting")
    if explain.secondsLeft is None:
        return message
    return _("{message}, about {time} left").format(
        message=message, time=inWords(explain.secondsLeft)
    )
