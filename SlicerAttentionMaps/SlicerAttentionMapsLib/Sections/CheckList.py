"""A list with a check box in every row."""

from dataclasses import replace

import qt

from ..Panel.CheckRows import CheckRow

_TOOL_TIP_ROLE = 3  # Qt.ToolTipRole


class CheckList:
    """Binds a list widget.

    Args:
        widget: a `QListWidget`.
        onChosen: called with the keys of the checked rows.
        panel: the module's widget.
    """

    def __init__(self, widget, onChosen, panel) -> None:
        self._widget = widget
        self._onChosen = onChosen
        self._rows: tuple[CheckRow, ...] = ()
        widget.connect("itemChanged(QListWidgetItem*)", panel.guarded(self._onChanged))

    def show(self, rows: tuple[CheckRow, ...]) -> None:
        """Show these rows; no signal is sent."""
        if rows == self._rows:
            return
        widget = self._widget
        blocked = widget.blockSignals(True)
        if [row.key for row in rows] != [row.key for row in self._rows]:
            widget.clear()
            for _row in rows:
                item = qt.QListWidgetItem(widget)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
        for index, row in enumerate(rows):
            item = widget.item(index)
            item.setText(row.label)
            item.setData(_TOOL_TIP_ROLE, row.toolTip)
            item.setCheckState(qt.Qt.Checked if row.checked else qt.Qt.Unchecked)
        widget.blockSignals(blocked)
        self._rows = tuple(rows)

    def _onChanged(self, _item) -> None:
        self._rows = tuple(
            replace(row, checked=self._widget.item(index).checkState() == qt.Qt.Checked)
            for index, row in enumerate(self._rows)
        )
        self._onChosen([row.key for row in self._rows if row.checked])
