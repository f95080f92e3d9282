"""Keeps the panel in touch with its worker process."""

import qt
import slicer

from . import WorkerChoices

# Python threads run while Python runs in the main thread: the more often it asks, the sooner an
# answer is there. Where nothing is under way, it is enough to notice a worker that died.
_BUSY_MS = 12
_IDLE_MS = 500


class PanelWorker:
    """Holds the `WorkerSession` and polls it.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self.session = None
        self._timer = qt.QTimer(panel.ui.messageFrame)
        self._timer.connect("timeout()", self._poll)
        self.renew()

    def renew(self) -> None:
        """Take up the present settings; the new worker starts with the next question."""
        from .WorkerSession import WorkerSession

        if self.session is not None:
            self.session.close()
        choices = WorkerChoices.load(self._panel.settings)
        self.session = WorkerSession(
            choices.interpreter, choices.environment, onChanged=self._onChanged
        )
        self._panel.requestRefresh()

    def wake(self) -> None:
        """Poll often while something is under way, and rarely else."""
        if self.session is None:
            return
        interval = _BUSY_MS if self.session.pending else _IDLE_MS
        if not self._timer.isActive() or self._timer.interval != interval:
            self._timer.start(interval)

    def close(self) -> None:
        """End the worker."""
        self._timer.stop()
        session, self.session = self.session, None
        if session is not None:
            session.close()

    def _onChanged(self) -> None:
        self._panel.requestRefresh()
        self.wake()

    def _poll(self) -> None:
        if slicer.mrmlScene.IsBatchProcessing():
            return  # nodes come and go; what has come from the worker waits
        try:
            self.session.poll()
        except Exception as error:
            self._panel.showError(error)
        self.wake()
