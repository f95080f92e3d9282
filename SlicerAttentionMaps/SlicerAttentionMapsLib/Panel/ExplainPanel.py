"""The Explain section: what it shows and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .Control import Controls
    from .State import PanelState


@dataclass(frozen=True)
class ExplainState:
    """What the section knows.

    Attributes:
        running: whether a question of the person is being answered.
        canceling: whether it is being canceled.
        message: what is being done.
        fraction: share of it that is done, 0..1.
        secondsLeft: how long it will take, None if nobody knows yet.
        log: what was done and said so far.
        caption: what the last map is and says.
    """

    running: bool = False
    canceling: bool = False
    message: str = ""
    fraction: float = 0.0
    secondsLeft: float | None = None
    log: str = ""
    caption: str = ""


def controls(state: PanelState) -> Controls:
    """Return what each widget of the section shows."""
    return {}
