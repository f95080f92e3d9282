"""The Result section: what it shows and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..i18n import _
from .Control import Control

if TYPE_CHECKING:
    from .Control import Controls
    from .State import PanelState

OTSU = "otsu"
DEFAULT_SHARE = 0.5


@dataclass(frozen=True)
class MapFacts:
    """One map of the scene.

    Attributes:
        id: of its node.
        name: of its node.
        shown: whether the slice views show it.
        onTop: whether it lies over the others there.
        largest: its largest absolute value.
        caption: what it shows, in words.
        signed: whether negative values mean evidence against.
    """

    id: str
    name: str
    shown: bool = True
    onTop: bool = False
    largest: float = 1.0
    caption: str = ""
    signed: bool = False


@dataclass(frozen=True)
class ResultState:
    """What the section knows.

    Attributes:
        maps: of the scene, the oldest first.
        current: ID of the map that the section is about; empty where there is none.
        opacity: of the maps over the scan, 0..1.
        hiddenFraction: values below this share of the scale are not drawn.
        scale: value of the last color of the current map.
        signed: whether negative values mean evidence against.
        colorTable: ID of the table that the current map's colors are taken from.
        ownColors: whether that is its method's own.
        smooth: whether voxels are interpolated.
        legend: whether a color legend is shown.
        commonScale: whether all maps share one color range.
        in3D: whether the current map is shown in the 3D views.
        layers: names of the current map's layers.
        layer: which of them it shows.
        threshold: where a map's region ends: "otsu" or a share of the largest value as text.
    """

    maps: tuple[MapFacts, ...] = ()
    current: str = ""
    opacity: float = 0.5
    hiddenFraction: float = 0.1
    scale: float = 0.0
    signed: bool = False
    colorTable: str = ""
    ownColors: bool = True
    smooth: bool = True
    legend: bool = True
    commonScale: bool = False
    in3D: bool = False
    layers: tuple[str, ...] = ()
    layer: int = 0
    threshold: str = str(DEFAULT_SHARE)


@dataclass(frozen=True)
class MapRow:
    """A row of the list of maps.

    Attributes:
        id: of the map's node.
        name: what can be edited.
        largest: its largest absolute value, as text.
        checked: whether the slice views show it.
        strong: whether it lies on top.
        toolTip: what it shows and what can be done.
    """

    id: str
    name: str
    largest: str
    checked: bool
    strong: bool
    toolTip: str


def rows(result: ResultState) -> tuple[MapRow, ...]:
    """Return the list of maps, the newest first."""
    hint = _("Double-click or F2 to rename, Delete to remove.")
    return tuple(
        MapRow(
            item.id,
            item.name,
            f"{item.largest:.3g}" if item.largest > 0 else _("no evidence"),
            item.shown,
            item.onTop,
            "\n".join(filter(None, (item.caption, hint))),
        )
        for item in reversed(result.maps)
    )


def mapAfter(result: ResultState) -> str:
    """Return the ID of the map that is current once the present one is removed.

    That is the next one in the list, or the one before the last; empty where there is no other.
    """
    listed = [row.id for row in rows(result)]
    if result.current not in listed:
        return ""
    place = listed.index(result.current)
    others = [*listed[place + 1 :], *reversed(listed[:place])]
    return others[0] if others else ""


def currentMap(result: ResultState) -> MapFacts | None:
    """Return the map that the section is about."""
    return next((item for item in result.maps if item.id == result.current), None)


def controls(state: PanelState) -> Controls:
    """Return what each widget of the section shows."""
    result = state.result
    chosen = currentMap(result)
    if chosen is None:
        words = _("Nothing has been explained yet. Maps appear here once Explain has run.")
        return {
            "noMapsLabel": Control(text=words, visible=True),
            "resultBox": Control(visible=False),
        }
    return {
        "noMapsLabel": Control(visible=False),
        "resultBox": Control(visible=True),
        **_list(result, chosen),
        **_display(result, chosen),
        **_layers(result),
        **_region(result, chosen),
    }


def _list(result: ResultState, chosen: MapFacts) -> Controls:
    others = len(result.maps) > 1
    top = _("Lay the chosen map over the other ones.")
    if chosen.onTop:
        top = _("The chosen map already lies on top.")
    return {
        "topButton": Control(enabled=not chosen.onTop, toolTip=top, visible=others),
        "removeMapButton": Control(
            toolTip=_("Remove the chosen map with its legend, layers and 3D rendering.")
        ),
        "removeAllMapsButton": Control(
            visible=others, toolTip=_("Remove all maps; the scan and the model's answer stay.")
        ),
        "scaleLabel": Control(text=scaleText(result, chosen)),
    }


def scaleText(result: ResultState, chosen: MapFacts) -> str:
    """Return what the colors of the chosen map stand for."""
    if chosen.largest <= 0:
        return _("No evidence: the map is zero everywhere, so nothing is drawn.")
    lower = f"-{result.scale:.3g}" if result.signed else "0"
    hidden = f"{result.hiddenFraction * result.scale:.3g}"
    text = _("Colors from {lower} to {upper}; weaker than {hidden} is not drawn.").format(
        lower=lower, upper=f"{result.scale:.3g}", hidden=hidden
    )
    if result.signed:
        text += " " + _("Negative values speak against the answer.")
    return text


def _display(result: ResultState, chosen: MapFacts) -> Controls:
    evidence = chosen.largest > 0
    empty = _("The map is zero everywhere.")
    own = _("The chosen map has the colors that suit its method.")
    if not result.ownColors:
        own = _("Take the colors that suit the method: one hue from zero, or two around zero.")
    return {
        "opacitySlider": Control(value=result.opacity, toolTip=_("Of all maps over the scan.")),
        "hiddenSlider": Control(
            value=result.hiddenFraction,
            enabled=evidence,
            toolTip=_("Values below this share of the color range are not drawn.")
            if evidence
            else empty,
        ),
        "colorTableComboBox": Control(
            node=result.colorTable,
            toolTip=_("Colors of the chosen map; of a signed one the middle stands for zero."),
        ),
        "ownColorsButton": Control(enabled=not result.ownColors, toolTip=own),
        "smoothCheckBox": Control(
            checked=result.smooth,
            toolTip=_("Interpolate between voxels; else each voxel is drawn as it is."),
        ),
        "legendCheckBox": Control(
            checked=result.legend,
            toolTip=_(
                "Show a color legend; of several maps over each other Slicer draws that of the "
                "lowest, its foreground."
            ),
        ),
        "commonScaleCheckBox": Control(
            checked=result.commonScale,
            toolTip=_(
                "Give all maps one color range, so that equal colors are equal values; else each "
                "has the range of its own values."
            ),
        ),
        "render3DCheckBox": Control(
            checked=result.in3D,
            enabled=evidence or result.in3D,
            toolTip=_("Show the chosen map in the 3D views as volume rendering.")
            if evidence
            else empty,
        ),
    }


def _layers(result: ResultState) -> Controls:
    several = len(result.layers) > 1
    name = result.layers[result.layer] if several else ""
    return {
        "layerScrubLabel": Control(visible=several),
        "layerScrubSlider": Control(
            visible=several,
            value=result.layer,
            toolTip=_("Which layer the map shows, from the network's input to its output."),
        ),
        "layerNameLabel": Control(
            visible=several,
            text=_("{name} ({number} of {count})").format(
                name=name, number=result.layer + 1, count=len(result.layers)
            ),
        ),
    }


def _region(result: ResultState, chosen: MapFacts) -> Controls:
    evidence = chosen.largest > 0
    empty = _("The map is zero everywhere.")
    tips = {
        "jumpButton": _("Move the slice views to the largest absolute value."),
        "segmentButton": _("Make a segmentation of where the map is above the threshold."),
        "boxButton": _(
            "Put a box (markups ROI) around the connected region with the largest value; its name "
            "says its size in mm."
        ),
    }
    buttons = {
        name: Control(enabled=evidence, toolTip=text if evidence else empty)
        for name, text in tips.items()
    }
    return {**buttons, **thresholdControls(result.threshold, "regionOtsu", "regionShare")}


def thresholdControls(threshold: str, otsu: str, share: str) -> Controls:
    """Return what a check box for Otsu's method and a slider for a share show.

    Args:
        threshold: "otsu", or a share as text.
        otsu: name of the check box, without its ending.
        share: name of the slider, without its ending.
    """
    automatic = threshold == OTSU
    return {
        f"{otsu}CheckBox": Control(
            checked=automatic,
            toolTip=_("Find the threshold in the values, by Otsu's method."),
        ),
        f"{share}Slider": Control(
            enabled=not automatic,
            value=DEFAULT_SHARE if automatic else float(threshold),
            toolTip=_("Share of the largest absolute value."),
        ),
    }


def thresholdValue(threshold: str) -> str | float:
    """Return a threshold as the logic takes it: "otsu" or a number."""
    return OTSU if threshold == OTSU else float(threshold)
