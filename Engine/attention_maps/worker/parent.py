"""Notices the end of another process, for the rare case that it leaves the pipe open."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS_BETWEEN_LOOKS = 1.0


def watch_parent(number: int, leave: Callable[[], None]) -> None:
    """Call `leave` from a thread when a process ends.

    Args:
        number: Its process id.
        leave: What to do then.
    """
    wait = _wait_on_windows if sys.platform == "win32" else _wait

    def watch() -> None:
        wait(number)
        leave()

    threading.Thread(target=watch, name="watch parent", daemon=True).start()


def _wait(number: int) -> None:
    started_by = os.getppid()
    while os.getppid() == started_by and is_alive(number):
        time.sleep(SECONDS_BETWEEN_LOOKS)


def is_alive(number: int) -> bool:
    """Whether a process exists (on Linux and macOS)."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it does, under another user
        return True
    return True


def _wait_on_windows(number: int) -> None:
    if sys.platform == "win32":
        import ctypes

        synchronize, forever = 0x00100000, 0xFFFFFFFF
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = ctypes.c_void_p
        handle = kernel.OpenProcess(synchronize, False, number)
        if handle:
            kernel.WaitForSingleObject(ctypes.c_void_p(handle), forever)
