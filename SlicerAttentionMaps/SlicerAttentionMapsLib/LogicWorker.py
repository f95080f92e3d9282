"""What the Logic does in the worker process, without waiting."""

import slicer

from . import LoadOptions

_MS_BETWEEN_LOOKS = 12


class WorkerActions:
    """Part of `SlicerAttentionMapsLogic`."""

    _workerSession = None
    _workerTimer = None

    def worker(self):
        """Return the line to the worker process of scripts (`WorkerSession`); it runs when asked.

            print(logic.worker().log())

        In the application a timer looks for answers; elsewhere `poll` has to be called.
        """
        from .WorkerSession import WorkerSession

        if self._workerSession is None:
            self._workerSession = WorkerSession(onChanged=self._wakeWorker)
        return self._workerSession

    def startExplain(
        self,
        volumeNode,
        modelPath,
        layer="auto",
        method="grad_cam",
        target=None,
        *,
        spec=None,
        device: str = "auto",
        className=None,
        component: bool = False,
        region=None,
        batchSize: int | None = None,
        show: bool = True,
        opacity: float = 0.5,
        hiddenFraction: float = 0.1,
        onProgress=None,
        onDone=None,
        onError=None,
        **options,
    ):
        """Start to show where a network looked, in a process of its own; returns at once.

            question = logic.startExplain(t1, "model.pt", target="tumor", layer="up1")

        Args:
            volumeNode: and all up to `options` as in `explain`; previousStage is a file.
            onProgress: called with a fraction 0..1 and a message.
            onDone: called with the list of overlays.
            onError: called with the one error that ended it.

        Returns:
            A `WorkerQuestion` with `done`, `result` and `error`; the worker's `cancel` ends it.
        """
        volumeNodes = list(volumeNode) if isinstance(volumeNode, list | tuple) else [volumeNode]
        session = self.worker()
        ofModel, ofMethod = LoadOptions.split(options)
        session.choose(
            volumeNodes, modelPath, spec, device, options=LoadOptions.forWorker(ofModel),
            region=region,
        )  # fmt: skip
        return session.explain(
            target, method, layer, ofMethod, className=className, component=component,
            batchSize=batchSize, show=show, opacity=opacity, hiddenFraction=hiddenFraction,
            onProgress=onProgress, onDone=onDone, onError=onError,
        )  # fmt: skip

    def _closeWorker(self) -> None:
        if self._workerSession is not None:
            self._workerSession.close()
            self._workerSession = None

    def _wakeWorker(self) -> None:
        """Look for answers by a timer, where the application runs one."""
        if getattr(slicer, "app", None) is None:
            return
        if self._workerTimer is None:
            import qt

            self._workerTimer = qt.QTimer()
            self._workerTimer.setInterval(_MS_BETWEEN_LOOKS)
            self._workerTimer.connect("timeout()", self._lookForAnswers)
        self._workerTimer.start()

    def _lookForAnswers(self) -> None:
        session = self._workerSession
        if session is not None and session.pending:
            session.poll()
        else:
            self._workerTimer.stop()
