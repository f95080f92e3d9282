"""Says in one message why a process ended, and what to do."""

from __future__ import annotations

import contextlib
import signal
import sys
from pathlib import Path

RESTART = "The next question starts a new worker."
LESS_MEMORY = (
    "choose a later layer, a smaller image or fewer layers at once, or close other programs"
)
OUT_OF_MEMORY = {0xC0000017, 0xC000012D}  # Windows: no memory, commitment limit
CRASHES = {
    "SIGSEGV": "crashed (invalid memory access)",
    "SIGBUS": "crashed (memory or disk space that is not there)",
    "SIGILL": "crashed (the processor does not know an instruction)",
    "SIGFPE": "crashed (arithmetic error)",
    "SIGABRT": "was aborted by one of its libraries",
    "SIGTERM": "was asked to end by another program",
}


def count_of_oom_kills() -> int | None:
    """How many processes the Linux kernel has ended for memory; None where it does not tell."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return None


def describe_ending(code: int, log: tuple[str, ...], memory_ran_out: bool = False) -> str:
    """Why a process ended.

    Args:
        code: Its exit code; -9 or 137 for signal 9.
        log: What it wrote last.
        memory_ran_out: Whether the system ended a process for memory in the meantime.
    """
    if code in (-9, 137):
        if memory_ran_out:
            return f"Memory ran out and the system ended the worker; {LESS_MEMORY}. {RESTART}"
        return (
            "The worker was killed (signal 9); systems do so when memory runs out: if nobody ended "
            f"it by hand, {LESS_MEMORY}. {RESTART}"
        )
    if sys.platform == "win32" and code & 0xFFFFFFFF in OUT_OF_MEMORY:
        return f"Memory ran out and the worker ended; {LESS_MEMORY}. {RESTART}"
    if code < 0 or code & 0xFFFFFFFF >= 0xC0000000:
        name = _name_of(code)
        what = CRASHES.get(name, f"ended with {name}")
        return f"The worker {what}; try another device or layer, and see the log. {RESTART}"
    last = next((line.strip() for line in reversed(log) if line.strip()), "it wrote nothing")
    return f"The worker ended by itself (exit code {code}): {last} {RESTART}"


def _name_of(code: int) -> str:
    if code > 0:
        return "SIGSEGV" if code == 0xC0000005 else f"code {code:#x}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
