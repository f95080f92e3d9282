"""How the worker measures: maps that come with a message, and what the model is asked besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from attention_maps.evaluation import evaluate
from attention_maps.worker.measure_messages import (
    Evaluate,
    Evidence,
    HotSpots,
    Report,
    Sweep,
    Trust,
)
from attention_maps.worker.reporting import KeptCase, KeptMap, report_case

if TYPE_CHECKING:
    from collections.abc import Callable

    from attention_maps.explainer import Explainer
    from attention_maps.measures.attention import Sign
    from attention_maps.types import ProgressCallback
    from attention_maps.worker.measure_messages import NamedMask

    Fetch = Callable[[Any], Any]

Asking = Trust | Sweep


def measure(message: Evaluate | Evidence | HotSpots, fetch: Fetch) -> dict[str, Any]:
    """Measure a map that comes with a message; its model is not needed.

    Args:
        message: What is asked.
        fetch: Gives the Image or path of a shared one.
    """
    result = fetch(message.result)
    match message:
        case Evaluate():
            names = None if message.metrics is None else list(message.metrics)
            found = evaluate(
                result, fetch(message.mask), names, message.threshold, **message.options
            )
            return {
                "metrics": dict(found), "reasons": found.reasons, "threshold": found.threshold,
                "voxels": found.voxels,
            }  # fmt: skip
        case Evidence():
            from attention_maps.structures import evidence_table

            masks, sign = _masks(message.masks, fetch), cast("Sign", message.sign)
            rows = evidence_table(result, masks, sign=sign)
            return {"evidence": [row.to_dict() for row in rows]}
    from attention_maps.spots import hot_spots

    spots = hot_spots(
        result, message.threshold, minimum_ml=message.minimum_ml, most=message.most,
        segments=_masks(message.masks, fetch) or None, sign=cast("Sign", message.sign),
    )  # fmt: skip
    return {"hot_spots": [spot.to_dict() for spot in spots]}


def write(message: Report, fetch: Fetch) -> dict[str, Any]:
    """Write a report of what another program has kept.

    Args:
        message: What is asked.
        fetch: Gives the Image or path of a shared one.
    """
    from attention_maps.report.write import write_report

    cases = [
        KeptCase(
            case.name,
            fetch(case.image),
            [KeptMap(fetch(m.image), m.provenance, m.scores, m.trust) for m in case.maps],
            _masks(case.masks, fetch), case.sweep, case.hot_spots, case.evidence,
            case.threshold,
        )
        for case in message.cases
    ]  # fmt: skip
    written = write_report(message.path, [report_case(case) for case in cases], title=message.title)
    return {"path": str(written)}


def ask(
    message: Asking, explainer: Explainer, target: Any, fetch: Fetch, progress: ProgressCallback
) -> dict[str, Any]:
    """Ask the model more than for a map.

    Args:
        message: What is asked.
        explainer: Keeps the forward pass.
        target: The engine's target.
        fetch: Gives the Image or path of a shared one.
        progress: Told how far it is; cancels.
    """
    if isinstance(message, Trust):
        tests = None if message.tests is None else list(message.tests)
        report = explainer.trust(
            message.method, message.layer, target, tests=tests, seed=message.seed,
            progress=progress, **message.options,
        )  # fmt: skip
        return {"trust": report.to_dict()}
    from attention_maps.sweeping import sweep

    layers = message.layers if isinstance(message.layers, str) else list(message.layers)
    found = sweep(
        explainer, mask=_masks(message.masks, fetch) or None, layers=layers,
        methods=message.methods, metrics=message.metrics, target=target,
        threshold=message.threshold, progress=progress, **message.options,
    )  # fmt: skip
    return {"sweep": found.to_dict()}


def _masks(masks: tuple[NamedMask, ...], fetch: Fetch) -> dict[str, Any]:
    return {item.name: fetch(item.mask) for item in masks}
