"""M3d-CAM's labels: which logits are followed back, as a gradient of their shape.

Unlike the engine's targets, a class stands for all of its voxels, predicted there or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attention_maps.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable

FORMS = (
    "the index of a class or several, 'best', a mask of the output's shape, a function that makes "
    "such a mask of the output, a target such as ClassTarget, or None"
)


@dataclass(frozen=True, eq=False)
class Asked:
    """What is followed back.

    Args:
        seed: (B, classes, *spatial) gradient of the score with respect to the logits.
        names: What is asked of each image, for tables: an index or a word.
    """

    seed: torch.Tensor
    names: list[int | str]


def check_label(label: Any) -> None:
    """Refuse what is no label in any network.

    Raises:
        TargetError: If it is none.
    """
    known = label is None or callable(label) or hasattr(label, "resolve")
    known = known or isinstance(label, torch.Tensor | np.ndarray) or _indices(label) is not None
    if not known and label != "best":
        raise TargetError(f"Expected a label as {FORMS}; got {label!r}.")


def asked_for(
    label: Any,
    logits: torch.Tensor,
    output: torch.Tensor,
    resolve: Callable[[Any, int], torch.Tensor],
) -> Asked:
    """What a label asks of the images of a batch.

    Args:
        label: As given.
        logits: (B, classes, *spatial).
        output: What the network returned, of the same shape: probabilities if it ends in them.
        resolve: Gradient (1, classes, *spatial) of one of the engine's targets, for an image.

    Raises:
        TargetError: If the label does not fit the network's answer.
    """
    check_label(label)
    images = logits.shape[0]
    if isinstance(label, str) or (label is None and logits[0, 0].numel() == 1):
        return _best(logits)
    if label is None:
        return Asked(torch.ones_like(logits), ["all"] * images)
    if hasattr(label, "resolve"):
        seeds = [resolve(label, image) for image in range(images)]
        return Asked(torch.cat(seeds), [_name(label)] * images)
    indices = _indices(label)
    if indices is not None:
        return _classes(indices, logits)
    mask = label(output.detach()) if callable(label) else label
    return Asked(_as_seed(mask, logits), [_name(label)] * images)


def _best(logits: torch.Tensor) -> Asked:
    """The class with the highest sum of logits, image by image."""
    classes = logits.flatten(2).float().sum(2) if logits.ndim > 2 else logits
    best = classes.argmax(1)
    seed = torch.zeros_like(logits)
    seed[torch.arange(len(best), device=best.device), best] = 1
    return Asked(seed, best.tolist())


def _classes(indices: list[int], logits: torch.Tensor) -> Asked:
    count = logits.shape[1]
    for index in indices:
        if not -count <= index < count:
            raise TargetError(
                f"Expected a class from 0 to {count - 1}, as the network has {count}, got {index}."
            )
    seed = torch.zeros_like(logits)
    seed[:, indices] = 1
    found = [index % count for index in indices]
    name = found[0] if len(found) == 1 else ", ".join(map(str, found))
    return Asked(seed, [name] * logits.shape[0])


def _indices(label: Any) -> list[int] | None:
    """Classes, where a label names them."""
    if isinstance(label, torch.Tensor) and label.ndim < 2 and _is_whole(label):
        return [int(index) for index in label.flatten().tolist()]
    if isinstance(label, np.ndarray) and label.ndim < 2 and label.dtype.kind in "iu":
        return [int(index) for index in label.ravel()]
    if isinstance(label, Integral) and not isinstance(label, bool):
        return [int(label)]
    if isinstance(label, Sequence) and not isinstance(label, str) and label:
        whole = all(isinstance(n, Integral) and not isinstance(n, bool) for n in label)
        return [int(index) for index in label] if whole else None
    return None


def _is_whole(tensor: torch.Tensor) -> bool:
    return not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)


def _as_seed(mask: Any, logits: torch.Tensor) -> torch.Tensor:
    try:
        tensor = torch.as_tensor(mask, device=logits.device).detach().to(logits.dtype)
        if tensor.ndim >= logits.ndim - 1:
            return tensor.expand(logits.shape).clone()
        got = f"shape {tuple(tensor.shape)}"
    except (RuntimeError, TypeError, ValueError):
        got = f"shape {tuple(mask.shape)}" if hasattr(mask, "shape") else repr(mask)
    raise TargetError(
        f"Expected a mask of the output's shape {tuple(logits.shape)} (1 where logits count), got "
        f"{got}; such as label=lambda output: output > 0.5."
    )


def _name(label: Any) -> str:
    if isinstance(label, torch.Tensor | np.ndarray):
        return "mask"
    return str(getattr(label, "__name__", label))
