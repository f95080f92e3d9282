"""The Live switch: when the map can follow the crosshair, and why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..i18n import _
from .Control import Control

if TYPE_CHECKING:
    from .State import PanelState


def liveProblem(state: PanelState, task: str) -> str:
    """Return why the map cannot follow the crosshair; empty if it can.

    Args:
        state: what the panel knows.
        task: of the network, "" as long as nobody knows.
    """
    if not state.input.ready:
        return _("Choose a volume and a model first.")
    if task == "classification":
        return _("Not for this network: it gives one answer for the whole image.")
    if state.explain.running or state.question.asking:
        return _("Wait until the present run has ended.")
    return ""


def liveControl(state: PanelState, task: str) -> Control:
    """Return what the switch shows."""
    why = liveProblem(state, task)
    tip = _("Hold Shift and move the mouse over a slice view: the map shows what the network "
            "looked at for the voxel under the crosshair. Layer and method are those below; of "
            "several layers the first one counts.")  # fmt: skip
    on = state.question.live and not why
    return Control(enabled=not why, checked=on, toolTip=why or tip)
