"""How long something will still take, from how it went so far."""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable

_WINDOW_SECONDS = 20.0
_LEAST_SECONDS = 1.5
_LEAST_SHARE = 0.005


class TimeLeft:
    """Estimates the time left from what was reported.

    The pace of the present stage counts, and of that the last seconds: loading, the network and a
    method's many steps go at different speeds. What is shown falls with the clock between two
    reports.

    Args:
        clock: seconds from any start on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._points: deque[tuple[float, float]] = deque()
        self._stage = ""

    def start(self) -> None:
        """Begin anew."""
        self._points.clear()

    def report(self, fraction: float, message: str = "") -> None:
        """Note a share of the whole work, 0..1, and what is being done.

        A step back or other words begin anew; numbers in them do not: "5 of 512" is the stage that
        "4 of 512" was.
        """
        now, stage = self._clock(), re.sub(r"[\d.,]+", "", message)
        if stage != self._stage or (self._points and fraction < self._points[-1][1]):
            self._points.clear()
        self._stage = stage
        self._points.append((now, fraction))
        while len(self._points) > 2 and self._isEnough(now, fraction):
            self._points.popleft()

    def seconds(self) -> float | None:
        """Return the seconds left; None while nobody can know."""
        if not self._points:
            return None
        (start, first), (last, fraction) = self._points[0], self._points[-1]
        passed, done = last - start, fraction - first
        if passed < _LEAST_SECONDS or done < _LEAST_SHARE:
            return None
        left = passed * (1.0 - fraction) / done
        return max(0.0, left - (self._clock() - last))

    def _isEnough(self, now: float, fraction: float) -> bool:
        """Whether the time since the second point tells a pace by itself."""
        start, first = self._points[1]
        return now - start > _WINDOW_SECONDS and fraction - first >= _LEAST_SHARE


def inWords(seconds: float) -> str:
    """Return a duration as people say it: no more exact than it is known.

    >>> [inWords(value) for value in (0.4, 7, 42, 95, 3700)]
    ['1 s', '7 s', '45 s', '2 min', '1 h 2 min']
    """
    if seconds <= 10:
        return f"{max(1, round(seconds))} s"
    if seconds <= 55:
        return f"{5 * math.ceil(seconds / 5)} s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
