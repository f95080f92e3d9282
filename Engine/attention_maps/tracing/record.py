"""One forward pass of a network, recorded.

The first recorded layer's output becomes a leaf of autograd: nothing before it is recorded, and
the backward pass stops there. What is recorded is a gradient edge and the value, so in-place
operators behind the layer do no harm, and the network itself is left as it was.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd.graph import GradientEdge, get_gradient_edge

from attention_maps.errors import LayerError
from attention_maps.tracing.failures import readable_errors, remembering
from attention_maps.tracing.layout import Layout, layout_of
from attention_maps.tracing.lean import LeanConvolutions
from attention_maps.tracing.observer import Observer
from attention_maps.tracing.outputs import select_output
from attention_maps.tracing.trace import INPUT, Geometry, LayerTrace, Trace
from attention_maps.types import LayerInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from attention_maps.models.base import Network


class _Alias(torch.autograd.Function):
    """The same memory under another node, so that in-place operators may follow a leaf."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0]


class _Recorder:
    """The tap through which all layers' outputs pass."""

    def __init__(
        self,
        observer: Observer,
        inputs: torch.Tensor,
        names: Collection[str],
        gradients: bool,
        replace: Mapping[str, Callable[[torch.Tensor], torch.Tensor]],
        known: Geometry | None,
    ) -> None:
        self.observer = observer
        self.spatial = tuple(inputs.shape[2:])
        self.names = set(names)
        self.gradients = gradients
        self.replace = replace
        self.counts: Counter[str] = Counter()
        self.layers: dict[str, LayerTrace] = {}
        self.known = known is not None
        self.geometry = known or Geometry()
        self.origins: dict[str, int | None] = {}

    def __call__(self, name: str, kind: str, value: Any) -> Any:
        name, _, alias = name.partition("|")
        self.counts[name] += 1
        if self.counts[name] > 1:
            name = f"{name}#{self.counts[name]}"
        if isinstance(value, list | tuple):
            return self._first_of(name, kind, value)
        if not isinstance(value, torch.Tensor):
            return value
        self._describe(name, kind, value)
        if alias and not self.known:
            self.geometry.aliases[alias] = name
        if name in self.replace:
            value = self.replace[name](value)
        return self.record(name, value) if name in self.names else value

    def _first_of(self, name: str, kind: str, values: Any) -> Any:
        """A layer that returns several tensors is known by the first."""
        for position, item in enumerate(values):
            if isinstance(item, torch.Tensor) and item.is_floating_point() and item.ndim > 1:
                self._describe(name, kind, item)
                if name not in self.names and name not in self.replace:
                    return values
                changed = self.replace[name](item) if name in self.replace else item
                if name in self.names:
                    changed = self.record(name, changed)
                items = [*values[:position], changed, *values[position + 1 :]]
                if isinstance(values, list):
                    return items
                return type(values)(*items) if hasattr(values, "_fields") else tuple(items)
        return values

    def _describe(self, name: str, kind: str, value: torch.Tensor) -> None:
        if self.known:
            return
        geometry = self.geometry
        self.origins[name] = self.observer.descent.origin(value)
        geometry.same.setdefault(self.observer.identity(value), []).append(name)
        layout = geometry.layouts[name] = self._layout(value)
        reason = _why_not(value, layout)
        stride, offset = (layout.stride, layout.offset) if layout else (None, None)
        shape = tuple(value.shape)
        geometry.infos.append(LayerInfo(name, kind, shape, stride, offset, not reason, reason))

    def rule_out_unused(self, logits: int | None) -> None:
        """Say which layers the logits were not computed from (auxiliary heads, a last softmax)."""
        if logits is None:
            return
        descent = self.observer.descent
        used = descent.ancestors(logits)
        for position, info in enumerate(self.geometry.infos):
            origin = self.origins[info.name]
            if not info.explainable or origin is None or origin in used:
                continue
            behind = logits in descent.ancestors(origin)
            reason = (
                "comes after the logits" if behind else "unused, the answer does not depend on it"
            )
            self.geometry.infos[position] = replace(info, explainable=False, reason=reason)

    def layout_of_answer(self, answer: torch.Tensor) -> Layout | None:
        """How a segmentation's logits lie in the input."""
        return self._layout(answer) if answer.ndim > 2 else None

    def _layout(self, value: torch.Tensor) -> Layout | None:
        placement = self.observer.places.of(value)
        return None if placement is None else layout_of(placement, self.spatial)

    def record(self, name: str, value: torch.Tensor) -> torch.Tensor:
        """Keep the value and its gradient edge; returns what the network goes on with."""
        layout = self._layout(value) if name == INPUT else self.geometry.layouts.get(name)
        edge, onward = None, value
        if self.gradients and value.is_floating_point():
            if value.requires_grad:
                edge = get_gradient_edge(value)
                if value._is_view():  # in-place operators on a view lead the graph around it
                    onward = _Alias.apply(value)
            else:
                leaf = value.detach().requires_grad_()
                edge, onward = get_gradient_edge(leaf), _Alias.apply(leaf)
        trace = LayerTrace(name, value.detach(), edge, layout)
        self.layers[name] = trace

        def save() -> None:
            trace.activations = trace.activations.clone()

        self.observer.guard(value, save)
        return onward


