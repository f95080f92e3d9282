"""PyTorch's fused transformer operators, written out where a gradient is wanted.

Tracing a transformer in evaluation mode under `torch.no_grad()` bakes in fused operators that have
no derivative. Their parts compute the same (Vaswani et al., 2017, arXiv:1706.03762).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    Weights = tuple[torch.Tensor, torch.Tensor]


def _self_attention(tokens: torch.Tensor, heads: int, inner: Weights, outer: Weights) -> Any:
    """Attention among tokens (B, N, E); the mixed tokens and the weights (B, heads, N, N)."""
    batch, count, width = tokens.shape
    parts = functional.linear(tokens, *inner).reshape(batch, count, 3, heads, width // heads)
    query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
    weights = (query @ key.transpose(-2, -1) * (width // heads) ** -0.5).softmax(-1)
    mixed = (weights @ value).transpose(1, 2).reshape(batch, count, width)
    return functional.linear(mixed, *outer), weights


def _encoder_layer(*arguments: Any) -> torch.Tensor:
    tokens, _, heads, *weights, gelu, norm_first, eps = arguments[:10]
    first, second = arguments[10:12], arguments[12:14]
    inner, outer = arguments[14:16], arguments[16:18]

    def normalized(x: torch.Tensor, norm: Weights) -> torch.Tensor:
        return functional.layer_norm(x, x.shape[-1:], *norm, eps)

    def attended(x: torch.Tensor) -> torch.Tensor:
        return _self_attention(x, heads, tuple(weights[:2]), tuple(weights[2:]))[0]

    def fed(x: torch.Tensor) -> torch.Tensor:
        x = functional.linear(x, *inner)
        x = functional.gelu(x) if gelu else functional.relu(x)
        return functional.linear(x, *outer)

    if norm_first:
        tokens = tokens + attended(normalized(tokens, first))
        return tokens + fed(normalized(tokens, second))
    tokens = normalized(tokens + attended(tokens), first)
    return normalized(tokens + fed(tokens), second)


def _attention(*arguments: Any) -> Any:
    tokens, _, _, _, heads, *weights = arguments[:9]
    mixed, shares = _self_attention(tokens, heads, tuple(weights[:2]), tuple(weights[2:]))
    need_weights, average = arguments[10:12]
    if not need_weights:
        return mixed, torch.empty(0)
    return mixed, shares.mean(1) if average else shares


# operator -> its parts, and the position of the mask, with which it is left alone
FUSED: dict[str, tuple[Callable[..., Any], int]] = {
    "aten::_transformer_encoder_layer_fwd": (_encoder_layer, 18),
    "aten::_native_multi_head_attention": (_attention, 9),
}


def with_gradient(kind: str, operator: Callable[..., Any]) -> Callable[..., Any]:
    """The fused operator, or its parts where its input has a gradient."""
    if kind not in FUSED:
        return operator
    parts, mask = FUSED[kind]

    def choose(*arguments: Any) -> Any:
        wanted = torch.is_grad_enabled() and arguments[0].requires_grad
        return (parts if wanted and arguments[mask] is None else operator)(*arguments)

    return choose
