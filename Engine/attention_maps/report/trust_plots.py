"""What tests of a map found, and how scores are spread over a cohort, as plots."""

from __future__ import annotations

import re
from itertools import cycle, groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.report.plots import (
    COLORS,
    FAINT,
    INK,
    literal,
    new_figure,
    shortened,
    styles,
    tidy,
)
from attention_maps.report.tables import GROUP, find, is_number, label_of, unit_of
from attention_maps.sweep_table import method_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from attention_maps.faithfulness.findings import Curve, Finding

CONTROLS = ("random", "edge map")
MOST_MARKED = 25  # points above which a line has no markers
MOST_GROUPS = 12
FEW_POINTS = 40  # of more, each is paler
CONTROL_STYLES = ("--", ":", "-.")


def is_control(name: str) -> bool:
    """Whether a curve is one of what the map is held against."""
    return name.lower().startswith(CONTROLS)


def draw_curves(finding: Finding) -> Figure | None:
    """The curves of a test, one panel per pair of axes; controls are gray and dashed.

    Args:
        finding: What the test found.

    Returns:
        None where it has no curve.
    """
    ordered = sorted(finding.curves, key=lambda curve: (curve.x_label, curve.y_label))
    panels = [list(found) for _, found in groupby(ordered, lambda c: (c.x_label, c.y_label))]
    if not panels:
        return None
    figure = new_figure(max(5.6, 4.4 * len(panels)), 3.3)
    for axes, curves in zip(np.ravel(figure.subplots(1, len(panels))), panels, strict=True):
        tidy(axes, literal(curves[0].x_label), literal(curves[0].y_label))
        _draw_panel(axes, curves)
    return figure


def _draw_panel(axes: Any, curves: Sequence[Curve]) -> None:
    looks = styles()
    for curve in curves:
        if not is_control(curve.name):
            look = {**next(looks), "lw": 1.9, "ms": 4}
            if len(curve.x) > MOST_MARKED:
                look["marker"] = ""
            axes.plot(curve.x, curve.y, label=literal(shortened(curve.name)), **look)
    groups: dict[str, list[Curve]] = {}
    for curve in filter(lambda item: is_control(item.name), curves):
        groups.setdefault(without_numbers(curve.name), []).append(curve)
    for (name, members), dashes in zip(groups.items(), cycle(CONTROL_STYLES), strict=False):
        several = f" ({len(members)})" if len(members) > 1 else ""
        for number, curve in enumerate(members):
            label = literal(shortened(name) + several) if number == 0 else None
            axes.plot(curve.x, curve.y, color=FAINT, ls=dashes, lw=1, alpha=0.8, label=label)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)


def without_numbers(name: str) -> str:
    """What many controls of one kind have in common.

    >>> without_numbers("random map 3, blurred")
    'random map, blurred'
    """
    return re.sub(r" \d+\b", "", name)


def draw_distribution(rows: Sequence[Mapping[str, Any]], metric: str) -> Figure | None:
    """One row per question, layer, method and label: every case a point, a box around the middle.

    Args:
        rows: Score rows of all cases.
        metric: Name of the metric.

    Returns:
        None where no value is defined.
    """
    groups: dict[str, list[float]] = {}
    varying = [key for key in GROUP if len({row.get(key) for row in rows}) > 1]
    for row in rows:
        words = {**row, "method": method_label(row.get("method", ""))}
        name = ", ".join(str(words[key]) for key in varying if row.get(key)) or "all cases"
        values = groups.setdefault(name, [])  # groups are in one order, whatever is defined
        if is_number(row.get(metric)):
            values.append(float(row[metric]))
    defined = [(name, values) for name, values in groups.items() if values]
    shown = defined[:MOST_GROUPS]
    if not shown:
        return None
    figure = new_figure(5.2, 1.1 + 0.4 * len(shown))
    axes = figure.subplots()
    unit = f" ({unit_of(metric)})" if unit_of(metric) else ""
    left = len(defined) - len(shown)
    tidy(axes, f"{label_of(metric)}{unit}" + (f"; {left} more rows are left out" if left else ""))
    for place, (_, values) in enumerate(shown):
        _draw_box(axes, place, values)
    axes.set_yticks(range(len(shown)), [literal(shortened(name, 30)) for name, _ in shown])
    axes.set_ylim(len(shown) - 0.45, -0.55)
    limits = getattr(find(metric), "limits", None)
    axes.use_sticky_edges = False
    axes.margins(x=0.06)
    if limits is not None and np.isfinite(limits).all():
        aside = 0.03 * (limits[1] - limits[0])
        axes.set_xlim(limits[0] - aside, limits[1] + aside)
    axes.grid(axis="y", visible=False)
    return figure


def _draw_box(axes: Any, place: int, values: Sequence[float]) -> None:
    """Quartiles as a box, the median as a stroke, every case as a point beside the others."""
    color = COLORS[0]
    low, middle, high = np.percentile(values, [25, 50, 75])
    axes.barh(place, high - low, 0.5, left=low, color=color, alpha=0.18, edgecolor=color)
    axes.plot([middle, middle], [place - 0.25, place + 0.25], color=color, lw=2.4)
    order = np.argsort(values, kind="stable")
    aside = np.empty(len(values))
    aside[order] = (
        (np.arange(len(values)) + 0.809) * 0.618
    ) % 1 * 0.36 - 0.18  # spread, the same each time
    alpha = 0.65 if len(values) <= FEW_POINTS else 0.3
    axes.plot(values, place + aside, "o", color=INK, ms=4, alpha=alpha, mec="none")
