"""A question on its way: what has come of it so far."""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING, Any, TypedDict

from attention_maps import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from attention_maps.worker.arrays import SharedFolder
    from attention_maps.worker.process import WorkerProcess
    from attention_maps.worker.results import WorkerMap


_PASSED_ON = (errors.AttentionMapsError, OSError, ValueError, TypeError)


class Callbacks(TypedDict, total=False):
    """Functions that `WorkerClient.poll` and `wait` call, in the thread that calls them.

    on_progress: With a fraction in 0..1 and a message.
    on_map: With each WorkerMap.
    on_done: With the result.
    on_error: With the error, `Cancelled` among them.
    """

    on_progress: Callable[[float, str], Any]
    on_map: Callable[[WorkerMap], Any]
    on_done: Callable[[Any], Any]
    on_error: Callable[[Exception], Any]


class Request:
    """A question that has been sent.

    Args:
        number: Its number.
        process: The worker that was asked.
        make: Makes its message.
        callbacks: What is called when something comes of it.
        own: Whether the caller asked it; else the client, to bring a new worker up to date.
        gives_maps: Whether its result are the maps.
    """

    def __init__(
        self,
        number: int,
        process: WorkerProcess,
        make: Callable[[SharedFolder, int], Any],
        callbacks: Callbacks,
        *,
        own: bool = True,
        gives_maps: bool = False,
    ) -> None:
        self.number = number
        self.process = process
        self.own = own
        self.maps: list[WorkerMap] = []
        self.fraction = 0.0
        self.message = ""
        self.result: Any = None
        self.error: Exception | None = None
        self.done = False
        self.canceled = False
        self.kill_at = math.inf
        self._make = make
        self._callbacks = callbacks
        self._gives_maps = gives_maps

    def send(self) -> None:
        """Send it to its worker, from the start if it was sent to another one before."""
        self.maps = []
        self.process.send(self.number, lambda folder: self._make(folder, self.number))

    def report(self, fraction: float, message: str) -> None:
        """Note how far it is."""
        self.fraction, self.message = fraction, message
        self._call("on_progress", fraction, message)

    def add(self, made: WorkerMap) -> None:
        """Note a map."""
        self.maps.append(made)
        self._call("on_map", made)

    def finish(self, result: Any) -> None:
        """Note the result."""
        self.result, self.done = (self.maps if self._gives_maps else result), True
        self._call("on_done", self.result)

    def fail(self, error: Exception) -> None:
        """Note the error."""
        self.error, self.done = error, True
        self._call("on_error", error)

    def _call(self, name: str, *values: Any) -> None:
        function: Any = self._callbacks.get(name)
        if function is not None:
            function(*values)


def error_of(name: str, message: str) -> Exception:
    """The error that the worker raised: the engine's, or a built-in one."""
    kind = getattr(errors, name, None) or getattr(builtins, name, None)
    if name == "MemoryError":
        return errors.WorkerError(
            "The worker ran out of memory; choose a later layer, a smaller image or fewer layers "
            "at once."
        )
    if isinstance(kind, type) and issubclass(kind, _PASSED_ON):
        return kind(message)
    return errors.WorkerError(f"The worker failed ({name}): {message}")
