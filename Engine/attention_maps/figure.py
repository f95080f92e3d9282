"""The overview of a map as a picture: slices, colors, outlines, caption; drawn by matplotlib."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from attention_maps.errors import ImageError
from attention_maps.figure_parts import (
    BACKGROUND,
    FAINT,
    TEXT,
    Outline,
    Style,
    draw_bar,
    draw_legend,
    draw_slice,
)
from attention_maps.figure_slices import (
    OBLIQUE_DEGREES,
    cut_slices,
    gray_of,
    gray_window,
    obliquity,
)
from attention_maps.image_io.files import suffix_of, written_whole
from attention_maps.inputs import as_image
from attention_maps.peak import Peak, describe_place, find_peak

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

    from attention_maps.answer import Answer
    from attention_maps.figure_slices import Slice
    from attention_maps.result import AttentionMap
    from attention_maps.types import Image

FORMATS = (".png", ".jpg", ".jpeg", ".pdf", ".svg")
ANSWER_COLORS = ("#40ff59", "#ff66ff", "#1af2d9", "#bf99ff")
MASK_COLOR = "#33bfff"
MASK_NAME = "Mask"

WIDTH, EDGE, GAP, BAR = 13.0, 0.25, 0.12, 1.35  # inches
TITLE = 0.3
HIGHEST, NARROWEST = 6.5, 2.0
LINE = 0.21


def save_figure(
    result: AttentionMap,
    image: Any,
    path: str | PathLike[str],
    mask: Any = None,
    *,
    dpi: int = 140,
) -> Path:
    """Write the overview as a picture file, whole or not at all.

    Args:
        result: The map.
        image: The image that was explained: an Image, a path, a list of paths or an array.
        path: .png, .jpg, .pdf or .svg.
        mask: A mask to outline, on any grid: an Image or a path.
        dpi: Pixels per inch; the figure is 13 inches wide.

    Returns:
        The path.

    Raises:
        ImageError: If image, mask or the kind of file cannot be used.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    if suffix_of(path) not in FORMATS:
        raise ImageError(
            f"Expected a figure's name that ends in {', '.join(FORMATS)}, got '{path.name}'."
        )
    figure = draw_overview(result, image, mask)
    with written_whole(path) as part:
        figure.savefig(part, dpi=dpi, facecolor=BACKGROUND)
    return path


