"""Places the point of a question in a slice view."""

import qt
import slicer

from ..Naming import uniqueName

OWN_LIST = "AttentionMaps.Question"
_POINTS = "vtkMRMLMarkupsFiducialNode"


class PointPlacing:
    """Knows the application's placing mode, and follows one point list.

    A list that was made here keeps its last point alone.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._followed = None
        applicationLogic = slicer.app.applicationLogic()
        self._selection = applicationLogic.GetSelectionNode()
        self._interaction = applicationLogic.GetInteractionNode()
        panel.addObserver(
            self._interaction,
            slicer.vtkMRMLInteractionNode.InteractionModeChangedEvent,
            panel.requestRefresh,
        )

    def isPlacing(self, node) -> bool:
        """Return whether the next click in a slice view adds a point to this list."""
        return (
            node is not None
            and self._interaction.GetCurrentInteractionMode() == self._interaction.Place
            and self._selection.GetActivePlaceNodeID() == node.GetID()
        )

    def start(self, node):
        """Begin placing a point; returns the list, a new one where None was given."""
        if node is None:
            node = self._newList()
        self._selection.SetReferenceActivePlaceNodeClassName(_POINTS)
        self._selection.SetActivePlaceNodeID(node.GetID())
        self._interaction.SetPlaceModePersistence(False)
        self._interaction.SetCurrentInteractionMode(self._interaction.Place)
        return node

    def stop(self, node) -> None:
        """Leave placing mode, if it is about this list."""
        if self.isPlacing(node):
            self._interaction.SetCurrentInteractionMode(self._interaction.ViewTransform)

    def follow(self, node) -> None:
        """Refresh the panel whenever this list gets or loses points."""
        if node is self._followed:
            return
        events = (
            slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent,
            slicer.vtkMRMLMarkupsNode.PointPositionUndefinedEvent,
            slicer.vtkMRMLMarkupsNode.PointRemovedEvent,
        )
        for event in events:
            if self._followed is not None:
                self._panel.removeObserver(self._followed, event, self._onPoints)
            if node is not None:
                self._panel.addObserver(node, event, self._onPoints)
        self._followed = node

    def _newList(self):
        scene = slicer.mrmlScene
        node = scene.AddNewNodeByClass(_POINTS, uniqueName(scene, "Question"))
        node.CreateDefaultDisplayNodes()
        node.SetControlPointLabelFormat("%N")
        node.SetAttribute(OWN_LIST, "point")
        return node

    def _onPoints(self, caller, event) -> None:
        self._panel.requestRefresh()
        if caller.GetAttribute(OWN_LIST) and caller.GetNumberOfDefinedControlPoints() > 1:
            # Not from within the event: the view still works on the point that was just placed.
            qt.QTimer.singleShot(0, lambda: _keepLastPoint(caller))


def _keepLastPoint(node) -> None:
    while node.GetNumberOfDefinedControlPoints() > 1:
        node.RemoveNthControlPoint(0)
