"""Hot spots of a map as a table, and as boxes in one folder of the scene."""

import numpy as np
import slicer
import slicer.util
import vtk

from . import Attached, LayerSequence, Signs, Tables
from .Naming import uniqueName
from .Tables import Column

BOX_ROLE = "AttentionMaps.Box"
_FADED = 0.9  # of the color of one spot is left in the next


def addSpots(spots, mapNode, sign="positive"):
    """Add a table of hot spots, and a box around each of them in a folder beside the map.

    Args:
        spots: what `attention_maps.hot_spots` found, the strongest first; may be empty.
        mapNode: the map; the boxes lie in the world as it lies there now.
        sign: what counted of the map.

    Returns:
        The `vtkMRMLTableNode`; `boxesOf` gives its boxes.
    """
    table = _addTable(spots, mapNode, sign)
    scene, folder = mapNode.GetScene(), _addFolder(mapNode, table.GetName())
    try:
        for spot in spots:
            box = _addBox(spot, mapNode)
            table.AddNodeReferenceID(BOX_ROLE, box.GetID())
            _putInto(folder, box)
    except BaseException:
        _removeFolder(scene, folder)
        raise
    return table


def boxesOf(tableNode) -> list:
    """Return the boxes of a table's spots that are still there, the strongest first."""
    count = tableNode.GetNumberOfNodeReferences(BOX_ROLE)
    found = [tableNode.GetNthNodeReference(BOX_ROLE, index) for index in range(count)]
    return [node for node in found if node is not None]


def _addTable(spots, mapNode, sign):
    names = list(dict.fromkeys(name for spot in spots for name in spot.overlaps))
    axes = ("R", "A", "S")
    numbers = [
        Column("Number", tuple(float(spot.number) for spot in spots)),
        Column("Peak", tuple(spot.peak for spot in spots), "", "Largest value of the map in it."),
        Column("Mean", tuple(spot.mean for spot in spots), "", "Mean of the map in it."),
        Column("Share", tuple(spot.share for spot in spots), "", "Its share of the attention."),
        Column("Volume", tuple(spot.ml for spot in spots), "ml"),
    ]
    numbers += [
        Column(f"Size {n + 1}", tuple(float(spot.size_mm[n]) for spot in spots), "mm",
               "Length of its box along a voxel axis.")
        for n in range(3)
    ]  # fmt: skip
    numbers += [
        Column(f"Peak {axis}", tuple(float(spot.peak_ras[n]) for spot in spots), "mm",
               "Where its largest value is.")
        for n, axis in enumerate(axes)
    ]  # fmt: skip
    numbers += [
        Column(f"In {name}", tuple(spot.overlaps.get(name, 0.0) for spot in spots), "",
               "Share of the spot that lies in this segment.")
        for name in names
    ]  # fmt: skip
    title = f"{LayerSequence.nameOf(mapNode)} | hot spots{Signs.inWords(sign)}"
    table = Tables.addTable(numbers, mapNode, title, Tables.SPOTS)
    Attached.attach(table, {"hot_spots": [spot.to_dict() for spot in spots], "sign": sign})
    table.SetNodeReferenceID(Tables.MAP_ROLE, mapNode.GetID())
    return table


def _addBox(spot, mapNode):
    """Add a ROI around a spot, along the voxel axes in the world or the nearest right angles."""
    axes, size = np.array(spot.axes).T, np.array(spot.size_mm)
    if np.linalg.det(axes) < 0:
        axes[:, 2] *= -1
    scene = mapNode.GetScene()
    words = " x ".join(f"{length:.1f}" for length in size)
    name = uniqueName(scene, f"Hot spot {spot.number}: {words} mm")
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
    placeBox(node, axes, np.array(spot.center_ras), size)
    color = np.array([1.0, 0.75, 0.1]) * _FADED ** (spot.number - 1)
    node.GetDisplayNode().SetSelectedColor(*color)
    node.GetDisplayNode().SetColor(*color)
    node.SetLocked(True)
    node.GetDisplayNode().SetHandlesInteractive(False)
    node.GetDisplayNode().SetScaleHandleVisibility(False)
    return node


def placeBox(roiNode, axes: np.ndarray, center: np.ndarray, size: np.ndarray) -> None:
    """Put a ROI of a size (3,) mm along axes (3, 3, columns) of the world, as an outline."""
    toNode = np.eye(4)
    toNode[:3, :3], toNode[:3, 3] = axes, center
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, toNode)
    roiNode.SetAndObserveObjectToNodeMatrix(matrix)
    roiNode.SetSize(*size)
    roiNode.CreateDefaultDisplayNodes()
    roiNode.GetDisplayNode().SetFillVisibility(False)  # the map is what is to be seen


def _addFolder(mapNode, name: str) -> int:
    """Add a folder beside a map in the subject hierarchy; 0 where there is none."""
    hierarchy = _hierarchy(mapNode.GetScene())
    if hierarchy is None:
        return 0
    item = hierarchy.GetItemByDataNode(mapNode)
    parent = hierarchy.GetItemParent(item) if item else hierarchy.GetSceneItemID()
    return hierarchy.CreateFolderItem(parent, name)


def _putInto(folder: int, node) -> None:
    hierarchy = _hierarchy(node.GetScene())
    if not folder:
        return
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, folder)
    else:  # outside the application nothing makes items by itself
        hierarchy.CreateItem(folder, node)


def _removeFolder(scene, folder: int) -> None:
    if folder:
        _hierarchy(scene).RemoveItem(folder, False, False)


def _hierarchy(scene):
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
