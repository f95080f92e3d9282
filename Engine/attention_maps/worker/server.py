"""The worker's loop: one thread reads requests at any time, the main thread answers them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from attention_maps.errors import Cancelled, WorkerError
from attention_maps.worker import messages
from attention_maps.worker.codec import decode, id_of
from attention_maps.worker.measure_messages import MEASURES
from attention_maps.worker.summaries import environment_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from attention_maps.worker.arrays import SharedFolder
    from attention_maps.worker.session import Session

logger = logging.getLogger(__name__)

_KINDS = messages.REQUESTS | MEASURES
SECONDS_BETWEEN_MESSAGES = 0.1
SECONDS_TO_FINISH = 0.5  # a live question that takes no longer is not worth ending


class Server:
    """Reads requests and answers them, one at a time.

    Args:
        lines: The requests.
        send: Sends a reply.
        folder: Where arrays are shared.
        leave: Ends the process; called when the requests end.
    """

    def __init__(
        self,
        lines: Iterable[bytes],
        send: Callable[[messages.Reply], None],
        folder: SharedFolder,
        leave: Callable[[], None],
    ) -> None:
        self._lines = lines
        self._send = send
        self._folder = folder
        self._leave = leave
        self._waiting: deque[Any] = deque()
        self._changed = threading.Condition()
        self._running: Any = None
        self._cancelled = threading.Event()
        self._spare_next = False
        self._live_seconds = float("inf")
        self._session: Session | None = None

    def read(self) -> None:
        """Take requests until there are no more, whatever the main thread does."""
        try:
            for line in self._lines:
                try:
                    message = decode(line, _KINDS)
                except WorkerError as error:
                    self._send(messages.Failed(id_of(line), "WorkerError", str(error)))
                    continue
                if isinstance(message, messages.Shutdown):
                    break
                self._take(message)
        finally:
            self._leave()

    def serve(self) -> None:
        """Answer requests one after another, without end."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                message = self._running = self._waiting.popleft()
                self._cancelled.clear()
            reply = self._reply(message)
            with self._changed:
                self._running = None
            self._send(reply)

    def _take(self, message: Any) -> None:
        with self._changed:
            if isinstance(message, messages.Cancel):
                self._cancel(message.request)
                return
            if isinstance(message, messages.Explain) and message.live:
                self._make_way()
            self._waiting.append(message)
            self._changed.notify()

    def _cancel(self, number: int) -> None:
        if self._running is not None and self._running.id == number:
            self._cancelled.set()
        for message in [item for item in self._waiting if item.id == number]:
            self._waiting.remove(message)
            self._send(_cancelled(message, "Cancelled before it began."))

    def _make_way(self) -> None:
        """For a newer live question: end older ones.

        Of those that run, quick ones may finish, and every second one of the others: else no map
        would ever be shown while the questions come faster than they are answered.
        """
        for message in [item for item in self._waiting if _is_live(item)]:
            self._waiting.remove(message)
            self._send(_cancelled(message, "Replaced by a newer question."))
        is_slow = self._live_seconds > SECONDS_TO_FINISH
        if _is_live(self._running) and is_slow and not self._spare_next:
            self._cancelled.set()

    def _reply(self, message: Any) -> messages.Reply:
        reporter = _Reporter(message.id, self._send, self._cancelled)
        started = time.monotonic()
        try:
            reply = self._answer(message, reporter)
            if _is_live(message):
                self._spare_next = False
                self._live_seconds = time.monotonic() - started
        except Cancelled as error:
            self._spare_next = self._spare_next or _is_live(message)
            return _cancelled(message, str(error))
        except ModuleNotFoundError as error:
            text = f"The worker misses the Python package '{error.name}'; install it."
            return messages.Failed(message.id, "MissingPackageError", text)
        except Exception as error:  # the worker lives on, whatever a request does
            logger.info("Request %s failed.", message, exc_info=True)
            return messages.Failed(message.id, type(error).__name__, str(error) or repr(error))
        return reply

    def _answer(self, message: Any, reporter: _Reporter) -> messages.Reply:
        if isinstance(message, messages.Hello):
            return messages.Done(message.id, environment_summary())
        session = self._kept_session()
        match message:
            case messages.LoadModel():
                return session.load_model(message)
            case messages.SetImage():
                return session.set_image(message)
            case messages.SetRegion():
                return session.set_region(message)
            case messages.Estimate():
                return session.estimate(message, reporter)
            case messages.Layers():
                return session.layers(message, reporter)
            case messages.Answer():
                return session.answer(message, reporter)
            case messages.Explain():
                return session.explain(message, reporter, self._send)
        return session.measure(message, reporter)

    def _kept_session(self) -> Session:
        """The session; torch is imported here and not earlier."""
        if self._session is None:
            from attention_maps.worker.session import Session

            self._session = Session(self._folder)
        return self._session


class _Reporter:
    """A progress callback that sends what a person can follow, and asks whether to go on."""

    def __init__(
        self, number: int, send: Callable[[messages.Reply], None], cancelled: threading.Event
    ) -> None:
        self._number = number
        self._send = send
        self._cancelled = cancelled
        self._stage = ""
        self._last = float("-inf")

    def __call__(self, fraction: float, message: str) -> bool:
        if self._cancelled.is_set():
            return False
        stage = message.partition(":")[0]
        now = time.monotonic()
        if stage != self._stage or now - self._last >= SECONDS_BETWEEN_MESSAGES:
            self._stage, self._last = stage, now
            self._send(messages.Progress(self._number, fraction, message))
        return True


def _is_live(message: Any) -> bool:
    return isinstance(message, messages.Explain) and message.live


def _cancelled(message: Any, text: str) -> messages.Failed:
    return messages.Failed(message.id, "Cancelled", text)
