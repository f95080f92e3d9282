"""The line to a worker: requests go out, what comes of them is told in the caller's thread."""

from __future__ import annotations

import itertools
import math
import queue
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from attention_maps.errors import Cancelled, WorkerError
from attention_maps.worker import messages
from attention_maps.worker.process import WorkerEndedError, WorkerProcess
from attention_maps.worker.request import Callbacks, Request, error_of
from attention_maps.worker.results import Finished, WorkerMap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike
    from types import TracebackType
    from typing import Self

    from attention_maps.worker.arrays import SharedFolder

SECONDS_TO_CANCEL = 0.8
SECONDS_BETWEEN_LOOKS = 0.05


class Connection:
    """Starts a worker when something is asked, and again after one has ended.

    Args:
        interpreter: Python that has torch; None for the one that runs this.
        environment: Variables for the worker, such as {"OMP_NUM_THREADS": "2"}; None removes one.
    """

    def __init__(
        self,
        interpreter: str | PathLike[str] | None = None,
        *,
        environment: Mapping[str, str | None] | None = None,
    ) -> None:
        self._interpreter = interpreter or sys.executable
        self._environment = dict(environment or {})
        self._process: WorkerProcess | None = None
        self._last_log: tuple[str, ...] = ()
        self._finalizer: weakref.finalize[Any, Any] | None = None
        self._numbers = itertools.count(1)
        self._pending: dict[int, Request] = {}
        self._incoming: queue.SimpleQueue[tuple[WorkerProcess, int, Any]] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._kept: dict[str, Callable[[SharedFolder, int], Any]] = {}

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None where none runs."""
        process = self._process
        return None if process is None or process.ended else process.pid

    @property
    def busy(self) -> bool:
        """Whether a request of the caller is not done yet."""
        return any(request.own for request in self._pending.values())

    def cancel(self, request: Request, seconds: float = SECONDS_TO_CANCEL) -> None:
        """End a request, which then fails as Cancelled.

        Args:
            request: The request.
            seconds: How long the worker may take to stop; a worker that is stuck in one operation
                for longer is killed, and what else was asked goes to a new one.
        """
        with self._lock:
            if request.done:
                return
            request.canceled = True
            request.kill_at = min(request.kill_at, time.monotonic() + seconds)
            number = next(self._numbers)
            request.process.send(number, lambda _: messages.Cancel(number, request.number))

    def poll(self, seconds: float = 0.0) -> None:
        """Call the callbacks of all that has come since the last time.

        Args:
            seconds: How long to wait for a first message. Where Python runs now and then only, as
                in an application's timer, this is when the threads that listen get to run.
        """
        if self._dispatch(seconds):
            while self._dispatch(0.0):
                pass

    def log(self) -> tuple[str, ...]:
        """The last lines that the worker wrote, the one that runs or the last one that did."""
        return self._process.log() if self._process is not None else self._last_log

    def wait(self, request: Request, timeout: float | None = None) -> Any:
        """Wait for a request and return its result.

        Args:
            request: The request.
            timeout: Seconds after which waiting (not the request) is given up.

        Raises:
            TimeoutError: If it is not done in that time.
            WorkerError: If the worker ended.
            AttentionMapsError: What the engine raised, `Cancelled` among them.
        """
        until = math.inf if timeout is None else time.monotonic() + timeout
        while not request.done:
            self._dispatch(SECONDS_BETWEEN_LOOKS)
            if not request.done and time.monotonic() > until:
                raise TimeoutError(f"Waited for {timeout} s, but the request is still running.")
        if request.error is not None:
            raise request.error
        return request.result

    def close(self) -> None:
        """End the worker within a second; what is not done fails as Cancelled."""
        with self._lock:
            self._end()
            self._kept.clear()
            lost = list(self._pending.values())
            self._pending.clear()
        _give_up(lost, "The worker was closed.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(
        self,
        make: Callable[[SharedFolder, int], Any],
        callbacks: Callbacks,
        *,
        keep: str = "",
        gives_maps: bool = False,
    ) -> Request:
        """Send a message to the worker, which is started where none runs.

        Args:
            make: Makes the message.
            callbacks: What is called when something comes of it.
            keep: Under which name a new worker gets it again; empty for not at all.
            gives_maps: Whether its result are the maps.
        """
        with self._lock:
            process = self._process
            if process is None or process.ended:
                self._kept.pop(keep, None)
                process = self._start()
            if keep:
                self._kept[keep] = make
            return self._send(process, make, callbacks, gives_maps=gives_maps)

    def _send(
        self,
        process: WorkerProcess,
        make: Callable[[SharedFolder, int], Any],
        callbacks: Callbacks,
        **how: bool,
    ) -> Request:
        number = next(self._numbers)
        request = self._pending[number] = Request(number, process, make, callbacks, **how)
        request.send()
        return request

    def _start(self) -> WorkerProcess:
        """Start a worker and bring it up to date."""
        process = WorkerProcess(self._interpreter, self._environment, self._incoming.put)
        self._process, self._finalizer = process, weakref.finalize(self, process.end)
        self._send(process, lambda _, number: messages.Hello(number), {}, own=False)
        for make in self._kept.values():
            self._send(process, make, {}, own=False)
        return process

    def _end(self) -> None:
        process = self._forget()
        if process is not None:
            process.end()

    def _drop(self) -> None:
        """End a worker that is of no use any more, without waiting for what that takes."""
        process = self._forget()
        if process is not None:
            process.kill()
            threading.Thread(target=process.end, kwargs={"at_once": True}, name="end").start()

    def _forget(self) -> WorkerProcess | None:
        process, self._process = self._process, None
        if self._finalizer is not None:
            self._finalizer.detach()
        if process is not None:
            self._last_log = process.log()
        return process

    def _dispatch(self, seconds: float) -> bool:
        """Handle the next message; False where none came in time."""
        self._kill_what_is_stuck()
        try:
            process, number, value = self._incoming.get(timeout=seconds)
        except queue.Empty:
            return False
        if isinstance(value, WorkerEndedError):
            self._report(process, value)
            return True
        last = isinstance(value, Finished | messages.Failed)
        with self._lock:
            request = self._pending.pop(number, None) if last else self._pending.get(number)
        if request is not None and request.process is process:
            _tell(request, value)
        return True

    def _report(self, process: WorkerProcess, error: WorkerEndedError) -> None:
        """One message for a worker that ended: to the oldest question that nobody has canceled."""
        with self._lock:
            lost = [item for item in self._pending.values() if item.process is process]
            for request in lost:
                del self._pending[request.number]
            if self._process is process:
                self._drop()
        waiting = [request for request in lost if request.own]
        oldest = next((request for request in waiting if not request.canceled), None)
        for request in waiting:
            if request is oldest:
                request.fail(WorkerError(str(error), error.log))
            else:
                request.fail(Cancelled("The worker ended before it came to this; ask again."))

    def _kill_what_is_stuck(self) -> None:
        now = time.monotonic()
        with self._lock:
            pending = list(self._pending.values())
            if not any(request.kill_at < now for request in pending):
                return
            self._drop()
            self._pending.clear()
            waiting = [request for request in pending if request.own and not request.canceled]
            if waiting:
                self._ask_again(waiting)
        _give_up(
            [request for request in pending if request.canceled],
            "Cancelled; the worker was stuck in one operation and was ended.",
        )

    def _ask_again(self, requests: list[Request]) -> None:
        """Ask a new worker what nobody has canceled."""
        try:
            process = self._start()
        except WorkerError as error:
            for request in requests:
                request.fail(error)
            return
        for request in requests:
            request.process = process
            self._pending[request.number] = request
            request.send()


def _give_up(requests: list[Request], text: str) -> None:
    for request in requests:
        if request.own:
            request.fail(Cancelled(text))


def _tell(request: Request, value: Any) -> None:
    match value:
        case messages.Progress():
            request.report(value.fraction, value.message)
        case WorkerMap():
            request.add(value)
        case messages.Failed():
            request.fail(error_of(value.error, value.message))
        case Finished():
            request.finish(value.result)
