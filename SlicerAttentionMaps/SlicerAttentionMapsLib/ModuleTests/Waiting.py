"""The application at work while a test waits."""

import time

import qt

_LOOK_MS = 10
_BEAT_MS = 5


def until(condition, what: str, seconds: float = 60.0) -> float:
    """Run the application until something is so.

    Args:
        condition: tells whether it is.
        what: it is, for the message.
        seconds: how long at most.

    Returns:
        Seconds that it took.

    Raises:
        AssertionError: If it never was.
    """
    loop, timer, outcome = qt.QEventLoop(), qt.QTimer(), []
    start = time.monotonic()

    def look() -> None:
        try:
            if condition():
                outcome.append(None)
        except Exception as error:  # would be lost in the event loop
            outcome.append(error)
        if outcome or time.monotonic() - start > seconds:
            loop.quit()

    timer.connect("timeout()", look)
    timer.start(_LOOK_MS)
    loop.exec_()
    timer.stop()
    if not outcome:
        raise AssertionError(f"Waited {seconds:g} s in vain until {what}.")
    if outcome[0] is not None:
        raise outcome[0]
    return time.monotonic() - start


def pause(seconds: float) -> None:
    """Let the application work for a while."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, "time has passed", seconds + 60.0)


class Heartbeat:
    """Measures how long the application did not come to its timers.

    Attributes:
        longest: seconds between two beats, the longest so far.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.perf_counter()
        self._timer = qt.QTimer()
        self._timer.setTimerType(qt.Qt.PreciseTimer)
        self._timer.connect("timeout()", self._beat)
        self._timer.start(_BEAT_MS)

    def stop(self) -> float:
        """End it; returns the longest gap in seconds."""
        self._timer.stop()
        return self.longest

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now
