"""One forward pass of a network, recorded.

The first recorded layer's output becomes a leaf of autograd: nothing before it is recorded, and
the backward pass stops there. What is recorded is a gradient edge and the value, so in-place
operators behind the layer do no harm, and the network itself is left as it was.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.utils._python_dispatch import TorchDispatchMode

from attention_maps.errors import AttentionMapsError, LayerError, ModelRunError
from attention_maps.tracing.layout import Layout, layout_of
from attention_maps.tracing.observer import Identity, Observer
from attention_maps.tracing.outputs import select_output
from attention_maps.types import LayerInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from attention_maps.models.base import Network

logger = logging.getLogger(__name__)

INPUT = "input"


class _Alias(torch.autograd.Function):
    """The same memory under another node, so that in-place operators may follow a leaf."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0]


@dataclass
class LayerTrace:
    """What was recorded of one layer.

    Args:
        name: Name of the layer, with `#2` for its second call.
        activations: Its output, detached.
        edge: Where its gradient arrives, or None without gradients.
        layout: How the output is a feature map in the network's input; None where it is none.
    """

    name: str
    activations: torch.Tensor
    edge: GradientEdge | None
    layout: Layout | None

    @property
    def placed(self) -> Layout:
        """The layout.

        Raises:
            LayerError: If the layer has none.
        """
        if self.layout is None:
            raise LayerError(f"Layer '{self.name}' has no place in the image.")
        return self.layout


