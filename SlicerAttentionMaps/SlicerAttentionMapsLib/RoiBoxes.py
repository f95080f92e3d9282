"""Boxes to ask about a part of a scan."""

import numpy as np

from .Naming import uniqueName
from .SceneSetup import nodesByClass
from .SliceViews import STANDARD_VIEWS

_PARALLEL = 1e-3  # volume that the views' normals span
_SHARE = 1 / 3  # of the scan's length along each axis


def addBox(volumeNode, name: str):
    """Add a ROI of a third of a volume's size where the slice views cut it, with handles.

    Returns:
        The new `vtkMRMLMarkupsROINode`.
    """
    scene = volumeNode.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", uniqueName(scene, name))
    fitBox(node, volumeNode)
    return node


def fitBox(roiNode, volumeNode) -> None:
    """Set a ROI to a third of a volume's size where the slice views cut it."""
    bounds = np.zeros(6)
    volumeNode.GetRASBounds(bounds)
    low, high = bounds[::2], bounds[1::2]
    center = _crossing(roiNode.GetScene())
    if center is None or not ((low <= center) & (center <= high)).all():
        center = (low + high) / 2
    roiNode.SetCenterWorld(*center)
    roiNode.SetSize(*(_SHARE * (high - low)))
    if roiNode.GetDisplayNode() is None:
        roiNode.CreateDefaultDisplayNodes()
    display = roiNode.GetDisplayNode()
    display.SetHandlesInteractive(True)
    display.SetFillOpacity(0.1)  # what lies in it is to be seen
    display.SetPropertiesLabelVisibility(False)


def _crossing(scene):
    """Return the point (3,) where the standard views cut each other; None if there is none."""
    normals, offsets = [], []
    for view in nodesByClass(scene, "vtkMRMLSliceNode"):
        if view.GetLayoutName() not in STANDARD_VIEWS:
            continue
        matrix = view.GetSliceToRAS()
        normal = np.array([matrix.GetElement(row, 2) for row in range(3)])
        origin = np.array([matrix.GetElement(row, 3) for row in range(3)])
        normals.append(normal)
        offsets.append(normal @ origin)
    if len(normals) != 3 or abs(np.linalg.det(normals)) < _PARALLEL:
        return None
    return np.linalg.solve(np.array(normals), np.array(offsets))
