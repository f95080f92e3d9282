"""Cascading randomization: does the map depend on what the network learnt?"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from attention_maps.errors import ModelRunError
from attention_maps.faithfulness.body import edge_map
from attention_maps.faithfulness.findings import Curve, Finding, Verdict
from attention_maps.faithfulness.similarity import (
    FEWEST_VOXELS,
    MOST_VOXELS,
    Resemblance,
    bounding_box,
    reduced,
)
from attention_maps.faithfulness.thresholds import ALIKE, UNCHANGED
from attention_maps.faithfulness.weights import Stage, initialize, stages
from attention_maps.lazy import torch
from attention_maps.progress import Progress
from attention_maps.registry import Option, trust_test

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attention_maps.faithfulness.subject import Subject


@dataclass(frozen=True)
class Step:
    """The map after the last layers were given random weights.

    Args:
        down_to: The layer nearest to the input that was.
        layers: How many were.
        ranks: Rank correlation with the original map.
        sizes: The same of absolute values.
        ssim: SSIM with it.
        edges: Rank correlation of the edge map with the original edge map.
        to_edges: Rank correlation of the map with the edge map.
    """

    down_to: str
    layers: int
    ranks: float
    sizes: float
    ssim: float
    edges: float
    to_edges: float


def _passes(subject: Subject, *, blocks: int) -> int:
    count = len(_stages(subject))
    return min(count, _blocks(subject, blocks)) * (subject.cost_of_map() + 1)


def _blocks(subject: Subject, asked: int) -> int:
    return asked or (3 if subject.windowed else 6)


def _stages(subject: Subject) -> list[Stage]:
    network = subject.model.network

    def find() -> list[Stage]:
        with network.changing() as tensors:
            return stages(tensors, subject.passes.geometry(Progress(None)), network.aliases)

    found: list[Stage] = subject.once("stages", find)
    return found


@trust_test(
    "randomization", "Cascading randomization", passes=_passes,
    reference="Adebayo et al., NeurIPS 2018, arXiv:1810.03292",
)  # fmt: skip
def randomization(
    subject: Subject,
    *,
    blocks: Annotated[
        int,
        Option("steps from the output to the input, 0 for 6, or 3 over windows", 0, 10000),
    ] = 0,
) -> Finding:
    """Does the map change when trained weights give way to random ones, from the output back?"""
    found = _stages(subject)
    if not found:
        frozen = subject.model.network.kind.startswith("TorchScript")
        why = "its weights are constants of a frozen program" if frozen else "it has none"
        return _not_tested(f"the model has no weights that could be changed: {why}")
    groups = np.array_split(np.arange(len(found)), min(len(found), _blocks(subject, blocks)))
    split = [[found[number] for number in group] for group in groups]
    box = _box(subject)
    steps = _compared(subject, split, _cascade(subject, split, box), box)
    if not steps:
        return _not_tested(f"maps show less than {FEWEST_VOXELS} voxels, too few to compare")
    return _finding(steps, len(found), split[0])


def _box(subject: Subject) -> tuple[slice, ...]:
    """Where maps are compared: of a large map the box around what it shows."""
    values = subject.map.raw.array[0]
    return bounding_box(values != 0 if values.size > MOST_VOXELS else np.isfinite(values))


def _not_tested(reason: str) -> Finding:
    return Finding("randomization", "Cascading randomization", "not tested",
                   f"Not tested: {reason}.", reason=reason)  # fmt: skip


@dataclass(frozen=True)
class _Map:
    """A map of a partly random network.

    Args:
        values: Within the box, averaged over blocks where it is large.
        edges: Rank correlation of the edge map with the original edge map.
        to_edges: Rank correlation of the map with the edge map.
    """

    values: Any
    edges: float
    to_edges: float


def _cascade(
    subject: Subject, blocks: Sequence[Sequence[Stage]], box: tuple[slice, ...]
) -> list[_Map]:
    """The map after each block; the weights are as before afterwards."""
    model = subject.model
    networks = model.members or (model.network,)
    same_edges = Resemblance(subject.edges, subject.body)
    found: list[_Map] = []
    with model.lock, contextlib.ExitStack() as stack:
        weights = [stack.enter_context(network.changing()) for network in networks]
        draws = [torch.Generator().manual_seed(subject.seed + n) for n in range(len(networks))]
        for number, block in enumerate(blocks):
            for tensors, generator in zip(weights, draws, strict=True):
                for stage in block:
                    initialize(stage, tensors, generator)
            report = subject.part(number / len(blocks), (number + 1) / len(blocks))
            passes = subject.passes.again(question=subject.question)
            edges = same_edges.ranks(edge_map(passes.inputs[0].detach().float().cpu().numpy()))
            raw = subject.explain(report, passes=passes)
            if not np.isfinite(raw.array).all():
                raise ModelRunError(
                    "Expected finite numbers of the network with random weights, got NaN or Inf "
                    f"after {block[-1].layer}; run it in float32."
                )
            near = same_edges.ranks(subject.placed(raw))
            found.append(_Map(reduced(raw.array[0][box]), edges, near))
    return found


def _compared(
    subject: Subject, blocks: Sequence[Sequence[Stage]], maps: Sequence[_Map],
    box: tuple[slice, ...],
) -> list[Step]:  # fmt: skip
    """Each map against the original, where at least one of them all is not zero.

    What a question about a region rules out is zero for any weights, and says nothing. Empty where
    too little is left.
    """
    raw = subject.map.raw
    original = reduced(raw.array[0][box])
    inside = reduced(subject.body_on(raw.grid)[box].astype(np.float32)) >= 0.5
    shown = np.any([values != 0 for values in (original, *(item.values for item in maps))], axis=0)
    shown &= inside | (inside.sum() < FEWEST_VOXELS)
    if shown.sum() < FEWEST_VOXELS:
        return []
    alike = Resemblance(original, shown)
    layers = np.cumsum([len(block) for block in blocks]).tolist()
    return [
        Step(
            block[-1].layer, count, alike.ranks(item.values), alike.sizes(item.values),
            alike.structure(item.values), item.edges, item.to_edges,
        )
        for block, count, item in zip(blocks, layers, maps, strict=True)
    ]  # fmt: skip


def _finding(steps: Sequence[Step], count: int, first: Sequence[Stage]) -> Finding:
    verdict, sentence = _words(steps, count, first)
    figures = {
        "rank correlation after the last block": steps[0].ranks,
        "rank correlation after all layers": steps[-1].ranks,
        "rank correlation of absolute values after the last block": steps[0].sizes,
        "rank correlation of absolute values after all layers": steps[-1].sizes,
        "SSIM after the last block": steps[0].ssim,
        "SSIM after all layers": steps[-1].ssim,
    }
    controls = {
        "rank correlation after the last block": steps[0].edges,
        "rank correlation after all layers": steps[-1].edges,
    }
    share = (0.0, *(step.layers / count for step in steps))
    lines = [
        ("map", "ranks", "rank correlation"),
        ("map, absolute values", "sizes", "rank correlation"),
        ("map, SSIM", "ssim", "SSIM"),
        ("edge map", "edges", "rank correlation"),
    ]
    curves = tuple(
        Curve(name, share, (1.0, *(getattr(step, field) for step in steps)),
              "share of layers randomized, from the output", label)
        for name, field, label in lines
    )  # fmt: skip
    rows = tuple(
        {
            "down to layer": step.down_to, "layers": step.layers, "rank correlation": step.ranks,
            "of absolute values": step.sizes, "SSIM": step.ssim, "edge map": step.edges,
            "map with edge map": step.to_edges,
        }
        for step in steps
    )  # fmt: skip
    return Finding("randomization", "Cascading randomization", verdict, sentence, figures,
                   controls, curves, rows)  # fmt: skip


def _words(steps: Sequence[Step], count: int, first: Sequence[Stage]) -> tuple[Verdict, str]:
    start, end = _number(steps[0].ranks), _number(steps[-1].ranks)
    edges = f"The edge map of the image stays the same, too ({steps[-1].edges:.2f})."
    control = f"The edge map of the image, which cannot, stays the same ({steps[-1].edges:.2f})."
    if math.isnan(steps[-1].edges):
        edges = control = "The image has no edges that the map could be held against."
    block = f"the last block ({first[0].layer if len(first) == 1 else _range(first)})"
    everything = "the only layer" if count == 1 else f"all {count} layers"
    if start >= UNCHANGED:
        return "failed", (
            f"After randomizing {block} the map is unchanged (rank correlation {start:.2f}): it "
            f"does not depend on what the network learnt there. {edges}"
        )
    if end >= ALIKE:
        return "failed", (
            f"After randomizing {everything} the map is still alike (rank correlation {end:.2f}): "
            f"it does not depend on what the network learnt. {edges}"
        )
    same_start, same_end = _number(steps[0].sizes), _number(steps[-1].sizes)
    if same_start >= UNCHANGED or same_end >= ALIKE:
        where = everything if same_end >= ALIKE else block
        signed, size = (end, same_end) if same_end >= ALIKE else (start, same_start)
        return "note", (
            f"After randomizing {where} the map has other signs (rank correlation {signed:.2f}), "
            f"but is strong in the same places (of absolute values {size:.2f}): the signs depend "
            f"on what the network learnt there, the places do not. {edges}"
        )
    return "passed", (
        f"After randomizing {everything} the map is another one (rank correlation {end:.2f}; after "
        f"the last block {start:.2f}): it depends on what the network learnt. {control}"
    )


def _range(block: Sequence[Stage]) -> str:
    return f"{block[-1].layer} to {block[0].layer}"


def _number(value: float) -> float:
    """A rank correlation; 0 where the map shows nothing any more."""
    return 0.0 if math.isnan(value) else value
