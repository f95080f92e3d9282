"""A sweep as pictures: colors and numbers of layers x methods, and lines over the layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from attention_maps.report.plots import (
    FAINT,
    INK,
    PAPER,
    literal,
    new_figure,
    save_plot,
    shortened,
    styles,
    tidy,
)
from attention_maps.sweep_table import described, direction, method_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from attention_maps.sweep_table import Sweep

__all__ = ["draw_heat_map", "draw_lines", "save_plot"]

COLOR_MAP = "cividis"
CELL_WIDTH, CELL_HEIGHT, AROUND, HIGHEST, WIDEST = 0.92, 0.3, 2.6, 18.0, 15.0  # inches
STEP = 0.3  # between layers of the lines
MOST_NAMED = 60  # layers; of more not all are named, and cells hold no numbers
NOTHING = "\N{EN DASH}"


def draw_heat_map(sweep: Sweep, metric: str, label: str | None = None) -> Figure:
    """Layers x methods: color and number of each value; the best has a frame.

    Layers that have no value at all are left out; the title says how many.

    Args:
        sweep: What was found.
        metric: Name of a metric.
        label: Name of a structure; None for the first.
    """
    layers, values = _shown(sweep, metric, label)
    names = [method_label(name) for name in sweep.methods]
    rows, columns = values.shape
    width = max(6.0, AROUND + 1.2 + CELL_WIDTH * columns)
    figure = new_figure(width, 1.9 + min(CELL_HEIGHT * rows, HIGHEST))
    axes = figure.subplots()
    axes.set_facecolor("#eceef1")
    low, high = _range(values)
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(values), cmap=COLOR_MAP, vmin=low, vmax=high,
        edgecolors=PAPER, linewidth=1,
    )  # fmt: skip
    axes.invert_yaxis()
    axes.set_xticks(np.arange(columns) + 0.5, [literal(n) for n in names], rotation=30, ha="right")
    named = _named(rows)
    axes.set_yticks(named + 0.5, [literal(shortened(layers[n])) for n in named])
    axes.tick_params(colors=INK, labelsize=9, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if rows <= MOST_NAMED:
        for row, column in np.ndindex(values.shape):
            _write_number(axes, row, column, float(values[row, column]), low, high)
    _frame_best(axes, values, direction(metric))
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, fraction=0.05)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=9)
    axes.set_title(_title(sweep, metric, label, len(layers)), color=INK, fontsize=11, loc="left")
    return figure


def draw_lines(sweep: Sweep, metric: str, label: str | None = None) -> Figure:
    """Values over the layers, in execution order: one line per method.

    Methods at the input have no layer: they are dashed lines across.

    Args:
        sweep: What was found.
        metric: Name of a metric.
        label: Name of a structure; None for the first.
    """
    layers, values = _shown(sweep, metric, label)
    at_input = layers.index("input") if "input" in layers else None
    own = [n for n in range(len(layers)) if n != at_input]
    figure = new_figure(max(7.0, min(AROUND + STEP * len(own), WIDEST)), 4.4)
    axes = figure.subplots()
    tidy(axes, "Layer, in execution order", _axis(metric))
    for column, (name, style) in enumerate(zip(sweep.methods, styles(), strict=False)):
        line = values[own, column]
        if np.isfinite(line).any():
            axes.plot(range(len(own)), line, label=literal(method_label(name)), lw=1.6, ms=5,
                      **style)  # fmt: skip
        elif at_input is not None and math.isfinite(values[at_input, column]):
            across = {"color": style["color"], "linestyle": (0, (6, 3)), "lw": 1.4}
            text = f"{method_label(name)} (input)"
            axes.axhline(values[at_input, column], label=literal(text), **across)
    named = _named(len(own), round(WIDEST / STEP))
    texts = [literal(shortened(layers[own[n]])) for n in named]
    axes.set_xticks(named, texts, rotation=45, ha="right")
    axes.margins(x=0.03)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside right upper", frameon=False, fontsize=9, labelcolor=INK)
    axes.set_title(_title(sweep, metric, label, len(layers)), color=INK, fontsize=11, loc="left")
    return figure


def _shown(sweep: Sweep, metric: str, label: str | None) -> tuple[list[str], np.ndarray]:
    """Layers with a value, and (layers, methods) values."""
    values = np.array(sweep.values(metric, label), dtype=float).reshape(
        len(sweep.layers), len(sweep.methods)
    )
    kept = np.isfinite(values).any(1)
    if not kept.any():
        kept[:] = True
    return [name for name, keep in zip(sweep.layers, kept, strict=True) if keep], values[kept]


def _named(count: int, most: int = MOST_NAMED) -> NDArray[np.intp]:
    """Numbers of the layers that are named."""
    return np.arange(0, count, max(1, math.ceil(count / most)))


def _range(values: np.ndarray) -> tuple[float, float]:
    found = values[np.isfinite(values)]
    if not found.size:
        return 0.0, 1.0
    low, high = float(found.min()), float(found.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _write_number(axes: Axes, row: int, column: int, value: float, low: float, high: float) -> None:
    known = math.isfinite(value)
    dark = known and (value - low) / (high - low) < 0.55
    axes.text(
        column + 0.5, row + 0.5, number_text(value), ha="center", va="center", fontsize=8.5,
        color=FAINT if not known else "white" if dark else "black",
    )  # fmt: skip


def number_text(value: float) -> str:
    """A value in a cell: three digits, a dash where it is not defined."""
    if not math.isfinite(value):
        return NOTHING
    text = f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _frame_best(axes: Axes, values: np.ndarray, better: str) -> None:
    if not np.isfinite(values).any():
        return
    from matplotlib.patches import Rectangle

    flat = np.nanargmin(values) if better == "lower" else np.nanargmax(values)
    row, column = np.unravel_index(flat, values.shape)
    box = Rectangle((float(column), float(row)), 1, 1, fill=False, edgecolor="#d55e00", lw=2.4)
    axes.add_patch(box)


def _axis(metric: str) -> str:
    known = described(metric)
    return f"{known.label} ({known.unit})" if known.unit else known.label


def _title(sweep: Sweep, metric: str, label: str | None, shown: int) -> str:
    place = label if label is not None else (sweep.labels[0] if len(sweep.labels) > 1 else "")
    inside = f", {place}" if place else ""
    parts = [f"{_axis(metric)}{inside}: {direction(metric)} is better"]
    left_out = len(sweep.layers) - shown
    if left_out:
        parts.append(f"{left_out} layers without a value are left out")
    return literal("; ".join(parts))
