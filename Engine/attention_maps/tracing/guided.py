"""Guided backpropagation on any kind of model (Springenberg et al., 2014, arXiv:1412.6806).

A torch function mode sees activation functions in eager modules, functional calls and TorchScript
operators alike, and puts a gate behind each: negative gradients do not pass it. What the activation
itself does to the gradient (its local slope) stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ACTIVATIONS = {
    "relu", "relu6", "hardtanh", "leaky_relu", "prelu", "_prelu_kernel", "rrelu", "elu", "selu",
    "celu", "gelu", "silu", "mish", "hardswish", "softplus", "threshold", "hardshrink",
}  # fmt: skip


def _gate(gradient: torch.Tensor) -> torch.Tensor:
    return gradient.clamp(min=0)


class GuidedMode(TorchFunctionMode):
    """Gates every activation function that is called while it is active.

    Attributes:
        gated: How many calls have been gated.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gated = 0

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = str(getattr(func, "__name__", "")).split(".")[0]
        if name.rstrip("_") not in ACTIVATIONS and name not in ACTIVATIONS:
            return result
        if not isinstance(result, torch.Tensor) or not result.requires_grad:
            return result
        self.gated += 1
        result.register_hook(_gate)  # on the operator, so that in-place ones are gated as well
        return result
