"""One picture of an attention map: three slice views through its maximum, color bar, caption."""

from dataclasses import dataclass

import numpy as np
import slicer

from . import ColorTables, Display, VolumeGeometry
from . import FigureParts as parts
from .SceneSetup import nodesByClass
from .SliceRenderer import SliceRequest, renderSlice
from .SliceViews import MARGIN, PLANE_AXES, STANDARD_VIEWS

_WIDTH = 2000
_EDGE = 40
_GAP = 14
_HEADER = 40
_BAR_COLUMN = 200
_HIGHEST_PANEL = 1000
_NARROWEST_PANEL = 320
_SIDES = (("R", "L"), ("A", "P"), ("S", "I"))


@dataclass(frozen=True)
class Caption:
    """The words of the figure.

    Attributes:
        title: the first line below the pictures, in bold.
        details: lines below it.
        smallPrint: how the picture was made.
        barTitle: names the color bar; each text starts a line.
    """

    title: str
    details: tuple[str, ...]
    smallPrint: str
    barTitle: tuple[str, ...]


@dataclass(frozen=True)
class _Panel:
    """A slice view's place: `left` and `width` in the figure, in pixels."""

    name: str
    left: int
    width: int


@dataclass(frozen=True)
class _Layout:
    panels: tuple[_Panel, ...]
    height: int
    pixelsPerMillimeter: float


