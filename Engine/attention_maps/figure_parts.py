"""The parts of a figure: a slice with its colors and outlines, the color bar, the legend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import patheffects
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.ticker import ScalarFormatter

from attention_maps.resampling import mask_on_grid, resample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from attention_maps.figure_slices import Slice
    from attention_maps.types import Grid, Image

BACKGROUND, TEXT, FAINT = "#111317", "#eceef1", "#a0a6af"
OPACITY = 0.8
FULL_AT = 0.6  # share of the largest absolute value from which on opacity no longer grows


@dataclass(frozen=True, eq=False)
class Outline:
    """The border of a mask, or of one label.

    Args:
        labels: One channel on any grid.
        color: Of the line.
        value: The label; None for all that is not 0.
        dashed: Whether the line is dashed, so that one below it stays visible.
    """

    labels: Image
    color: str
    value: int | None = None
    dashed: bool = False

    def mask_on(self, grid: Grid) -> NDArray[np.bool_]:
        """(*spatial) bool on a grid, such as that of a slice."""
        if self.value is None:
            return mask_on_grid(self.labels, grid)
        source = self.labels.grid
        array = self.labels.array
        return resample(array, source, grid, interpolation="nearest", outside=0)[0] == self.value


@dataclass(frozen=True)
class Style:
    """Colors of the map.

    Args:
        signed: Whether 0 is in the middle of the color bar.
        largest: Largest absolute value of the whole map; 0 where there is no evidence.
    """

    signed: bool
    largest: float

    @property
    def scale(self) -> ScalarMappable:
        """Value -> color."""
        low = -self.largest if self.signed else 0.0
        return ScalarMappable(Normalize(low, self.largest), "bwr" if self.signed else "inferno")

    def colors(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """(rows, columns, 4) RGBA, transparent at 0."""
        rgba = np.array(self.scale.to_rgba(values))
        share = np.abs(values) / (FULL_AT * self.largest)
        rgba[..., 3] = OPACITY * np.minimum(share, 1)
        return rgba


def draw_slice(
    axes: Axes,
    item: Slice,
    style: Style,
    window: tuple[float, float],
    outlines: dict[str, Outline],
    millimeters_per_inch: float,
) -> None:
    """Draw one picture in mm, the top left corner of its first pixel at (0, 0)."""
    height, width = item.size
    extent = (0.0, width, height, 0.0)
    low, high = window
    axes.set_facecolor("black")
    axes.imshow(
        item.scan, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="bilinear"
    )
    if style.largest:
        axes.imshow(style.colors(item.attention), extent=extent, interpolation="bilinear")
    for name, outline in outlines.items():
        _draw_outline(axes, item, item.outlines[name], outline)
    if item.peak is not None:
        _draw_strokes(axes, item.peak, item.spacing)
    seen = np.array(axes.get_window_extent().size) / axes.figure.dpi * millimeters_per_inch
    aside, above = (seen - (width, height)) / 2
    axes.set(xlim=(-aside, width + aside), ylim=(height + above, -above), xticks=[], yticks=[])
    axes.set_aspect("auto")  # both limits are already at one scale
    for spine in axes.spines.values():
        spine.set_visible(False)
    if item.title:
        axes.set_title(item.title, color=TEXT, fontsize=11, loc="left")
    places = ((0.02, 0.5), (0.98, 0.5), (0.5, 0.98), (0.5, 0.02))
    sides = (("left", "center"), ("right", "center"), ("center", "top"), ("center", "bottom"))
    for letter, (x, y), (ha, va) in zip(item.letters, places, sides, strict=False):
        axes.text(
            x, y, letter, transform=axes.transAxes, ha=ha, va=va, color=TEXT, fontsize=14,
            fontweight="bold", path_effects=[patheffects.withStroke(linewidth=3, foreground="k")],
        )  # fmt: skip


def _draw_outline(axes: Axes, item: Slice, mask: NDArray[np.bool_], outline: Outline) -> None:
    """The border of a mask; a frame of pixels outside closes it at the picture's edge."""
    if not mask.any():
        return
    padded = np.pad(mask, 1).astype(np.float32)
    rows, columns = (
        (np.arange(n) - 0.5) * step for n, step in zip(padded.shape, item.spacing, strict=True)
    )
    axes.contour(
        columns, rows, padded, [0.5], colors=outline.color, linewidths=1.4,
        linestyles="dashed" if outline.dashed else "solid",
    )  # fmt: skip


def _draw_strokes(axes: Axes, peak: tuple[int, int], spacing: tuple[float, float]) -> None:
    """Four strokes around the maximum that leave the point itself free."""
    row, column = ((n + 0.5) * step for n, step in zip(peak, spacing, strict=True))
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        axes.annotate(
            "", (column, row), xytext=(14 * dx, 14 * dy), textcoords="offset points",
            arrowprops={
                "arrowstyle": "-", "color": TEXT, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 7,
                "path_effects": [patheffects.withStroke(linewidth=3, foreground="k")],
            },
        )  # fmt: skip


def draw_bar(
    figure: Figure, area: tuple[float, float, float, float], style: Style, label: str
) -> None:
    """The color bar of a method's map; says so where there is no evidence."""
    left, bottom, _, height = area
    if not style.largest:
        figure.text(left, bottom + height, "No\nevidence", color=TEXT, fontsize=11, va="top")
        return
    numbers = ScalarFormatter(useMathText=True)
    numbers.set_powerlimits((-3, 4))
    bar = figure.colorbar(style.scale, cax=figure.add_axes(area), format=numbers)
    bar.outline.set_edgecolor(FAINT)
    bar.ax.tick_params(colors=TEXT, labelsize=9)
    bar.ax.yaxis.get_offset_text().set(color=TEXT, fontsize=9, horizontalalignment="left")
    name = "evidence against \N{LEFT RIGHT ARROW} for" if style.signed else "evidence for"
    bar.set_label(f"{label}, {name}", color=TEXT, fontsize=9)


def draw_legend(figure: Figure, outlines: dict[str, Outline], corner: tuple[float, float]) -> None:
    """Name the outlines, from a corner in shares of the figure (x, y)."""
    lines = [
        Line2D([], [], color=item.color, lw=2, ls="--" if item.dashed else "-", label=name)
        for name, item in outlines.items()
    ]
    if lines:
        figure.legend(
            handles=lines, loc="upper left", bbox_to_anchor=corner, ncols=len(lines),
            frameon=False, labelcolor=TEXT, fontsize=10, borderpad=0, borderaxespad=0,
        )  # fmt: skip
