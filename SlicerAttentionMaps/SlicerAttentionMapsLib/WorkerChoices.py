"""How the worker is run on this computer: kept in the application's settings, not in the scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

_GROUP = "AttentionMaps/"


class Settings(Protocol):
    """What is used of QSettings."""

    def value(self, key: str, default: Any = None) -> Any:
        """Return what was stored under a key."""

    def setValue(self, key: str, value: Any) -> None:
        """Store a value under a key."""


@dataclass(frozen=True)
class WorkerChoices:
    """How the worker is run.

    Attributes:
        device: "auto" or a name that torch knows, such as "cpu", "cuda:0", "mps".
        interpreter: Python that runs it; empty for 3D Slicer's own.
        threads: of the processor; 0 leaves it to torch.
    """

    device: str = "auto"
    interpreter: str = ""
    threads: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the worker."""
        return {"OMP_NUM_THREADS": str(self.threads)} if self.threads > 0 else {}


def load(settings: Settings) -> WorkerChoices:
    """Read the choices; what is not stored or not readable is as if never chosen."""
    threads = str(settings.value(_GROUP + "Threads", "0"))
    return WorkerChoices(
        device=str(settings.value(_GROUP + "Device", "") or "auto"),
        interpreter=str(settings.value(_GROUP + "Interpreter", "") or ""),
        threads=int(threads) if threads.isdecimal() else 0,
    )


def save(settings: Settings, choices: WorkerChoices) -> None:
    """Store the choices."""
    settings.setValue(_GROUP + "Device", choices.device)
    settings.setValue(_GROUP + "Interpreter", choices.interpreter)
    settings.setValue(_GROUP + "Threads", choices.threads)
