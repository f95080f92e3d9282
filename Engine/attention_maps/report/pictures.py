"""Maps over the scan as small pictures of a page: one per plane, color bar, names of outlines."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from PIL import Image as Picture

from attention_maps.errors import ImageError
from attention_maps.figure import answer_outlines
from attention_maps.figure_parts import BACKGROUND, FAINT, TEXT, Outline, Style, draw_slice
from attention_maps.figure_slices import cut_slices, gray_of, gray_window
from attention_maps.inputs import as_image
from attention_maps.peak import describe_place, find_peak
from attention_maps.places import as_mask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attention_maps.figure_slices import Slice
    from attention_maps.result import AttentionMap

MASK_COLORS = ("#33bfff", "#ffd23f", "#ff8f5a", "#b8f06a", "#f7a1c4", "#d0b3ff")
WIDTH, HIGHEST, NARROWEST = 1440, 620, 150  # pixels of all planes together
DPI = 100
JPEG_QUALITY = 84
PLOT_COLORS = 255


@dataclass(frozen=True)
class Shot:
    """A picture of a page.

    Args:
        source: Data URI.
        alt: What is seen, for those who do not see it.
        width: In pixels.
        height: In pixels.
        title: Below it.
    """

    source: str
    alt: str
    width: int
    height: int
    title: str = ""

    @property
    def ratio(self) -> float:
        """Width over height."""
        return round(self.width / self.height, 4)


@dataclass(frozen=True)
class MapPictures:
    """A map over the scan.

    Args:
        planes: One picture per plane.
        bar: The color bar; None where there is no evidence.
        names: Name and color of each outline, and whether it is dashed.
        caption: Where the map is strongest.
    """

    planes: tuple[Shot, ...]
    bar: Shot | None
    names: tuple[tuple[str, str, bool], ...]
    caption: str


def draw_map(
    made: AttentionMap, image: Any, masks: Mapping[str, Any], name: str, width: int = WIDTH
) -> MapPictures:
    """Draw the planes through the map's largest absolute value, all at one scale.

    Args:
        made: The map.
        image: The image that was explained, as in `explain`.
        masks: To be outlined, by name.
        name: Of the case, for the alternative text.
        width: Pixels of all planes together.

    Raises:
        ImageError: If the image is not on the map's grid, or a mask cannot be used.
    """
    attention = made.image
    scan = as_image(image, attention.ndim)
    if not scan.grid.same_as(attention.grid, 1e-2):
        raise ImageError(
            f"Expected the image that was explained, {attention.grid.shape} voxels, got another "
            f"grid of {scan.grid.shape} voxels."
        )
    peak = find_peak(attention)
    index = peak.index if peak else tuple(n // 2 for n in attention.grid.shape)
    # 3D Slicer keeps maps without the answer that they are of.
    outlines = answer_outlines(made.answer) if made.answer is not None else {}
    for (label, mask), color in zip(masks.items(), MASK_COLORS, strict=False):
        outlines[label] = Outline(as_mask(mask, attention.grid), color, dashed=True)
    seen = {key: item.mask_on for key, item in outlines.items()}
    slices = cut_slices(gray_of(scan), attention, seen, index, peak is not None)
    style = Style(made.signed or bool(attention.array.min() < 0), abs(peak.value) if peak else 0)
    window, label = gray_window(scan), made.provenance["method_label"]
    planes = tuple(
        _plane(item, size, style, window, outlines, f"{label} map of {made.target} over {name}")
        for item, size in zip(slices, _sizes(slices, width), strict=True)
    )
    caption = "No evidence: the map is zero everywhere."
    if peak is not None:
        caption = f"Strongest at {describe_place(peak)} ({peak.value:.4g}), marked by strokes."
    names = tuple((key, item.color, item.dashed) for key, item in outlines.items())
    bar = _bar(style, label) if style.largest else None
    return MapPictures(planes, bar, names, caption.replace("-", "\N{MINUS SIGN}"))


def _sizes(slices: list[Slice], width: int) -> list[tuple[int, int, float]]:
    """Width and height in pixels, and mm per pixel: one height and one scale for all."""
    heights, widths = np.array([item.size for item in slices]).T
    scale = min(width / widths.sum(), HIGHEST * width / WIDTH / heights.max())  # pixels per mm
    height = max(NARROWEST, round(heights.max() * scale))
    return [(max(NARROWEST, round(side * scale)), height, 1 / scale) for side in widths]


def _plane(
    item: Slice,
    size: tuple[int, int, float],
    style: Style,
    window: tuple[float, float],
    outlines: dict[str, Outline],
    words: str,
) -> Shot:
    width, height, millimeters = size
    figure = Figure(figsize=(width / DPI, height / DPI), facecolor="black", dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    draw_slice(axes, replace(item, title=""), style, window, outlines, millimeters * DPI)
    plane = " ".join(item.title.split()) or "picture"
    alt = f"{words}: {plane}"
    return _jpeg(figure, alt, plane if item.title else "")


def _bar(style: Style, label: str) -> Shot:
    """The color bar, lying; on the dark background of the planes."""
    figure = Figure(figsize=(3.4, 0.68), facecolor=BACKGROUND)
    numbers = ScalarFormatter(useMathText=True)
    numbers.set_powerlimits((-3, 4))
    axes = figure.add_axes((0.06, 0.74, 0.78, 0.22))
    bar = figure.colorbar(style.scale, cax=axes, orientation="horizontal", format=numbers)
    bar.outline.set_edgecolor(FAINT)
    bar.ax.tick_params(colors=TEXT, labelsize=9, pad=2, length=3)
    figure.draw_without_rendering()  # the power of ten is known from here on
    power = bar.ax.xaxis.get_offset_text()
    power.set_visible(False)  # its own place is that of the label
    figure.text(0.86, 0.85, power.get_text(), color=TEXT, fontsize=9, va="center")
    name = "evidence against \N{LEFT RIGHT ARROW} for" if style.signed else "evidence for"
    figure.text(0.5, 0.02, f"{label}, {name}", color=TEXT, fontsize=9, ha="center", va="bottom")
    low = f"{-style.largest:.3g}" if style.signed else "0"
    return plot_shot(figure, f"Color bar of {label}, from {low} to {style.largest:.3g}", 200)


def _jpeg(figure: Figure, alt: str, title: str) -> Shot:
    with io.BytesIO() as file:
        picture = _pixels(figure, DPI)
        picture.save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
        return Shot(data_uri(file.getvalue(), "jpeg"), alt, *picture.size, title)


def plot_shot(figure: Figure, alt: str, dpi: int = 140, title: str = "") -> Shot:
    """A plot as a PNG of few colors, which is small and sharp."""
    with io.BytesIO() as file:
        few = _pixels(figure, dpi).quantize(PLOT_COLORS, dither=Picture.Dither.NONE)
        few.save(file, "PNG", optimize=True)
        return Shot(data_uri(file.getvalue(), "png"), alt, *few.size, title)


def _pixels(figure: Figure, dpi: int) -> Picture.Image:
    """A figure drawn, RGB."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Picture.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def data_uri(content: bytes, kind: str) -> str:
    """A picture as text that a page holds in itself."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
