"""All or nothing: nodes that a failed action had already added are removed."""

from collections.abc import Iterator
from contextlib import contextmanager

import slicer


@contextmanager
def removeNewNodesOnError(scene) -> Iterator[None]:
    """Leave the scene with the nodes it had, if what runs inside raises anything."""
    before = _nodeIds(scene)
    try:
        yield
    except BaseException:
        # Latest first: what refers to other nodes comes after them.
        for nodeId in reversed(_nodeIds(scene)):
            node = scene.GetNodeByID(nodeId)
            if nodeId not in before and node is not None:
                _removeFromHierarchy(node)
                scene.RemoveNode(node)
        raise


def _removeFromHierarchy(node) -> None:
    """Remove a node's item first: outside the application it would stay behind."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    if item:
        hierarchy.RemoveItem(item, False, False)


def _nodeIds(scene) -> list[str]:
    return [scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())]
