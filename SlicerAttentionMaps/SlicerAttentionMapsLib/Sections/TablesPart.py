"""The tables of what was measured, of the Compare section."""

import qt
import slicer

from .. import CurvePlots, Tables
from ..i18n import _
from ..MetricsTable import REMARKS

_WIDEST = 190
_ROWS_SEEN = 20
_ROW_HEIGHT = 24
_HIDDEN = {Tables.METRICS: ("Question", "Method", "Layer")}  # parts of the map's name
_FILTERS = " (*.csv *.tsv *.xlsx *.json)"


class TablesPart:
    """Binds the widgets that show, plot and save tables.

    Args:
        panel: the module's widget.
        section: the `CompareSection` that this is a part of.
    """

    def __init__(self, panel, section) -> None:
        self._panel, self._section = panel, section
        ui, guarded = panel.ui, panel.guarded
        letBeLong(ui.tableView)
        ui.tablesComboBox.connect("activated(int)", guarded(self.onTable))
        ui.plotColumnComboBox.connect("activated(int)", guarded(self.onColumn))
        ui.plotButton.connect("clicked()", guarded(self.onPlot))
        ui.exportTableButton.connect("clicked()", guarded(self.onExport))

    def table(self):
        """Return the chosen table, else the last one of the scene, or None."""
        tables = self._panel.logic.tables()
        chosen = self._panel.parameters.tableNode
        return chosen if chosen in tables else next(reversed(tables), None)

    def state(self) -> dict:
        """Return what the section's state says of tables."""
        table = self.table()
        return {
            "tables": tuple((node.GetID(), node.GetName()) for node in self._panel.logic.tables()),
            "table": table.GetID() if table is not None else "",
            "remark": _remarkOf(table),
            "columns": _columnsOf(table),
            "column": self._panel.parameters.plotColumn,
        }

    def choose(self, table) -> None:
        """Show this table."""
        self._panel.parameters.tableNode = table

    def show(self, state) -> None:
        """Show the chosen table."""
        key = state.compare.table
        table = slicer.mrmlScene.GetNodeByID(key) if key else None
        view = self._panel.ui.tableView
        if view.mrmlTableNode() == table:
            return
        view.setMRMLTableNode(table)
        if table is None:
            return
        view.resizeColumnsToContents()
        view.setTextElideMode(qt.Qt.ElideMiddle)
        hidden = _HIDDEN.get(Tables.kindOf(table), ())
        for index, title in enumerate(Tables.titles(table)):
            view.setColumnHidden(index, title in hidden)
            view.setColumnWidth(index, min(view.columnWidth(index), _WIDEST))

    def onTable(self, index: int) -> None:
        """Show this table."""
        key = self._panel.ui.tablesComboBox.itemData(index)
        self.choose(slicer.mrmlScene.GetNodeByID(key))

    def onColumn(self, index: int) -> None:
        """Choose what is plotted."""
        self._panel.parameters.plotColumn = self._panel.ui.plotColumnComboBox.itemData(index) or ""

    def onPlot(self) -> None:
        """Show the table as a plot."""
        table, column = self.table(), self._panel.parameters.plotColumn
        known = [key for key, _label in _columnsOf(table)]
        self._panel.logic.plotTable(table, column if column in known else None)

    def onExport(self) -> None:
        """Save the table where the person says."""
        table = self.table()
        name = "".join(c if c.isalnum() or c in " -_." else "_" for c in table.GetName())
        path = self._section.askPath(_("Save the table"), f"{name}.csv", _("Tables") + _FILTERS)
        if path:
            self._section.remedy.attempt(lambda: self._panel.logic.exportTable(table, path))
            self._panel.log(_("Saved {path}").format(path=path))


def letBeLong(view) -> None:
    """Let a table with hundreds of rows be shown at once: what is seen of it decides its widths.

    Args:
        view: a `QTableView`.
    """
    view.horizontalHeader().setResizeContentsPrecision(_ROWS_SEEN)
    view.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)


def _columnsOf(table) -> tuple[tuple[str, str], ...]:
    """Return key and name of what can be plotted of a table."""
    if table is None:
        return ()
    if Tables.kindOf(table) == Tables.TRUST:
        return tuple(CurvePlots.plottable(table).items())
    return tuple((title, title) for title in Tables.numberTitles(table))


def _remarkOf(table) -> str:
    """Return why numbers of a table are none; empty where all are."""
    if table is None or table.GetColumnIndex(REMARKS) < 0:
        return ""
    said = (row[REMARKS] for row in Tables.rowsOf(table))
    return "\n".join(dict.fromkeys(text for text in said if text))
