"""Takes a model file or folder that is dropped on a widget."""

import qt

from ..Panel.InputPanel import isModelDrop


class ModelDrop(qt.QObject):
    """Watches a widget for dropped files; images are left to the application, which loads them.

    Args:
        widget: what is watched.
        onDropped: called with the path.
    """

    def __init__(self, widget, onDropped) -> None:
        super().__init__(widget)
        self._onDropped = onDropped
        widget.setAcceptDrops(True)
        widget.installEventFilter(self)

    def eventFilter(self, widget, event) -> bool:
        """Qt asks this before the widget."""
        if event.type() not in (qt.QEvent.DragEnter, qt.QEvent.DragMove, qt.QEvent.Drop):
            return False
        path = _pathOf(event.mimeData())
        if not path:
            return False
        event.acceptProposedAction()
        if event.type() == qt.QEvent.Drop:
            self._onDropped(path)
        return True


def _pathOf(mimeData) -> str:
    paths = [url.toLocalFile() for url in mimeData.urls()] if mimeData.hasUrls() else []
    return paths[0] if len(paths) == 1 and isModelDrop(paths[0]) else ""
