"""The Method section: what it shows and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .Control import Controls
    from .State import PanelState


@dataclass(frozen=True)
class MethodState:
    """What the section knows."""


def controls(state: PanelState) -> Controls:
    """Return what each widget of the section shows."""
    return {}
