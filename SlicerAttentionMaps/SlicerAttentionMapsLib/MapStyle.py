"""How a map is drawn, as attributes of its nodes: a reloaded scene brings it back.

What the voxels tell (their largest value, their signs) stands on the volume; what a person chose
stands on its display node, which stays while a sequence shows one volume after another.
"""

from dataclasses import dataclass

import numpy as np
import slicer.util

from . import ColorTables

EVIDENCE_ATTRIBUTE = "AttentionMaps.Evidence"
SIGNED_ATTRIBUTE = "AttentionMaps.Signed"
LARGEST_ATTRIBUTE = "AttentionMaps.Largest"
HIDDEN_ATTRIBUTE = "AttentionMaps.HiddenFraction"
SCALE_ATTRIBUTE = "AttentionMaps.Scale"
COLORS_ATTRIBUTE = "AttentionMaps.ColorTable"
DEFAULT_HIDDEN_FRACTION = 0.1
# Interpolation may round the hottest pixel just above the largest voxel, and a saved scene keeps
# six digits of a threshold: the pixel must stay visible.
_ROUNDING = 1.0001


@dataclass(frozen=True)
class OverlayStyle:
    """How a map is drawn.

    Attributes:
        signed: a diverging table centered at 0, or a sequential one from 0.
        maximum: the value of the last color, in the map's own unit; 0 means no evidence.
        hiddenBelow: weaker absolute values are not drawn.
        hiddenFraction: the same as a share of `maximum`.
    """

    signed: bool
    maximum: float
    hiddenBelow: float
    hiddenFraction: float = DEFAULT_HIDDEN_FRACTION

    @property
    def evidence(self) -> bool:
        return self.maximum > 0

    @property
    def colorRange(self) -> tuple[float, float]:
        """Values of the first and last color; 0..1 where there is no evidence."""
        upper = self.maximum if self.evidence else 1.0
        return (-upper if self.signed else 0.0, upper)


def rememberVoxels(mapNode, *, signed: bool, largest: float) -> None:
    """Keep what the voxels tell, so that they are not counted again with every change."""
    mapNode.SetAttribute(LARGEST_ATTRIBUTE, repr(float(largest)))
    mapNode.SetAttribute(EVIDENCE_ATTRIBUTE, "yes" if largest > 0 else "none")
    mapNode.SetAttribute(SIGNED_ATTRIBUTE, "yes" if signed else "no")


def largestOf(mapNode) -> float:
    """Return the largest absolute value of a map, counted when it was styled."""
    remembered = mapNode.GetAttribute(LARGEST_ATTRIBUTE)
    if remembered is None:
        return largestMagnitude(slicer.util.arrayFromVolume(mapNode), mapNode.GetName())
    return float(remembered)


def largestMagnitude(array: np.ndarray, name: str) -> float:
    """Return the largest absolute value of an array; `name` is for the error.

    Raises:
        ValueError: If it holds NaN or infinity.
    """
    # The extremes tell of NaN and infinity, too, without another array of the map's size.
    extremes = (array.min(), array.max()) if array.size else (np.nan,)
    if not np.isfinite(extremes).all():
        bad = int(np.count_nonzero(~np.isfinite(array)))
        raise ValueError(
            f"'{name}' must hold finite values only, but {bad} of {array.size} are NaN or "
            "infinite: the run that made it went wrong; do not display it."
        )
    return float(np.abs(extremes).max())


def isSigned(mapNode) -> bool:
    """Return whether negative values of a map mean evidence against."""
    return mapNode.GetAttribute(SIGNED_ATTRIBUTE) == "yes"


def styleOf(mapNode) -> OverlayStyle:
    """Return how a map is drawn."""
    displayNode = displayNodeOf(mapNode)
    largest = largestOf(mapNode)
    scale = displayNode.GetAttribute(SCALE_ATTRIBUTE)
    maximum = float(scale) if scale and largest > 0 else largest
    fraction = float(displayNode.GetAttribute(HIDDEN_ATTRIBUTE) or DEFAULT_HIDDEN_FRACTION)
    return OverlayStyle(isSigned(mapNode), maximum, fraction * maximum, fraction)


def setHiddenFraction(mapNode, fraction: float) -> None:
    """Keep the share of the largest absolute value below which nothing is drawn, 0..1."""
    if not 0 <= fraction < 1:
        raise ValueError(f"hiddenFraction must be in [0, 1), but is {fraction}.")
    displayNodeOf(mapNode).SetAttribute(HIDDEN_ATTRIBUTE, repr(float(fraction)))


def setScale(mapNode, scale: float | None) -> None:
    """Keep the value of the last color; None for the map's own largest absolute value."""
    text = None if scale is None else repr(float(scale))
    displayNodeOf(mapNode).SetAttribute(SCALE_ATTRIBUTE, text)


def setColorTable(mapNode, colorNodeId: str) -> None:
    """Keep the ID of a color table; empty for the one that suits the method."""
    displayNodeOf(mapNode).SetAttribute(COLORS_ATTRIBUTE, colorNodeId or None)


def hasOwnColors(mapNode) -> bool:
    """Return whether a map has the colors that suit its method."""
    return not displayNodeOf(mapNode).GetAttribute(COLORS_ATTRIBUTE)


def colorTableOf(mapNode):
    """Return the table that a map's colors are taken from: the chosen one, or its method's."""
    scene = mapNode.GetScene()
    chosen = displayNodeOf(mapNode).GetAttribute(COLORS_ATTRIBUTE)
    node = scene.GetNodeByID(chosen) if chosen else None
    if node is not None:
        return node
    if isSigned(mapNode):
        return ColorTables.divergingBase(scene)
    return ColorTables.sequentialColorNode(scene)


def apply(mapNode) -> OverlayStyle:
    """Draw a map as its attributes say."""
    style = styleOf(mapNode)
    displayNode = displayNodeOf(mapNode)
    colorNode = colorTableOf(mapNode)
    if style.signed:
        scene = mapNode.GetScene()
        colorNode = ColorTables.hiddenCenterNode(scene, colorNode, style.hiddenFraction)
    modified = displayNode.StartModify()
    displayNode.SetAndObserveColorNodeID(colorNode.GetID())
    displayNode.SetAutoWindowLevel(False)
    displayNode.SetWindowLevelMinMax(*style.colorRange)
    _setThreshold(displayNode, style)
    displayNode.EndModify(modified)
    ColorTables.removeUnusedTables(mapNode.GetScene())
    return style


def displayNodeOf(mapNode):
    """Return the display node of a map, without automatic levels from the start.

    `CreateDefaultDisplayNodes` looks for levels that nobody wants: most of a second for 80 million
    voxels.
    """
    displayNode = mapNode.GetScalarVolumeDisplayNode()
    if displayNode is None:
        scene = mapNode.GetScene()
        displayNode = scene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
        displayNode.SetAutoWindowLevel(False)
        displayNode.SetInterpolate(True)
        mapNode.SetAndObserveDisplayNodeID(displayNode.GetID())
    return displayNode


def _setThreshold(displayNode, style: OverlayStyle) -> None:
    """Hide the weakest values; without evidence hide all."""
    upper = style.colorRange[1] * _ROUNDING
    if not style.evidence:
        lower = style.colorRange[1]
    elif style.signed:
        lower = -upper  # the color table hides the weak ones on both sides of zero
    else:
        lower = style.hiddenBelow
    displayNode.SetAutoThreshold(False)
    displayNode.SetThreshold(lower, upper)
    displayNode.SetApplyThreshold(True)
