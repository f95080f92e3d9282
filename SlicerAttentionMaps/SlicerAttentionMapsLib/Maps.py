"""The maps of a scene: which there are, which are seen, their names, and taking them away."""

import json
from functools import lru_cache

from . import Display, LayerSequence, MapRendering, MapStyle, ResultNodes, SliceViews
from .ColorTables import removeUnusedTables
from .SceneSetup import nodesByClass
from .SceneTransaction import removeFromHierarchy


def mapsOf(scene) -> list:
    """Return the maps of a scene, the oldest first; those of a reloaded scene, too."""
    volumes = nodesByClass(scene, "vtkMRMLScalarVolumeNode")
    return [node for node in volumes if node.GetAttribute(ResultNodes.PROVENANCE_ATTRIBUTE)]


def provenanceOf(mapNode) -> dict:
    """Return how a map was made (see `ResultNodes.provenanceOf`), without reading it again."""
    return _parsed(mapNode.GetAttribute(ResultNodes.PROVENANCE_ATTRIBUTE) or "{}")


@lru_cache(maxsize=256)
def _parsed(text: str) -> dict:
    return json.loads(text)


def scanOf(mapNode):
    """Return the volume that a map explains.

    Raises:
        ImageError: If it was removed.
    """
    from attention_maps.errors import ImageError

    scanNode = mapNode.GetNodeReference(ResultNodes.SCAN_ROLE)
    if scanNode is None:
        raise ImageError(
            f"Expected the scan of '{mapNode.GetName()}' in the scene, but it was removed; load it "
            "and explain it again."
        )
    return scanNode


def shown(scene) -> list:
    """Return the maps that the slice views show, the one on top last."""
    maps = mapsOf(scene)
    seen = [node for node in SliceViews.stacked(scene) if node in maps]
    return [node for index, node in enumerate(seen) if node not in seen[index + 1 :]]


def show(mapNode, *, opacity: float, legend: bool, alone: bool = True) -> None:
    """Show a map on top; its scan becomes the background, the views stay in place.

    Args:
        mapNode: the map.
        opacity: of the maps, 0..1.
        legend: whether a color legend is shown: that of the lowest map, Slicer's foreground.
        alone: whether other maps are hidden; those of another scan always are.
    """
    scanNode = scanOf(mapNode)
    others = [] if alone else [node for node in shown(mapNode.GetScene()) if node is not mapNode]
    others = [n for n in others if n.GetNodeReference(ResultNodes.SCAN_ROLE) is scanNode]
    SliceViews.stack(scanNode, [*others, mapNode], opacity)
    showLegend([*others, mapNode][0], legend)  # Slicer draws that of the foreground alone


def hide(mapNode, *, legend: bool) -> None:
    """Take a map out of the slice views; the legend of another one appears where there is one."""
    seen = shown(mapNode.GetScene())
    if mapNode not in seen:
        return
    seen.remove(mapNode)
    opacity = SliceViews.opacityOf(mapNode.GetScene())
    backgrounds = [mapNode, *seen]
    scanNode = next(
        (node.GetNodeReference(ResultNodes.SCAN_ROLE) for node in reversed(backgrounds)), None
    )
    Display.hideLegend(mapNode)
    if scanNode is not None:
        SliceViews.stack(scanNode, seen, opacity)
    if seen and legend:
        showLegend(seen[0], visible=True)


def showLegend(mapNode, visible: bool) -> None:
    """Show or hide the legend of a map; never two at a time."""
    if not visible:
        Display.hideLegend(mapNode)
        for other in mapsOf(mapNode.GetScene()):
            Display.hideLegend(other)
        return
    Display.showOnlyLegend(Display.addLegend(mapNode, legendTitle(mapNode)))


def legendTitle(mapNode) -> str:
    """Return method and layer, one under the other.

    Where maps with other scales are seen, too, it begins with the question: the colors of those are
    other values.
    """
    provenance = provenanceOf(mapNode)
    if not provenance:
        return mapNode.GetName()
    title = f"{provenance['method_label']}\n{provenance['layer']}"
    seen = shown(mapNode.GetScene())
    scales = {MapStyle.styleOf(node).colorRange for node in seen}
    isOneOfThem = mapNode in seen and len(scales) > 1
    return f"{provenance['target']}\n{title}" if isOneOfThem else title


