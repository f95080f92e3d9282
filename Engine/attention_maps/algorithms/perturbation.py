"""Maps from changing the input and watching the score; no gradients."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Literal

from attention_maps.algorithms.evidence import Probe
from attention_maps.lazy import torch
from attention_maps.registry import Option, method


@method(
    "occlusion", "Occlusion", needs="network", gradients=False, signed=True,
    reference="Zeiler, Fergus, ECCV 2014, arXiv:1311.2901",
)  # fmt: skip
def occlusion(
    probe: Probe,
    *,
    size: Annotated[
        int, Option("edge of the patch in voxels, 0 for an eighth of the input", 0)
    ] = 0,
    stride: Annotated[int, Option("voxels between patches, 0 for the patch's edge", 0)] = 0,
    fill: Annotated[Literal["mean", "min", "zero"], Option("what is put there")] = "mean",
) -> torch.Tensor:
    """What the score loses when a patch of the image is covered; overlapping patches averaged."""
    inputs = probe.inputs
    spatial = inputs.shape[2:]
    edges = [min(size or max(1, n // 8), n) for n in spatial]
    steps = [min(stride or edge, edge) for edge in edges]
    starts = [_starts(n, e, s) for n, e, s in zip(spatial, edges, steps, strict=True)]
    patches = [
        tuple(slice(at, at + edge) for at, edge in zip(corner, edges, strict=True))
        for corner in product(*starts)
    ]
    filling = _filling(inputs, fill)
    full = probe.score(inputs)
    loss = torch.zeros(spatial, dtype=full.dtype, device=inputs.device)
    count = torch.zeros_like(loss)
    for part in probe.batches(len(patches), "Occlusion"):
        covered = inputs.repeat(len(part), *[1] * (inputs.ndim - 1))
        for row, index in enumerate(part):
            where: Any = (row, slice(None), *patches[index])
            covered[where] = filling
        for drop, index in zip(full - probe.score(covered), part, strict=True):
            loss[patches[index]] += drop
            count[patches[index]] += 1
    return (loss / count)[None]


def _starts(size: int, edge: int, step: int) -> list[int]:
    """Corners of patches along one axis; the last one is moved inward to the border."""
    starts = list(range(0, size - edge + 1, step))
    return starts if starts[-1] == size - edge else [*starts, size - edge]


def _filling(inputs: torch.Tensor, fill: str) -> torch.Tensor:
    """One value per channel, shaped to broadcast over a patch."""
    flat = inputs[0].flatten(1)
    value = {"mean": flat.mean(1), "min": flat.amin(1), "zero": flat.new_zeros(len(flat))}[fill]
    return value.reshape(-1, *[1] * (inputs.ndim - 2))
