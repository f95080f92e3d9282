"""The list of maps: a row each, with a check box for being seen and a name that can be edited."""

import qt


class MapsList:
    """Binds the tree widget with the maps.

    Args:
        panel: the module's widget.
        section: what is done when a row is chosen, checked, renamed or removed
            (`ResultSection`).
    """

    def __init__(self, panel, section) -> None:
        self._panel = panel
        self._section = section
        self._tree = tree = panel.ui.mapsTree
        self._rows = ()
        header = tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(1, qt.QHeaderView.ResizeToContents)
        for key, slot in (("F2", self._onRenameKey), ("Del", section.onRemove)):
            shortcut = qt.QShortcut(qt.QKeySequence(key), tree)
            shortcut.setContext(qt.Qt.WidgetShortcut)  # not while a name is being typed
            shortcut.connect("activated()", panel.guarded(slot))
        tree.connect("itemSelectionChanged()", panel.guarded(self._onChosen))
        tree.connect("itemChanged(QTreeWidgetItem*,int)", panel.guarded(self._onChanged))
        tree.connect("itemDoubleClicked(QTreeWidgetItem*,int)", panel.guarded(self._onEdit))

    def show(self, rows, current: str) -> None:
        """Show rows (`Panel.ResultPanel.MapRow`), one of them chosen by its map's ID."""
        tree = self._tree
        blocked = tree.blockSignals(True)
        try:
            if [row.id for row in rows] != [row.id for row in self._rows]:
                tree.clear()
                for _row in rows:
                    self._addItem()
            for index, row in enumerate(rows):
                self._fill(tree.topLevelItem(index), row)
                if row.id == current and tree.currentItem() != tree.topLevelItem(index):
                    tree.setCurrentItem(tree.topLevelItem(index))
            self._rows = tuple(rows)
        finally:
            tree.blockSignals(blocked)

    def _addItem(self) -> None:
        item = qt.QTreeWidgetItem(self._tree)
        item.setFlags(
            qt.Qt.ItemIsSelectable
            | qt.Qt.ItemIsEnabled
            | qt.Qt.ItemIsUserCheckable
            | qt.Qt.ItemIsEditable
        )
        item.setCheckState(0, qt.Qt.Unchecked)  # a box is drawn once there is a state

    def _fill(self, item, row) -> None:
        for column, text in enumerate((row.name, row.largest)):
            if item.text(column) != text:
                item.setText(column, text)
            if item.toolTip(column) != row.toolTip:
                item.setToolTip(column, row.toolTip)
        state = qt.Qt.Checked if row.checked else qt.Qt.Unchecked
        if item.checkState(0) != state:
            item.setCheckState(0, state)
        font = item.font(0)
        if font.bold() != row.strong:
            font.setBold(row.strong)
            item.setFont(0, font)

    def _rowOf(self, item):
        index = self._tree.indexOfTopLevelItem(item)
        return self._rows[index] if 0 <= index < len(self._rows) else None

    def _onChosen(self) -> None:
        item = self._tree.currentItem()
        row = self._rowOf(item) if item is not None else None
        if row is not None:
            self._section.choose(row.id)

    def _onChanged(self, item, column: int) -> None:
        row = self._rowOf(item)
        if row is None or column != 0:
            return
        checked = item.checkState(0) == qt.Qt.Checked
        try:
            if checked != row.checked:
                self._section.setShown(row.id, checked)
            elif item.text(0) != row.name:
                self._section.rename(row.id, item.text(0))
        finally:
            self._panel.requestRefresh()

    def _onRenameKey(self) -> None:
        item = self._tree.currentItem()
        if item is not None:
            self._tree.editItem(item, 0)

    def _onEdit(self, item, column: int) -> None:
        if column == 0:
            self._tree.editItem(item, 0)
