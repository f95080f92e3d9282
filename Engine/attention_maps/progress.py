"""Progress and cancel: one callback, asked between any two operators."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from attention_maps.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from attention_maps.types import ProgressCallback

SECONDS_BETWEEN_CALLS = 0.02


class Progress:
    """Maps steps of work to fractions of the whole.

    Args:
        callback: Called with a fraction in 0..1 and a message; returning False cancels. None
            costs nothing.

    Attributes:
        fraction: Share of the work that is done.

    Raises:
        TypeError: If it is no function.
    """

    def __init__(self, callback: ProgressCallback | None) -> None:
        if callback is not None and not callable(callback):
            raise TypeError(
                "Expected progress to be a function of a fraction and a message, or None, got "
                f"{callback!r}."
            )
        self.callback = callback
        self._message = "Preparing"
        self._span = (0.0, 0.0)  # ticks before the first stage take it nowhere
        self._expected = 1
        self._done = 0
        self._last = float("-inf")
        self.fraction = 0.0

    def stage(self, message: str, start: float, end: float, expected: int) -> None:
        """Begin a stage of about `expected` ticks that takes the progress from start to end."""
        self._message, self._span = message, (start, end)
        self._expected, self._done = max(1, expected), 0
        self._report()

    @property
    def tick(self) -> Callable[[], None] | None:
        """Function to call before every operator, or None where nobody listens."""
        return None if self.callback is None else self._tick

    def advance(self, count: int = 1) -> None:
        """Note that `count` ticks of the stage are done."""
        self._done += count
        self._report()

    def finish(self) -> None:
        """Report that all is done."""
        self._span, self._done, self._expected = (1.0, 1.0), 1, 1
        self._report()

    def _tick(self) -> None:
        self._done += 1
        if time.perf_counter() - self._last >= SECONDS_BETWEEN_CALLS:
            self._report()

    def _report(self) -> None:
        if self.callback is None:
            return
        start, end = self._span
        share = min(1.0, self._done / self._expected)
        self.fraction = max(self.fraction, min(1.0, start + (end - start) * share))
        answer = self.callback(self.fraction, self._message)
        self._last = time.perf_counter()
        if answer is False:
            raise Cancelled("Cancelled by the progress callback; nothing was written.")
