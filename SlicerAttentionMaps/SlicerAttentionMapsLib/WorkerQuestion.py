"""A question to the worker on its way: what has come of it, and who wants to know."""

import logging


class WorkerQuestion:
    """A question that was asked; the handle of whoever asked it.

    Args:
        subject: the `WorkerSubject` that it is about.
        text: what it is, for the log.
        measured: the map that is measured; None for other questions.
        onProgress: called with a fraction 0..1 and a message.
        onMap: called with each new node.
        onDone: called with what came of it.
        onError: called with the one error that ended it, `attention_maps.errors.Cancelled` where
            it was canceled.

    Attributes:
        done: whether it is over, in whatever way.
        canceling: whether it is being canceled.
        fraction, message: how far it is.
        result: what came of it: the nodes of its maps, or the answer.
        error: why nothing came of it.
    """

    def __init__(
        self, subject, text: str, *, measured=None, onProgress=None, onMap=None, onDone=None,
        onError=None,
    ) -> None:  # fmt: skip
        self.subject = subject
        self.text = text
        self.measured = measured
        self.done = False
        self.canceling = False
        self.fraction = 0.0
        self.message = ""
        self.result = None
        self.error = None
        self.key: tuple = ()  # of the subject when it was sent
        self.model: dict = {}  # what is known of the subject's
        self.requests: list = []
        self.maps: list = []
        self.answer = None  # the network's, once it has come
        self.record = None  # what its nodes keep of it
        self.work = None  # what is left to do here, step by step
        self._onMap = onMap
        self._onProgress = onProgress
        self._onDone = onDone
        self._onError = onError

    def report(self, fraction: float, message: str) -> None:
        """Note how far it is."""
        if not self.done:
            self.fraction, self.message = max(fraction, self.fraction), message
            _call(self._onProgress, self.fraction, message)

    def tell(self, node) -> None:
        """Tell of a new node."""
        _call(self._onMap, node)

    def finish(self, result) -> None:
        """End it with what came of it."""
        if not self.done:
            self.done, self.result = True, result
            self.requests = []  # they hold the maps' memory
            _call(self._onDone, result)

    def fail(self, error: Exception) -> None:
        """End it with the first error; what follows from that is no news."""
        if self.done:
            return
        self.done, self.error = True, error
        self.requests = []
        if self.work is not None and not self.work.gi_running:
            self.work.close()
            self.work = None
        _call(self._onError, error)

    def step(self) -> None:
        """Do the next piece of the work that is left."""
        if self.work is None:
            return
        try:
            next(self.work)
        except StopIteration as end:
            self.work = None
            self.finish(end.value)
        except Exception as error:  # whatever the scene refuses ends the question
            self.work = None
            self.fail(error)


def _call(function, *values) -> None:
    """Call a listener; one that fails must not stop what else is under way."""
    if function is None:
        return
    try:
        function(*values)
    except Exception:
        logging.exception("Attention Maps: a listener of a question failed")
