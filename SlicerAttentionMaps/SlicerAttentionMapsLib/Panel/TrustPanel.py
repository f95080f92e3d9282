"""Whether a map can be trusted: what the panel shows of it and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..i18n import _
from .Control import Control

if TYPE_CHECKING:
    from .CheckRows import CheckRow
    from .Control import Controls
    from .State import PanelState

SAME, OTHER_MODEL, OTHER_VOLUMES, UNKNOWN = "same", "other model", "other volumes", "unknown"


@dataclass(frozen=True)
class Found:
    """What one test found.

    Attributes:
        test: its name.
        verdict: "passed", "failed", "note" or "not tested".
        text: its label, and what was found in plain words.
        toolTip: numbers, controls and reference.
        hasCurves: whether there is something to plot.
    """

    test: str
    verdict: str
    text: str
    toolTip: str = ""
    hasCurves: bool = False


@dataclass(frozen=True)
class TrustState:
    """What is known of the current map.

    Attributes:
        about: whether the panel's model and volumes are those of the map: SAME, OTHER_MODEL,
            OTHER_VOLUMES, or UNKNOWN where nobody knows what it was asked.
        modelPath: the map's model.
        tests: all tests of the engine, and whether they are chosen.
        remark: what is known of the method whatever the tests say.
        findings: of the map's last report.
        chosen: name of the test that was clicked on.
        why: why nobody knows what the map was asked.
    """

    about: str = SAME
    modelPath: str = ""
    tests: tuple[CheckRow, ...] = ()
    remark: str = ""
    findings: tuple[Found, ...] = ()
    chosen: str = ""
    why: str = ""


def problem(state: PanelState) -> str:
    """Return why the map cannot be tested now, in one sentence; empty if it can."""
    from . import ComparePanel, InputPanel, SetupPanel

    trust = state.compare.trust
    found = ComparePanel.mapProblem(state)
    if not found and trust.about == UNKNOWN:
        found = trust.why
    if not found and trust.about == OTHER_MODEL:
        found = _("This map is of another model; choose '{path}' under Input to test it.").format(
            path=trust.modelPath
        )
    if not found and trust.about == OTHER_VOLUMES:
        found = _("This map is of other volumes; choose them under Input to test it.")
    if not found and not any(row.checked for row in trust.tests):
        found = _("Check at least one test.")
    found = found or SetupPanel.problem(state) or InputPanel.problem(state)
    return found or ComparePanel.workProblem(state)


def controls(state: PanelState) -> Controls:
    """Return what each widget shows."""
    trust, why = state.compare.trust, problem(state)
    curves = plotted(trust)
    return {
        "trustButton": Control(
            enabled=not why,
            toolTip=why or _("Run the checked tests on the map chosen above; may take long."),
        ),
        "trustResultWidget": Control(visible=bool(trust.findings)),
        "trustRemarkLabel": Control(text=trust.remark, visible=bool(trust.remark)),
        "trustCurvesButton": Control(
            enabled=curves is not None,
            text=_("Plot curves")
            if curves is None
            else _("Plot: {label}").format(label=curves.text.partition("\n")[0]),
            toolTip=_("Curves of the finding chosen above, and those of the controls."),
        ),
    }


def plotted(trust: TrustState) -> Found | None:
    """Return the finding whose curves are plotted: the chosen one, or the first with curves."""
    withCurves = [found for found in trust.findings if found.hasCurves]
    return next((found for found in withCurves if found.test == trust.chosen), None) or next(
        iter(withCurves if not trust.chosen else ()), None
    )


def foundOf(finding: dict, words) -> Found:
    """Return what is shown of a finding of the engine.

    Args:
        finding: `attention_maps` Finding as a dict.
        words: says a dict of numbers in words.
    """
    verdict = finding["verdict"]
    said = finding["sentence"] or finding["reason"]
    figures, controls = words(finding["figures"]), words(finding["controls"])
    lines = [
        said,
        _("Map: {numbers}").format(numbers=figures) if figures else "",
        _("Controls: {numbers}").format(numbers=controls) if controls else "",
        finding["reference"],
    ]
    text = f"{finding['label']} ({verdictInWords(verdict)})\n{said}"
    toolTip = "\n".join(line for line in lines if line)
    return Found(finding["test"], verdict, text, toolTip, bool(finding["curves"]))


def verdictInWords(verdict: str) -> str:
    """Return a verdict as it is read."""
    return {
        "passed": _("passed"),
        "failed": _("failed"),
        "note": _("note"),
        "not tested": _("not tested"),
    }.get(verdict, verdict)
