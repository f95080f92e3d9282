"""How an attention map, the model's answer and a mask are shown over the scan."""

from itertools import cycle

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from . import MapStyle, SharedVoxels
from .MapStyle import OverlayStyle
from .Naming import uniqueName
from .SceneSetup import nodesByClass

# Bright, and absent from both color tables.
ANSWER_COLORS = ((0.25, 1.0, 0.35), (1.0, 0.4, 1.0), (0.1, 0.95, 0.85), (0.75, 0.6, 1.0))
MASK_COLOR = (0.2, 0.75, 1.0)
# Negative values this small beside the largest one are rounding, not a sign.
_SIGN_TOLERANCE = 1e-6


def createOverlay(scanNode, mapArray: np.ndarray, name: str, *, extremes=None):
    """Add a scalar volume that holds a map on the scan's own grid; the scan is not touched.

    Args:
        scanNode: `vtkMRMLScalarVolumeNode` in a scene.
        mapArray: the signed map, shape (K, J, I), any real dtype; stored as float32. The node
            takes over its memory where it can.
        name: the new node's name.
        extremes: smallest and largest value where they are known, which spares looking for them.

    Returns:
        The new `vtkMRMLScalarVolumeNode`, under the same parent transform as the scan.
    """
    expected = scanNode.GetImageData().GetDimensions()[::-1]
    if tuple(mapArray.shape) != expected:
        raise ValueError(
            f"An overlay on '{scanNode.GetName()}' needs an array of shape (K, J, I) = {expected}, "
            f"but got {tuple(mapArray.shape)}: place the map on the scan's grid first."
        )
    MapStyle.largestMagnitude(mapArray if extremes is None else np.array(extremes), name)
    scene = scanNode.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", uniqueName(scene, name))
    voxels = np.ascontiguousarray(mapArray, dtype=np.float32)
    node.SetAndObserveImageData(SharedVoxels.imageOf(voxels))
    putOn(node, scanNode)
    return node


def putOn(overlayNode, scanNode) -> None:
    """Put an overlay where the scan is, under the same parent transform."""
    matrix = vtk.vtkMatrix4x4()
    scanNode.GetIJKToRASMatrix(matrix)
    overlayNode.SetIJKToRASMatrix(matrix)
    overlayNode.SetAndObserveTransformNodeID(scanNode.GetTransformNodeID())


def styleOverlay(
    overlayNode,
    *,
    signed: bool,
    hiddenFraction: float = 0.1,
    scale: float | None = None,
    extremes=None,
) -> OverlayStyle:
    """Give a map its colors, its range and its threshold.

    Args:
        overlayNode: a scalar volume with the raw map.
        signed: whether the method can answer with both signs.
        hiddenFraction: values below this share of the largest absolute one are hidden, 0..1.
        scale: the value of the last color, for maps that are to be compared; None for the map's own
            largest absolute value.
        extremes: smallest and largest value where they are known.
    """
    array = slicer.util.arrayFromVolume(overlayNode) if extremes is None else np.array(extremes)
    largest = MapStyle.largestMagnitude(array, overlayNode.GetName())
    if not signed and array.min() < -_SIGN_TOLERANCE * largest:
        raise ValueError(
            f"'{overlayNode.GetName()}' is shown as a map without sign, but its smallest value is "
            f"{array.min():.3g}: pass signed=True."
        )
    MapStyle.setHiddenFraction(overlayNode, hiddenFraction)
    MapStyle.setScale(overlayNode, scale)
    MapStyle.rememberVoxels(overlayNode, signed=signed, largest=largest)
    return MapStyle.apply(overlayNode)


def setCommonScale(overlayNodes) -> float:
    """Give styled overlays one range, so that equal colors are equal values.

    Returns:
        The largest absolute value of them all; 0 where none holds evidence.
    """
    scale = max((MapStyle.largestOf(node) for node in overlayNodes), default=0.0)
    for node in overlayNodes:
        MapStyle.setScale(node, scale if scale > 0 else None)
        MapStyle.apply(node)
    return scale


def setOwnScale(overlayNodes) -> None:
    """Give each of several overlays the range of its own values."""
    for node in overlayNodes:
        MapStyle.setScale(node, None)
        MapStyle.apply(node)


