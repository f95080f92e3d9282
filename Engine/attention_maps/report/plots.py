"""How plots look, and how they become files: black on white, readable in print."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_maps.errors import ImageError
from attention_maps.image_io.files import suffix_of, written_whole
from attention_maps.packages import needed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf", ".jpg", ".jpeg")
INK, FAINT, GRID, PAPER = "#1d2430", "#5b6573", "#dfe3e8", "#ffffff"
# Told apart by people with color blindness, too (Okabe, Ito, 2008), with markers beside.
COLORS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f3c8d", "#000000",
)  # fmt: skip
MARKERS = "osD^vPX*"
DASHES = ("-", "--", ":", "-.")
DPI = 150


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in inches that belongs to no window and no global state of matplotlib."""
    kind = needed("matplotlib.figure", "A plot").Figure
    return kind(figsize=(width, height), facecolor=PAPER, layout="constrained")


def styles() -> Iterator[dict[str, Any]]:
    """Looks of one line after the other, no two alike within the first 32."""
    number = 0
    while True:
        turn = number // len(COLORS)
        yield {
            "color": COLORS[number % len(COLORS)],
            "marker": MARKERS[(number + turn) % len(MARKERS)],
            "linestyle": DASHES[turn % len(DASHES)],
        }
        number += 1


def tidy(axes: Axes, x_label: str = "", y_label: str = "") -> None:
    """Quiet axes: only the left and lower border, a faint grid behind."""
    axes.set_axisbelow(True)
    axes.grid(color=GRID, linewidth=0.8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9)
    axes.set_xlabel(x_label, color=INK, fontsize=10)
    axes.set_ylabel(y_label, color=INK, fontsize=10)


def save_plot(figure: Figure, path: str | PathLike[str]) -> Path:
    """Write a plot, whole or not at all.

    Args:
        figure: The plot.
        path: .png, .svg, .pdf or .jpg.

    Raises:
        ImageError: If the name ends in something else.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix not in FORMATS:
        raise ImageError(
            f"Expected a plot's name that ends in {', '.join(FORMATS)}, got '{path.name}'."
        )
    content = drawn(figure, suffix.lstrip("."))
    with written_whole(path) as part:
        part.write_bytes(content)
    return path


def drawn(figure: Figure, kind: str, dpi: int = DPI) -> bytes:
    """A figure as the content of a file; the same figure gives the same bytes."""
    matplotlib = needed("matplotlib", "A plot")
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    settings = {"svg.hashsalt": "attention-maps", "svg.fonttype": "path"}
    with io.BytesIO() as file, matplotlib.rc_context(settings):
        figure.savefig(
            file, format=kind, dpi=dpi, metadata=metadata, facecolor=figure.get_facecolor()
        )
        return file.getvalue()


def shortened(text: str, most: int = 34) -> str:
    """A long name with its middle left out: layers differ at their ends."""
    if len(text) <= most:
        return text
    head = (most - 1) // 3
    return f"{text[:head]}\N{HORIZONTAL ELLIPSIS}{text[-(most - 1 - head) :]}"


def literal(text: str) -> str:
    """A name from a file in a plot, without what matplotlib takes for mathematics."""
    return text.replace("$", r"\$")
