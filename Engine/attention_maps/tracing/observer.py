"""Sees every operator of a forward pass, in every kind of model: a torch dispatch mode.

It follows where tensors lie (`rules`), saves recorded activations before an in-place operator
overwrites them, remembers what went into a final softmax or sigmoid, and lets the user cancel
between two operators.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from attention_maps.errors import ModelError
from attention_maps.tracing.descent import Descent
from attention_maps.tracing.placement import Dim, Placement, by_size, input_placement, slide
from attention_maps.tracing.rules import RULES, displaced, elementwise
from attention_maps.tracing.rules_shape import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

logger = logging.getLogger(__name__)

Signature = tuple[int, tuple[int, ...], tuple[int, ...]]
Identity = tuple[Signature, int]
PROBABILITIES = {
    "aten::_softmax": "softmax",
    "aten::_log_softmax": "softmax",
    "aten::sigmoid": "sigmoid",
    "aten::sigmoid_": "sigmoid",
    "aten::log_sigmoid_forward": "sigmoid",
}
COPIES = {"aten::clone", "aten::_to_copy", "aten::alias", "aten::detach"}
SPLITS = {
    "aten::split", "aten::split_with_sizes", "aten::chunk", "aten::tensor_split",
    "aten::unsafe_split", "aten::unsafe_split_with_sizes", "aten::unsafe_chunk",
}  # fmt: skip
MIXING = {
    "aten::bmm", "aten::baddbmm", "aten::scaled_dot_product_attention",
    "aten::_scaled_dot_product_attention_math", "aten::_scaled_dot_product_flash_attention",
    "aten::_scaled_dot_product_flash_attention_for_cpu",
    "aten::_scaled_dot_product_efficient_attention", "aten::_scaled_dot_product_cudnn_attention",
    "aten::_native_multi_head_attention", "aten::_transformer_encoder_layer_fwd",
}  # fmt: skip
EMPTY = {
    f"aten::{kind}"
    for what in ("empty", "zeros", "ones", "full", "rand", "randn", "randint")
    for kind in (f"new_{what}", f"{what}_like")
}  # fmt: skip


def signature(tensor: torch.Tensor) -> Signature:
    """What stays the same of a tensor when Python or autograd wraps it anew."""
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride()


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
        self.placements: dict[Signature, Placement] = {}
        self.last_activation: Activation | None = None
        self.operators = 0
        self.last_mixing = 0
        self.class_token_taken = 0
        self.descent = Descent()
        self._root: Placement | None = None
        self._births: dict[Signature, int] = {}
        self._guarded: dict[int, list[Callable[[], None]]] = {}

    def start(self, inputs: torch.Tensor) -> None:
        """Say which tensor is the network's input (B, C, *spatial)."""
        self._root = input_placement(inputs.shape)
        self.placements[signature(inputs)] = self._root

    def placement_of(self, tensor: torch.Tensor) -> Placement | None:
        """Where the tensor's voxels lie, or None where that is not known."""
        return self.placements.get(signature(tensor))

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
        sources = self._placed(args) if self.follow else None
        copied = name in COPIES and self._is_last_activation(args[0])
        result = func(*args, **(kwargs or {}))
        self._note_births(schema, args, result)
        if self.follow:
            self.descent.note(schema.is_mutable, [args, (kwargs or {}).values()], result)
        if copied and self.last_activation is not None:
            self.last_activation = self.last_activation._replace(output=self.identity(result))
        if sources is not None:
            self._follow(name, args, sources, result)
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
            given = {signature(item) for item in _flat(args) if isinstance(item, torch.Tensor)}
        for output in _flat(result):
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

    def _placed(self, args: Sequence[Any]) -> list[Any]:
        """The arguments with placements in place of the tensors that have one."""
        return [
            [self._look_up(item) for item in value]
            if isinstance(value, list | tuple)
            else self._look_up(value)
            for value in args
        ]

    def _look_up(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self.placements.get(signature(value), value)
        return value

    def _follow(self, name: str, args: Sequence[Any], sources: list[Any], result: Any) -> None:
        operands = list(_placements(sources))
        if isinstance(result, torch.Tensor):
            outputs = [result]
        else:
            outputs = [item for item in _flat(result) if isinstance(item, torch.Tensor)]
        if not outputs:
            return
        if not operands or self._root is None or name in EMPTY:
            for output in outputs:  # the memory may have held a tensor that had a place
                self.placements.pop(signature(output), None)
            return
        if name in SPLITS or name == "aten::unbind":
            self._follow_split(name, sources, outputs)
            return
        if name in MIXING and any(_has_tokens(dim) for place in operands for dim in place.dims):
            self.last_mixing = self.operators
        elif name == "aten::select" and _takes_class_token(*sources):
            self.class_token_taken = self.operators
        for position, output in enumerate(outputs):
            shape = tuple(output.shape)
            place = None
            if position == 0 or shape == tuple(outputs[0].shape):
                place = self._apply(name, sources, operands, shape)
            if place is None:
                self.placements.pop(signature(output), None)
            else:
                self.placements[signature(output)] = place
                self._place_whole(output, place)

    def _place_whole(self, part: torch.Tensor, place: Placement) -> None:
        """A part that has been written into (`y[:, :, 2:-2] = x`) says where the whole lies."""
        whole = part._base
        if whole is None or signature(whole) in self.placements or whole.ndim != part.ndim:
            return
        if 0 in whole.stride() or 0 in part.stride():
            return
        start = int(part.storage_offset() - whole.storage_offset())
        strides = list(zip(whole.stride(), part.stride(), strict=True))
        for dim in sorted(range(whole.ndim), key=lambda dim: -strides[dim][0]):
            first, start = divmod(start, strides[dim][0])
            step = strides[dim][1] / strides[dim][0]
            size = int(whole.shape[dim])
            place = slide(place, dim, size, kernel=1, stride=1 / step, low=first / step)
        exact = place.exact and 2 * part.numel() > whole.numel()
        self.placements[signature(whole)] = replace(place, exact=exact)

    def _apply(
        self, name: str, sources: list[Any], operands: list[Placement], shape: tuple[int, ...]
    ) -> Placement | None:
        rule = RULES.get(name)
        try:
            if rule is not None:
                place = rule(sources, shape)
            elif name.startswith("aten::"):
                place = elementwise(operands, shape)
            else:
                place = displaced(operands, shape)
        except (AttributeError, IndexError, TypeError, ZeroDivisionError) as error:
            logger.debug("Placement of %s %s is not known: %s", name, shape, error)
            place = None
        if place is not None and place.shape == shape:
            return place
        return None if self._root is None else by_size(self._root, shape)

    def _follow_split(self, name: str, sources: list[Any], outputs: list[torch.Tensor]) -> None:
        source = sources[0]
        dim = int(sources[-1] if name == "aten::unbind" and len(sources) > 1 else 0)
        if name in SPLITS:
            dim = int(sources[2]) if len(sources) > 2 else 0
        dim %= len(source.dims)
        start = 0
        for output in outputs:
            size = 1 if name == "aten::unbind" else int(output.shape[dim])
            place = cut(source, dim, start, 1, size)
            if name == "aten::unbind":
                place = place.with_dims(d for i, d in enumerate(place.dims) if i != dim)
            self.placements[signature(output)] = place
            start += size


def _has_tokens(dim: Dim) -> bool:
    return any(factor.tokens for factor in dim)


def _takes_class_token(source: Placement, dim: int = 0, index: int = 0) -> bool:
    content = source.dims[dim]
    return _has_tokens(content) and 0 <= index < content[0].lead


def _edge(tensor: torch.Tensor) -> Any:
    if not tensor.requires_grad:
        return None
    return torch.autograd.graph.get_gradient_edge(tensor)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _placements(values: list[Any]) -> Iterator[Placement]:
    return (item for item in _flat(values) if isinstance(item, Placement))
