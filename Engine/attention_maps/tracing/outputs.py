"""Which tensor of a network's output is its answer."""

from __future__ import annotations

from typing import Any

import torch

from attention_maps.errors import ModelError

KNOWN_KEYS = ("out", "logits", "pred", "prediction", "output", "seg", "segmentation")


def select_output(raw: Any, selector: int | str | None) -> torch.Tensor:
    """Pick the answer from what the network returned.

    Args:
        raw: A tensor, or a tuple, list or dict of them (nested ones too).
        selector: Index or key; None takes the tensor with most voxels of a list (deep supervision:
            the full resolution), the first one of equals, or the usual key of a dict.

    Raises:
        ModelError: If there is no such output, or it holds no floating point numbers.
    """
    chosen = raw if selector is None else _by_selector(raw, selector)
    tensor = _default(chosen)
    if tensor is None:
        raise ModelError(
            f"Expected a tensor as the network's output, got {_describe(raw)}; choose one with "
            "`output` (index or key) in the model's specification."
        )
    if not tensor.is_floating_point():
        raise ModelError(
            f"Expected logits or probabilities as the network's output, got {tensor.dtype}: labels "
            "have no gradient. Choose another `output` in the model's specification, or export "
            "the network without its final argmax or threshold."
        )
    return tensor


def _by_selector(raw: Any, selector: int | str) -> Any:
    try:
        return raw[selector]
    except (KeyError, IndexError, TypeError) as error:
        raise ModelError(
            f"Expected an output {selector!r}, but the network returns {_describe(raw)}; "
            "correct `output` in the model's specification."
        ) from error


def _default(raw: Any) -> torch.Tensor | None:
    if isinstance(raw, torch.Tensor):
        return raw
    if isinstance(raw, dict):
        for key in KNOWN_KEYS:
            if isinstance(raw.get(key), torch.Tensor):
                return raw[key]
        raw = list(raw.values())
    if isinstance(raw, list | tuple):
        tensors = [t for t in (_default(item) for item in raw) if t is not None]
        same_rank = [t for t in tensors if t.ndim == tensors[0].ndim]
        if not same_rank:
            return None
        return max(same_rank, key=lambda t: t[0, 0].numel() if t.ndim > 2 else 0)
    return None


def _describe(raw: Any) -> str:
    if isinstance(raw, torch.Tensor):
        return f"one tensor of shape {tuple(raw.shape)}"
    if isinstance(raw, dict):
        return "a dict with keys " + ", ".join(repr(key) for key in raw)
    if isinstance(raw, list | tuple):
        return f"a {type(raw).__name__} of {len(raw)} items"
    return f"a {type(raw).__name__}"
