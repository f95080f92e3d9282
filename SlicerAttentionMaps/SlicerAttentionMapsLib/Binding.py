"""Puts what the panel decided into widgets, and nothing more."""

import qt
import slicer

from .Panel.Control import Control, Controls

_LEAST_LETTERS = 10
_TOOL_TIP_ROLE = 3  # Qt.ToolTipRole


def apply(ui, controls: Controls) -> None:
    """Set widgets by name; what is as it should be is not touched, and no signal is sent.

    Args:
        ui: what `slicer.util.childWidgetVariables` gave.
        controls: what each widget shows.
    """
    for name, control in controls.items():
        show(getattr(ui, name), control)


def show(widget, control: Control) -> None:
    """Set one widget, without a signal."""
    blocked = widget.blockSignals(True)
    try:
        _show(widget, control)
    finally:
        widget.blockSignals(blocked)


def letShrink(widget) -> None:
    """Let lists of choices be narrower than their longest choice, such as the name of a scan.

    Args:
        widget: a combo box, or one that holds some.
    """
    for child in (widget, *slicer.util.findChildren(widget)):
        if hasattr(child, "inherits") and child.inherits("QComboBox"):
            child.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
            child.setMinimumContentsLength(_LEAST_LETTERS)


def _show(widget, control: Control) -> None:
    if control.items is not None:
        _setItems(widget, control)
    if control.current is not None:
        index = widget.findData(control.current)
        if index != widget.currentIndex:
            widget.setCurrentIndex(index)
    if control.node is not None and widget.currentNodeID != control.node:
        widget.setCurrentNodeID(control.node)
    if control.text is not None:
        _setText(widget, control.text)
    if control.toolTip is not None and widget.toolTip != control.toolTip:
        widget.setToolTip(control.toolTip)
    if control.value is not None and widget.value != control.value:
        widget.setValue(control.value)
    if control.checked is not None:
        _setChecked(widget, control.checked)
    if control.enabled is not None:
        _setEnabled(widget, control.enabled)
    if control.visible is not None:
        _setVisible(widget, control.visible)


def _setItems(widget, control: Control) -> None:
    shown = [(widget.itemData(i), widget.itemText(i)) for i in range(widget.count)]
    wanted = [(item.key, item.label) for item in control.items]
    if shown != wanted:
        chosen = widget.itemData(widget.currentIndex)
        widget.clear()
        for item in control.items:
            widget.addItem(item.label, item.key)
        widget.setCurrentIndex(widget.findData(chosen))
    for index, item in enumerate(control.items):
        widget.setItemData(index, item.toolTip, _TOOL_TIP_ROLE)
        widget.model().item(index).setEnabled(item.enabled)


def _setText(widget, text: str) -> None:
    """What a person is typing is left alone until it is finished."""
    if widget.hasFocus() and _isModified(widget):
        return
    if hasattr(widget, "currentPath"):
        if widget.currentPath != text:
            widget.setCurrentPath(text)
    elif hasattr(widget, "plainText"):
        if widget.plainText != text:
            widget.setPlainText(text)
    elif hasattr(widget, "title"):
        if widget.title != text:
            widget.setTitle(text)
    elif widget.text != text:
        widget.setText(text)


def _isModified(widget) -> bool:
    if hasattr(widget, "plainText"):
        return not widget.readOnly and widget.document().isModified()
    return getattr(widget, "modified", False)


def _setEnabled(widget, enabled: bool) -> None:
    """Enable or disable; a closed box disables all it holds, and enables what was not gray."""
    if widget.testAttribute(qt.Qt.WA_ForceDisabled) == enabled:
        widget.setEnabled(enabled)


def _setVisible(widget, visible: bool) -> None:
    """Show or hide; a closed section hides all it holds, and asks a property once it opens."""
    if getattr(widget.parent(), "collapsed", False):
        widget.setProperty("visibilityToParent", visible)
    elif widget.isHidden() == visible:
        widget.setVisible(visible)


def _setChecked(widget, checked: bool) -> None:
    if hasattr(widget, "collapsed"):
        if widget.collapsed == checked:
            widget.blockSignals(False)  # its contents fold by its own signal
            widget.setProperty("collapsed", not checked)
    elif widget.checked != checked:
        widget.setChecked(checked)
