"""Sees every operator of a forward pass, in every kind of model: a torch dispatch mode.

It follows where tensors lie (`following`), saves recorded activations before an in-place operator
overwrites them, remembers what went into a final softmax or sigmoid, and lets the user cancel
between two operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from attention_maps.errors import ModelError
from attention_maps.tracing.descent import Descent
from attention_maps.tracing.following import Places, Signature, flat, signature

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Identity = tuple[Signature, int]
PROBABILITIES = {
    "aten::_softmax": "softmax",
    "aten::_log_softmax": "softmax",
    "aten::sigmoid": "sigmoid",
    "aten::sigmoid_": "sigmoid",
    "aten::log_sigmoid_forward": "sigmoid",
}
COPIES = {"aten::clone", "aten::_to_copy", "aten::alias", "aten::detach"}


class Activation(NamedTuple):
    """The last softmax or sigmoid that ran.

    Args:
        kind: "softmax" or "sigmoid".
        dim: Axis of the softmax, else 1.
        logits: What went in.
        edge: Where autograd continues behind it, or None where nothing is recorded.
        output: Identity of what came out (see `Observer.identity`).
        origin: The operator that made the logits (see `Descent`).
    """

    kind: str
    dim: int
    logits: torch.Tensor
    edge: Any
    output: Identity
    origin: int | None


class Observer(TorchDispatchMode):
    """Watch the operators of one forward pass.

    Args:
        follow: Whether to follow placements (not needed where they are known already).
        tick: Called before every operator; raises to stop the pass.
    """

    def __init__(self, *, follow: bool = True, tick: Callable[[], None] | None = None) -> None:
        super().__init__()
        self.follow = follow
        self.tick = tick
        self.places = Places()
        self.last_activation: Activation | None = None
        self.operators = 0
        self.descent = Descent()
        self._births: dict[Signature, int] = {}
        self._guarded: dict[int, list[Callable[[], None]]] = {}

    def identity(self, tensor: torch.Tensor) -> Identity:
        """Tells a tensor from all others of this pass, also from later ones in the same memory."""
        key = signature(tensor)
        return key, self._births.get(key, 0)

    def guard(self, tensor: torch.Tensor, save: Callable[[], None]) -> None:
        """Call `save` before an operator overwrites the memory of `tensor`."""
        self._guarded.setdefault(tensor.untyped_storage().data_ptr(), []).append(save)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        self.operators += 1
        if self.tick is not None:
            self.tick()
        schema = func._schema
        if self._guarded and schema.is_mutable:
            self._save_before_overwriting(schema, args, kwargs or {})
        name = schema.name
        if name.startswith("quantized::"):
            raise ModelError(
                f"Expected a network in floating point, got a quantized one ({name}), through "
                "which no gradient passes; load the model from before its quantization."
            )
        logits = None
        if name in PROBABILITIES:
            logits = args[0]
            edge, origin = _edge(logits), self.descent.origin(logits)
            if name.endswith("_"):
                logits = logits.detach().clone()
        sources = self.places.instead(args) if self.follow else None
        copied = name in COPIES and self._is_last_activation(args[0])
        result = func(*args, **(kwargs or {}))
        self._note_births(schema, args, result)
        if self.follow:
            self.descent.note(schema.is_mutable, [args, (kwargs or {}).values()], result)
        if copied and self.last_activation is not None:
            self.last_activation = self.last_activation._replace(output=self.identity(result))
        if sources is not None:
            self.places.follow(name, sources, result, self.operators)
        if logits is not None:
            output = result[0] if isinstance(result, tuple) else result
            dim = int(args[1]) % logits.ndim if "softmax" in name else 1
            self.last_activation = Activation(
                PROBABILITIES[name], dim, logits, edge, self.identity(output), origin
            )
        return result

    def _is_last_activation(self, tensor: torch.Tensor) -> bool:
        last = self.last_activation
        return last is not None and last.output == self.identity(tensor)

    def _note_births(self, schema: Any, args: Sequence[Any], result: Any) -> None:
        """A new tensor is born with every operator, unless it only gives an argument back."""
        given = set()
        if not schema.is_mutable:
            given = {signature(item) for item in flat(args) if isinstance(item, torch.Tensor)}
        for output in flat(result):
            if isinstance(output, torch.Tensor):
                key = signature(output)
                if key not in given:
                    self._births[key] = self.operators

    def _save_before_overwriting(self, schema: Any, args: Sequence[Any], kwargs: Any) -> None:
        for position, argument in enumerate(schema.arguments):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            value = args[position] if position < len(args) else kwargs.get(argument.name)
            if isinstance(value, torch.Tensor):
                for save in self._guarded.pop(value.untyped_storage().data_ptr(), ()):
                    save()


def _edge(tensor: torch.Tensor) -> Any:
    if not tensor.requires_grad:
        return None
    return torch.autograd.graph.get_gradient_edge(tensor)
