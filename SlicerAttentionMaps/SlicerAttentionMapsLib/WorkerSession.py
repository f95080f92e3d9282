"""The line from the panel to the worker process: asks, keeps what is known, makes nodes.

session = WorkerSession()
session.choose([t1], "model.pt")
question = session.explain("tumor", layer="up1", onDone=lambda nodes: print(nodes[0].GetName()))
while session.pending:  # in the application a timer does this
    session.poll(0.05)
"""

from . import WorkerNodes
from .EnginePath import ensureEngine
from .LiveQuestions import LiveQuestions
from .WorkerComparison import errorOfWhatIsGone
from .WorkerEstimates import WorkerEstimates
from .WorkerMeasures import WorkerMeasures
from .WorkerQuestion import WorkerQuestion
from .WorkerTargets import targetFor


class WorkerSession(WorkerMeasures):
    """Asks one worker about one subject of volumes and model; never waits, knows no widget.

    Whatever is called returns at once; `poll` calls back. An error ends one question with one
    readable message, and the next question works, in a new worker if need be.

    Args:
        interpreter: Python that runs the worker; empty for Slicer's own.
        environment: variables for the worker, such as {"OMP_NUM_THREADS": "2"}.
        onChanged: called without arguments when an attribute below has changed.

    Attributes:
        model: what the chosen model is and expects (`attention_maps.worker.summaries`), or None.
        modelError: why it could not be loaded, or empty.
        modelErrorKind: class of that error, or empty.
        modelLoading: whether it is being loaded.
        layers: its layers, `attention_maps.LayerInfo`, or None.
        layersLoading: whether they are being listed.
        estimates: what a question will take (`WorkerEstimates`).
    """

    def __init__(self, interpreter: str = "", environment=None, onChanged=None) -> None:
        super().__init__(interpreter, environment, onChanged)
        self._questions: list[WorkerQuestion] = []
        self._failed: list = []
        self._polling = False
        self._live = LiveQuestions(self)
        self.estimates = WorkerEstimates(self)

    @property
    def busy(self) -> bool:
        """Whether a question of the person is being answered."""
        return bool(self._questions)

    @property
    def pending(self) -> bool:
        """Whether anything is under way, so that `poll` should be called often."""
        waiting = self.busy or self._live.active or self.modelLoading or self.layersLoading
        return waiting or (self.client is not None and self.client.busy)

    def explain(
        self,
        target=None,
        method="grad_cam",
        layer="auto",
        options=None,
        *,
        className=None,
        component: bool = False,
        batchSize: int | None = None,
        show: bool = True,
        opacity: float = 0.5,
        hiddenFraction: float = 0.1,
        onProgress=None,
        onMap=None,
        onDone=None,
        onError=None,
    ) -> WorkerQuestion:
        """Ask where the network looked; the nodes come all together at the end, or none of them.

        Args:
            target, method, layer, className, component, batchSize, show, opacity, hiddenFraction:
                as in `SlicerAttentionMapsLogic.explain`.
            options: a dict of the methods' options.
            onProgress: called with a fraction 0..1 and a message.
            onMap: called with each map's node.
            onDone: called with the list of nodes.
            onError: called with the one error that ended it, `Cancelled` among them.
        """
        question = WorkerQuestion(
            self.subject, f"explain {method} at {layer}",
            onProgress=onProgress, onMap=onMap, onDone=onDone, onError=onError,
        )  # fmt: skip
        shown = {"show": show, "opacity": opacity, "hiddenFraction": hiddenFraction}

        def send() -> None:
            asked = targetFor(question.subject, question.model, target, className, component)
            question.record = question.subject.record(asked)
            question.answer = self._answerOf(question)

            def made(maps) -> None:
                question.maps.extend(maps)
                self._addNodes(question, shown)

            def take(answer) -> None:
                question.answer = answer

            sending = self.callbacks(question, on_done=made)
            question.requests.append(
                self.client.explain(
                    method, layer, asked, options=options, batch_size=batchSize,
                    on_progress=question.report, **sending,
                )
            )  # fmt: skip
            if question.answer is None:
                self._requestAnswer(question, take)

        return self._begin(question, send)

    def askAnswer(self, onDone=None, onError=None, *, onProgress=None) -> WorkerQuestion:
        """Run the network for its answer alone; gives a `WorkerAnswer`.

        Args:
            onDone: called with the answer.
            onError: called with the one error that ended it.
            onProgress: called with a fraction 0..1 and a message.
        """
        question = WorkerQuestion(
            self.subject, "answer", onProgress=onProgress, onDone=onDone, onError=onError
        )
        return self._begin(question, lambda: self._requestAnswer(question, question.finish))

    def live(
        self, target, method="grad_cam", layer="auto", options=None, onMap=None, **more
    ) -> None:
        """Ask where the network looked for a point; the newest question wins, none is queued.

        Args:
            target: a point (r, a, s) in mm, a markups node, or what `explain` takes.
            method, layer, options: as in `explain`.
            onMap: called with the one overlay node whenever it shows another map.
            more: className, component, opacity, hiddenFraction as in `explain`, and onError, which
                is called with the error that ended a question; it ends no other.
        """
        self._live.ask(target, method, layer, options, onMap, **more)

    def stopLive(self) -> None:
        """Follow the point no longer; the overlay stays as it is."""
        self._live.stop()

    def cancel(self) -> None:
        """End everything that runs within a second."""
        self.estimates.stop()
        self._live.stop()
        for question in self._questions:
            self.cancelQuestion(question)

    def cancelQuestion(self, question: WorkerQuestion) -> None:
        """End one question, which fails as `Cancelled`."""
        ensureEngine()
        from attention_maps.errors import Cancelled

        if question.done:
            return
        question.canceling = True
        self._stopListing(patient=False)  # which it may still wait for
        open_ = [request for request in question.requests if not request.done]
        for request in open_:
            self.client.cancel(request)
        if not open_ or question.work is not None:  # maps that are seen already go at once
            question.fail(Cancelled("Cancelled."))

    def poll(self, seconds: float = 0.002) -> None:
        """Take what has come from the worker; for a timer.

        Args:
            seconds: how long the threads that listen may run: in the application they do so only
                while Python code runs.
        """
        if self._polling:  # a listener shows a dialog, and the timer goes on
            return
        self._polling = True
        try:
            self._poll(seconds)
        finally:
            self._polling = False

    def _poll(self, seconds: float) -> None:
        self._refuseWhatIsGone()
        if self.client is not None:
            self.client.poll(seconds)
        self._live.poll()
        for question, error in self._failed:
            question.fail(error)
        self._failed.clear()
        for question in list(self._questions):
            question.step()
        ended = [question for question in self._questions if question.done]
        if ended:
            self._questions = [question for question in self._questions if not question.done]
            for question in ended:
                self._note(f"{question.text}: {question.error or 'done'}")
            self._requestLayersAfter(ended[-1].error)
            self.changed()

    def close(self) -> None:
        """End the worker within a second and forget everything."""
        ensureEngine()
        from attention_maps.errors import Cancelled

        self.estimates.stop()
        self._live.stop()
        questions, self._questions = self._questions, []
        for question in questions:
            question.fail(Cancelled("The worker was closed."))
        super().close()

    def _loadModel(self, *args, **kwargs) -> None:
        self.estimates.stop(patient=False)
        super()._loadModel(*args, **kwargs)

    def _begin(self, question: WorkerQuestion, send) -> WorkerQuestion:
        """Bring the worker up to date, then send what is asked."""
        self.estimates.stop()
        self._questions.append(question)
        self._note(f"{question.text}: asked")
        try:
            self.update(question, send)
        except Exception as error:  # is told like all that comes later
            self._failed.append((question, self.readable(error)))
        self.changed()
        return question

    def _requestAnswer(self, question: WorkerQuestion, then) -> None:
        """Give the answer to `then`, once the requests before are done."""

        def got(answer) -> None:
            if not question.done:
                self._answer, self._answerKey = answer, question.key
                self.noteCurrent(question)
                then(answer)

        sending = self.callbacks(question, on_done=got)
        question.requests.append(self.client.answer(on_progress=question.report, **sending))

    def _answerOf(self, question: WorkerQuestion):
        """Return the answer that a question needs where it is known already."""
        return self._answer if self._answerKey == question.key else None

    def _addNodes(self, question: WorkerQuestion, shown: dict) -> None:
        question.report(1.0, "Adding maps to the scene")
        question.work = WorkerNodes.addNodes(question, question.model["name"], **shown)

    def _refuseWhatIsGone(self) -> None:
        """End questions about volumes or maps that were deleted, or whose scene was closed."""
        for question in self._questions:
            error = None if question.done else self._errorOfWhatIsGone(question)
            if error is not None:
                self._dropRequests(question)
                question.fail(error)

    def _errorOfWhatIsGone(self, question: WorkerQuestion) -> Exception | None:
        from attention_maps.errors import ImageError

        node = question.subject.missingNode()
        if node is None:
            return errorOfWhatIsGone([question.measured])
        self._forgetImage()
        return ImageError(
            f"'{node.GetName()}' was removed from the scene while it was explained; choose a "
            "volume and explain again."
        )

    def _dropRequests(self, question: WorkerQuestion) -> None:
        for request in question.requests:
            self.client.cancel(request)
