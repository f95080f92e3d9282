"""Agreement: do other methods, and other layers, show the same?"""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from attention_maps.errors import Cancelled, LayerError, MethodError, ModelRunError
from attention_maps.faithfulness.findings import Finding, Verdict
from attention_maps.faithfulness.similarity import Resemblance
from attention_maps.faithfulness.thresholds import AGREE
from attention_maps.progress import Progress
from attention_maps.registry import Option, find_method, trust_test

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attention_maps.faithfulness.subject import Subject

AT_LAYER = ("grad_cam", "hires_cam", "layer_cam", "x_grad_cam")
AT_INPUT = ("saliency", "input_x_gradient")
KRISHNA = "Krishna et al., 2022, arXiv:2202.01602"
Pair = tuple[str, str]  # method, layer


def _other_methods(subject: Subject) -> list[Pair]:
    layer = subject.layer
    if subject.method.has_layer:
        return [(name, layer) for name in AT_LAYER if name != subject.method.name]
    found = [(name, layer) for name in AT_INPUT if name != subject.method.name]
    automatic = _automatic_layer(subject)
    return found + [(name, automatic) for name in AT_LAYER[:2] if automatic]


def _automatic_layer(subject: Subject) -> str:
    geometry = subject.passes.geometry(Progress(None))
    try:
        return subject.model.resolve_layers(subject.model.spec.layer or "auto", geometry)[0]
    except LayerError:
        return ""


def _method_passes(subject: Subject, *, hottest: float) -> int:
    pairs = _other_methods(subject)
    return sum(subject.cost_of_map(find_method(name)) for name, _ in pairs)


@trust_test("method_agreement", "Agreement of methods", passes=_method_passes, reference=KRISHNA)
def method_agreement(
    subject: Subject,
    *,
    hottest: Annotated[
        float, Option("share of the voxels that count as the hottest", 0.0001, 0.5)
    ] = 0.05,
) -> Finding:
    """Do other methods show the same places?"""
    rows = _rows(subject, _other_methods(subject), hottest)
    return _finding("method_agreement", "Agreement of methods", "methods", rows, hottest)


def _other_layers(subject: Subject, count: int) -> list[str]:
    """Layers evenly spread over the network, each tensor once, without the map's own."""
    geometry = subject.passes.geometry(Progress(None))
    explainable = {info.name for info in geometry.infos if info.explainable}
    own = {name for names in geometry.same.values() if subject.layer in names for name in names}
    found: list[str] = []
    seen: set[str] = own | {subject.layer}
    for info in geometry.infos:
        if info.name in explainable and info.name not in seen:
            found.append(info.name)
            for names in geometry.same.values():
                seen.update(names if info.name in names else ())
    chosen = np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int))
    return [found[index] for index in chosen] if found else []


def _layer_passes(subject: Subject, *, other_layers: int, hottest: float) -> int:
    if not subject.method.has_layer:
        return 1
    return len(_other_layers(subject, other_layers)) * subject.cost_of_map()


@trust_test("layer_agreement", "Agreement of layers", passes=_layer_passes, reference=KRISHNA)
def layer_agreement(
    subject: Subject,
    *,
    other_layers: Annotated[int, Option("layers to compare with", 1, 10000)] = 4,
    hottest: Annotated[
        float, Option("share of the voxels that count as the hottest", 0.0001, 0.5)
    ] = 0.05,
) -> Finding:
    """Does the method show the same places at other layers?"""
    label = "Agreement of layers"
    layers = _other_layers(subject, other_layers) if subject.method.has_layer else []
    if not layers:
        reason = "the model has no other layer"
        if not subject.method.has_layer:
            reason = "the method works on the network's input, it has no layer"
        return Finding("layer_agreement", label, "not tested", f"Not tested: {reason}.",
                       reason=reason)  # fmt: skip
    pairs = [(subject.method.name, layer) for layer in layers]
    return _finding("layer_agreement", label, "layers", _rows(subject, pairs, hottest), hottest)


def _rows(subject: Subject, pairs: Sequence[Pair], hottest: float) -> list[dict[str, Any]]:
    """Each other map against the map, on the voxels of the network's input, positive parts."""
    own = np.maximum(subject.placed(subject.map.raw), 0)
    alike = Resemblance(own, subject.body)
    rows = []
    for number, (name, layer) in enumerate(pairs):
        report = subject.part(number / len(pairs), (number + 1) / len(pairs))
        same = name == subject.method.name
        method = None if same else find_method(name)
        try:
            raw = subject.explain(report, method=method, layer=layer)
        except Cancelled:
            raise
        except (LayerError, MethodError, ModelRunError) as error:
            rows.append(_row(name, layer, math.nan, math.nan, str(error)))
            continue
        other = np.maximum(subject.placed(raw), 0)
        reason = "" if other.any() else "no evidence: the map is zero"
        overlap = alike.hottest(other, hottest) if other.any() else math.nan
        rows.append(_row(name, layer, alike.ranks(other), overlap, reason))
    return rows


def _row(method: str, layer: str, ranks: float, overlap: float, reason: str) -> dict[str, Any]:
    return {
        "method": method, "layer": layer, "rank correlation": ranks,
        "overlap of the hottest": overlap, "reason": reason,
    }  # fmt: skip


def _finding(
    test: str, label: str, what: str, rows: Sequence[dict[str, Any]], hottest: float
) -> Finding:
    shown = [row for row in rows if not math.isnan(row["rank correlation"])]
    if not shown:
        reason = f"no map of other {what} shows anything"
        return Finding(test, label, "not tested", f"Not tested: {reason}.", rows=tuple(rows),
                       reason=reason)  # fmt: skip
    ranks = [row["rank correlation"] for row in shown]
    middle, overlap = median(ranks), median(row["overlap of the hottest"] for row in shown)
    detail = (
        f"(median rank correlation {middle:.2f}, {100 * overlap:.0f} % of the hottest voxels in "
        f"common, {100 * hottest:g} % by chance)"
    )
    verdict: Verdict = "passed" if middle >= AGREE else "note"
    if verdict == "passed":
        sentence = f"Other {what} show much the same {detail}."
    else:
        sentence = f"Other {what} show other places {detail}: look at several before you conclude."
    figures = {"median rank correlation": middle, "least rank correlation": min(ranks),
               "median overlap of the hottest": overlap}  # fmt: skip
    chance = {"median overlap of the hottest": hottest}
    return Finding(test, label, verdict, sentence, figures, chance, rows=tuple(rows))