def draw_overview(result: AttentionMap, image: Any, mask: Any = None) -> Figure:
    """Draw slices through the map's largest absolute value, with color bar and caption.

    Volumes are shown in axial, coronal and sagittal slices, all at one scale, in radiological
    convention; pictures as they are. Where the map is zero the scan is seen as it is.

    Args:
        result: The map.
        image: The image that was explained: an Image, a path, a list of paths or an array.
        mask: A mask to outline, on any grid: an Image or a path.

    Returns:
        A figure that belongs to no window and no global state of matplotlib.

    Raises:
        ImageError: If the image is not on the map's grid, or the mask cannot be used.
    """
    attention = result.image
    scan = as_image(image, attention.ndim)
    if not scan.grid.same_as(attention.grid, 1e-2):
        raise ImageError(
            f"Expected the image that was explained, {attention.grid.shape} voxels, got another "
            f"grid of {scan.grid.shape} voxels."
        )
    peak = find_peak(attention)
    index = peak.index if peak else tuple(n // 2 for n in attention.grid.shape)
    outlines = _outlines(result, None if mask is None else as_image(mask, attention.ndim))
    masks = {name: item.mask_on for name, item in outlines.items()}
    slices = cut_slices(gray_of(scan), attention, masks, index, peak is not None)
    style = Style(result.signed or bool(attention.array.min() < 0), abs(peak.value) if peak else 0)
    title, lines, notes = _caption(result, peak, attention.grid.affine)
    return _compose(slices, style, gray_window(scan), outlines, result, (title, lines, notes))


def _outlines(result: AttentionMap, mask: Image | None) -> dict[str, Outline]:
    """The answer's classes without background, as far as there are colors, and the mask."""
    found = answer_outlines(result.answer)
    if mask is not None:
        found[MASK_NAME] = Outline(mask, MASK_COLOR, dashed=True)
    return found


def answer_outlines(answer: Answer) -> dict[str, Outline]:
    """The predicted classes without background, as far as there are colors; none for a diagnosis.

    Args:
        answer: The network's answer.
    """
    found: dict[str, Outline] = {}
    if answer.task == "segmentation":
        classes = [n for n in answer.ranking() if n != answer.background]
        for index, color in zip(classes, ANSWER_COLORS, strict=False):
            if bool(answer.predicted(index).any()):
                name = f"Answer: {answer.class_label(index)}"
                found[name] = Outline(answer.label_map, color, answer.label_values[index])
    return found


def _caption(
    result: AttentionMap, peak: Peak | None, affine: NDArray[np.float64]
) -> tuple[str, list[str], str]:
    """Title, lines below it, small print."""
    known = result.provenance
    label, model = known["method_label"], known["model"]["name"]
    title = f"{label} at {_layer(result)} of {model}"
    lines = [f"Target: {result.target}. Score: {_number(result.score, 6)}."]
    if result.answer.task == "classification":
        order = result.answer.ranking()[:3]
        shares = result.answer.probabilities
        likely = (f"{result.answer.class_label(n)} {shares[n]:.3g}" for n in order)
        lines.append(f"Answer: {', '.join(likely)}.")
    notes = [f"Rendered by matplotlib {matplotlib.__version__}"]
    if peak is None:
        lines.insert(0, "No evidence: the map is zero everywhere.")
    else:
        value = _number(peak.value)
        lines.append(
            f"Largest absolute value {value} at {describe_place(peak)}, marked by strokes."
        )
    if known.get("note") and peak is not None:
        lines.append(f"Note: {known['note']}.")
    if len(result.grid.shape) == 3:
        notes.append(
            "radiological convention (patient's left on the right), all planes at one scale"
        )
    notes.append("opacity grows with the absolute value, zero is transparent")
    angle = obliquity(affine, len(result.grid.shape))
    if angle > OBLIQUE_DEGREES:
        notes.append(f"slices follow the scan's axes, up to {angle:.0f}\N{DEGREE SIGN} oblique")
    notes += [f"{label}: {known['reference']}", "Research use only"]
    return title, lines, "; ".join(notes) + "."


def _number(value: float, digits: int = 4) -> str:
    """A value with a true minus sign."""
    return f"{value:.{digits}g}".replace("-", "\N{MINUS SIGN}")


def _layer(result: AttentionMap) -> str:
    return "the input" if result.layer == "input" else f"layer {result.layer}"


def _compose(
    slices: list[Slice],
    style: Style,
    window: tuple[float, float],
    outlines: dict[str, Outline],
    result: AttentionMap,
    caption: tuple[str, list[str], str],
) -> Figure:
    """Place panels, color bar and caption, in inches."""
    widths, height, scale = _panel_sizes([item.size for item in slices])
    text = _wrapped(*caption)
    below = LINE * (len(text) + 2.6)
    total = EDGE + TITLE + height + below + EDGE / 2
    width = EDGE + sum(widths) + GAP * len(widths) + BAR + EDGE
    width = max(width, WIDTH)
    figure = Figure(figsize=(width, total), facecolor=BACKGROUND)
    bottom = below + EDGE / 2
    left = EDGE
    for item, panel in zip(slices, widths, strict=True):
        area = (left / width, bottom / total, panel / width, height / total)
        axes = figure.add_axes(area)
        draw_slice(axes, item, style, window, outlines, 1 / scale)
        left += panel + GAP
    area = ((left + 0.15) / width, (bottom + 0.15) / total, 0.2 / width, (height - 0.6) / total)
    draw_bar(figure, area, style, result.provenance["method_label"])
    draw_legend(figure, outlines, (EDGE / width, (bottom - 0.06) / total))
    for number, (line, options) in enumerate(text):
        y = bottom - LINE * (number + 1.9)
        figure.text(EDGE / width, y / total, line, va="top", **options)
    return figure


def _panel_sizes(sizes: list[tuple[float, float]]) -> tuple[list[float], float, float]:
    """Widths, common height (inches) and scale (inches per mm) for pictures of sizes in mm."""
    heights, widths = np.array(sizes).T
    room = WIDTH - 2 * EDGE - BAR - GAP * len(sizes)
    scale = min(room / widths.sum(), HIGHEST / heights.max())
    panels = np.maximum(widths * scale, NARROWEST)
    if panels.sum() > room:  # narrow panels take room from the others
        wide = widths * scale > NARROWEST
        scale = (room - NARROWEST * (~wide).sum()) / max(widths[wide].sum(), 1e-9)
        panels = np.maximum(widths * scale, NARROWEST)
    height = max(float(heights.max() * scale), NARROWEST)
    return [float(panel) for panel in panels], height, float(scale)


def _wrapped(title: str, lines: list[str], notes: str) -> list[tuple[str, dict[str, Any]]]:
    """Lines of the caption with their looks."""
    bold = {"color": TEXT, "fontsize": 13, "fontweight": "bold"}
    plain = {"color": TEXT, "fontsize": 10.5}
    small = {"color": FAINT, "fontsize": 8.5}
    text = [(line, bold) for line in textwrap.wrap(title, 110)]
    text += [(part, plain) for line in lines for part in textwrap.wrap(line, 150)]
    return text + [(line, small) for line in textwrap.wrap(notes, 190)]