def _why_not(value: torch.Tensor, layout: Layout | None) -> str:
    if not value.is_floating_point():
        return f"holds {value.dtype}, no activations"
    if layout is None:
        return "no spatial axes (fully connected, pooled or mixed)"
    if max(layout.grid) == 1:
        return "one voxel only: no place to tell apart"
    return ""


def record(
    network: Network,
    inputs: torch.Tensor,
    names: Collection[str] = (),
    *,
    gradients: bool = True,
    output: int | str | None = None,
    known: Geometry | None = None,
    tick: Callable[[], None] | None = None,
    replace: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] | None = None,
) -> Trace:
    """Run a network once and record layers.

    Args:
        network: The network.
        inputs: (B, C, *spatial) on the network's device, in its dtype.
        names: Layers to record; "input" stands for the input itself.
        gradients: Whether backward passes will follow.
        output: Index or key of the answer where the network returns several.
        known: Where layers lie, from an earlier run on the same size; None to find out.
        tick: Called before every operator; raises to stop the pass.
        replace: Functions by layer name that change a layer's output.

    Raises:
        LayerError: If a layer did not run.
        ModelRunError: If the network failed.
    """
    outside: list[Exception] = []
    observer = Observer(follow=known is None, tick=remembering(tick, outside))
    recorder = _Recorder(observer, inputs, names, gradients, replace or {}, known)
    grad_mode = torch.enable_grad() if gradients and names else torch.no_grad()
    with torch.inference_mode(False), grad_mode, readable_errors(inputs, outside):
        inputs = inputs.detach().clone()  # the network may work in place on it
        observer.places.start(inputs)
        with observer, LeanConvolutions():
            fed = recorder.record(INPUT, inputs) if INPUT in recorder.names else inputs
            answer = select_output(network.run(fed, recorder), output)
    missing = [name for name in recorder.names if name not in recorder.layers]
    if missing:
        raise LayerError(
            f"Layer '{missing[0]}' exists but did not run in this forward pass; choose another "
            "layer (model.layers() lists all)."
        )
    logits, activation, root, origin = _see_through(answer, observer)
    geometry = recorder.geometry
    if known is None:
        recorder.rule_out_unused(origin)
        geometry.aliases.update(network.aliases)
        geometry.classes = int(answer.shape[1]) if answer.ndim > 1 else 1
        places = observer.places
        if places.class_token_taken > places.last_mixing:
            geometry.last_mixing = places.last_mixing
        geometry.layout = recorder.layout_of_answer(answer)
    return Trace(inputs, logits, activation, recorder.layers, geometry, observer.operators, root)


def _see_through(
    answer: torch.Tensor, observer: Observer
) -> tuple[torch.Tensor, str | None, GradientEdge | None, int | None]:
    """Logits, the final activation's name, where the backward pass starts, and what made them."""
    last = observer.last_activation
    final = last is not None and last.output == observer.identity(answer)
    if last is not None and final and (last.kind != "softmax" or last.dim == 1):
        return last.logits.detach(), last.kind, last.edge, last.origin
    root = get_gradient_edge(answer) if answer.requires_grad else None
    return answer.detach(), None, root, observer.descent.origin(answer)
