"""Several layers as one map that is scrubbed through: a sequence, as Slicer's users know it."""

import slicer

from . import MapStyle, ResultNodes
from .Naming import uniqueName
from .SceneSetup import nodesByClass
from .SceneTransaction import removeFromHierarchy

_OWN_ROLES = "AttentionMaps."


def stack(mapNodes, name: str):
    """Make one map of several: the first of them, which now shows one layer or another.

    Args:
        mapNodes: maps of one scan, in the order of the layers.
        name: of the sequence; Slicer adds the layer to it.

    Returns:
        The `vtkMRMLScalarVolumeNode` that shows the chosen layer.
    """
    first, scene = mapNodes[0], mapNodes[0].GetScene()
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", uniqueName(scene, name))
    sequence.SetIndexType(slicer.vtkMRMLSequenceNode.TextIndex)
    sequence.SetIndexName("layer")
    sequence.SetIndexUnit("")
    for node, layer in zip(mapNodes, _distinct(map(_layerOf, mapNodes)), strict=True):
        # Voxels are shared, not copied: first an empty volume, which then takes them over.
        sequence.SetDataNodeAtValue(slicer.vtkMRMLScalarVolumeNode(), layer)
        sequence.UpdateDataNodeAtValue(node, layer, True)
    browserName = uniqueName(scene, f"{name} layers")
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", browserName)
    modified = browser.StartModify()  # else the sequences' logic makes another volume at once
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.SetOverwriteProxyName(sequence, True)
    browser.SetSaveChanges(sequence, True)  # else each layer's voxels are copied when it is shown
    browser.AddProxyNode(first, sequence, False)
    browser.EndModify(modified)
    _fill(browser, first, None)
    for node in (sequence, browser):
        ResultNodes.putBeside(node, first)
    return first


def isStack(mapNode) -> bool:
    """Return whether a map shows one of several layers."""
    return _browserOf(mapNode) is not None


def layers(mapNode) -> list[str]:
    """Return the names of a map's layers: one, or those of its sequence."""
    browser = _browserOf(mapNode)
    if browser is None:
        return [_layerOf(mapNode)]
    sequence = browser.GetMasterSequenceNode()
    return [sequence.GetNthIndexValue(n) for n in range(sequence.GetNumberOfDataNodes())]


def layerIndex(mapNode) -> int:
    """Return which of its layers a map shows, from 0."""
    browser = _browserOf(mapNode)
    return 0 if browser is None else browser.GetSelectedItemNumber()


def showLayer(mapNode, layer: int | str) -> None:
    """Show another layer of a map, in its own colors or in the common scale.

    Raises:
        LayerError: If the map has no such layer.
    """
    from attention_maps.errors import LayerError

    known = layers(mapNode)
    index = known.index(layer) if layer in known else layer
    if not isinstance(index, int) or not 0 <= index < len(known):
        raise LayerError(
            f"Expected one of the layers {', '.join(known)} of '{mapNode.GetName()}', or a number "
            f"below {len(known)}, got {layer!r}."
        )
    browser = _browserOf(mapNode)
    if browser is not None:
        _fill(browser, mapNode, index)


def frames(mapNode) -> dict[str, object]:
    """Return the volumes of all layers of a map by name: those in its sequence, or the map."""
    browser = _browserOf(mapNode)
    if browser is None:
        return {mapNode.GetName(): mapNode}
    sequence = browser.GetMasterSequenceNode()
    return {
        f"{sequence.GetName()} | {sequence.GetNthIndexValue(n)}": sequence.GetNthDataNode(n)
        for n in range(sequence.GetNumberOfDataNodes())
    }


def nameOf(mapNode) -> str:
    """Return the name of a map, of a stack of layers without the layer."""
    browser = _browserOf(mapNode)
    return mapNode.GetName() if browser is None else browser.GetMasterSequenceNode().GetName()


def rename(mapNode, name: str) -> None:
    """Rename a stack; the shown layer stays part of the shown name."""
    browser = _browserOf(mapNode)
    sequence = browser.GetMasterSequenceNode()
    sequence.SetName(name.removesuffix(f" [layer={layers(mapNode)[layerIndex(mapNode)]}]"))
    _fill(browser, mapNode, None)


def removeStack(mapNode) -> None:
    """Remove the sequence and the browser of a map; the map stays with the layer it shows."""
    browser = _browserOf(mapNode)
    if browser is None:
        return
    scene, sequence = mapNode.GetScene(), browser.GetMasterSequenceNode()
    for node in (browser, sequence):
        removeFromHierarchy(node)
        scene.RemoveNode(node)


def _browserOf(mapNode):
    for browser in nodesByClass(mapNode.GetScene(), "vtkMRMLSequenceBrowserNode"):
        sequence = browser.GetMasterSequenceNode()
        if sequence is not None and browser.GetProxyNode(sequence) is mapNode:
            return browser
    return None


def _fill(browser, mapNode, index: int | None) -> None:
    """Bring the voxels of a layer into the map; None for those of the present one, anew."""
    kept = {role: mapNode.GetNodeReferenceID(role) for role in _rolesOf(mapNode)}
    if index is None:
        browser.Modified()  # the sequences' logic copies the voxels
    elif index != browser.GetSelectedItemNumber():
        browser.SetSelectedItemNumber(index)
    for role, nodeId in kept.items():
        mapNode.SetNodeReferenceID(role, nodeId)
    MapStyle.apply(mapNode)


def _rolesOf(mapNode) -> list[str]:
    """Return the roles of nodes that a map is about: in the sequence, they would be others."""
    count = mapNode.GetNumberOfNodeReferenceRoles()
    roles = [mapNode.GetNthNodeReferenceRole(index) for index in range(count)]
    return [role for role in roles if role.startswith(_OWN_ROLES)]


def _layerOf(mapNode) -> str:
    return ResultNodes.provenanceOf(mapNode).get("layer", mapNode.GetName())


def _distinct(names) -> list[str]:
    """Return names with a number where one comes twice: an index value stands for one volume.

    A saved sequence lists them with blanks between them, so there are none within.
    """
    found: list[str] = []
    for name in names:
        number, unique = 2, name.replace(" ", "_")
        while unique in found:
            unique, number = f"{name.replace(' ', '_')}~{number}", number + 1
        found.append(unique)
    return found
