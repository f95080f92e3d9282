"""The Compare section."""

import json

import qt
import slicer

from ..Asked import parsed
from ..Binding import apply
from ..i18n import _
from ..MetricsTable import TABLE_ATTRIBUTE, TEXT_COLUMNS
from ..Panel.ComparePanel import CURRENT_MAP, CompareState, Segment, controls, problem
from ..Panel.Messages import isCancel
from ..Panel.ResultPanel import thresholdValue
from ..SceneSetup import nodesByClass

_SHOWN_TEXTS = ("Map", "Segment")
_WIDEST_NAME = 190


class CompareSection:
    """Binds the section's widgets, and asks the worker to compare.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._question = None
        self._message = ""
        self._segments: tuple[Segment, ...] = ()
        ui, guarded = panel.ui, panel.guarded
        ui.truthSelector.connect("currentNodeChanged(vtkMRMLNode*)", guarded(self.onTruth))
        ui.truthSegmentsList.connect(
            "itemChanged(QListWidgetItem*)", guarded(lambda _item: self.onSegments())
        )
        ui.compareMapsComboBox.connect("currentIndexChanged(int)", guarded(self.onMaps))
        ui.compareShareSlider.connect("valueChanged(double)", guarded(self.onShare))
        ui.compareOtsuCheckBox.connect("toggled(bool)", guarded(self.onOtsu))
        ui.compareButton.connect("clicked()", guarded(self.onCompare))
        ui.plotMetricComboBox.connect("currentIndexChanged(int)", guarded(self.onMetric))
        ui.plotButton.connect("clicked()", guarded(self.onPlot))
        ui.exportTableButton.connect("clicked()", guarded(self.onExport))

    def table(self):
        """Return the last table of metrics in the scene, or None."""
        tables = nodesByClass(slicer.mrmlScene, "vtkMRMLTableNode")
        return next((n for n in reversed(tables) if n.GetAttribute(TABLE_ATTRIBUTE)), None)

    def state(self) -> CompareState:
        """Return what the section knows, read from the parameter node, the scene and the worker."""
        parameters, table = self._panel.parameters, self.table()
        truth = parameters.truthNode
        return CompareState(
            truth=truth.GetID() if truth is not None else "",
            segments=_segmentsOf(truth, parsed(parameters.truthSegments, list)),
            maps=parameters.compareMaps,
            threshold=parameters.compareThreshold,
            running=self._question is not None,
            message=self._message,
            table=table.GetID() if table is not None else "",
            metrics=_metricsOf(table),
            metric=parameters.plotMetric,
        )

    def show(self, state) -> None:
        """Show what the panel decided."""
        ui, compare = self._panel.ui, state.compare
        self._showSegments(compare.segments)
        apply(ui, controls(state))
        table = slicer.mrmlScene.GetNodeByID(compare.table) if compare.table else None
        if ui.metricsTableView.mrmlTableNode() != table:
            self._showTable(table)

    def onTruth(self, node) -> None:
        """Choose the ground truth, with all its segments."""
        scene = slicer.mrmlScene
        if scene.IsClosing() or scene.IsImporting():
            return  # segmentations that come and go are no choice of a person
        if node is not self._panel.parameters.truthNode:
            self._panel.parameters.truthNode = node
            self._panel.parameters.truthSegments = "[]"

    def onSegments(self) -> None:
        """Choose segments; all of them stand as none, so that later ones are in, too."""
        items = [self._panel.ui.truthSegmentsList.item(n) for n in range(len(self._segments))]
        checked = [
            segment.id
            for segment, item in zip(self._segments, items, strict=True)
            if item.checkState() == qt.Qt.Checked
        ]
        chosen = [] if len(checked) == len(items) else checked or [""]
        self._panel.parameters.truthSegments = json.dumps(chosen)

    def onMaps(self, index: int) -> None:
        """Choose which maps are compared."""
        self._panel.parameters.compareMaps = self._panel.ui.compareMapsComboBox.itemData(index)

    def onShare(self, share: float) -> None:
        """Set where a map's region ends."""
        self._panel.parameters.compareThreshold = f"{share:g}"

    def onOtsu(self, automatic: bool) -> None:
        """Find where the region ends in the values, or take the share."""
        share = self._panel.ui.compareShareSlider.value
        self._panel.parameters.compareThreshold = "otsu" if automatic else f"{share:g}"

    def onMetric(self, index: int) -> None:
        """Choose what is plotted."""
        self._panel.parameters.plotMetric = self._panel.ui.plotMetricComboBox.itemData(index) or ""

    def onCompare(self) -> None:
        """Compare in the worker, or stop that."""
        panel = self._panel
        if self._question is not None:
            panel.worker.cancelQuestion(self._question)
            return
        state = panel.state()
        if problem(state):
            return
        current = state.compare.maps == CURRENT_MAP
        maps = [panel.sections.result.currentMap()] if current else panel.logic.maps()
        chosen = [segment.id for segment in state.compare.segments if segment.chosen]
        self._message = _("Comparing")
        self._question = panel.worker.evaluate(
            maps,
            panel.parameters.truthNode,
            chosen,
            threshold=thresholdValue(state.compare.threshold),
            onProgress=self._onProgress,
            onDone=self._onDone,
            onError=self._onError,
        )
        panel.requestRefresh()

    def onPlot(self) -> None:
        """Show the table as a plot."""
        self._panel.logic.plotMetrics(self.table(), self._panel.parameters.plotMetric or None)

    def onExport(self) -> None:
        """Save the table where the person says."""
        path = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(),
            _("Save the table"),
            "metrics.csv",
            _("Tables") + " (*.csv *.tsv)",
        )
        if path:
            self._panel.logic.exportTable(self.table(), path)
            self._panel.log(_("Saved {path}").format(path=path))

    def _onProgress(self, fraction: float, message: str) -> None:
        self._message = _("Comparing {name}, {percent} % done").format(
            name=message, percent=round(100 * fraction)
        )
        self._panel.requestRefresh()

    def _onDone(self, table) -> None:
        self._question = None
        self._panel.log(
            _("Added '{name}', {rows} rows").format(
                name=table.GetName(), rows=table.GetNumberOfRows()
            )
        )

    def _onError(self, error) -> None:
        self._question = None
        if isCancel(error):
            self._panel.log(_("Canceled"))
        else:
            self._panel.showError(error)
        self._panel.requestRefresh()

    def _showTable(self, table) -> None:
        """Show the numbers beside the names; the rest of the texts is part of a map's name."""
        view = self._panel.ui.metricsTableView
        view.setMRMLTableNode(table)
        view.resizeColumnsToContents()
        for column in range(len(TEXT_COLUMNS)):
            view.setColumnHidden(column, TEXT_COLUMNS[column] not in _SHOWN_TEXTS)
        view.setTextElideMode(qt.Qt.ElideMiddle)
        view.setColumnWidth(0, min(view.columnWidth(0), _WIDEST_NAME))

    def _showSegments(self, segments: tuple[Segment, ...]) -> None:
        if segments == self._segments:
            return
        widget = self._panel.ui.truthSegmentsList
        blocked = widget.blockSignals(True)
        widget.clear()
        for segment in segments:
            item = qt.QListWidgetItem(segment.name, widget)
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
            item.setCheckState(qt.Qt.Checked if segment.chosen else qt.Qt.Unchecked)
        widget.blockSignals(blocked)
        self._segments = segments


def _segmentsOf(node, chosen: list[str]) -> tuple[Segment, ...]:
    """Return a segmentation's segments; with nothing chosen all of them are."""
    if node is None:
        return ()
    segmentation = node.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    return tuple(
        Segment(key, segmentation.GetSegment(key).GetName(), not chosen or key in chosen)
        for key in ids
    )


def _metricsOf(table) -> tuple[str, ...]:
    if table is None:
        return ()
    names = range(len(TEXT_COLUMNS), table.GetNumberOfColumns())
    return tuple(table.GetColumnName(index) for index in names)
