"""Convolutions that keep nothing but their weight for the backward pass.

PyTorch keeps the input of each convolution, which only the gradient of its weight needs. Weights
are frozen here, so that the largest activations of a network, the concatenations of a decoder
among them, need not be held until the backward pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SAME = ("stride", "padding", "dilation", "groups")
_TRANSPOSED = ("stride", "padding", "output_padding", "groups", "dilation")
_BOTH = ("stride", "padding", "dilation", "transposed", "output_padding", "groups")
# What follows input, weight and bias, by name of the function or operator.
SIGNATURES = {
    **{f"conv{axes}d": _SAME for axes in (1, 2, 3)},
    **{f"conv_transpose{axes}d": _TRANSPOSED for axes in (1, 2, 3)},
    "convolution": _BOTH,
    "_convolution": _BOTH,
}


class _Settings(NamedTuple):
    """A convolution's settings as `aten::convolution_backward` takes them."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    transposed: bool
    output_padding: list[int]
    groups: int


class _Convolution(torch.autograd.Function):
    """A convolution with a gradient for its input alone."""

    @staticmethod
    def forward(
        ctx: Any, inputs: torch.Tensor, weight: torch.Tensor, settings: _Settings, run: Any
    ) -> torch.Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.settings = inputs.shape, settings
        output: torch.Tensor = run(inputs)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (weight,) = ctx.saved_tensors
        gradient = gradients[0]
        shape_alone = gradient.new_empty(1).expand(ctx.shape)
        found = torch.ops.aten.convolution_backward(
            gradient, shape_alone, weight, None, *ctx.settings, [True, False, False]
        )
        return found[0], None, None, None


class LeanConvolutions(TorchFunctionMode):
    """Runs convolutions of frozen weights without keeping their inputs, while it is active.

    It sees modules, functional calls and TorchScript's operators alike. The gradients are the same.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        signature = SIGNATURES.get(str(getattr(func, "__name__", "")).split(".")[0])
        if signature is None or len(args) < 2 or not _is_frozen(*args[:2]):
            return func(*args, **kwargs)
        settings = _settings(args, kwargs, signature)
        if settings is None:
            return func(*args, **kwargs)
        inputs, *others = args
        return _Convolution.apply(
            inputs, others[0], settings, lambda tensor: func(tensor, *others, **kwargs)
        )


def _is_frozen(inputs: Any, weight: Any) -> bool:
    """Whether the input alone needs a gradient, in the weight's own precision."""
    return (
        isinstance(inputs, torch.Tensor)
        and isinstance(weight, torch.Tensor)
        and inputs.requires_grad
        and not weight.requires_grad
        and inputs.ndim == weight.ndim
        and inputs.dtype == weight.dtype
        and inputs.layout == weight.layout == torch.strided
        and not torch.is_autocast_enabled(inputs.device.type)
    )


def _settings(
    args: Sequence[Any], kwargs: Mapping[str, Any], signature: Sequence[str]
) -> _Settings | None:
    """The settings of a call; None where they are not plain numbers, or the bias learns."""
    bias = args[2] if len(args) > 2 else kwargs.get("bias")
    if bias is not None and bias.requires_grad:
        return None
    given = dict(zip(signature, args[3:], strict=False)) | dict(kwargs)
    axes = args[1].ndim - 2
    defaults = {"stride": 1, "padding": 0, "dilation": 1, "output_padding": 0}
    lists = {}
    for name, default in defaults.items():
        value = given.get(name, default)
        if isinstance(value, str):  # "same" may pad one side more
            return None
        numbers = [value] if isinstance(value, int) else [int(n) for n in value]
        lists[name] = numbers * axes if len(numbers) == 1 else numbers
    transposed = bool(given.get("transposed", signature is _TRANSPOSED))
    return _Settings(
        lists["stride"], lists["padding"], lists["dilation"], transposed,
        lists["output_padding"], int(given.get("groups", 1)),
    )  # fmt: skip
