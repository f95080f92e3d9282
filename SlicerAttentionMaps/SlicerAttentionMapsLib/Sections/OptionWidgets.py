"""Fields for a method's options, made from what the engine declares."""

import qt

from ..Panel.OptionFields import OptionField


class OptionWidgets:
    """Fills a form with one widget per option.

    Args:
        form: a `QFormLayout`.
        onChanged: called with a dict of all values after each change.
        after: the widget that the Tab key leaves for the first of them.
    """

    def __init__(self, form, onChanged, after) -> None:
        self._form = form
        self._after = after
        self._onChanged = onChanged
        self._fields = ()
        self._widgets = {}

    def show(self, fields: tuple[OptionField, ...]) -> None:
        """Show these fields with their values; no signal is sent."""
        if [_shapeOf(field) for field in fields] != [_shapeOf(field) for field in self._fields]:
            self._rebuild(fields)
        self._fields = fields
        for field in fields:
            widget = self._widgets[field.name]
            blocked = widget.blockSignals(True)
            _setValue(widget, field)
            widget.blockSignals(blocked)

    def _rebuild(self, fields: tuple[OptionField, ...]) -> None:
        while self._form.rowCount():
            self._form.removeRow(0)
        self._widgets = {}
        before = self._after
        for field in fields:
            widget = _widgetOf(field, self._tell)
            widget.setToolTip(field.toolTip)
            widget.setObjectName(f"option_{field.name}")
            label = qt.QLabel(f"{field.label}:")
            label.setToolTip(field.toolTip)
            self._form.addRow(label, widget)
            self._widgets[field.name] = widget
            qt.QWidget.setTabOrder(before, widget)
            before = widget

    def _tell(self, *_) -> None:
        self._onChanged(
            {field.name: _valueOf(self._widgets[field.name], field) for field in self._fields}
        )


def _shapeOf(field: OptionField) -> tuple:
    return field.name, field.kind, field.low, field.high, field.choices, field.toolTip


def _widgetOf(field: OptionField, changed):
    if field.kind == "bool":
        widget = qt.QCheckBox()
        widget.connect("toggled(bool)", changed)
    elif field.kind == "choice":
        widget = qt.QComboBox()
        widget.addItems([str(choice) for choice in field.choices])
        widget.connect("currentIndexChanged(int)", changed)
    elif field.kind == "int":
        widget = qt.QSpinBox()
        widget.setRange(int(field.low), int(field.high))
        widget.setKeyboardTracking(False)
        widget.connect("valueChanged(int)", changed)
    else:
        widget = qt.QDoubleSpinBox()
        widget.setSuffix(f" {field.unit}" if field.unit else "")
        widget.setDecimals(field.decimals)
        widget.setRange(field.low, field.high)
        widget.setSingleStep(10.0 ** (1 - field.decimals))
        widget.setKeyboardTracking(False)
        widget.connect("valueChanged(double)", changed)
    return widget


def _setValue(widget, field: OptionField) -> None:
    if field.kind == "bool":
        widget.setChecked(field.value)
    elif field.kind == "choice":
        widget.setCurrentIndex(field.choices.index(field.value))
    elif widget.value != field.value:
        widget.setValue(field.value)


def _valueOf(widget, field: OptionField):
    if field.kind == "bool":
        return widget.checked
    if field.kind == "choice":
        return field.choices[widget.currentIndex]
    return widget.value
