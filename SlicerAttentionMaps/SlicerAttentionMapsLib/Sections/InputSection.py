"""The Input section."""

from ..Binding import apply
from ..Panel.InputPanel import InputState, controls


class InputSection:
    """Binds the section's widgets.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel

    def state(self) -> InputState:
        """Return what the section knows, read from the parameter node, the scene and the worker."""
        return InputState()

    def show(self, state) -> None:
        """Show what the panel decided."""
        apply(self._panel.ui, controls(state))
