"""What a run over windows will take, and the box that limits it."""

import qt
import slicer
import vtk

from .. import RoiBoxes
from ..Panel import InputPanel, SetupPanel

_PAUSE_MS = 700


class RunLimits:
    """Binds the box's selector, and asks the worker for estimates while it is idle.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._observed = None
        ui = panel.ui
        ui.regionSelector.connect("currentNodeChanged(vtkMRMLNode*)", panel.guarded(self.onRegion))
        ui.regionSelector.connect("nodeAddedByUser(vtkMRMLNode*)", panel.guarded(self.onAdded))
        self._pause = qt.QTimer(ui.explainSection)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.connect("timeout()", panel.guarded(self._ask))

    def estimate(self) -> str:
        """Return what the present question takes, in words; empty if that is not known."""
        found = self._panel.worker.estimates.of(self._layer())
        return found["line"] if found else ""

    def problem(self) -> str:
        """Return why nobody can say what it takes; empty if somebody can, or was not asked."""
        return self._panel.worker.estimates.problemOf(self._layer())

    def region(self) -> str:
        """Return the ID of the box; empty for none."""
        node = self._panel.parameters.regionNode
        return node.GetID() if node is not None else ""

    def show(self, state) -> None:
        """Follow the box, and ask once things have come to rest."""
        self._observe(self._panel.parameters.regionNode)
        if self._isWanted(state):
            self._pause.start()
        else:
            self._pause.stop()

    def onRegion(self, node) -> None:
        """Limit runs to another box, or no longer."""
        self._panel.parameters.regionNode = node
        self._panel.requestRefresh()

    def onAdded(self, node) -> None:
        """Give the box that was made by hand a size."""
        volume = self._panel.sections.input.volumeNodes()[0]
        if volume is not None:
            RoiBoxes.fitBox(node, volume)

    def _ask(self) -> None:
        if self._isWanted(self._panel.state()):
            self._panel.worker.estimates.ask(self._layer())
            self._panel.wakeWorker()

    def _isWanted(self, state) -> bool:
        """Whether there is something to ask, and nobody waits for something else."""
        given, worker = state.input, self._panel.worker
        if not self._panel.moduleShown or state.explain.running or worker.pending:
            return False
        if given.model is None or not given.model.get("windows"):
            return False
        if SetupPanel.problem(state) or InputPanel.problem(state):
            return False
        return not worker.estimates.isKnown(self._layer())

    def _layer(self):
        """Return the layers of the present question."""
        _method, layer, _options = self._panel.sections.method.choice()
        return layer

    def _observe(self, node) -> None:
        """A box that is moved or resized is another one."""
        if node is self._observed:
            return
        events = (
            vtk.vtkCommand.ModifiedEvent,
            slicer.vtkMRMLMarkupsNode.PointModifiedEvent,
            slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
        )
        for event in events:
            if self._observed is not None:
                self._panel.removeObserver(self._observed, event, self._panel.requestRefresh)
            if node is not None:
                self._panel.addObserver(node, event, self._panel.requestRefresh)
        self._observed = node