def renderFigure(context, scanNode, overlayNode, style, caption: Caption, *, opacity: float = 0.5):
    """Render axial, coronal and sagittal slices through the map's maximum, at one scale.

    Args:
        context: scene and application logic, a `SceneSetup.SlicerContext`.
        scanNode: the grey background.
        overlayNode: the map, styled by `Display.styleOverlay`.
        style: what that returned.
        caption: the words below.
        opacity: of the map over the scan.

    Returns:
        A `PIL.Image.Image`, RGB, 2000 pixels wide.
    """
    from PIL import Image, ImageDraw

    bounds = VolumeGeometry.worldBounds(scanNode)
    position = VolumeGeometry.positionOfMaximum(overlayNode)
    cut = bounds.mean(axis=0) if position is None else position
    layout = _planLayout(bounds[1] - bounds[0])
    image = Image.new("RGB", (_WIDTH, _EDGE + _HEADER + layout.height + 600), parts.BACKGROUND)
    draw = ImageDraw.Draw(image)
    for panel in layout.panels:
        request = _request(panel, layout, bounds, cut, (scanNode, overlayNode, opacity))
        picture = renderSlice(context.scene, context.applicationLogic, request)
        image.paste(Image.fromarray(picture.image), (panel.left, _EDGE + _HEADER))
        _annotate(draw, panel, layout, picture, cut, marked=position is not None)
    _drawColorBar(image, layout, overlayNode, style, caption.barTitle)
    bottom = _drawOutlineLegend(draw, _EDGE + _HEADER + layout.height + 20, context.scene)
    bottom = _drawCaption(draw, bottom, caption, style)
    return image.crop((0, 0, _WIDTH, bottom + _EDGE // 2))


def _planLayout(extent: np.ndarray) -> _Layout:
    """Place three panels of equal height and scale side by side; `extent` (R, A, S) in mm."""
    planes = [PLANE_AXES[orientation] for orientation, _, _ in STANDARD_VIEWS.values()]
    widths = MARGIN * np.array([extent[across] for across, _, _ in planes])
    height = MARGIN * max(extent[up] for _, up, _ in planes)
    room = _WIDTH - 2 * _EDGE - _BAR_COLUMN - 3 * _GAP
    scale = min(room / widths.sum(), _HIGHEST_PANEL / height)
    # A panel too narrow for its header takes room from the others.
    narrow = widths * scale < _NARROWEST_PANEL
    if narrow.any() and not narrow.all():
        scale = min(scale, (room - narrow.sum() * _NARROWEST_PANEL) / widths[~narrow].sum())
    pixels = np.maximum(widths * scale, _NARROWEST_PANEL)
    pixels = (pixels + (room - pixels.sum()) / 3).astype(int)
    lefts = _EDGE + np.concatenate([[0], np.cumsum(pixels[:-1] + _GAP)])
    panels = [_Panel(*p) for p in zip(STANDARD_VIEWS, lefts.tolist(), pixels.tolist(), strict=True)]
    return _Layout(tuple(panels), max(int(height * scale), _NARROWEST_PANEL), float(scale))


def _request(panel: _Panel, layout: _Layout, bounds, cut, layers) -> SliceRequest:
    orientation = STANDARD_VIEWS[panel.name][0]
    center = bounds.mean(axis=0)
    axis = PLANE_AXES[orientation][2]
    center[axis] = cut[axis]
    scanNode, overlayNode, opacity = layers
    return SliceRequest(
        orientation=orientation,
        center=tuple(center),
        size=(panel.width, layout.height),
        millimetersPerPixel=1 / layout.pixelsPerMillimeter,
        background=scanNode,
        foreground=overlayNode,
        opacity=opacity,
    )


def _annotate(draw, panel: _Panel, layout: _Layout, picture, cut, *, marked: bool) -> None:
    """Write a header in the view's own color, and letters, scale and maximum into the picture."""
    orientation, color, _ = STANDARD_VIEWS[panel.name]
    top, right = _EDGE + _HEADER, panel.left + panel.width
    bottom = top + layout.height
    header = (panel.left, _EDGE, right - 1, top - 1)
    draw.rectangle(header, fill=tuple(round(255 * channel) for channel in color))
    middle = _EDGE + _HEADER // 2
    dark = (20, 20, 20)
    titleFont = parts.font(23, bold=True)
    draw.text((panel.left + 14, middle), orientation, font=titleFont, fill=dark, anchor="lm")
    axis = PLANE_AXES[orientation][2]
    place = f"{patientPosition(cut[axis], axis)} mm"
    draw.text((right - 14, middle), place, font=titleFont, fill=dark, anchor="rm")

    parts.drawBorderLetters(draw, (panel.left, top, right, bottom), picture.borderLetters())
    corner = (right - 16, bottom - 18)
    widest = min(other.width for other in layout.panels) / 3
    parts.drawScaleBar(draw, corner, layout.pixelsPerMillimeter, widest)
    if marked:
        row, column = picture.pixelOf(cut)
        parts.drawTarget(draw, (panel.left + column, top + row))


def patientPosition(value: float, axis: int) -> str:
    """Return a coordinate along a RAS axis as radiologists write it: (-30.0, 0) is 'L 30.0'."""
    rounded = round(float(value), 1)
    return f"{_SIDES[axis][rounded < 0]} {abs(rounded):.1f}"


def _drawColorBar(image, layout: _Layout, overlayNode, style: Display.OverlayStyle, titles):
    from PIL import ImageDraw

    last = layout.panels[-1]
    left = last.left + last.width + _GAP + 14
    draw = ImageDraw.Draw(image)
    titleFont = parts.font(21, bold=True)
    width = _WIDTH - _EDGE // 2 - left
    lines = [line for title in titles for line in parts.wrap(title, titleFont, width)][:6]
    top = parts.drawLines(draw, (left, _EDGE + 6), lines, titleFont)
    if not style.evidence:
        parts.drawLines(draw, (left, top + 10), ["No evidence"], parts.font(21))
        return
    bottom = _EDGE + _HEADER + layout.height - 12
    colors = ColorTables.colorsOf(overlayNode.GetDisplayNode().GetColorNode())
    shown = np.abs(np.linspace(*style.colorRange, len(colors))) >= style.hiddenBelow
    parts.drawColorBar(image, (left, top + 42, left + 34, bottom), colors, style.colorRange, shown)


def _drawOutlineLegend(draw, top: int, scene) -> int:
    """Name the outlines in the views and return the y below."""
    x = _EDGE
    nameFont = parts.font(22)
    for node in nodesByClass(scene, "vtkMRMLSegmentationNode"):
        width = node.GetDisplayNode().GetSliceIntersectionThickness()
        for index in range(node.GetSegmentation().GetNumberOfSegments()):
            segment = node.GetSegmentation().GetNthSegment(index)
            name = segment.GetName()
            needed = 54 + nameFont.getlength(name)
            if x > _EDGE and x + needed > _WIDTH - _EDGE:
                x, top = _EDGE, top + 36
            color = tuple(round(255 * channel) for channel in segment.GetColor())
            draw.line((x, top + 14, x + 42, top + 14), fill=color, width=width)
            draw.text((x + 54, top + 14), name, font=nameFont, fill=parts.TEXT, anchor="lm")
            x += needed + 44
    return top + 46 if x > _EDGE else top


def _drawCaption(draw, top: int, caption: Caption, style: Display.OverlayStyle) -> int:
    width = _WIDTH - 2 * _EDGE
    titleFont, detailFont, smallFont = parts.font(28, bold=True), parts.font(23), parts.font(18)
    top = parts.drawLines(
        draw, (_EDGE, top), parts.wrap(caption.title, titleFont, width), titleFont
    )
    details = list(caption.details)
    if not style.evidence:
        details.insert(0, "No evidence: the map is zero everywhere.")
    for detail in details:
        lines = parts.wrap(detail, detailFont, width)
        top = parts.drawLines(draw, (_EDGE, top), lines, detailFont)
    small = parts.wrap(caption.smallPrint, smallFont, width)
    return parts.drawLines(draw, (_EDGE, top + 6), small, smallFont, fill=parts.FAINT)


def slicerVersion() -> str:
    """Return what draws the views: '3D Slicer 5.10.0', or 'slicer-core 5.12.4.0' of PyPI."""
    application = getattr(slicer, "app", None)
    if application is not None:
        return f"3D Slicer {application.applicationVersion}"
    from importlib.metadata import version

    return f"slicer-core {version('slicer-core')}"
