"""Maps and answers of the engine as named nodes in their place in the scene."""

import colorsys
import json
import zlib

import numpy as np
import slicer

from . import Display, NetworkAnswer, Terminology, VolumeBridge, VolumeGeometry
from .SceneSetup import nodesByClass

PROVENANCE_ATTRIBUTE = "AttentionMaps.Provenance"
SCAN_ROLE = "AttentionMaps.Scan"
ANSWER_ROLE = "AttentionMaps.Answer"
ANSWER_ATTRIBUTE = "AttentionMaps.AnswerOf"
# Successive multiples of the golden ratio spread hues evenly, however many are taken.
_GOLDEN = 0.618033988749895


def addMap(result, scanNode, *, hiddenFraction: float):
    """Add an `AttentionMap`, or the engine's `WorkerMap`, in the scan's study folder.

    Returns:
        A `vtkMRMLScalarVolumeNode` named 'scan | target | method | layer'.
    """
    provenance = result.provenance
    parts = (scanNode.GetName(), result.target, provenance["method_label"], result.layer)
    extremes = getattr(result, "extremes", None)  # counted by the worker
    node = VolumeBridge.overlayFromImage(
        result.image, scanNode, " | ".join(parts), extremes=extremes
    )
    Display.styleOverlay(
        node, signed=result.signed, hiddenFraction=hiddenFraction, extremes=extremes
    )
    node.SetAttribute(PROVENANCE_ATTRIBUTE, json.dumps(provenance))
    node.SetNodeReferenceID(SCAN_ROLE, scanNode.GetID())
    putBeside(node, scanNode)
    return node


def answerNode(answer, scanNode, modelName: str):
    """Return the segmentation of what the network predicts, a new one where the scene has none.

    One that was made before the scan was moved stays where it is, and is none of this scan's.

    Args:
        answer: `NetworkAnswer`, or the engine's `WorkerAnswer`.
        scanNode: the volume that was explained.
        modelName: for the node's name, 'scan | model'.

    Returns:
        A `vtkMRMLSegmentationNode`; None if it is no segmentation network.
    """
    if answer.labels is None:
        return None
    place = zlib.crc32((np.round(VolumeGeometry.ijkToRasArray(scanNode), 3) + 0.0).tobytes())
    mark = f"{modelName} {answer.fingerprint} {place:08x}"
    transformNode = scanNode.GetParentTransformNode()
    for node in nodesByClass(scanNode.GetScene(), "vtkMRMLSegmentationNode"):
        isThere = node.GetParentTransformNode() is transformNode
        of = node.GetNodeReference(SCAN_ROLE)
        if node.GetAttribute(ANSWER_ATTRIBUTE) == mark and of is scanNode and isThere:
            return node
    node = addAnswer(answer, scanNode, modelName)
    node.SetAttribute(ANSWER_ATTRIBUTE, mark)
    return node


def addAnswer(answer, scanNode, modelName: str):
    """Add what the network predicts as a segmentation, with a segment for every class that is."""
    labels = VolumeBridge.voxelsOnVolume(answer.labels, answer.affine, scanNode)
    present = sorted(NetworkAnswer.predictedClasses(answer))
    colors = classColors({index: answer.classes[index] for index in present})
    segments = [
        (NetworkAnswer.labelOfClass(answer, index), answer.classes[index], colors[index])
        for index in present
    ]
    box = NetworkAnswer.boxOf(answer)
    if any(value == 0 for value, *_ in segments):  # a label map's 0 is empty space
        labels, segments, box = labels + 1, [(value + 1, *rest) for value, *rest in segments], None
    name = f"{scanNode.GetName()} | {modelName}"
    node = VolumeBridge.segmentationFromLabels(labels, scanNode, name, segments, box=box)
    Terminology.tagSegments(node)
    node.SetNodeReferenceID(SCAN_ROLE, scanNode.GetID())
    putBeside(node, scanNode)
    return node


def classColors(names: dict[int, str]) -> dict[int, tuple[float, float, float]]:
    """Return a color per class: the terminology's, or a bright one if it has none that is free.

    Args:
        names: of the classes, by index.
    """
    colors: dict[int, tuple[float, float, float]] = {}
    for index, name in names.items():
        term = Terminology.termOf(name)
        taken = term is None or term.color in colors.values()
        colors[index] = classColor(index) if taken else term.color
    return colors


def classColor(index: int) -> tuple[float, float, float]:
    """Return a bright color (red, green, blue) 0..1 of a class, different from those near it."""
    if index < len(Display.ANSWER_COLORS):
        return Display.ANSWER_COLORS[index]
    return colorsys.hsv_to_rgb((index * _GOLDEN) % 1.0, 0.55 + 0.4 * (index % 2), 0.95)


def putBeside(node, scanNode) -> None:
    """Put a node into the folder, study or patient that holds the scan in the subject hierarchy."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scanNode.GetScene())
    if hierarchy is None:
        return
    scanItem = hierarchy.GetItemByDataNode(scanNode)
    if not scanItem:
        return
    parent = hierarchy.GetItemParent(scanItem)
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:  # outside the application nothing makes items by itself
        hierarchy.CreateItem(parent, node)


def provenanceOf(mapNode) -> dict:
    """Return how a map was made, as the engine recorded it; empty for any other volume."""
    return json.loads(mapNode.GetAttribute(PROVENANCE_ATTRIBUTE) or "{}")
