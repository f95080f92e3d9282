"""The place in the panel where errors are told."""

import logging

import qt

from . import Binding
from .Panel import Messages


class MessageArea:
    """Shows what went wrong until it is dismissed.

    Args:
        panel: the module's widget.

    Attributes:
        texts: what is shown, the last one first.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self.texts: tuple[str, ...] = ()
        ui = panel.ui
        style = ui.messageFrame.style()
        ui.messageIcon.setPixmap(style.standardIcon(qt.QStyle.SP_MessageBoxWarning).pixmap(20, 20))
        ui.dismissButton.setIcon(style.standardIcon(qt.QStyle.SP_DialogCloseButton))
        ui.dismissButton.connect("clicked()", self.dismiss)
        self.show(())

    def add(self, error) -> None:
        """Tell of an error; its traceback goes to the log where nobody could expect it."""
        if Messages.isCancel(error):
            return
        text = Messages.textOf(error)
        if Messages.isExpected(error):
            logging.warning("Attention Maps: %s", text)
        else:
            logging.error("Attention Maps: %s", text, exc_info=error)
        self._panel.noteLog(text)
        self.show(Messages.withMessage(self.texts, text))

    def dismiss(self) -> None:
        """Forget what was told."""
        self.show(())

    def show(self, texts: tuple[str, ...]) -> None:
        """Show messages, where a person sees them."""
        isNew = texts != self.texts
        self.texts = texts
        for name, control in Messages.controls(texts).items():
            Binding.show(getattr(self._panel.ui, name), control)
        if isNew and texts:
            self._scrollThere()

    def _scrollThere(self) -> None:
        """The panel may be scrolled down to where the person clicked."""
        frame = self._panel.ui.messageFrame
        widget = frame.parent()
        while widget is not None and not widget.inherits("QScrollArea"):
            widget = widget.parent()
        if widget is not None:
            qt.QTimer.singleShot(0, lambda: widget.ensureWidgetVisible(frame))
