"""What is being measured by the worker: one thing at a time, which can be canceled."""

from ..i18n import _
from ..Panel.ComparePanel import doing
from ..Panel.Messages import isCancel
from ..Panel.TimeLeft import TimeLeft
from .PackageRemedy import PackageRemedy


class MeasureTask:
    """Starts a question to the worker, shows how far it is, and says what came of it.

    Args:
        panel: the module's widget.

    Attributes:
        kind: what is being measured (see `ComparePanel`); empty for nothing.
        canceling: whether it is being canceled.
        fraction: share of it that is done, 0..1.
        message: what is being done.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._question = None
        self._remedy = PackageRemedy(panel)
        self._timeLeft = TimeLeft()
        self._forget()
        panel.ui.compareCancelButton.connect("clicked()", panel.guarded(self.cancel))

    def start(self, kind: str, ask, onDone, said=None) -> None:
        """Ask the worker.

        Args:
            kind: what is measured.
            ask: called with onProgress, onDone and onError; returns a `WorkerQuestion`.
            onDone: called with what came of it, the new node.
            said: gives what the log says of it; None for "Added" and the node's name.
        """
        panel = self._panel
        panel.dismissErrors()
        self.kind = kind
        self._timeLeft.start()

        def done(result) -> None:
            self._forget()
            panel.log((said or _added)(result))
            onDone(result)
            panel.requestRefresh()

        def failed(error) -> None:
            self._forget()
            panel.requestRefresh()
            if isCancel(error):
                panel.log(_("Canceled"))
            elif self._remedy.install(error):
                self.start(kind, ask, onDone, said)
            else:
                panel.showError(error)

        try:
            self._question = ask(
                onProgress=panel.guarded(self._onProgress),
                onDone=panel.guarded(done),
                onError=panel.guarded(failed),
            )
        except Exception:
            self._forget()
            raise
        panel.requestRefresh()

    def cancel(self) -> None:
        """Stop what is being measured."""
        if self._question is not None:
            self.canceling = True
            self._panel.worker.cancelQuestion(self._question)
            self._panel.requestRefresh()

    @property
    def secondsLeft(self) -> float | None:
        """How long it will take; None if nobody knows yet."""
        return self._timeLeft.seconds() if self.kind else None

    def _forget(self) -> None:
        self._question = None
        self.kind, self.canceling, self.fraction, self.message = "", False, 0.0, ""

    def _onProgress(self, fraction: float, message: str) -> None:
        """Progress comes often: the other sections need not be asked for it."""
        self.fraction, self.message = fraction, message
        # Within a test, forward and backward passes take turns.
        self._timeLeft.report(fraction, message.partition(":")[0])
        ui, state = self._panel.ui, self._panel.sections.compare.task()
        ui.compareProgressBar.value = round(100 * fraction)
        ui.compareStatusLabel.text = doing(state)


def _added(node) -> str:
    return _("Added '{name}'").format(name=node.GetName())
