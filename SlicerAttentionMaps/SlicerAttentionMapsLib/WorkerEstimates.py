"""What a question will take, asked from the worker while it has nothing else to do."""

import math

from .EnginePath import ensureEngine
from .WorkerQuestion import WorkerQuestion


class WorkerEstimates:
    """Asks for one estimate at a time; any question goes first.

    Args:
        session: the `WorkerSession`.
    """

    def __init__(self, session) -> None:
        self._session = session
        self._running: WorkerQuestion | None = None
        self._key: tuple = ()
        self._found: dict | None = None
        self._problem = ""

    def isKnown(self, layer) -> bool:
        """Whether a layer was asked about, and the volumes, model and region are still the same."""
        return self._key == self._keyOf(layer)

    def of(self, layer) -> dict | None:
        """Return what a question takes: `attention_maps.estimate.Estimate` as a dict with "line".

        Args:
            layer: as in `WorkerSession.explain`.
        """
        return self._found if self.isKnown(layer) else None

    def problemOf(self, layer) -> str:
        """Return why nobody can say, such as a region outside of what the network sees."""
        return self._problem if self.isKnown(layer) else ""

    def ask(self, layer) -> bool:
        """Ask, unless it is known or something else is under way; returns whether it was asked."""
        session = self._session
        if self.isKnown(layer) or session.pending or session.model is None:
            return False
        question = WorkerQuestion(
            session.subject, "estimate", onDone=self._told, onError=self._failed
        )
        self._running, self._key = question, self._keyOf(layer)
        self._found, self._problem = None, ""

        def send() -> None:
            callbacks = session.callbacks(question, on_done=question.finish)
            question.requests.append(session.client.estimate(layer, **callbacks))

        try:
            session.update(question, send)
        except Exception as error:  # is told like all that comes later
            question.fail(session.readable(error))
        return True

    def stop(self, *, patient: bool = True) -> None:
        """Let a question go before; what is under way is asked for again after it.

        Args:
            patient: whether the worker may end the operation that it is in, as a question about the
                same volumes needs it, too; else it is ended where it is stuck.
        """
        question, self._running = self._running, None
        if question is None or question.done:
            self._key = () if self._problem else self._key  # what was in the way may be gone after
            return
        ensureEngine()
        from attention_maps.errors import Cancelled

        for request in question.requests[-1:]:  # model and image are needed in any case
            self._session.client.cancel(request, **({"seconds": math.inf} if patient else {}))
        question.fail(Cancelled("Another question came first."))
        self._key = ()

    def _told(self, found: dict) -> None:
        question, self._running = self._running, None
        self._found = found
        self._session.noteCurrent(question)
        self._session.requestLayers(sized=True)  # a window has been run: it costs nothing
        self._session.changed()

    def _failed(self, error: Exception) -> None:
        self._running, self._problem = None, str(error)
        self._session.changed()

    def _keyOf(self, layer) -> tuple:
        return (*self._session.subject.key, repr(layer))
