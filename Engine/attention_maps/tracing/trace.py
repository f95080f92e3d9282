"""What was recorded of one forward pass, and gradients from it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from attention_maps.errors import LayerError
from attention_maps.tracing.failures import readable_errors, remembering

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch.autograd.graph import GradientEdge

    from attention_maps.tracing.layout import Layout
    from attention_maps.tracing.observer import Identity
    from attention_maps.types import LayerInfo

INPUT = "input"


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
        listening = _ticking(remembering(tick, outside))
        failing = readable_errors(self.inputs, outside, "backward")
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