@dataclass
class Geometry:
    """The layers of a network on an input of one size; no tensors.

    Args:
        infos: Every layer that ran, in execution order.
        layouts: Where each layer lies, by name.
        same: Names of the layers that gave one and the same tensor, by that tensor.
        aliases: Other names of layers, such as the value names of a frozen graph.
        classes: Number of channels of the network's answer.
        layout: How the answer lies in the input, None for classification.
        last_mixing: Operator that mixed the tokens for the last time before a class token alone was
            read: what other tokens hold later never reaches the answer. None where all are read.
    """

    infos: list[LayerInfo] = field(default_factory=list)
    layouts: dict[str, Layout | None] = field(default_factory=dict)
    same: dict[Identity, list[str]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    classes: int = 0
    layout: Layout | None = None
    last_mixing: int | None = None


@dataclass
class Trace:
    """A recorded forward pass.

    Args:
        inputs: (B, C, *spatial) network input.
        logits: (B, classes, *spatial) or (B, classes), detached, before a final softmax or sigmoid.
        activation: The final "softmax" or "sigmoid" that was looked through, or None.
        layers: Recorded layers by name.
        geometry: Every layer that ran and where it lies.
        operators: Number of operators that ran.
    """

    inputs: torch.Tensor
    logits: torch.Tensor
    activation: str | None
    layers: dict[str, LayerTrace]
    geometry: Geometry
    operators: int = 0
    _root: GradientEdge | None = field(default=None, repr=False)

    def gradients(
        self,
        seed: torch.Tensor,
        names: Sequence[str],
        *,
        tick: Callable[[], None] | None = None,
        keep: bool = True,
    ) -> list[torch.Tensor]:
        """Gradients of `sum(seed * logits)` with respect to recorded layers, in one backward pass.

        Args:
            seed: Gradient of the score with respect to the logits, of their shape.
            names: Recorded layers, or "input".
            tick: Called before every operator; raises to stop the pass.
            keep: Whether another backward pass may follow.

        Raises:
            LayerError: If the answer does not depend on one of the layers.
            ModelRunError: If the network has no gradient.
        """
        edges = [edge for name in names if (edge := self.layers[name].edge) is not None]
        if self._root is None or len(edges) < len(names):
            raise LayerError(self._no_gradient(names))
        outside: list[Exception] = []
        listening = _ticking(_remembering(tick, outside))
        failing = _readable_errors(self.inputs, outside, "backward")
        with torch.inference_mode(False), torch.enable_grad(), failing, listening:
            found = torch.autograd.grad(
                [self._root], edges, grad_outputs=[seed], retain_graph=keep, allow_unused=True
            )
        missing = [name for name, gradient in zip(names, found, strict=True) if gradient is None]
        if missing:
            raise LayerError(self._no_gradient(missing))
        return list(found)

    @staticmethod
    def _no_gradient(names: Sequence[str]) -> str:
        listed = ", ".join(f"'{name}'" for name in names)
        return (
            f"Expected a layer on which the network's answer depends, but no gradient reaches "
            f"{listed}; choose another layer (model.layers() lists all)."
        )


class _Ticker(TorchDispatchMode):
    """Calls `tick` before every operator of a backward pass."""

    def __init__(self, tick: Callable[[], None]) -> None:
        super().__init__()
        self.tick = tick

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        self.tick()
        return func(*args, **(kwargs or {}))


def _ticking(tick: Callable[[], None] | None) -> contextlib.AbstractContextManager[Any]:
    return contextlib.nullcontext() if tick is None else _Ticker(tick)


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
        geometry.same.setdefault(self.observer.identity(value), []).append(name)
        layout = geometry.layouts[name] = self._layout(value)
        reason = _why_not(value, layout)
        stride, offset = (layout.stride, layout.offset) if layout else (None, None)
        shape = tuple(value.shape)
        geometry.infos.append(LayerInfo(name, kind, shape, stride, offset, not reason, reason))

    def layout_of_answer(self, answer: torch.Tensor) -> Layout | None:
        """How a segmentation's logits lie in the input."""
        return self._layout(answer) if answer.ndim > 2 else None

    def _layout(self, value: torch.Tensor) -> Layout | None:
        placement = self.observer.placement_of(value)
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
    observer = Observer(follow=known is None, tick=_remembering(tick, outside))
    recorder = _Recorder(observer, inputs, names, gradients, replace or {}, known)
    grad_mode = torch.enable_grad() if gradients and names else torch.no_grad()
    with torch.inference_mode(False), grad_mode, _readable_errors(inputs, outside):
        inputs = inputs.detach().clone()  # the network may work in place on it
        observer.start(inputs)
        with observer:
            fed = recorder.record(INPUT, inputs) if INPUT in recorder.names else inputs
            answer = select_output(network.run(fed, recorder), output)
    missing = [name for name in recorder.names if name not in recorder.layers]
    if missing:
        raise LayerError(
            f"Layer '{missing[0]}' exists but did not run in this forward pass; choose another "
            "layer (model.layers() lists all)."
        )
    logits, activation, root = _see_through(answer, observer)
    geometry = recorder.geometry
    if known is None:
        geometry.aliases.update(network.aliases)
        geometry.classes = int(answer.shape[1]) if answer.ndim > 1 else 1
        if observer.class_token_taken > observer.last_mixing:
            geometry.last_mixing = observer.last_mixing
        geometry.layout = recorder.layout_of_answer(answer)
    return Trace(inputs, logits, activation, recorder.layers, geometry, observer.operators, root)


def _see_through(
    answer: torch.Tensor, observer: Observer
) -> tuple[torch.Tensor, str | None, GradientEdge | None]:
    """Logits, name of the final activation, and where the backward pass starts."""
    last = observer.last_activation
    final = last is not None and last.output == observer.identity(answer)
    if last is not None and final and (last.kind != "softmax" or last.dim == 1):
        return last.logits.detach(), last.kind, last.edge
    root = get_gradient_edge(answer) if answer.requires_grad else None
    return answer.detach(), None, root


def _remembering(
    tick: Callable[[], None] | None, errors: list[Exception]
) -> Callable[[], None] | None:
    """The same function, which notes what it raises: that is no failure of the network."""
    if tick is None:
        return None

    def remember() -> None:
        try:
            tick()
        except Exception as error:
            errors.append(error)
            raise

    return remember


@contextlib.contextmanager
def _readable_errors(
    inputs: torch.Tensor, outside: list[Exception], direction: str = "forward"
) -> Iterator[None]:
    """Say with which input a network failed, and what often helps; errors from outside pass."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelRunError(
            f"The device ran out of memory on an input of shape {tuple(inputs.shape)}; choose a "
            "layer nearer to the output, a smaller input, or device='cpu'."
        ) from error
    except Exception as error:  # whatever the code of the network raises
        if isinstance(error, AttentionMapsError) or error in outside:
            raise
        first_line = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
        if direction == "backward":
            raise ModelRunError(
                f"The network's answer could not be followed back ({first_line}); choose a later "
                "layer, or a method without gradients such as ablation_cam, score_cam or occlusion."
            ) from error
        raise ModelRunError(
            f"The network failed on an input of shape {tuple(inputs.shape)} "
            f"(batch, channels, *spatial), {inputs.dtype}: {first_line} "
            "Check channels, spatial size and axis order against the model's specification; "
            "a traced model may accept only the size that it was traced with."
        ) from error
