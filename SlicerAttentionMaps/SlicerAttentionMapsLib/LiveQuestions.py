"""Questions that follow the crosshair: the worker has the newest one, older ones are gone."""

from dataclasses import dataclass

from . import LiveMap
from .WorkerQuestion import WorkerQuestion
from .WorkerTargets import targetFor

# One that is answered, one that waits, and the one that replaces it.
MOST_ON_THE_WAY = 3


@dataclass
class _Asked:
    """One live question."""

    target: object
    arguments: tuple
    options: dict
    className: object
    component: bool
    opacity: float
    hiddenFraction: float
    onMap: object
    onError: object


class LiveQuestions:
    """Asks the newest question as soon as the worker can take it.

    Args:
        session: the `WorkerSession`.
    """

    def __init__(self, session) -> None:
        self._session = session
        self._newest: _Asked | None = None
        self._running: list[WorkerQuestion] = []

    @property
    def active(self) -> bool:
        """Whether one is asked or waits."""
        return bool(self._newest or self._running)

    def ask(
        self,
        target,
        method,
        layer,
        options,
        onMap,
        *,
        className=None,
        component: bool = False,
        opacity: float = 0.5,
        hiddenFraction: float = 0.1,
        onError=None,
    ) -> None:
        """Replace the question that waits."""
        self._newest = _Asked(
            target, (method, layer), dict(options or {}), className, component, opacity,
            hiddenFraction, onMap, onError,
        )  # fmt: skip

    def stop(self) -> None:
        """Forget the question that waits, and end those that run."""
        self._newest = None
        for question in self._running:
            self._session.cancelQuestion(question)

    def poll(self) -> None:
        """Ask the newest question if there are not enough on the way."""
        self._running = [question for question in self._running if not question.done]
        if self._newest is None or len(self._running) >= MOST_ON_THE_WAY or self._session.busy:
            return
        asked, self._newest = self._newest, None
        question = WorkerQuestion(self._session.subject, "live", onError=_unlessReplaced(asked))
        self._running.append(question)
        try:
            self._session.update(question, lambda: self._send(question, asked))
        except Exception as error:  # is told like all that comes later
            question.fail(self._session.readable(error))

    def _send(self, question: WorkerQuestion, asked: _Asked) -> None:
        session = self._session
        target = targetFor(
            question.subject, question.model, asked.target, asked.className, asked.component
        )

        def made(result) -> None:
            if question.done or question.canceling or question.subject.missingNode() is not None:
                return
            try:
                node = LiveMap.update(
                    result, question.subject.scanNode, opacity=asked.opacity,
                    hiddenFraction=asked.hiddenFraction,
                )  # fmt: skip
            except Exception as error:  # whatever the scene refuses ends the question
                question.fail(session.readable(error))
                return
            session.noteCurrent(question)
            if asked.onMap is not None:
                asked.onMap(node)

        callbacks = session.callbacks(question, on_map=made, on_done=question.finish)
        method, layer = asked.arguments
        request = session.client.explain(
            method, layer, target, options=asked.options, live=True, **callbacks
        )
        question.requests.append(request)


def _unlessReplaced(asked: _Asked):
    """Return a listener for errors that a person wants to hear of."""

    def tell(error: Exception) -> None:
        from attention_maps.errors import Cancelled

        if asked.onError is not None and not isinstance(error, Cancelled):
            asked.onError(error)

    return tell
