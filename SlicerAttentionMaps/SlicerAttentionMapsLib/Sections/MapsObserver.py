"""Notices when maps are changed elsewhere: in the Data module, the sequence browser, a script."""

import slicer
import vtk

from .. import SliceViews
from ..SceneSetup import nodesByClass

_CLASSES = ("vtkMRMLSliceCompositeNode", "vtkMRMLSequenceBrowserNode")
_MODIFIED = vtk.vtkCommand.ModifiedEvent


class MapsObserver:
    """Asks the panel to refresh when something that shows maps has changed.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._watched: list = []
        self._layers: dict[str, int] = {}

    def watch(self, maps) -> None:
        """Watch these maps, and the nodes that show them, instead of those before."""
        scene = slicer.mrmlScene
        SliceViews.evenOpacity(scene)
        others = [node for name in _CLASSES for node in nodesByClass(scene, name)]
        displays = [node.GetDisplayNode() for node in maps if node.GetDisplayNode() is not None]
        wanted = [*maps, *displays, *others]
        for node in self._watched:
            if node not in wanted:
                self._panel.removeObserver(node, _MODIFIED, self._onModified)
        for node in wanted:
            if not self._panel.hasObserver(node, _MODIFIED, self._onModified):
                self._panel.addObserver(node, _MODIFIED, self._onModified)
        self._watched = wanted
        self._layers = {node.GetID(): self._panel.logic.layerIndex(node) for node in maps}

    def _onModified(self, caller, event) -> None:
        if caller.IsA("vtkMRMLSequenceBrowserNode"):
            self._followBrowser()
        self._panel.requestRefresh()

    def _followBrowser(self) -> None:
        """Give the layer that the browser has chosen its own color range and legend."""
        logic = self._panel.logic
        for mapNode in logic.maps():
            index = logic.layerIndex(mapNode)
            if self._layers.get(mapNode.GetID(), index) != index:
                self._layers[mapNode.GetID()] = index
                logic.showLayer(mapNode, index)
