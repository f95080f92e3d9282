"""Completeness: do integrated gradients add up to the score?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_maps.faithfulness.findings import Finding, Verdict
from attention_maps.faithfulness.thresholds import COMPLETE, INCOMPLETE
from attention_maps.lazy import torch
from attention_maps.registry import trust_test

if TYPE_CHECKING:
    from attention_maps.faithfulness.subject import Subject


def _passes(subject: Subject) -> int:
    return 2


@trust_test(
    "residual", "Completeness", passes=_passes,
    reference="Sundararajan et al., ICML 2017, arXiv:1703.01365",
)  # fmt: skip
def residual(subject: Subject) -> Finding:
    """Do the shares of integrated gradients add up to what the score differs by?"""
    if subject.method.name != "integrated_gradients":
        reason = "only integrated gradients promise to add up to the score"
        return Finding("residual", "Completeness", "not tested", f"Not tested: {reason}.",
                       reason=reason)  # fmt: skip
    probe = subject.probe(subject.part(0.0, 1.0))
    value = subject.options.get("baseline", subject.method.options["baseline"].default)
    empty = torch.full_like(probe.inputs, value)
    full, none = float(probe.score(probe.inputs)), float(probe.score(empty))
    total = float(subject.map.raw.array.sum(dtype=np.float64))
    change = full - none
    figures = {"sum of the map": total, "score": full, "score of the empty image": none}
    if change == 0:
        reason = "the empty image has the same score"
        return Finding("residual", "Completeness", "not tested", f"Not tested: {reason}.",
                       figures, reason=reason)  # fmt: skip
    missing = abs(total - change) / abs(change)
    figures["residual"] = missing
    detail = f"{100 * missing:.2g} % of the score's change of {change:.4g} is not accounted for"
    verdict: Verdict = "passed"
    if missing <= COMPLETE:
        sentence = f"The map adds up to the score: {detail}."
    else:
        verdict = "note" if missing <= INCOMPLETE else "failed"
        sentence = f"The map does not add up to the score: {detail}; raise max_steps."
    return Finding("residual", "Completeness", verdict, sentence, figures)
