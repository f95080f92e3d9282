"""Layers against methods, of the Compare section."""

import json

import qt

from .. import Asked, Attached, SweepTable, Tables
from ..i18n import _
from ..Panel.CheckRows import methodRows, stored, usualMethods
from ..Panel.ComparePanel import SWEEP
from ..Panel.SweepPanel import ALL_LAYERS, SweepState, bestCell, cells, problem
from .CheckList import CheckList
from .TablesPart import letBeLong


class SweepPart:
    """Binds the widgets of the sweep.

    Args:
        panel: the module's widget.
        section: the `CompareSection` that this is a part of.
    """

    def __init__(self, panel, section) -> None:
        self._panel, self._section = panel, section
        self._methods = _knownMethods()
        self._shown = None
        ui, guarded = panel.ui, panel.guarded
        letBeLong(ui.sweepGrid)
        self._list = CheckList(ui.sweepMethodsList, self.onMethods, panel)
        ui.sweepLayersComboBox.connect("activated(int)", guarded(self.onLayers))
        ui.sweepButton.connect("clicked()", guarded(self.onSweep))
        ui.sweepMetricComboBox.connect("activated(int)", guarded(self.onMetric))
        ui.sweepSegmentComboBox.connect("activated(int)", guarded(self.onSegment))
        ui.sweepGrid.connect("cellDoubleClicked(int,int)", guarded(self.onCell))
        ui.showBestButton.connect("clicked()", guarded(self.onShowBest))
        ui.saveHeatMapButton.connect("clicked()", guarded(self.onSave))

    def table(self):
        """Return the last sweep's table in the scene, or None."""
        tables = reversed(self._panel.logic.tables())
        return next((node for node in tables if Tables.kindOf(node) == Tables.SWEEP), None)

    def state(self) -> SweepState:
        """Return what is known, read from the parameter node and the table."""
        parameters, table = self._panel.parameters, self.table()
        rows = methodRows(self._methods, Asked.parsed(parameters.sweepMethods, list))
        if table is None:
            return SweepState(parameters.sweepLayers, rows)
        sweep = SweepTable.sweepOf(table)
        titles = SweepTable.titles(Attached.attached(table))
        metric = parameters.sweepMetric if parameters.sweepMetric in titles else sweep.metrics[0]
        segment = parameters.sweepSegment
        segment = segment if segment in sweep.labels else next(iter(sweep.labels), "")
        best = sweep.best(metric, segment or None)
        return SweepState(
            parameters.sweepLayers,
            rows,
            table.GetID(),
            tuple(titles.items()),
            metric,
            tuple(sweep.labels),
            segment,
            tuple(sweep.layers),
            tuple(sweep.methods),
            tuple(self._methods[name].label for name in sweep.methods),
            tuple(map(tuple, sweep.values(metric, segment or None))),
            SweepTable.describedMetric(metric).better,
            (best["layer"], best["method"]) if best else None,
        )

    def show(self, state) -> None:
        """Show methods and the heat map."""
        sweep = state.compare.sweep
        self._list.show(sweep.methods)
        if sweep != self._shown:
            self._fill(sweep)
            self._shown = sweep

    def onLayers(self, index: int) -> None:
        """Try these layers."""
        self._panel.parameters.sweepLayers = self._panel.ui.sweepLayersComboBox.itemData(index)

    def onMethods(self, keys: list[str]) -> None:
        """Try these methods."""
        self._panel.parameters.sweepMethods = stored(keys, usualMethods(self._methods))

    def onMetric(self, index: int) -> None:
        """Show this metric."""
        self._panel.parameters.sweepMetric = self._panel.ui.sweepMetricComboBox.itemData(index)

    def onSegment(self, index: int) -> None:
        """Show this segment."""
        self._panel.parameters.sweepSegment = self._panel.ui.sweepSegmentComboBox.itemData(index)

    def onSweep(self) -> None:
        """Ask the worker."""
        panel, state = self._panel, self._panel.state()
        if problem(state):
            return
        target = panel.sections.question.question()
        parameters, sweep = panel.parameters, state.compare.sweep
        layers = "all"
        if sweep.layers != ALL_LAYERS:
            layers = Asked.layerArgument(Asked.namesOf(parameters.layers))
        truth = parameters.truthNode

        def ask(**listeners):
            panel.sections.input.choose(state)
            return panel.worker.sweep(
                target,
                truth,
                self._section.chosenSegments(state),
                layers=layers,
                methods=[row.key for row in sweep.methods if row.checked],
                metrics=self._section.chosenMetrics(state) if truth is not None else None,
                threshold=self._section.threshold(state),
                **listeners,
            )

        self._section.measure.start(SWEEP, ask, self._section.tableMade)

    def onShowBest(self) -> None:
        """Explain with the best layer and method."""
        best = self._panel.state().compare.sweep.best
        if best is not None:
            self._explain(*best)

    def onCell(self, row: int, column: int) -> None:
        """Explain with the layer and method of a cell."""
        sweep = self._panel.state().compare.sweep
        self._explain(sweep.rows[row], sweep.columns[column])

    def onSave(self) -> None:
        """Save the heat map as a picture."""
        state = self._panel.state().compare.sweep
        path = self._section.askPath(
            _("Save the heat map"), "layers_and_methods.png", _("Pictures") + " (*.png *.svg)"
        )
        if path:
            segment = state.segment or None
            self._section.remedy.attempt(
                lambda: self._panel.logic.heatMap(self.table(), state.metric, path, segment)
            )
            self._panel.log(_("Saved {path}").format(path=path))

    def _explain(self, layer: str, method: str) -> None:
        """Choose layer and method in the panel, and explain."""
        parameters = self._panel.parameters
        parameters.method = method
        if layer != "input":
            parameters.layers = json.dumps([layer])
        self._panel.sections.explain.onExplain()

    def _fill(self, sweep: SweepState) -> None:
        grid = self._panel.ui.sweepGrid
        grid.clear()
        grid.setRowCount(len(sweep.rows))
        grid.setColumnCount(len(sweep.columns))
        grid.setVerticalHeaderLabels(list(sweep.rows))
        grid.setHorizontalHeaderLabels(list(sweep.labels))
        for row, line in enumerate(cells(sweep)):
            for column, cell in enumerate(line):
                item = qt.QTableWidgetItem(cell.text)
                item.setTextAlignment(qt.Qt.AlignCenter)
                if (row, column) == bestCell(sweep):
                    font = item.font()
                    font.setBold(True)
                    item.setFont(font)
                if cell.color is not None:
                    item.setBackground(qt.QBrush(qt.QColor(*cell.color)))
                    ink = (255, 255, 255) if cell.isDark else (0, 0, 0)
                    item.setForeground(qt.QBrush(qt.QColor(*ink)))
                item.setToolTip(_("Double-click to show this map."))
                grid.setItem(row, column, item)
        grid.resizeColumnsToContents()
        best = grid.item(*bestCell(sweep))
        if best is not None:
            grid.scrollToItem(best)


def _knownMethods() -> dict:
    from ..EnginePath import ensureEngine

    ensureEngine()
    from attention_maps.registry import methods

    return methods()
