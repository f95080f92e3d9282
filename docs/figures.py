"""Draws what methods and layers of the demonstration's network show, and measures it.

Usage: python docs/figures.py

Writes Resources/Screenshots/methods_and_layers.jpg and the table in choosing_layer_and_method.md.
Needs the sample data (`make data`).
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from PIL import Image as PictureFile

from attention_maps import (
    AttentionMap,
    Explainer,
    Image,
    demo,
    evaluate,
    methods,
    read_image,
    sample_data,
)
from attention_maps.figure_parts import BACKGROUND, TEXT, Outline, Style, draw_slice
from attention_maps.figure_slices import cut_slices, gray_window

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "Resources" / "Screenshots" / "methods_and_layers.jpg"
PAGE = ROOT / "docs" / "choosing_layer_and_method.md"
TABLE = re.compile(r"(<!-- figures:[^\n]*-->\n)(.*?)(<!-- end of figures -->)", re.DOTALL)

LAYERS = ("down3", "up0", "up1", "up2", "up3", "conv")
LAYER_METHODS = ("grad_cam", "hires_cam", "layer_cam", "seg_xres_cam", "eigen_cam")
INPUT_METHODS = (
    "saliency",
    "input_x_gradient",
    "smooth_grad",
    "guided_backprop",
    "guided_grad_cam",
)
FEW = 0.999
PANEL, EDGE, HEAD = 1.75, 0.1, 0.3  # inches


@dataclass(frozen=True)
class Shown:
    """A map with its figures.

    Args:
        attention_map: The map.
        inside: Share of its positive attention inside the brain.
    """

    attention_map: AttentionMap
    inside: float


def main() -> None:
    """Write the picture and the table."""
    scan = read_image(sample_data.find(demo.SCAN))
    session = Explainer(sample_data.find(demo.MODEL), scan, spec=demo.SPEC)
    answer = session.prediction
    found = [[_shown(session, method, layer, answer) for layer in LAYERS]
             for method in LAYER_METHODS]  # fmt: skip
    inputs = [_shown(session, method, "auto", answer) for method in INPUT_METHODS]
    _draw([*found, inputs], scan, answer)
    text = PAGE.read_text(encoding="utf-8")
    share = float((answer.array != 0).mean())
    PAGE.write_text(TABLE.sub(lambda m: m[1] + table(found, inputs, share) + m[3], text), "utf-8")


def _shown(session: Explainer, method: str, layer: str, answer: Image) -> Shown:
    result = session.explain(method, layer, demo.TARGET)
    return Shown(result, evaluate(result, answer, "energy_inside")["energy_inside"])


def table(rows: list[list[Shown]], inputs: list[Shown], share: float) -> str:
    """Shares inside in percent, as Markdown."""
    lines = ["| | " + " | ".join(f"`{layer}`" for layer in LAYERS) + " |", "|---" * 7 + "|"]
    sizes = " | ".join(" x ".join(map(str, item.attention_map.raw.grid.shape)) for item in rows[0])
    lines.append(f"| size | {sizes} |")
    for row in rows:
        cells = " | ".join(f"{100 * item.inside:.1f} %" for item in row)
        lines.append(f"| {_label(row[0])} | {cells} |")
    words = ", ".join(f"{_label(item)} {100 * item.inside:.1f} %" for item in inputs)
    return "\n".join(
        [*lines, "", f"Methods without a layer: {words}. The brain takes {100 * share:.1f} % of "
         "the scan: what a map without a clue would get.", ""]
    )  # fmt: skip


def _label(item: Shown) -> str:
    return methods()[item.attention_map.method].label


def _draw(rows: list[list[Shown]], scan: Image, answer: Image) -> None:
    """One sagittal slice through the answer's middle per map, each on a scale of its own."""
    middle = tuple(int(axis.mean()) for axis in (answer.array[0] != 0).nonzero())
    outlines = {"Answer": Outline(answer, "#40ff59")}
    columns = len(LAYERS)
    width = columns * PANEL + (columns + 1) * EDGE
    height = len(rows) * (PANEL + HEAD) + EDGE
    figure = Figure(figsize=(width, height), facecolor=BACKGROUND)
    for number, row in enumerate(rows):
        for column, item in enumerate(row):
            left = EDGE + column * (PANEL + EDGE)
            bottom = height - (number + 1) * (PANEL + HEAD)
            area = (left / width, bottom / height, PANEL / width, PANEL / height)
            _panel(figure, area, item, scan, middle, outlines)
    with io.BytesIO() as drawn:
        figure.savefig(drawn, dpi=100, facecolor=BACKGROUND)
        picture = PictureFile.open(drawn).convert("RGB")
        picture.save(PICTURE, quality=90, optimize=True)


def _panel(
    figure: Figure,
    area: tuple[float, float, float, float],
    item: Shown,
    scan: Image,
    middle: tuple[int, ...],
    outlines: dict[str, Outline],
) -> None:
    attention: NDArray = item.attention_map.image.array
    masks = {name: outline.mask_on for name, outline in outlines.items()}
    piece = cut_slices(scan, item.attention_map.image, masks, middle, False)[-1]
    # A gradient at the input is largest in a few voxels: the others would not be seen.
    at_input = item.attention_map.method in INPUT_METHODS
    largest = np.quantile(abs(attention), FEW) if at_input else abs(attention).max()
    style = Style(item.attention_map.signed, float(largest))
    axes = figure.add_axes(area)
    draw_slice(axes, piece, style, gray_window(scan), outlines, max(piece.size) / PANEL)
    axes.set_title("")
    for letter in list(axes.texts):
        letter.remove()
    layer = "" if item.attention_map.layer == "input" else f", {item.attention_map.layer}"
    axes.set_title(_label(item) + layer, color=TEXT, fontsize=8, loc="left", pad=3)


if __name__ == "__main__":
    main()
