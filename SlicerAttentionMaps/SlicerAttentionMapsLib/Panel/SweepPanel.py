"""Layers against methods for one question: what the panel shows of it and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..i18n import _
from .Control import Control, Item

if TYPE_CHECKING:
    from .CheckRows import CheckRow
    from .Control import Controls
    from .State import PanelState

ALL_LAYERS, CHOSEN_LAYERS = "all", "chosen"
# Viridis at equal steps (van der Walt, Smith, Firing 2015), dark to light.
_COLORS = (
    (68, 1, 84), (70, 50, 127), (54, 92, 141), (39, 127, 142), (31, 161, 135), (74, 194, 109),
    (159, 218, 58), (253, 231, 37),
)  # fmt: skip
_LIGHT = 0.45  # on what is lighter, black is read better than white


@dataclass(frozen=True)
class SweepState:
    """What is known of layers and methods.

    Attributes:
        layers: which layers are tried: ALL_LAYERS or CHOSEN_LAYERS.
        methods: all methods of the engine, and whether they are tried.
        table: ID of the last sweep's table, or empty.
        metrics: name and title of what was measured.
        metric: which of them is shown.
        segments: that the maps were held against.
        segment: which of them is shown.
        rows: names of the layers.
        columns: names of the methods.
        labels: of the methods, for people.
        values: of each layer and method, NaN where there is none.
        better: "higher" or "lower".
        best: layer and method that are best; empty where none is.
    """

    layers: str = ALL_LAYERS
    methods: tuple[CheckRow, ...] = ()
    table: str = ""
    metrics: tuple[tuple[str, str], ...] = ()
    metric: str = ""
    segments: tuple[str, ...] = ()
    segment: str = ""
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    values: tuple[tuple[float, ...], ...] = ()
    better: str = "higher"
    best: tuple[str, str] | None = None


@dataclass(frozen=True)
class Cell:
    """One cell of the heat map.

    Attributes:
        text: the number; empty where there is none.
        color: behind it, red, green and blue 0..255; None where there is no number.
        isDark: whether it is read better in white.
    """

    text: str
    color: tuple[int, int, int] | None = None
    isDark: bool = False


def problem(state: PanelState) -> str:
    """Return why nothing can be tried now, in one sentence; empty if it can."""
    from . import ComparePanel, ExplainPanel

    found = ExplainPanel.problem(state)
    if not found and state.compare.truth:
        found = ComparePanel.truthProblem(state)
    if not found and not any(row.checked for row in state.compare.sweep.methods):
        found = _("Check at least one method.")
    return found or ComparePanel.workProblem(state)


def controls(state: PanelState) -> Controls:
    """Return what each widget shows."""
    from . import ComparePanel

    sweep, why = state.compare.sweep, problem(state)
    busy = ComparePanel.workProblem(state)
    toolTip = _("Ask the present question at every layer by every checked method.")
    if not state.compare.truth:
        toolTip += " " + _("Without a ground truth, the maps are measured by themselves.")
    return {
        "sweepLayersComboBox": Control(
            items=(
                Item(ALL_LAYERS, _("All layers")),
                Item(CHOSEN_LAYERS, _("The layers chosen above")),
            ),
            current=sweep.layers,
            toolTip=_("At which layers the maps are made."),
        ),
        "sweepButton": Control(enabled=not why, toolTip=why or toolTip),
        "sweepResultWidget": Control(visible=bool(sweep.table)),
        "sweepMetricComboBox": Control(
            items=tuple(Item(name, title) for name, title in sweep.metrics),
            current=sweep.metric,
            toolTip=_("Which metric the colors and the best one are by."),
        ),
        "sweepSegmentComboBox": Control(
            visible=len(sweep.segments) > 1,
            items=tuple(Item(name, name) for name in sweep.segments),
            current=sweep.segment,
            toolTip=_("Which segment the maps were held against."),
        ),
        "sweepBestLabel": Control(text=bestInWords(sweep)),
        "showBestButton": Control(
            enabled=sweep.best is not None and not busy,
            toolTip=busy or _("Make the map of the best layer and method, and show it."),
        ),
        "saveHeatMapButton": Control(
            enabled=bool(sweep.values), toolTip=_("Save these colors and numbers as .png or .svg.")
        ),
    }


def bestInWords(sweep: SweepState) -> str:
    """Return which layer and method are best."""
    if sweep.best is None:
        return _("No map has a value.") if sweep.table else ""
    row, column = bestCell(sweep)
    return _("Best: {method} at {layer}, {number}.").format(
        method=sweep.labels[column],
        layer=sweep.rows[row],
        number=f"{sweep.values[row][column]:.4g}",
    )


def bestCell(sweep: SweepState) -> tuple[int, int]:
    """Return row and column of the best layer and method; (-1, -1) where none is."""
    if sweep.best is None:
        return -1, -1
    layer, method = sweep.best
    return sweep.rows.index(layer), sweep.columns.index(method)


def cells(sweep: SweepState) -> tuple[tuple[Cell, ...], ...]:
    """Return the heat map: light is better."""
    known = [value for row in sweep.values for value in row if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)

    def cell(value: float) -> Cell:
        if not math.isfinite(value):
            return Cell("")
        share = (value - low) / (high - low) if high > low else 1.0
        color = colorOf(1 - share if sweep.better == "lower" else share)
        return Cell(f"{value:.3g}", color, _luminance(color) < _LIGHT)

    return tuple(tuple(cell(value) for value in row) for row in sweep.values)


def colorOf(share: float) -> tuple[int, int, int]:
    """Return the color (red, green, blue) 0..255 of a share 0..1."""
    place = share * (len(_COLORS) - 1)
    index = min(int(place), len(_COLORS) - 2)
    part = place - index
    pairs = zip(_COLORS[index], _COLORS[index + 1], strict=True)
    red, green, blue = (round(low + part * (high - low)) for low, high in pairs)
    return red, green, blue


def _luminance(color: tuple[int, int, int]) -> float:
    red, green, blue = color
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255
