"""How much memory a run over windows takes, and how much may be kept."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import torch

from attention_maps.estimate import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attention_maps.model import LoadedModel
    from attention_maps.tracing.trace import Geometry
    from attention_maps.windows.plan import Plan

# Small runs may take this much, larger ones this much more than the plain prediction.
SMALL_RUN = 2 * 2**30
LARGER_BY = 0.15
WORST_SHARE_OF_FREE = 0.5
BACKWARD = 0.6  # of a forward pass, from the answer to a layer halfway
LIVE_LAYERS = 4  # outputs of the largest layer that a forward pass holds at once


def plain_bytes(model: LoadedModel, plan: Plan, inputs: torch.Tensor, geometry: Geometry) -> float:
    """Bytes that the plain prediction over windows takes: volumes, and one window's outputs."""
    voxels = math.prod(plan.shape)
    wide = max(4, model.dtype.itemsize)
    volumes = inputs.numel() * inputs.element_size() + voxels * wide * (geometry.classes + 2)
    largest = max((math.prod(info.shape) for info in geometry.infos), default=0)
    return volumes + LIVE_LAYERS * largest * model.dtype.itemsize


def kept_bytes(
    model: LoadedModel, plan: Plan, geometry: Geometry, names: Sequence[str], views: int
) -> float:
    """Bytes of the activations of layers in all views."""
    sizes = {info.name: math.prod(info.shape) for info in geometry.infos}
    return sum(sizes[name] for name in names) * views * float(model.dtype.itemsize)


def estimate(
    model: LoadedModel, plan: Plan, inputs: torch.Tensor, geometry: Geometry,
    names: Sequence[str], seconds: float | None,
) -> Estimate:  # fmt: skip
    """What a question about the whole answer will take.

    Args:
        model: The model.
        plan: The windows.
        inputs: (1, C, *shape) whole volume.
        geometry: The layers on one window.
        names: Layers that are asked about.
        seconds: One look takes so long; None where that is not known.
    """
    views = len(plan.views(plan.starts))
    plain = plain_bytes(model, plan, inputs, geometry)
    kept = kept_bytes(model, plan, geometry, names, views)
    room = room_for_activations(model, plan, inputs, geometry)
    again = max(0.0, 1 - room / kept) if kept else 0.0  # share of the windows, made once more
    graph = sum(math.prod(info.shape) for info in geometry.infos) * model.dtype.itemsize / 2
    passes = 1 + (1 + BACKWARD) + again
    return Estimate(
        views,
        plain + graph + min(kept, room),
        None if seconds is None else seconds * views * passes,
        kept <= room,
    )


def room_for_activations(
    model: LoadedModel, plan: Plan, inputs: torch.Tensor, geometry: Geometry
) -> float:
    """Bytes of activations and gradients that may be kept rather than made again."""
    plain = plain_bytes(model, plan, inputs, geometry)
    room = max(LARGER_BY * plain, SMALL_RUN - plain)
    return max(0.0, min(room, WORST_SHARE_OF_FREE * free_bytes(model.device)))


def free_bytes(device: torch.device) -> float:
    """Memory that is free where the network runs; unlimited where that is not known."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return math.inf
