"""The form of a model's specification: one editor per entry, and what is wrong with it below."""

import qt

from .. import Binding
from ..i18n import _
from ..Panel import SpecForm
from ..Panel.Control import Control

_LINES_OF_REST = 6
_PAUSE_MS = 700


class SpecificationForm:
    """Builds the entries and tells when a person has changed one.

    Args:
        layout: a QFormLayout.
        onChanged: called with the entry's name and its text.
    """

    def __init__(self, layout, onChanged) -> None:
        self._onChanged = onChanged
        self._editors = {}
        self._problems = {}
        for entry in SpecForm.FIELDS:
            editor = self._choice(entry) if entry.kind == "choice" else self._line(entry)
            self._addRow(layout, entry.name, entry.label, entry.toolTip, editor)
        toolTip = _("All other fields as JSON, such as the name of the model or how it is cited.")
        self._addRow(layout, SpecForm.REST, _("Other fields"), toolTip, self._rest())

    def show(self, entries) -> None:
        """Show entries by name (`InputPanel.FormEntry`)."""
        for name, entry in entries.items():
            Binding.show(self._editors[name], entry.editor)
            Binding.show(
                self._problems[name], Control(text=entry.problem, visible=bool(entry.problem))
            )

    def _addRow(self, layout, name, label, toolTip, editor) -> None:
        editor.objectName = f"specification_{name}"
        problem = qt.QLabel()
        problem.wordWrap = True
        problem.hide()
        cell = qt.QWidget()
        rows = qt.QVBoxLayout(cell)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addWidget(editor)
        rows.addWidget(problem)
        title = qt.QLabel(f"{label}:")
        for widget in (title, editor):
            widget.toolTip = toolTip
        layout.addRow(title, cell)
        self._editors[name], self._problems[name] = editor, problem

    def _line(self, entry):
        editor = qt.QLineEdit()
        editor.placeholderText = entry.empty

        def finished():
            if editor.modified:
                editor.modified = False
                self._onChanged(entry.name, editor.text)

        editor.connect("editingFinished()", finished)
        return editor

    def _choice(self, entry):
        editor = qt.QComboBox()
        Binding.letShrink(editor)
        for item in entry.choices:
            editor.addItem(item.label, item.key)
        editor.connect(
            "activated(int)", lambda index: self._onChanged(entry.name, editor.itemData(index))
        )
        return editor

    def _rest(self):
        """A text has no end of editing: a pause is taken for it."""
        editor = qt.QPlainTextEdit()
        editor.setFixedHeight(_LINES_OF_REST * editor.fontMetrics().lineSpacing() + 10)
        pause = qt.QTimer(editor)
        pause.setSingleShot(True)
        pause.setInterval(_PAUSE_MS)

        def finished():
            editor.document().setModified(False)
            self._onChanged(SpecForm.REST, editor.plainText)

        pause.connect("timeout()", finished)
        editor.connect("textChanged()", pause.start)
        return editor
