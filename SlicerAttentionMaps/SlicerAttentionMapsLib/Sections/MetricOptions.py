"""What metrics can be told, such as a tolerance in mm."""

import json
from types import SimpleNamespace

from .. import Asked
from ..EnginePath import ensureEngine
from ..Panel.OptionFields import changedOptions, optionFields
from .OptionWidgets import OptionWidgets


class MetricOptions:
    """Fields for the options of the chosen metrics.

    Args:
        panel: the module's widget.

    Attributes:
        known: all metrics of the engine by name.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self.known = _knownMetrics()
        form = panel.ui.metricOptionsWidget.layout()
        self._widgets = OptionWidgets(form, panel.guarded(self._onChanged), panel.ui.metricsList)
        self._names: list[str] = []

    def show(self, names: list[str]) -> None:
        """Show the options of these metrics."""
        self._names = names
        values = Asked.parsed(self._panel.parameters.metricOptions, dict)
        self._widgets.show(optionFields(self._optionsOf(names), values))

    def chosen(self, names: list[str]) -> dict:
        """Return the options of these metrics that are not as usual."""
        values = Asked.parsed(self._panel.parameters.metricOptions, dict)
        return changedOptions(self._optionsOf(names), values)

    def _onChanged(self, values: dict) -> None:
        changed = changedOptions(self._optionsOf(self._names), values)
        self._panel.parameters.metricOptions = json.dumps(changed, sort_keys=True)

    def _optionsOf(self, names: list[str]):
        """Return the options of metrics as those of one."""
        options = {}
        for name in names:
            options.update(self.known[name].options)
        return SimpleNamespace(options=options)


def _knownMetrics() -> dict:
    """Return the engine's metrics; this does not import torch."""
    ensureEngine()
    from attention_maps.registry import metrics

    return metrics()
