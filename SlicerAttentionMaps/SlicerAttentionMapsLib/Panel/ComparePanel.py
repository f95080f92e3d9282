"""The Compare section: what it shows and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..i18n import _
from ..Signs import ABSOLUTE, NEGATIVE, POSITIVE
from . import SweepPanel, ThresholdChoice, TrustPanel
from .Control import Control, Item
from .SweepPanel import SweepState
from .TimeLeft import inWords
from .TrustPanel import TrustState

if TYPE_CHECKING:
    from .CheckRows import CheckRow
    from .Control import Controls
    from .State import PanelState

ALL_MAPS, CURRENT_MAP = "all", "current"
METRICS, STRUCTURES, SPOTS, SWEEP, TRUST = "metrics", "structures", "spots", "sweep", "trust"
REPORT = "report"


@dataclass(frozen=True)
class Segment:
    """A segment of the ground truth.

    Attributes:
        id: in its segmentation.
        name: for people.
        chosen: whether maps are held against it.
    """

    id: str
    name: str
    chosen: bool = True


@dataclass(frozen=True)
class CompareState:
    """What the section knows.

    Attributes:
        truth: ID of the segmentation with the ground truth, or empty.
        segments: what is in it.
        maps: which maps are compared: "all" or "current".
        threshold: where a map's region ends, as text (see `ThresholdChoice`).
        sign: what counts of signed maps, as text (see `Signs`).
        metrics: all metrics of the engine, and whether they are chosen.
        spotsMinimum: smaller hot spots are left out, ml.
        spotsMost: how many hot spots at most; 0 for all.
        running: what is being computed: METRICS, STRUCTURES, SPOTS, SWEEP, TRUST or
            REPORT; or empty.
        canceling: whether that is being canceled.
        fraction: share of it that is done, 0..1.
        message: what is being done.
        secondsLeft: how long it will take; None if nobody knows yet.
        tables: ID and name of the scene's tables, the oldest first.
        table: ID of the table that is shown, or empty.
        remark: why some of its metrics are no numbers.
        columns: key and name of what can be plotted of it.
        column: which of them is plotted; empty for the usual.
        sweep: layers and methods.
        trust: whether the current map can be trusted.
    """

    truth: str = ""
    segments: tuple[Segment, ...] = ()
    maps: str = ALL_MAPS
    threshold: str = ThresholdChoice.OTSU
    sign: str = POSITIVE
    metrics: tuple[CheckRow, ...] = ()
    spotsMinimum: float = 0.0
    spotsMost: int = 0
    running: str = ""
    canceling: bool = False
    fraction: float = 0.0
    message: str = ""
    secondsLeft: float | None = None
    tables: tuple[tuple[str, str], ...] = ()
    table: str = ""
    remark: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    column: str = ""
    sweep: SweepState = field(default_factory=SweepState)
    trust: TrustState = field(default_factory=TrustState)


def problem(state: PanelState) -> str:
    """Return why nothing can be compared now, in one sentence; empty if it can."""
    compare = state.compare
    found = mapProblem(state) or truthProblem(state)
    if not found and not any(row.checked for row in compare.metrics):
        found = _("Check at least one metric.")
    return found or workProblem(state)


def mapProblem(state: PanelState) -> str:
    """Return why there is no map to measure; empty if there is one."""
    return "" if state.result.maps else _("There is no map yet; explain something first.")


def truthProblem(state: PanelState) -> str:
    """Return why there is no ground truth; empty if there is."""
    compare = state.compare
    if not compare.truth:
        return _("Choose a segmentation with the ground truth.")
    if not compare.segments:
        return _("The segmentation has no segments; choose another, or draw one.")
    if not any(segment.chosen for segment in compare.segments):
        return _("Check at least one segment.")
    return ""


def workProblem(state: PanelState) -> str:
    """Return what else is being computed; empty if nothing is."""
    if state.explain.running:
        return _("A question is being answered; wait for it, or cancel it.")
    if state.compare.running:
        return _("Something is being measured; wait for it, or cancel it.")
    return ""


def signOf(state: PanelState) -> str:
    """Return what counts of maps; there is a choice where one of them is signed."""
    return state.compare.sign if _isAnySigned(state) else POSITIVE


def _isAnySigned(state: PanelState) -> bool:
    return any(item.signed for item in state.result.maps)


def controls(state: PanelState) -> Controls:
    """Return what each widget of the section shows."""
    compare, why = state.compare, problem(state)
    whyReport = mapProblem(state) or workProblem(state)
    return {
        "truthSelector": Control(
            node=compare.truth,
            toolTip=_("Segmentation that says where the attention should be."),
        ),
        "truthSegmentsLabel": Control(visible=bool(compare.segments)),
        "truthSegmentsList": Control(
            visible=bool(compare.segments),
            toolTip=_("Each checked segment is compared with each map."),
        ),
        "compareMapsComboBox": Control(
            items=(
                Item(ALL_MAPS, _("All maps")),
                Item(CURRENT_MAP, _("The map chosen above")),
            ),
            current=compare.maps,
            toolTip=_("Which maps are compared; of a map with several layers all of them."),
        ),
        **ThresholdChoice.controls(compare.threshold),
        **_sign(state),
        "compareButton": Control(
            enabled=not why,
            toolTip=why or _("Measure how much of the attention lies in the ground truth."),
        ),
        **_spots(state),
        **SweepPanel.controls(state),
        **TrustPanel.controls(state),
        **_task(compare, why),
        **_tables(compare),
        "saveReportButton": Control(
            enabled=not whyReport,
            toolTip=whyReport
            or _(
                "One page to keep or send: the maps of the scan in three planes, and what was "
                "measured of them."
            ),
        ),
    }


def _sign(state: PanelState) -> Controls:
    """Return what is shown of the choice between evidence for and against."""
    anySigned = _isAnySigned(state)
    return {
        "compareSignLabel": Control(visible=anySigned),
        "compareSignComboBox": Control(
            visible=anySigned,
            items=(
                Item(POSITIVE, _("For the answer")),
                Item(NEGATIVE, _("Against the answer")),
                Item(ABSOLUTE, _("For and against")),
            ),
            current=state.compare.sign,
            toolTip=_("What counts of signed maps, for metrics, structures and hot spots."),
        ),
    }


def _spots(state: PanelState) -> Controls:
    """Return what is shown of structures and hot spots, which are those of the current map."""
    compare = state.compare
    whySpots = mapProblem(state) or workProblem(state)
    whyStructures = mapProblem(state) or truthProblem(state) or workProblem(state)
    return {
        "structuresButton": Control(
            enabled=not whyStructures,
            toolTip=whyStructures
            or _("Share of the attention in every checked segment, and outside of all of them."),
        ),
        "spotsMinimumSpinBox": Control(
            value=compare.spotsMinimum, toolTip=_("Smaller hot spots are left out.")
        ),
        "spotsMostSpinBox": Control(
            value=compare.spotsMost, toolTip=_("Only so many of them, the hottest first.")
        ),
        "spotsButton": Control(
            enabled=not whySpots,
            toolTip=whySpots
            or _("Table and boxes of the connected parts of the map above the threshold."),
        ),
    }


def _task(compare: CompareState, why: str) -> Controls:
    """Return what is shown of what is being computed."""
    said = doing(compare) if compare.running else why
    return {
        "compareStatusLabel": Control(text=said, visible=bool(said)),
        "compareProgressBar": Control(
            visible=bool(compare.running), value=round(100 * min(1.0, max(0.0, compare.fraction)))
        ),
        "compareCancelButton": Control(
            visible=bool(compare.running),
            enabled=not compare.canceling,
            toolTip=_("Stop what is being measured; the scene stays as it is."),
        ),
    }


def doing(compare: CompareState) -> str:
    """Return what is being done and how long it will take."""
    if compare.canceling:
        return _("Canceling")
    message = compare.message or _("Starting")
    if compare.secondsLeft is None:
        return message
    return _("{message}, about {time} left").format(
        message=message, time=inWords(compare.secondsLeft)
    )


def _tables(compare: CompareState) -> Controls:
    columns = tuple(Item(key, label) for key, label in compare.columns)
    usual = Item("", _("The usual") if columns else _("Nothing"))
    keys = [key for key, _label in compare.columns]
    noPlot = _("There is nothing to plot in this table.")
    return {
        "tablesWidget": Control(visible=bool(compare.table)),
        "tablesComboBox": Control(
            items=tuple(Item(key, label) for key, label in compare.tables),
            current=compare.table,
            toolTip=compare.remark or _("What was measured, the last at the end."),
        ),
        "plotColumnComboBox": Control(
            items=(usual, *columns),
            current=compare.column if compare.column in keys else "",
            toolTip=_("What is plotted: lines over layers where there are several, else bars."),
        ),
        "plotButton": Control(
            enabled=bool(columns), toolTip=_("Show the table as a plot.") if columns else noPlot
        ),
        "exportTableButton": Control(
            enabled=bool(compare.table),
            toolTip=_("Save the table as a .csv, .tsv, .xlsx or .json file."),
        ),
    }
