"""One overlay that follows the crosshair: its voxels are replaced, the node stays.

It is none of the scene's maps: it is not listed, and not saved with the scene.
"""

import json

from . import Display, Maps, MapStyle, ResultNodes, SharedVoxels, VolumeBridge
from .Naming import uniqueName
from .SceneSetup import nodesByClass
from .SceneTransaction import removeFromHierarchy, removeNewNodesOnError

LIVE_ATTRIBUTE = "AttentionMaps.Live"


def update(made, scanNode, *, opacity: float, hiddenFraction: float):
    """Show a map in the scene's live overlay, which is added where there is none.

    Args:
        made: the engine's `WorkerMap`.
        scanNode: the volume that it explains.
        opacity: of a new overlay over the scan, 0..1.
        hiddenFraction: of a new overlay: values below this share of the largest are not drawn.

    Returns:
        The overlay's `vtkMRMLScalarVolumeNode`.
    """
    node = _liveNode(scanNode)
    if node is None:
        return _added(made, scanNode, opacity, hiddenFraction)
    voxels = VolumeBridge.voxelsOnVolume(made.image.array[0], made.image.affine, scanNode)
    modified = node.StartModify()
    SharedVoxels.imageOf(voxels, node.GetImageData())
    node.GetImageData().Modified()
    Display.putOn(node, scanNode)
    largest = max(map(abs, made.extremes))
    MapStyle.rememberVoxels(node, signed=made.signed, largest=largest)
    node.SetAttribute(ResultNodes.PROVENANCE_ATTRIBUTE, json.dumps(made.provenance))
    MapStyle.apply(node)
    node.EndModify(modified)
    return node


def isLive(mapNode) -> bool:
    """Return whether a map is the one that follows the crosshair."""
    return bool(mapNode.GetAttribute(LIVE_ATTRIBUTE))


def _added(made, scanNode, opacity: float, hiddenFraction: float):
    scene = scanNode.GetScene()
    with removeNewNodesOnError(scene):
        node = ResultNodes.addMap(made, scanNode, hiddenFraction=hiddenFraction)
        node.SetName(uniqueName(scene, f"{scanNode.GetName()} | live"))
        node.SetAttribute(LIVE_ATTRIBUTE, "yes")
        Maps.show(node, opacity=opacity, legend=True)
        removeFromHierarchy(node)
        for part in (node, node.GetDisplayNode(), Display.legendOf(node)):
            part.SetSaveWithScene(False)
    return node


def _liveNode(scanNode):
    """Return the live overlay of a scan, or None."""
    for node in nodesByClass(scanNode.GetScene(), "vtkMRMLScalarVolumeNode"):
        if isLive(node) and node.GetNodeReference(ResultNodes.SCAN_ROLE) is scanNode:
            return node
    return None
