"""The Compare section."""

from ..Binding import apply
from ..Panel.ComparePanel import CompareState, controls


class CompareSection:
    """Binds the section's widgets.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel

    def state(self) -> CompareState:
        """Return what the section knows, read from the parameter node, the scene and the worker."""
        return CompareState()

    def show(self, state) -> None:
        """Show what the panel decided."""
        apply(self._panel.ui, controls(state))
