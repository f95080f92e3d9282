"""Maps in the 3D views: volume rendering in the map's own colors, weak values see-through."""

import numpy as np
import slicer
import vtk

from . import ColorTables, MapStyle
from .Naming import uniqueName

# Of the strongest values; several voxels lie behind each other, so it stays below 1.
_MOST_OPAQUE = 0.6
_DISPLAY_CLASS = "vtkMRMLVolumeRenderingDisplayNode"
_DEFAULT_METHOD = "vtkMRMLGPURayCastVolumeRenderingDisplayNode"


def show(mapNode) -> None:
    """Show a map in the 3D views."""
    displayNode = _displayNodeOf(mapNode) or _addDisplayNode(mapNode)
    update(mapNode)
    displayNode.SetVisibility(True)


def hide(mapNode) -> None:
    """Take a map out of the 3D views; its nodes stay for the next time."""
    displayNode = _displayNodeOf(mapNode)
    if displayNode is not None:
        displayNode.SetVisibility(False)


def isShown(mapNode) -> bool:
    """Return whether a map is shown in the 3D views."""
    displayNode = _displayNodeOf(mapNode)
    return displayNode is not None and bool(displayNode.GetVisibility())


def update(mapNode) -> None:
    """Give the rendering the colors, range and threshold of the slice views."""
    displayNode = _displayNodeOf(mapNode)
    if displayNode is None or displayNode.GetVolumePropertyNode() is None:
        return
    style = MapStyle.styleOf(mapNode)
    propertyNode = displayNode.GetVolumePropertyNode()
    modified = propertyNode.StartModify()
    propertyNode.SetColor(_colors(style, ColorTables.sampledColors(MapStyle.colorTableOf(mapNode))))
    propertyNode.SetScalarOpacity(_opacities(style))
    volumeProperty = propertyNode.GetVolumeProperty()
    if MapStyle.displayNodeOf(mapNode).GetInterpolate():
        volumeProperty.SetInterpolationTypeToLinear()
    else:
        volumeProperty.SetInterpolationTypeToNearest()
    volumeProperty.ShadeOff()  # brightness is the map's value, not the light's
    propertyNode.EndModify(modified)


def remove(mapNode) -> None:
    """Remove the nodes that show a map in 3D."""
    displayNode = _displayNodeOf(mapNode)
    if displayNode is None:
        return
    scene, propertyNode = mapNode.GetScene(), displayNode.GetVolumePropertyNode()
    displayNode.SetVisibility(False)
    scene.RemoveNode(displayNode)
    if propertyNode is not None:
        storageNode = propertyNode.GetStorageNode()
        scene.RemoveNode(propertyNode)
        if storageNode is not None:
            scene.RemoveNode(storageNode)


def _displayNodeOf(mapNode):
    for index in range(mapNode.GetNumberOfDisplayNodes()):
        node = mapNode.GetNthDisplayNode(index)
        if node is not None and node.IsA(_DISPLAY_CLASS):
            return node
    return None


def _addDisplayNode(mapNode):
    scene = mapNode.GetScene()
    displayNode = scene.AddNewNodeByClass(_renderingMethod())
    propertyNode = scene.AddNewNodeByClass(
        "vtkMRMLVolumePropertyNode", uniqueName(scene, f"{mapNode.GetName()} | 3D")
    )
    displayNode.SetAndObserveVolumePropertyNodeID(propertyNode.GetID())
    mapNode.AddAndObserveDisplayNodeID(displayNode.GetID())
    return displayNode


def _renderingMethod() -> str:
    """Return the class of the method that the application's settings ask for."""
    module = getattr(getattr(slicer, "modules", None), "volumerendering", None)
    chosen = module.logic().GetDefaultRenderingMethod() if module is not None else None
    return chosen if chosen and chosen.startswith("vtkMRML") else _DEFAULT_METHOD


def _colors(style: MapStyle.OverlayStyle, rgba: np.ndarray):
    """Return a `vtkColorTransferFunction` over the map's color range."""
    function = vtk.vtkColorTransferFunction()
    for value, color in zip(np.linspace(*style.colorRange, len(rgba)), rgba, strict=True):
        function.AddRGBPoint(float(value), *(float(part) for part in color[:3]))
    return function


def _opacities(style: MapStyle.OverlayStyle):
    """Return a `vtkPiecewiseFunction`: nothing below the threshold, then rising with the value."""
    function = vtk.vtkPiecewiseFunction()
    upper = style.colorRange[1]
    hidden = style.hiddenFraction * upper
    points = [(0.0, 0.0), (hidden, 0.0), (upper, _MOST_OPAQUE if style.evidence else 0.0)]
    for value, opacity in points:
        function.AddPoint(value, opacity)
        if style.signed:
            function.AddPoint(-value, opacity)
    return function
