"""Follows where tensors lie in the input, operator by operator, by the rules."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.tracing.placement import Dim, Placement, by_size, input_placement, slide
from attention_maps.tracing.rules import RULES, displaced, elementwise
from attention_maps.tracing.rules_shape import cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

logger = logging.getLogger(__name__)

Signature = tuple[int, tuple[int, ...], tuple[int, ...]]
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


def flat(value: Any) -> Iterator[Any]:
    """Items of nested lists and tuples."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from flat(item)
    else:
        yield value


class Places:
    """Placements of the tensors of one forward pass.

    `last_mixing` and `class_token_taken` are numbers of operators, 0 for none: where tokens were
    last mixed by attention, and where the class token was taken out.
    """

    def __init__(self) -> None:
        self.last_mixing = 0
        self.class_token_taken = 0
        self._known: dict[Signature, Placement] = {}
        self._root: Placement | None = None

    def start(self, inputs: torch.Tensor) -> None:
        """Say which tensor is the network's input (B, C, *spatial)."""
        self._root = input_placement(inputs.shape)
        self._known[signature(inputs)] = self._root

    def of(self, tensor: torch.Tensor) -> Placement | None:
        """Where the tensor's voxels lie, or None where that is not known."""
        return self._known.get(signature(tensor))

    def instead(self, args: Sequence[Any]) -> list[Any]:
        """The arguments with placements in place of the tensors that have one."""
        return [
            [self._look_up(item) for item in value]
            if isinstance(value, list | tuple)
            else self._look_up(value)
            for value in args
        ]

    def _look_up(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self._known.get(signature(value), value)
        return value

    def follow(self, name: str, sources: list[Any], result: Any, operator: int) -> None:
        """Find out where an operator's results lie.

        Args:
            name: Of the operator.
            sources: Its arguments, as `instead` gives them.
            result: What it gave.
            operator: Its number in the pass.
        """
        operands = list(_placements(sources))
        if isinstance(result, torch.Tensor):
            outputs = [result]
        else:
            outputs = [item for item in flat(result) if isinstance(item, torch.Tensor)]
        if not outputs:
            return
        if not operands or self._root is None or name in EMPTY:
            for output in outputs:  # the memory may have held a tensor that had a place
                self._known.pop(signature(output), None)
            return
        if name in SPLITS or name == "aten::unbind":
            self._follow_split(name, sources, outputs)
            return
        if name in MIXING and any(_has_tokens(dim) for place in operands for dim in place.dims):
            self.last_mixing = operator
        elif name == "aten::select" and _takes_class_token(*sources):
            self.class_token_taken = operator
        for position, output in enumerate(outputs):
            shape = tuple(output.shape)
            place = None
            if position == 0 or shape == tuple(outputs[0].shape):
                place = self._apply(name, sources, operands, shape)
            if place is None:
                self._known.pop(signature(output), None)
            else:
                self._known[signature(output)] = place
                self._place_whole(output, place)

    def _place_whole(self, part: torch.Tensor, place: Placement) -> None:
        """A part that has been written into (`y[:, :, 2:-2] = x`) says where the whole lies."""
        whole = part._base
        if whole is None or signature(whole) in self._known or whole.ndim != part.ndim:
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
        self._known[signature(whole)] = replace(place, exact=exact)

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
            self._known[signature(output)] = place
            start += size


def _has_tokens(dim: Dim) -> bool:
    return any(factor.tokens for factor in dim)


def _takes_class_token(source: Placement, dim: int = 0, index: int = 0) -> bool:
    content = source.dims[dim]
    return _has_tokens(content) and 0 <= index < content[0].lead


def _placements(values: list[Any]) -> Iterator[Placement]:
    return (item for item in flat(values) if isinstance(item, Placement))
