"""From what a network returns to logits, and from a question back to what it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from attention_maps.questions import Question
    from attention_maps.spec import ModelSpec

    ToLogits = Callable[[torch.Tensor], torch.Tensor] | None


def to_logits(spec: ModelSpec, activation: str | None, output: torch.Tensor) -> ToLogits:
    """What makes logits of probabilities whose softmax or sigmoid could not be looked through.

    None where the network gives logits, or what was recorded starts before its last activation.

    Args:
        spec: What the model says of its answer.
        activation: The last activation that was looked through.
        output: (B, classes, ...) what the network returns.
    """
    if spec.output_is != "probabilities" or activation is not None:
        return None
    if spec.activation == "sigmoid" or output.shape[1] == 1:
        return lambda p: torch.logit(p.float(), eps=1e-6)
    return lambda p: p.float().clamp_min(1e-6).log()


def seed_of(question: Question, output: torch.Tensor, transform: ToLogits) -> torch.Tensor:
    """Gradient of the summed scores with respect to the network's output, of its shape."""
    if transform is None:
        return question.seed(without_leftover_axes(output)).reshape(output.shape)
    with torch.enable_grad():
        leaf = output.detach().requires_grad_()
        logits = transform(leaf)
        seed = question.seed(without_leftover_axes(logits.detach()))
        return torch.autograd.grad(logits, leaf, seed.reshape(logits.shape))[0]


def without_leftover_axes(logits: torch.Tensor) -> torch.Tensor:
    """Logits (B, classes) of a classification that keeps axes of length 1 (see `Answer`)."""
    return logits.flatten(1) if all(n == 1 for n in logits.shape[2:]) else logits
