"""The Explain section."""

import slicer

from .. import ResultNodes
from ..Binding import apply
from ..i18n import _
from ..Panel.Caption import captionOf
from ..Panel.ExplainPanel import ExplainState, controls, doing, problem
from ..Panel.Messages import isCancel
from ..Panel.TimeLeft import TimeLeft
from .RunLimits import RunLimits


class ExplainSection:
    """Binds the section's widgets, and asks the worker what the person asks.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._running = False
        self._canceling = False
        self._fraction, self._message = 0.0, ""
        self._timeLeft = TimeLeft()
        self._limits = RunLimits(panel)
        ui = panel.ui
        ui.explainButton.connect("clicked()", panel.guarded(self.onExplain))
        ui.cancelButton.connect("clicked()", panel.guarded(self.onCancel))
        ui.copyLogButton.connect("clicked()", panel.guarded(self.onCopyLog))
        ui.logBox.connect("toggled(bool)", panel.requestRefresh)

    def state(self) -> ExplainState:
        """Return what the section knows, read from the parameter node, the scene and the worker."""
        return ExplainState(
            running=self._running,
            canceling=self._canceling,
            message=self._message,
            fraction=self._fraction,
            secondsLeft=self._timeLeft.seconds() if self._running else None,
            log=self._log(),
            caption=self._caption(),
            estimate=self._limits.estimate(),
            estimateProblem=self._limits.problem(),
            regionNode=self._limits.region(),
        )

    def show(self, state) -> None:
        """Show what the panel decided."""
        text = self._panel.ui.logText
        isAtEnd = text.verticalScrollBar().value == text.verticalScrollBar().maximum
        apply(self._panel.ui, controls(state))
        self._limits.show(state)
        if isAtEnd:
            text.verticalScrollBar().value = text.verticalScrollBar().maximum

    def onExplain(self) -> None:
        """Ask the worker; the panel stays usable."""
        panel = self._panel
        state = panel.state()
        if self._running or problem(state):
            return
        panel.dismissErrors()
        panel.sections.input.choose(state)
        question = panel.sections.question.question()
        method, layer, options = panel.sections.method.choice()
        nodes = [node for node in panel.sections.input.volumeNodes() if node is not None]
        self._begin()
        panel.log(
            _("Explaining '{model}' on {volumes}").format(
                model=state.input.model["name"],
                volumes=", ".join(f"'{node.GetName()}'" for node in nodes),
            )
        )
        try:
            panel.worker.explain(
                question,
                method,
                layer,
                options,
                onProgress=panel.guarded(self._onProgress),
                onDone=panel.guarded(self._onDone),
                onError=panel.guarded(self._onError),
            )
        except Exception:
            self._end()
            raise

    def onCancel(self) -> None:
        """Stop what is being computed."""
        if not self._running:
            return
        self._canceling = True
        self._panel.worker.cancel()
        self._panel.requestRefresh()

    def onCopyLog(self) -> None:
        """Copy the log to the clipboard."""
        slicer.app.clipboard().setText(self._log())

    def _begin(self) -> None:
        self._running, self._canceling = True, False
        self._fraction, self._message = 0.0, ""
        self._timeLeft.start()
        self._panel.requestRefresh()

    def _end(self) -> None:
        self._running, self._canceling = False, False
        self._panel.requestRefresh()

    def _onProgress(self, fraction: float, message: str) -> None:
        self._fraction, self._message = fraction, message
        self._timeLeft.report(fraction, message)
        self._showProgress()

    def _showProgress(self) -> None:
        """Progress comes often: the other sections need not be asked for it."""
        ui, state = self._panel.ui, self.state()
        ui.explainProgressBar.value = round(100 * state.fraction)
        ui.explainMessageLabel.text = doing(state)

    def _onDone(self, nodes) -> None:
        self._end()
        caption = captionOf([ResultNodes.provenanceOf(node) for node in nodes])
        self._panel.noteLog(caption.replace("\n", "; "))  # the worker's line has logged it
        self._panel.sections.result.mapsMade(nodes)

    def _onError(self, error) -> None:
        self._end()
        if isCancel(error):
            self._panel.log(_("Canceled"))
        else:
            self._panel.showError(error)

    def _log(self) -> str:
        """Nobody reads it while it is closed, and it is long."""
        lines = "\n".join(self._panel.logLines)
        if self._panel.ui.logBox.collapsed:
            return lines
        said = self._panel.worker.log()
        return f"{lines}\n\n{said}" if said else lines

    def _caption(self) -> str:
        node = self._panel.parameters.currentMap
        provenance = ResultNodes.provenanceOf(node) if node is not None else {}
        return captionOf([provenance]) if provenance else ""
