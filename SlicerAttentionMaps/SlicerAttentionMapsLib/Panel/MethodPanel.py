"""The Method and Layer section: what it shows and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..i18n import _
from .Control import Control, Item
from .LayerRows import AUTOMATIC, LayerRow, layerRows
from .OptionFields import OptionField, changedOptions, optionFields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attention_maps.registry import Method
    from attention_maps.types import LayerInfo

    from .Control import Controls
    from .State import PanelState

USUAL_METHOD = "grad_cam"


@dataclass(frozen=True)
class MethodState:
    """What the section knows.

    Attributes:
        methods: the engine's methods by name, in its order; empty before the panel is first shown.
        method: name of the chosen one.
        options: its options that are not left at their defaults.
        layers: names of the chosen layers; "auto", "auto:bottleneck" and "all" are names, too.
        infos: the model's layers in execution order; None as long as they are not known.
        loading: whether they are being looked for.
        note: what was changed without being asked to, and why; else empty.
    """

    methods: Mapping[str, Method] = field(default_factory=dict)
    method: str = USUAL_METHOD
    options: Mapping[str, Any] = field(default_factory=dict)
    layers: tuple[str, ...] = ("auto",)
    infos: tuple[LayerInfo, ...] | None = None
    loading: bool = False
    note: str = ""

    @property
    def chosen(self) -> Method | None:
        """The chosen method."""
        return self.methods.get(self.method)


@dataclass(frozen=True)
class LayerTree:
    """What the tree of layers shows.

    Attributes:
        rows: the automatic choices, and the layers nested by name.
        selected: keys of the selected rows.
        enabled: whether layers can be chosen.
        toolTip: why not, or how to choose several.
    """

    rows: tuple[LayerRow, ...]
    selected: tuple[str, ...]
    enabled: bool
    toolTip: str


def problem(state: PanelState) -> str:
    """Return why nothing can be explained by this method, in one sentence; empty if it can."""
    method, infos = state.method.chosen, state.method.infos
    if method is None or not method.has_layer or not infos:
        return ""
    if any(info.explainable for info in infos):
        return ""
    return _("No layer of this network can be explained: choose a method that needs none, such as "
             "Saliency.")  # fmt: skip


def missingLayers(state: PanelState) -> tuple[str, ...]:
    """Return chosen layers that this model has not got, or that cannot be explained."""
    infos = state.method.infos
    if infos is None:
        return ()
    usable = {info.name for info in infos if info.explainable}
    return tuple(name for name in state.method.layers if name not in usable | set(AUTOMATIC))


def controls(state: PanelState) -> Controls:
    """Return what each widget of the section shows."""
    method = state.method.chosen
    hint = _layerHint(state)
    tip = "" if method is None else _methodTip(method)
    return {
        "methodComboBox": Control(
            items=tuple(
                Item(name, item.label, _methodTip(item))
                for name, item in state.method.methods.items()
            ),
            current=state.method.method,
            toolTip=tip,
        ),
        "methodDescriptionLabel": Control(
            text="" if method is None else method.description, toolTip=tip
        ),
        "optionsWidget": Control(visible=method is not None and bool(method.options)),
        "defaultOptionsButton": Control(
            enabled=method is not None and bool(changedOptions(method, state.method.options)),
            toolTip=_("Set all options of this method back to their defaults."),
        ),
        "layerFilterEdit": Control(
            enabled=tree(state).enabled and bool(state.method.infos),
            toolTip=_("Show only layers whose name or kind contains this text."),
        ),
        "layerHintLabel": Control(text=hint, visible=bool(hint)),
    }


def fields(state: PanelState) -> tuple[OptionField, ...]:
    """Return the fields of the chosen method's options."""
    method = state.method.chosen
    return () if method is None else optionFields(method, state.method.options)


def tree(state: PanelState) -> LayerTree:
    """Return what the tree of layers shows."""
    method = state.method.chosen
    rows = layerRows(state.method.infos, _spacing(state))
    enabled = method is None or method.has_layer
    if enabled:
        tip = _("Layers in the order in which they run. Choose several with Ctrl or Shift.")
    else:
        tip = _layerHint(state)
    return LayerTree(rows, state.method.layers, enabled, tip)


def _methodTip(method: Method) -> str:
    parts = [method.description]
    if method.remark:
        parts.append(_("Caution: {remark}").format(remark=method.remark))
    if method.signed:
        parts.append(_("Signed: negative values speak against the answer."))
    parts.append(_("Reference: {reference}").format(reference=method.reference))
    return "\n".join(parts)


def _layerHint(state: PanelState) -> str:
    """Return why there is nothing to choose from, or what was changed."""
    chosen = state.method.chosen
    if chosen is not None and not chosen.has_layer:
        return _("{method} works on the network's input: it needs no layer.").format(
            method=chosen.label
        )
    if problem(state):
        return problem(state)
    if state.method.note:
        return state.method.note
    if state.method.infos is not None:
        return ""
    if state.method.loading or state.input.modelLoading:
        return _("Looking at the network's layers...")
    if state.input.model is None:
        return _("Choose a model: its layers are listed here.")
    return _("The layers are listed here once a volume is chosen.")


def _spacing(state: PanelState) -> tuple[float, ...] | None:
    """Return mm between the network's input voxels along its axes; None where it is not known."""
    model = state.input.model
    volume = state.input.volumes[0] if state.input.volumes else None
    if model is None:
        return None
    spec = model["spec"]
    size = spec.get("input_size") or {}
    if size.get("kind") == "fixed" and size.get("fit", "resize") == "resize":
        return None
    if model["spacing"]:
        spacing = tuple(model["spacing"])
    elif volume is not None:
        spacing = volume.spacing
        turned = spec.get("orientation") is not None or model["spatial_dims"] == 2
        if turned and len(set(spacing)) > 1:
            return None  # which of them belongs to which axis is known to the engine alone
    else:
        return None
    return spacing[::-1] if spec.get("axis_order") == "kji" else spacing
