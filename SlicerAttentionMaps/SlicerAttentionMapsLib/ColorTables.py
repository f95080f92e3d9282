"""Color tables of attention maps: Slicer's own, and a diverging one with an invisible center."""

import math

import numpy as np
import slicer

from .Naming import uniqueName
from .SceneSetup import nodesByClass

SEQUENTIAL_ID = "vtkMRMLColorTableNodeFileInferno.txt"
DIVERGING_ID = "vtkMRMLColorTableNodeFileDivergingBlueRed.txt"
FRACTION_ATTRIBUTE = "AttentionMaps.HiddenFraction"
BASE_ATTRIBUTE = "AttentionMaps.BaseTable"
TABLE_SIZE = 256

# Only slicer-core needs these: 3D Slicer brings the full tables. Every 16th color of matplotlib's
# public-domain (CC0) inferno, and of the diverging table that 3D Slicer derives from RdBu.
_ANCHORS = {
    SEQUENTIAL_ID: (
        "000003 0a0723 200c4a 3c0965 570f6d 70196e 892269 a32b61 bb3754 d14643 e45a31 f1721d f98e08"
        " fbac10 f8cb34 f1e968 fcfea4"
    ),
    DIVERGING_ID: (
        "063263 175493 2b73b2 408fc1 6eaed1 9dcae1 c4deec e1ecf3 f7f5f4 fbe3d6 facab1 f4a886 e27d63"
        " ce5146 b82431 900d25 680120"
    ),
}


def sequentialColorNode(scene):
    """Return Slicer's Inferno table (`vtkMRMLColorTableNode`) for maps that are never negative."""
    return _fileColorNode(scene, SEQUENTIAL_ID)


def divergingBase(scene):
    """Return Slicer's blue-white-red table, whose center is opaque."""
    return _fileColorNode(scene, DIVERGING_ID)


def hiddenCenterNode(scene, base, hiddenFraction: float):
    """Return a copy of a color table whose center is transparent.

    A volume's lower and upper threshold keep one interval; they cannot cut one out of the middle.
    Slice views draw a color of opacity 0 as nothing, so the center of the table is made so.

    Args:
        scene: the MRML scene that holds, or gets, the table.
        base: the table with the colors, from the most negative to the most positive value.
        hiddenFraction: values weaker than this share of the largest absolute one are hidden, 0..1.
    """
    for node in nodesByClass(scene, "vtkMRMLColorTableNode"):
        same = node.GetAttribute(FRACTION_ATTRIBUTE) == repr(hiddenFraction)
        if same and node.GetAttribute(BASE_ATTRIBUTE) == base.GetID():
            return node
    # The name becomes a file's in a saved scene, so it is kept simple.
    words = "AttentionBlueRed" if base.GetID() == DIVERGING_ID else base.GetName()
    name = f"{words} hidden below {hiddenFraction:g}"
    node = scene.AddNewNodeByClass("vtkMRMLColorTableNode", uniqueName(scene, name))
    node.SetTypeToUser()
    node.SetAttribute(FRACTION_ATTRIBUTE, repr(hiddenFraction))
    node.SetAttribute(BASE_ATTRIBUTE, base.GetID())
    node.SetAttribute("Category", "Attention Maps")
    fillTable(node, sampledColors(base), diverging=True, hiddenFraction=hiddenFraction)
    return node


def sampledColors(colorNode) -> np.ndarray:
    """Return a table's colors in 256 steps, shape (256, 4), RGBA 0..1."""
    colors = colorsOf(colorNode)
    nearest = np.rint(np.linspace(0, len(colors) - 1, TABLE_SIZE)).astype(int)
    return colors[nearest]


def removeUnusedTables(scene) -> None:
    """Remove tables with a hidden center that no display node uses any more."""
    used = {node.GetColorNodeID() for node in nodesByClass(scene, "vtkMRMLDisplayNode")}
    for node in nodesByClass(scene, "vtkMRMLColorTableNode"):
        if node.GetAttribute(FRACTION_ATTRIBUTE) and node.GetID() not in used:
            scene.RemoveNode(node)


def hiddenEntries(hiddenFraction: float) -> range:
    """Return the entries of a diverging table that stand for values below the fraction."""
    center = (TABLE_SIZE - 1) / 2
    first = math.ceil(center * (1 - hiddenFraction))
    return range(first, TABLE_SIZE - first)


def colorsOf(colorNode) -> np.ndarray:
    """Return a table's colors, shape (n, 4), RGBA 0..1."""
    rgba = np.zeros((colorNode.GetNumberOfColors(), 4))
    for entry in range(len(rgba)):
        color = [0.0] * 4
        colorNode.GetColor(entry, color)
        rgba[entry] = color
    return rgba


def fillTable(node, rgba: np.ndarray, *, diverging: bool = False, hiddenFraction: float = 0.0):
    """Write colors (256, 4) into a table, with those of a diverging table's center transparent."""
    hidden = hiddenEntries(hiddenFraction) if diverging else range(0)
    node.SetNumberOfColors(TABLE_SIZE)
    node.GetLookupTable().SetTableRange(0, TABLE_SIZE - 1)
    for entry, (red, green, blue, opacity) in enumerate(rgba):
        node.SetColor(entry, str(entry), red, green, blue, 0.0 if entry in hidden else opacity)


def addFileColorNodes(scene) -> None:
    """Give a scene outside the application the tables that a saved scene refers to."""
    for nodeId in _ANCHORS:
        _fileColorNode(scene, nodeId)


def _fileColorNode(scene, nodeId: str):
    """Return one of Slicer's file-based tables, made from a few of its colors where it is missing.

    As in the application, such a node is never saved: a scene refers to it by its ID.
    """
    node = scene.GetNodeByID(nodeId)
    if node is not None:
        return node
    tag = nodeId.removeprefix("vtkMRMLColorTableNode")
    node = slicer.vtkMRMLColorTableNode()
    node.SetTypeToUser()
    node.SetName(tag.removeprefix("File").removesuffix(".txt"))
    node.SetSingletonTag(tag)
    node.SetSaveWithScene(False)
    node.SetAttribute("Category", "File")
    anchors = np.array([list(bytes.fromhex(color)) for color in _ANCHORS[nodeId].split()]) / 255
    positions = [*range(0, TABLE_SIZE - 1, 16), TABLE_SIZE - 1]
    entries = np.arange(TABLE_SIZE)
    channels = [np.interp(entries, positions, anchors[:, channel]) for channel in range(3)]
    fillTable(node, np.stack([*channels, np.ones(TABLE_SIZE)], axis=1))
    return scene.AddNode(node)
