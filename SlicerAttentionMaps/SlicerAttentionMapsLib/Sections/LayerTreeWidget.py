"""The searchable tree of a network's layers."""

import qt

from ..Panel.LayerRows import AUTOMATIC, LayerRow, matches, settledSelection
from ..Panel.MethodPanel import LayerTree


class LayerTreeWidget:
    """Fills a tree with rows, and tells what is chosen in it.

    Args:
        tree: a `QTreeWidget` with the columns name, kind, size and step.
        filterEdit: a `QLineEdit`; rows without its text are hidden.
        onChosen: called with the names of the chosen layers.
    """

    def __init__(self, tree, filterEdit, onChosen) -> None:
        self._tree = tree
        self._filter = filterEdit
        self._onChosen = onChosen
        self._shown = LayerTree((), (), True, "")
        self._items = {}
        tree.connect("itemSelectionChanged()", self.onSelection)
        filterEdit.connect("textChanged(QString)", self.onFilter)

    def show(self, wanted: LayerTree) -> None:
        """Show these rows, with these ones selected; what is shown already is not touched."""
        blocked = self._tree.blockSignals(True)
        if wanted.rows != self._shown.rows:
            self._fill(wanted.rows)
        self._tree.setEnabled(wanted.enabled)
        self._tree.setToolTip(wanted.toolTip)
        if self._selected() != set(wanted.selected) & set(self._items):
            self._select(wanted.selected)
        self._tree.blockSignals(blocked)
        self._shown = wanted

    def onSelection(self) -> None:
        """Tell what is chosen now; an automatic choice stands alone."""
        now = [key for key in self._items if self._items[key].isSelected()]
        self._onChosen(settledSelection(self._shown.selected, now))

    def onFilter(self, text: str) -> None:
        """Hide rows without this text, and open those above a row that has it."""
        self._filterAll(self._shown.rows, text)
        if not text:
            self._tree.collapseAll()
            self._reveal(self._shown.selected)

    def _fill(self, rows: tuple[LayerRow, ...]) -> None:
        self._tree.clear()
        self._items = {}
        for row in rows:
            self._tree.addTopLevelItem(self._itemOf(row))
        for column in range(self._tree.columnCount):
            self._tree.resizeColumnToContents(column)
        self._filterAll(rows, self._filter.text)

    def _itemOf(self, row: LayerRow):
        item = qt.QTreeWidgetItem()
        for column, text in enumerate((row.label, row.kind, row.size, row.step)):
            item.setText(column, text)
            item.setToolTip(column, row.toolTip)
        if row.enabled:
            self._items[row.key] = item
        else:
            # Not disabled, for that would disable the rows below it, too.
            item.setFlags(qt.Qt.ItemIsEnabled)
            gray = self._tree.palette.brush(qt.QPalette.Disabled, qt.QPalette.Text)
            for column in range(4):
                item.setForeground(column, gray)
        for child in row.children:
            item.addChild(self._itemOf(child))
        return item

    def _filterAll(self, rows: tuple[LayerRow, ...], text: str) -> None:
        for index, row in enumerate(rows):
            self._filterRow(row, text, self._tree.topLevelItem(index))

    def _filterRow(self, row: LayerRow, text: str, item) -> None:
        shown = row.key in AUTOMATIC or matches(row, text)
        item.setHidden(not shown)
        if text and shown:
            item.setExpanded(any(matches(child, text) for child in row.children))
        for index, child in enumerate(row.children):
            self._filterRow(child, text, item.child(index))

    def _selected(self) -> set[str]:
        return {key for key, item in self._items.items() if item.isSelected()}

    def _select(self, names: tuple[str, ...]) -> None:
        self._tree.clearSelection()
        for name in names:
            if name in self._items:
                self._items[name].setSelected(True)
        self._reveal(names)

    def _reveal(self, names: tuple[str, ...]) -> None:
        for name in names:
            if name in self._items:
                self._tree.scrollToItem(self._items[name])  # opens the rows above it, too
