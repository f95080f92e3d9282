"""The Method and Layer section."""

import json

from .. import Asked
from ..Binding import apply
from ..EnginePath import ensureEngine
from ..i18n import _
from ..Panel import LayerRows
from ..Panel.MethodPanel import (
    USUAL_METHOD,
    MethodState,
    controls,
    fields,
    missingLayers,
    tree,
)
from ..Panel.OptionFields import changedOptions
from .LayerTreeWidget import LayerTreeWidget
from .OptionWidgets import OptionWidgets


class MethodSection:
    """Binds the section's widgets.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._methods = _knownMethods()
        self._note = ""
        ui, guarded = panel.ui, panel.guarded
        self._tree = LayerTreeWidget(ui.layerTree, ui.layerFilterEdit, guarded(self.onLayers))
        self._options = OptionWidgets(
            ui.optionFieldsWidget.layout(), guarded(self.onOptions), ui.methodComboBox
        )
        ui.methodComboBox.connect("activated(int)", guarded(self.onMethod))
        ui.defaultOptionsButton.connect("clicked()", guarded(self.onDefaults))

    def choice(self) -> tuple:
        """Return method, layer and options as `explain` takes them."""
        asked = Asked.explainArguments(self._panel.parameters)
        return asked["method"], asked["layer"], asked["options"]

    def state(self) -> MethodState:
        """Return what the section knows, read from the parameter node, the scene and the worker."""
        parameters, worker = self._panel.parameters, self._panel.worker
        infos = worker.layers
        return MethodState(
            methods=self._methods,
            method=parameters.method,
            options=Asked.optionsOf(parameters.options, parameters.method),
            layers=Asked.namesOf(parameters.layers),
            infos=None if infos is None else tuple(infos),
            loading=worker.layersLoading,
            note=self._note,
        )

    def show(self, state) -> None:
        """Show what the panel decided."""
        apply(self._panel.ui, controls(state))
        self._options.show(fields(state))
        self._tree.show(tree(state))
        self._forgetUnknown(state)

    def onMethod(self, index: int) -> None:
        """Take this method, with the options that were last chosen for it."""
        self._panel.parameters.method = self._panel.ui.methodComboBox.itemData(index)
        self._panel.requestRefresh()

    def onOptions(self, values: dict) -> None:
        """Keep the options of this method."""
        parameters = self._panel.parameters
        changed = changedOptions(self._methods[parameters.method], values)
        parameters.options = Asked.withOptions(parameters.options, parameters.method, changed)
        self._panel.requestRefresh()

    def onDefaults(self) -> None:
        """Set this method's options back."""
        parameters = self._panel.parameters
        parameters.options = Asked.withOptions(parameters.options, parameters.method, {})
        self._panel.requestRefresh()

    def onLayers(self, names: tuple[str, ...]) -> None:
        """Explain these layers."""
        self._note = ""
        inOrder = LayerRows.inOrder(names, self._panel.worker.layers)
        self._panel.parameters.layers = json.dumps(inOrder)
        self._panel.requestRefresh()

    def _forgetUnknown(self, state) -> None:
        """Method and layers that are not there are replaced by the usual ones, with a note."""
        parameters, chosen = self._panel.parameters, state.method
        if chosen.method not in self._methods:
            self._note = _("There is no method '{name}': Grad-CAM is taken.").format(
                name=chosen.method
            )
            parameters.method = USUAL_METHOD
            self._panel.requestRefresh()
            return
        missing = missingLayers(state)
        if missing:
            kept = [name for name in chosen.layers if name not in missing]
            parameters.layers = json.dumps(kept or ["auto"])
            self._note = _noteOn(missing, kept)
            self._panel.requestRefresh()


def _knownMethods() -> dict:
    """Return the engine's methods; this does not import torch."""
    ensureEngine()
    from attention_maps.registry import methods

    return methods()


def _noteOn(missing: tuple[str, ...], kept: list[str]) -> str:
    names = "', '".join(missing)
    if kept:
        return _("This model has no usable '{names}': the other layers stay chosen.").format(
            names=names
        )
    return _("This model has no usable layer '{names}': the automatic one is taken.").format(
        names=names
    )
