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
                removeFromHierarchy(node)
                scene.RemoveNode(node)
        raise


class AddedNodes:
    """Nodes that an action adds in several steps, between which the person goes on working.

    Args:
        scene: the MRML scene.
    """

    def __init__(self, scene) -> None:
        self._scene = scene
        self._ids: list[str] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the nodes that appear inside; remove them if it raises anything."""
        before = set(_nodeIds(self._scene))
        with removeNewNodesOnError(self._scene):
            yield
        self._ids += [nodeId for nodeId in _nodeIds(self._scene) if nodeId not in before]

    def remove(self) -> None:
        """Remove all noted nodes that are still there."""
        for nodeId in reversed(self._ids):
            node = self._scene.GetNodeByID(nodeId)
            if node is not None:
                removeFromHierarchy(node)
                self._scene.RemoveNode(node)
        self._ids.clear()


def removeFromHierarchy(node) -> None:
    """Remove a node's item first: outside the application it would stay behind."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    if item:
        hierarchy.RemoveItem(item, False, False)


def _nodeIds(scene) -> list[str]:
    return [scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())]
