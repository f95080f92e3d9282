"""What the slice views show, and where they are: the nodes behind them, no pixels."""

import numpy as np

from . import VolumeGeometry
from .SceneSetup import nodesByClass

# 3D Slicer's three standard views: name -> orientation, color (RGB 0..1), label.
STANDARD_VIEWS = {
    "Red": ("Axial", (0.953, 0.290, 0.200), "R"),
    "Green": ("Coronal", (0.435, 0.690, 0.294), "G"),
    "Yellow": ("Sagittal", (0.929, 0.835, 0.298), "Y"),
}
# World axes (R, A, S) along the width and the height of a view, and the one it cuts.
PLANE_AXES = {"Axial": (0, 1, 2), "Coronal": (0, 2, 1), "Sagittal": (1, 2, 0)}
# Field of view around the scan, as a share of its size.
MARGIN = 1.04


def addStandardViews(scene) -> list:
    """Return the slice nodes Red, Green and Yellow, adding those the scene has not got."""
    return [_standardView(scene, name) for name in STANDARD_VIEWS]


def _standardView(scene, name: str):
    orientation, color, label = STANDARD_VIEWS[name]
    if scene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode") is None:
        _addSingleton(scene, "vtkMRMLSliceCompositeNode", name)
    node = scene.GetSingletonNode(name, "vtkMRMLSliceNode")
    if node is None:
        node = _addSingleton(scene, "vtkMRMLSliceNode", name)
        node.SetLayoutLabel(label)
        node.SetLayoutColor(*color)
        node.SetOrientation(orientation)
    return node


def _addSingleton(scene, className: str, name: str):
    # Created by the scene, because only then a slice node knows its orientation presets.
    node = scene.CreateNodeByClass(className)
    node.UnRegister(None)
    node.SetSingletonTag(name)
    node.SetName(name)
    node.SetLayoutName(name)
    return scene.AddNode(node)


def showInSliceViews(scanNode, overlayNode, *, opacity: float = 0.5) -> np.ndarray | None:
    """Show the overlay over the scan in every slice view, cut through the map's maximum.

    Without evidence the views stay where they are.

    Args:
        scanNode: the background.
        overlayNode: the foreground.
        opacity: of the foreground, 0..1.

    Returns:
        The world RAS position (3,) of the largest absolute value, or None.
    """
    layOver(scanNode, overlayNode, opacity=opacity)
    return jumpToMaximum(overlayNode)


def layOver(scanNode, overlayNode, *, opacity: float = 0.5) -> None:
    """Show the overlay over the scan in every slice view; the views stay where they are."""
    stack(scanNode, [overlayNode], opacity)


def stack(scanNode, overlayNodes, opacity: float) -> None:
    """Show overlays over the scan in every slice view, the last one on top.

    The first is the foreground, as everywhere in Slicer; the others are layers above it.
    """
    ids = [node.GetID() for node in overlayNodes]
    for composite in nodesByClass(scanNode.GetScene(), "vtkMRMLSliceCompositeNode"):
        modified = composite.StartModify()
        composite.SetBackgroundVolumeID(scanNode.GetID())
        composite.SetForegroundVolumeID(ids[0] if ids else None)
        for layer in reversed(range(composite.GetNumberOfAdditionalLayers())):
            composite.SetNthLayerVolumeID(composite.Layer_Last + layer, None)
        for layer, nodeId in enumerate(ids[1:]):
            composite.SetNthLayerVolumeID(composite.Layer_Last + layer, nodeId)
        composite.EndModify(modified)
    setOpacity(scanNode.GetScene(), opacity)


def stacked(scene) -> list:
    """Return the volumes over the background, the topmost last, as the first slice view has it."""
    for composite in nodesByClass(scene, "vtkMRMLSliceCompositeNode"):
        above = range(composite.Layer_Last, layersEnd(composite))
        layers = (composite.LayerForeground, *above)
        nodes = [composite.GetNthLayerVolume(layer) for layer in layers]
        return [node for node in nodes if node is not None]
    return []


def setOpacity(scene, opacity: float) -> None:
    """Set the opacity of everything over the background, 0..1."""
    for composite in nodesByClass(scene, "vtkMRMLSliceCompositeNode"):
        composite.SetForegroundOpacity(opacity)
        for layer in range(composite.Layer_Last, layersEnd(composite)):
            composite.SetNthLayerOpacity(layer, opacity)


def evenOpacity(scene) -> None:
    """Give the layers over the foreground its opacity: a saved scene has lost theirs."""
    for composite in nodesByClass(scene, "vtkMRMLSliceCompositeNode"):
        opacity = composite.GetForegroundOpacity()
        for layer in range(composite.Layer_Last, layersEnd(composite)):
            if composite.GetNthLayerOpacity(layer) != opacity:
                composite.SetNthLayerOpacity(layer, opacity)


def opacityOf(scene) -> float | None:
    """Return the opacity of the foreground in the first slice view; None without slice views."""
    for composite in nodesByClass(scene, "vtkMRMLSliceCompositeNode"):
        return composite.GetForegroundOpacity()
    return None


def layersEnd(composite) -> int:
    """Return the index behind that of the topmost layer of a slice view."""
    return composite.Layer_Last + composite.GetNumberOfAdditionalLayers()


def jumpToMaximum(overlayNode) -> np.ndarray | None:
    """Cut all slice views through a map's maximum.

    Returns:
        The world RAS position (3,) of the largest absolute value; None where there is no evidence,
        and the views stay where they are.
    """
    position = VolumeGeometry.positionOfMaximum(overlayNode)
    if position is not None:
        for node in nodesByClass(overlayNode.GetScene(), "vtkMRMLSliceNode"):
            node.JumpSliceByOffsetting(*position)
    return position


def fitStandardViews(scanNode, position) -> None:
    """Frame the whole scan in Red, Green and Yellow, cut at a world RAS position (3,) in mm."""
    bounds = VolumeGeometry.worldBounds(scanNode)
    for node in addStandardViews(scanNode.GetScene()):
        orientation = STANDARD_VIEWS[node.GetName()][0]
        across, up, cut = PLANE_AXES[orientation]
        center = bounds.mean(axis=0)
        center[cut] = position[cut]
        side = MARGIN * max((bounds[1] - bounds[0])[[across, up]])
        node.SetOrientation(orientation)
        node.JumpSliceByCentering(*center)
        node.SetDimensions(512, 512, 1)
        node.SetFieldOfView(side, side, node.GetFieldOfView()[2])
