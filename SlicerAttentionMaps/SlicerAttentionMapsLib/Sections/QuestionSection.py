"""The Question section."""

from .. import Asked, MapTargets, RoiBoxes
from ..Binding import apply
from ..i18n import _
from ..Panel.LivePanel import liveProblem
from ..Panel.QuestionPanel import QuestionState, controls, task, unknownClasses
from .LiveMaps import LiveMaps
from .PointPlacing import PointPlacing


class QuestionSection:
    """Binds the section's widgets.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._asking = None
        self._note = ""
        self._placing = PointPlacing(panel)
        self._live = LiveMaps(panel)
        self._connect(panel.ui)

    def _connect(self, ui) -> None:
        guarded = self._panel.guarded
        ui.classComboBox.connect("activated(int)", guarded(self.onClass))
        ui.otherClassComboBox.connect("activated(int)", guarded(self.onOtherClass))
        ui.whereComboBox.connect("activated(int)", guarded(self.onWhere))
        ui.runNetworkButton.connect("clicked()", guarded(self.onRunNetwork))
        ui.pointSelector.connect("currentNodeChanged(vtkMRMLNode*)", guarded(self.onPointList))
        ui.pointSelector.connect("nodeAddedByUser(vtkMRMLNode*)", guarded(self.onNewPointList))
        ui.placePointButton.connect("clicked()", guarded(self.onPlacePoint))
        ui.segmentSelector.connect("currentNodeChanged(vtkMRMLNode*)", guarded(self.onSegment))
        ui.segmentSelector.connect("currentSegmentChanged(QString)", guarded(self.onSegment))
        ui.roiSelector.connect("currentNodeChanged(vtkMRMLNode*)", guarded(self.onBox))
        ui.roiSelector.connect("nodeAddedByUser(vtkMRMLNode*)", guarded(self.onAddedBox))
        ui.newRoiButton.connect("clicked()", guarded(self.onNewBox))
        ui.liveCheckBox.connect("clicked()", guarded(self.onLive))

    def question(self):
        """Return what is asked, as plain data for the worker.

        Raises:
            TargetError: If the place is empty, or outside the volume.
        """
        parameters = self._panel.parameters
        asked = Asked.explainArguments(parameters)
        return MapTargets.question(
            asked["target"],
            next(node for node in parameters.volumes if node is not None),
            axes=(self._panel.worker.model or {}).get("spatial_dims") or 3,
            className=asked["className"],
            component=asked["component"],
        )

    def state(self) -> QuestionState:
        """Return what the section knows, read from the parameter node, the scene and the worker."""
        parameters = self._panel.parameters
        point, box = parameters.pointNode, parameters.roiNode
        segmentation = parameters.segmentationNode
        self._placing.follow(point)
        return QuestionState(
            where=parameters.where,
            className=parameters.className,
            otherClassName=parameters.otherClassName,
            answer=self._panel.worker.answer,
            asking=self._asking is not None,
            pointNode=_idOf(point),
            points=0 if point is None else point.GetNumberOfDefinedControlPoints(),
            placing=self._placing.isPlacing(point),
            roiNode=_idOf(box),
            segmentationNode=_idOf(segmentation),
            segmentId=_segmentIn(segmentation, parameters.segmentId),
            live=self._live.on,
            note=self._note,
        )

    def show(self, state) -> None:
        """Show what the panel decided."""
        apply(self._panel.ui, controls(state))
        self._showSegment(state.question)
        if self._live.on and liveProblem(state, task(state)):
            self._live.stop()
        self._live.stopIfAboutOthers()
        self._forgetUnknownClasses(state)

    def leave(self) -> None:
        """End what goes on in the views: the panel is left, or the scene closed."""
        self._live.stop()
        self._placing.stop(self._panel.parameters.pointNode)

    def sceneCame(self) -> None:
        """Take over a scene that was loaded."""
        self._live.sceneCame()

    def onClass(self, index: int) -> None:
        """Ask about this class."""
        self._note = ""
        self._panel.parameters.className = self._panel.ui.classComboBox.itemData(index)
        self._panel.requestRefresh()

    def onOtherClass(self, index: int) -> None:
        """Hold it against this class."""
        self._note = ""
        self._panel.parameters.otherClassName = self._panel.ui.otherClassComboBox.itemData(index)
        self._panel.requestRefresh()

    def onWhere(self, index: int) -> None:
        """Ask about this part of the answer."""
        self._placing.stop(self._panel.parameters.pointNode)
        self._panel.parameters.where = self._panel.ui.whereComboBox.itemData(index)
        self._panel.requestRefresh()

    def onRunNetwork(self) -> None:
        """Run the network for its answer alone, or cancel that."""
        worker = self._panel.worker
        if self._asking is None:
            self._asking = worker.askAnswer(self._onAnswer, self._onNoAnswer)
        else:
            worker.cancelQuestion(self._asking)
        self._panel.requestRefresh()

    def onPointList(self, node) -> None:
        """Take the point from this list."""
        self._panel.parameters.pointNode = node
        self._panel.requestRefresh()

    def onNewPointList(self, node) -> None:
        """Place a point in the list that was made by hand."""
        self._placing.start(node)

    def onPlacePoint(self) -> None:
        """Place the point with the next click in a slice view, or leave that."""
        parameters = self._panel.parameters
        if self._placing.isPlacing(parameters.pointNode):
            self._placing.stop(parameters.pointNode)
        else:
            parameters.pointNode = self._placing.start(parameters.pointNode)
        self._panel.requestRefresh()

    def onSegment(self, *_) -> None:
        """Ask about this segment, the first one where none was chosen yet."""
        selector = self._panel.ui.segmentSelector
        node = selector.currentNode()
        self._panel.parameters.segmentationNode = node
        self._panel.parameters.segmentId = selector.currentSegmentID() or _firstSegment(node)
        self._panel.requestRefresh()

    def onBox(self, node) -> None:
        """Ask about this box."""
        self._panel.parameters.roiNode = node
        self._panel.requestRefresh()

    def onAddedBox(self, node) -> None:
        """Give the box that was made by hand a size."""
        volume = self._volume()
        if volume is not None:
            RoiBoxes.fitBox(node, volume)

    def onNewBox(self) -> None:
        """Make a box in the middle of the slice views."""
        self._panel.parameters.roiNode = self._panel.logic.questionBox(
            self._volume(), _("Question box")
        )
        self._panel.requestRefresh()

    def onLive(self) -> None:
        """Let the map follow the crosshair, or end that."""
        if self._live.on:
            self._live.stop()
        else:
            self._live.start()

    def _volume(self):
        return next((node for node in self._panel.parameters.volumes if node is not None), None)

    def _onAnswer(self, *_) -> None:
        self._asking = None
        self._panel.requestRefresh()

    def _onNoAnswer(self, error) -> None:
        self._asking = None
        self._panel.showError(error)
        self._panel.requestRefresh()

    def _showSegment(self, question: QuestionState) -> None:
        selector = self._panel.ui.segmentSelector
        blocked = selector.blockSignals(True)
        if selector.currentNodeID() != question.segmentationNode:
            selector.setCurrentNodeID(question.segmentationNode)
        if selector.currentSegmentID() != question.segmentId:
            selector.setCurrentSegmentID(question.segmentId)
        selector.blockSignals(blocked)

    def _forgetUnknownClasses(self, state) -> None:
        """A class of another model is left to the network again."""
        parameters, unknown = self._panel.parameters, unknownClasses(state)
        if not unknown:
            return
        if parameters.className in unknown:
            parameters.className = ""
        if parameters.otherClassName in unknown:
            parameters.otherClassName = ""
        self._note = _("This model knows no '{names}': the network chooses the class.").format(
            names="', '".join(unknown)
        )
        self._panel.requestRefresh()


def _idOf(node) -> str:
    return "" if node is None else node.GetID() or ""


def _firstSegment(segmentationNode) -> str:
    if segmentationNode is None or not segmentationNode.GetSegmentation().GetNumberOfSegments():
        return ""
    return segmentationNode.GetSegmentation().GetNthSegmentID(0)


def _segmentIn(segmentationNode, segmentId: str) -> str:
    """Return the ID if there is such a segment, else an empty one."""
    if segmentationNode is None or not segmentId:
        return ""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    return segmentId if segment is not None else ""