def addLegend(overlayNode, title: str, viewNodeIds=()):
    """Show a color legend of the overlay in slice views.

    Args:
        overlayNode: a styled overlay.
        title: names method and layer.
        viewNodeIds: slice or 3D views that show it; all of them if empty.

    Returns:
        The `vtkMRMLColorLegendDisplayNode`.
    """
    legendNode = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(overlayNode)
    noEvidence = overlayNode.GetAttribute(MapStyle.EVIDENCE_ATTRIBUTE) == "none"
    legendNode.SetTitleText(f"{title}\nno evidence" if noEvidence else title)
    # Raw maps may be as small as 1e-9. Slicer draws labels as large as they fit: with one width
    # all legends have letters of one size.
    legendNode.SetLabelFormat("%9.3g")
    legendNode.SetNumberOfLabels(5)
    legendNode.SetViewNodeIDs(list(viewNodeIds))
    legendNode.SetVisibility(True)
    return legendNode


def legendOf(overlayNode):
    """Return the legend of an overlay, or None."""
    return slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(overlayNode)


def isLegendShown(overlayNode) -> bool:
    """Return whether the legend of an overlay is shown."""
    legendNode = legendOf(overlayNode)
    return legendNode is not None and bool(legendNode.GetVisibility())


def hideLegend(overlayNode) -> None:
    """Hide the legend of an overlay, if it has one."""
    legendNode = legendOf(overlayNode)
    if legendNode is not None:
        legendNode.SetVisibility(False)


def showOnlyLegend(legendNode) -> None:
    """Hide the legends of other maps: they would lie over this one."""
    scene = legendNode.GetScene()
    for other in nodesByClass(scene, "vtkMRMLColorLegendDisplayNode"):
        shown = other.GetPrimaryDisplayNode()
        volumeNode = shown.GetDisplayableNode() if shown is not None else None
        if volumeNode is not None and volumeNode.GetAttribute(MapStyle.EVIDENCE_ATTRIBUTE):
            other.SetVisibility(other.GetID() == legendNode.GetID())


def addOutlines(labelNode, name: str, colors, *, thickness: int = 2):
    """Add a segmentation that draws each label of a volume as an outline in the slice views.

    Args:
        labelNode: scalar or label map volume with whole numbers, 0 is background.
        name: name of the segmentation, and of its segment where there is only one label.
        colors: (red, green, blue) 0..1 of each label, smallest first; used again if they run out.
        thickness: of the lines, in pixels.

    Returns:
        The `vtkMRMLSegmentationNode`; it has no segment if all voxels are background.
    """
    scene = labelNode.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", uniqueName(scene, name))
    node.CreateDefaultDisplayNodes()
    # In this order: the geometry is stored in coordinates of the node as it is transformed now.
    node.SetAndObserveTransformNodeID(labelNode.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(labelNode)
    labels = slicer.util.arrayFromVolume(labelNode)
    values = [value for value in np.unique(labels) if value != 0]
    for value, color in zip(values, cycle(colors), strict=False):
        segmentName = name if len(values) == 1 else f"{name}: {value:g}"
        image = _binaryImage(labelNode, labels == value)
        node.AddSegmentFromBinaryLabelmapRepresentation(image, segmentName, color)

    styleOutlines(node, thickness=thickness)
    return node


def styleOutlines(segmentationNode, *, thickness: int = 2) -> None:
    """Draw a segmentation as outlines in the slice views: what lies below stays visible."""
    displayNode = segmentationNode.GetDisplayNode()
    displayNode.SetVisibility2DFill(False)
    displayNode.SetVisibility2DOutline(True)
    displayNode.SetOpacity2DOutline(1.0)
    displayNode.SetSliceIntersectionThickness(thickness)
    displayNode.SetVisibility3D(False)


def _binaryImage(volumeNode, mask: np.ndarray):
    """Return a boolean (K, J, I) array as `vtkOrientedImageData` on the volume's grid."""
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(mask.shape[::-1])
    values = numpy_to_vtk(np.ascontiguousarray(mask, dtype=np.uint8).ravel(), deep=True)
    image.GetPointData().SetScalars(values)
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    return image
