"""The Compare section: what it shows and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..i18n import _
from .Control import Control, Item
from .ResultPanel import OTSU, thresholdControls

if TYPE_CHECKING:
    from .Control import Controls
    from .State import PanelState

ALL_MAPS, CURRENT_MAP = "all", "current"


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
        threshold: where a map's region ends: "otsu" or a share of the largest value as text.
        running: whether the comparison is being made.
        message: what is being compared.
        table: ID of the last table, or empty.
        metrics: titles of its columns of numbers.
        metric: which of them is plotted; empty for all.
    """

    truth: str = ""
    segments: tuple[Segment, ...] = ()
    maps: str = ALL_MAPS
    threshold: str = OTSU
    running: bool = False
    message: str = ""
    table: str = ""
    metrics: tuple[str, ...] = ()
    metric: str = ""


def problem(state: PanelState) -> str:
    """Return why nothing can be compared now, in one sentence; empty if it can."""
    compare = state.compare
    if not state.result.maps:
        return _("There is no map yet; explain something first.")
    if not compare.truth:
        return _("Choose a segmentation with the ground truth.")
    if not compare.segments:
        return _("The segmentation has no segments; choose another, or draw one.")
    if not any(segment.chosen for segment in compare.segments):
        return _("Check at least one segment.")
    if state.explain.running:
        return _("A question is being answered; wait for it, or cancel it.")
    return ""


def controls(state: PanelState) -> Controls:
    """Return what each widget of the section shows."""
    compare, why = state.compare, problem(state)
    ready = bool(compare.table)
    noTable = _("Compare first: there is no table yet.")
    said = compare.message if compare.running else why
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
        **thresholdControls(compare.threshold, "compareOtsu", "compareShare"),
        "compareButton": Control(
            text=_("Cancel") if compare.running else _("Compare"),
            enabled=compare.running or not why,
            toolTip=why or _("Measure how much of the attention lies in the ground truth."),
        ),
        "compareStatusLabel": Control(text=said, visible=bool(said)),
        "metricsBox": Control(visible=ready),
        "plotMetricComboBox": Control(
            items=(
                Item("", _("All metrics")),
                *(Item(label, label) for label in compare.metrics),
            ),
            current=compare.metric if compare.metric in compare.metrics else "",
            toolTip=_(
                "What is plotted: lines over layers where several were explained, else bars."
            ),
        ),
        "plotButton": Control(
            enabled=ready, toolTip=_("Show the table as a plot.") if ready else noTable
        ),
        "exportTableButton": Control(
            enabled=ready,
            toolTip=_("Save the table as a .csv or .tsv file.") if ready else noTable,
        ),
    }
