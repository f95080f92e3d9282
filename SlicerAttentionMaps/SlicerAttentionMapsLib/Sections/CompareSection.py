"""The Compare section."""

import qt
import slicer

from .. import Asked
from ..Binding import apply
from ..Panel import ThresholdChoice
from ..Panel.CheckRows import CheckRow, chosen, metricRows, stored
from ..Panel.ComparePanel import (
    CURRENT_MAP,
    METRICS,
    SPOTS,
    STRUCTURES,
    CompareState,
    Segment,
    controls,
    mapProblem,
    problem,
    signOf,
    truthProblem,
)
from .CheckList import CheckList
from .MeasureTask import MeasureTask
from .MetricOptions import MetricOptions
from .PackageRemedy import PackageRemedy
from .ReportPart import ReportPart
from .SweepPart import SweepPart
from .TablesPart import TablesPart
from .TrustPart import TrustPart

_FOLDER = "AttentionMaps/ExportFolder"


class CompareSection:
    """Binds the section's widgets, and asks the worker to measure.

    Args:
        panel: the module's widget.

    Attributes:
        measure: what is being measured.
        remedy: offers to install what is missing.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self.measure = MeasureTask(panel)
        self.remedy = PackageRemedy(panel)
        self._options = MetricOptions(panel)
        self._sweep = SweepPart(panel, self)
        self._trust = TrustPart(panel, self)
        self._tables = TablesPart(panel, self)
        self._report = ReportPart(panel, self)
        ui, guarded = panel.ui, panel.guarded
        self._segments = CheckList(ui.truthSegmentsList, self.onSegments, panel)
        self._metrics = CheckList(ui.metricsList, self.onMetrics, panel)
        ui.truthSelector.connect("currentNodeChanged(vtkMRMLNode*)", guarded(self.onTruth))
        ui.compareMapsComboBox.connect("currentIndexChanged(int)", guarded(self.onMaps))
        ui.compareThresholdComboBox.connect("activated(int)", guarded(self.onThresholdKind))
        ui.compareThresholdSpinBox.connect("valueChanged(double)", guarded(self.onThreshold))
        ui.compareLargestCheckBox.connect("toggled(bool)", guarded(self.onLargest))
        ui.compareSignComboBox.connect("activated(int)", guarded(self.onSign))
        ui.compareButton.connect("clicked()", guarded(self.onCompare))
        ui.structuresButton.connect("clicked()", guarded(self.onStructures))
        ui.spotsMinimumSpinBox.connect("valueChanged(double)", guarded(self.onMinimum))
        ui.spotsMostSpinBox.connect("valueChanged(int)", guarded(self.onMost))
        ui.spotsButton.connect("clicked()", guarded(self.onSpots))

    def state(self) -> CompareState:
        """Return what the section knows, read from the parameter node, the scene and the worker."""
        parameters = self._panel.parameters
        truth = parameters.truthNode
        return CompareState(
            truth=truth.GetID() if truth is not None else "",
            segments=_segmentsOf(truth, Asked.parsed(parameters.truthSegments, list)),
            maps=parameters.compareMaps,
            threshold=parameters.compareThreshold,
            sign=parameters.compareSign,
            metrics=metricRows(self._options.known, Asked.parsed(parameters.metrics, list)),
            spotsMinimum=parameters.spotsMinimum,
            spotsMost=parameters.spotsMost,
            running=self.measure.kind,
            canceling=self.measure.canceling,
            fraction=self.measure.fraction,
            message=self.measure.message,
            secondsLeft=self.measure.secondsLeft,
            sweep=self._sweep.state(),
            trust=self._trust.state(),
            **self._tables.state(),
        )

    def task(self) -> CompareState:
        """Return what is known of what is being measured, and nothing else."""
        measure = self.measure
        return CompareState(
            running=measure.kind,
            canceling=measure.canceling,
            message=measure.message,
            secondsLeft=measure.secondsLeft,
        )

    def show(self, state) -> None:
        """Show what the panel decided."""
        compare = state.compare
        self._segments.show(
            tuple(CheckRow(item.id, item.name, "", item.chosen) for item in compare.segments)
        )
        self._metrics.show(compare.metrics)
        self._options.show(chosen(compare.metrics))
        self._limitThreshold(compare.threshold)
        apply(self._panel.ui, controls(state))
        self._sweep.show(state)
        self._trust.show(state)
        self._tables.show(state)

    def table(self):
        """Return the table that is shown, or None."""
        return self._tables.table()

    def tableMade(self, table) -> None:
        """Show a new table."""
        self._tables.choose(table)

    def chosenSegments(self, state) -> list[str]:
        """Return the IDs of the checked segments."""
        return [segment.id for segment in state.compare.segments if segment.chosen]

    def chosenMetrics(self, state) -> list[str] | None:
        """Return the names of the checked metrics; None for all."""
        keys = chosen(state.compare.metrics)
        return None if len(keys) == len(state.compare.metrics) else keys

    def threshold(self, state):
        """Return the threshold as the engine takes it."""
        return ThresholdChoice.parsed(state.compare.threshold).value

    def askPath(self, title: str, name: str, filters: str) -> str:
        """Ask where to save a file; the folder is remembered. Returns an empty path for nowhere."""
        settings = self._panel.settings
        folder = qt.QDir(str(settings.value(_FOLDER, "") or qt.QDir.homePath()))
        path = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), title, folder.filePath(name), filters
        )
        if path:
            settings.setValue(_FOLDER, qt.QFileInfo(path).absolutePath())
        return path

    def onTruth(self, node) -> None:
        """Choose the ground truth, with all its segments."""
        scene = slicer.mrmlScene
        if scene.IsClosing() or scene.IsImporting():
            return  # segmentations that come and go are no choice of a person
        if node is not self._panel.parameters.truthNode:
            self._panel.parameters.truthNode = node
            self._panel.parameters.truthSegments = "[]"

    def onSegments(self, keys: list[str]) -> None:
        """Choose segments; all of them stand as none, so that later ones are in, too."""
        segments = self._panel.state().compare.segments
        self._panel.parameters.truthSegments = stored(keys, [item.id for item in segments])

    def onMetrics(self, keys: list[str]) -> None:
        """Choose metrics; all of them stand as none, so that later ones are in, too."""
        self._panel.parameters.metrics = stored(keys, list(self._options.known))

    def onMaps(self, index: int) -> None:
        """Choose which maps are compared."""
        self._panel.parameters.compareMaps = self._panel.ui.compareMapsComboBox.itemData(index)

    def onThresholdKind(self, index: int) -> None:
        """Find the threshold in another way."""
        kind = self._panel.ui.compareThresholdComboBox.itemData(index)
        self._setThreshold(ThresholdChoice.ofKind(self._threshold(), kind))

    def onThreshold(self, number: float) -> None:
        """Set the threshold's number."""
        self._setThreshold(ThresholdChoice.withNumber(self._threshold(), number))

    def onLargest(self, largest: bool) -> None:
        """Take the largest part alone, or all of them."""
        self._setThreshold(ThresholdChoice.withLargest(self._threshold(), largest))

    def onSign(self, index: int) -> None:
        """Let evidence for the answer count, or against it."""
        self._panel.parameters.compareSign = self._panel.ui.compareSignComboBox.itemData(index)

    def onMinimum(self, milliliters: float) -> None:
        """Leave out smaller hot spots."""
        self._panel.parameters.spotsMinimum = milliliters

    def onMost(self, count: int) -> None:
        """Look for so many hot spots."""
        self._panel.parameters.spotsMost = count

    def onCompare(self) -> None:
        """Compare in the worker."""
        panel, state = self._panel, self._panel.state()
        if problem(state):
            return
        isOne = state.compare.maps == CURRENT_MAP
        maps = [panel.sections.result.currentMap()] if isOne else panel.logic.maps()
        metrics = self.chosenMetrics(state)

        def ask(**listeners):
            return panel.worker.evaluate(
                maps,
                panel.parameters.truthNode,
                self.chosenSegments(state),
                metrics,
                self.threshold(state),
                {**self._options.chosen(chosen(state.compare.metrics)), "sign": signOf(state)},
                **listeners,
            )

        self.measure.start(METRICS, ask, self.tableMade)

    def onStructures(self) -> None:
        """Share out the attention of the current map in the worker."""
        panel, state = self._panel, self._panel.state()
        if mapProblem(state) or truthProblem(state):
            return
        mapNode, truth = panel.sections.result.currentMap(), panel.parameters.truthNode

        def ask(**listeners):
            return panel.worker.structures(
                mapNode, truth, self.chosenSegments(state), sign=signOf(state), **listeners
            )

        self.measure.start(STRUCTURES, ask, self.tableMade)

    def onSpots(self) -> None:
        """Find the hot spots of the current map in the worker."""
        panel, state = self._panel, self._panel.state()
        if mapProblem(state):
            return
        mapNode = panel.sections.result.currentMap()
        truth = None if truthProblem(state) else panel.parameters.truthNode

        def ask(**listeners):
            return panel.worker.hotSpots(
                mapNode,
                self.threshold(state),
                minimumMl=state.compare.spotsMinimum,
                most=state.compare.spotsMost or None,
                segmentationNode=truth,
                segmentIds=self.chosenSegments(state),
                sign=signOf(state),
                **listeners,
            )

        self.measure.start(SPOTS, ask, self.tableMade)

    def _threshold(self) -> ThresholdChoice.Threshold:
        return ThresholdChoice.parsed(self._panel.parameters.compareThreshold)

    def _setThreshold(self, threshold: ThresholdChoice.Threshold) -> None:
        self._panel.parameters.compareThreshold = threshold.text

    def _limitThreshold(self, text: str) -> None:
        """Give the number the range of its kind, without a signal."""
        low, high, digits = ThresholdChoice.LIMITS[ThresholdChoice.parsed(text).kind]
        widget = self._panel.ui.compareThresholdSpinBox
        blocked = widget.blockSignals(True)
        widget.setDecimals(digits)
        widget.setRange(low, high)
        widget.blockSignals(blocked)


def _segmentsOf(node, keys: list[str]) -> tuple[Segment, ...]:
    """Return a segmentation's segments; with nothing chosen all of them are."""
    if node is None:
        return ()
    segmentation = node.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    return tuple(
        Segment(key, segmentation.GetSegment(key).GetName(), not keys or key in keys) for key in ids
    )