def renewLegend(scene) -> None:
    """Write the legend that is shown anew, after scales have changed."""
    for mapNode in shown(scene):
        if Display.isLegendShown(mapNode):
            showLegend(mapNode, visible=True)


def caption(mapNode) -> str:
    """Return what a map shows in words: question, method, layer, score, and whether it is empty."""
    provenance = provenanceOf(mapNode)
    if not provenance:
        return mapNode.GetName()
    words = (
        f"{provenance['target']}: {provenance['method_label']} at {provenance['layer']}, "
        f"score {provenance['score']:.4g}."
    )
    note = provenance["note"]
    return f"{words} {note[0].upper()}{note[1:].rstrip('.')}." if note else words


def rename(mapNode, name: str) -> None:
    """Give a map another name; a stack of layers is renamed as a whole.

    Raises:
        ValueError: If there is nothing but blanks in it.
    """
    name = name.strip()
    if not name:
        raise ValueError("Expected a name for the map, got an empty one.")
    if LayerSequence.isStack(mapNode):
        LayerSequence.rename(mapNode, name)
    else:
        mapNode.SetName(name)


def stackLayers(mapNodes):
    """Make one map with a choice of layers of several maps; returns the first, the others go.

    Raises:
        LayerError: If there are none, or not all are of one scan.
    """
    from attention_maps.errors import LayerError

    if not mapNodes or len({scanOf(node).GetID() for node in mapNodes}) > 1:
        raise LayerError(
            f"Expected maps of one scan, one for each layer, got {len(mapNodes)} of "
            f"{len({scanOf(node).GetID() for node in mapNodes})} scans."
        )
    first = mapNodes[0]
    wasShown = any(node in shown(first.GetScene()) for node in mapNodes)
    legend = any(Display.isLegendShown(node) for node in mapNodes)
    for node in mapNodes[1:]:
        hide(node, legend=False)
    parts = first.GetName().split(" | ")
    LayerSequence.stack(mapNodes, " | ".join(parts[:-1]) if len(parts) > 1 else parts[0])
    for node in mapNodes[1:]:
        remove(node)
    if wasShown:
        show(first, opacity=SliceViews.opacityOf(first.GetScene()), legend=legend, alone=False)
    return first


def groupsOfLayers(mapNodes) -> list[list]:
    """Return maps in groups that differ in nothing but their layer, in the order they came."""
    groups: dict[tuple, list] = {}
    for node in mapNodes:
        provenance = provenanceOf(node)
        options = json.dumps(provenance.get("options"), sort_keys=True)
        model = provenance.get("model", {}).get("sha256")
        question = (provenance.get("target"), provenance.get("method"), options, model)
        groups.setdefault((node.GetNodeReferenceID(ResultNodes.SCAN_ROLE), *question), []).append(
            node
        )
    return list(groups.values())


def remove(mapNode) -> None:
    """Remove a map with everything that was made to show it."""
    scene = mapNode.GetScene()
    hide(mapNode, legend=True)
    MapRendering.remove(mapNode)
    LayerSequence.removeStack(mapNode)
    legend = Display.legendOf(mapNode)
    nodes = [legend, *_storageNodes(mapNode), *_displayNodes(mapNode)]
    removeFromHierarchy(mapNode)
    scene.RemoveNode(mapNode)
    for node in nodes:
        if node is not None and scene.IsNodePresent(node):
            scene.RemoveNode(node)
    removeUnusedTables(scene)


def _displayNodes(mapNode) -> list:
    return [mapNode.GetNthDisplayNode(n) for n in range(mapNode.GetNumberOfDisplayNodes())]


def _storageNodes(mapNode) -> list:
    return [mapNode.GetNthStorageNode(n) for n in range(mapNode.GetNumberOfStorageNodes())]
