"""Sensitivity to noise: does the map stay when the image hardly changes?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import numpy as np

from attention_maps.faithfulness.findings import Finding, Verdict
from attention_maps.faithfulness.similarity import Resemblance
from attention_maps.faithfulness.thresholds import STABLE, UNSTABLE
from attention_maps.lazy import torch
from attention_maps.registry import Option, trust_test

if TYPE_CHECKING:
    from attention_maps.faithfulness.subject import Subject

PERCENTILES = (0.5, 99.5)


def _passes(subject: Subject, *, noise_level: float, noise_samples: int) -> int:
    return _samples(subject, noise_samples) * (subject.cost_of_map() + 1)


def _samples(subject: Subject, asked: int) -> int:
    return asked or (2 if subject.windowed else 5)


@trust_test(
    "noise_sensitivity", "Sensitivity to noise", passes=_passes,
    reference="Yeh et al., NeurIPS 2019, arXiv:1901.09392; Ghorbani et al., AAAI 2019, "
    "arXiv:1710.10547",
)  # fmt: skip
def noise_sensitivity(
    subject: Subject,
    *,
    noise_level: Annotated[
        float, Option("largest change of a voxel, as share of the intensity range", 0, 1)
    ] = 0.02,
    noise_samples: Annotated[
        int, Option("noisy copies of the image, 0 for 5, or 2 over windows", 0, 1000)
    ] = 0,
) -> Finding:
    """Does the map stay when a little noise is added to the image?"""
    count = _samples(subject, noise_samples)
    original = subject.map.raw
    alike = Resemblance(original.array[0], subject.body_on(original.grid))
    score = subject.map.score
    inputs = subject.passes.inputs
    radius = noise_level * _ranges(subject.array)
    rows = []
    for number in range(count):
        generator = torch.Generator().manual_seed(subject.seed + number)
        noise = torch.rand(inputs.shape, generator=generator).mul_(2).sub_(1)
        noisy = inputs + (noise * torch.from_numpy(radius)).to(inputs)
        report = subject.part(number / count, (number + 1) / count)
        passes = subject.passes.again(noisy)
        made = subject.explain(report, passes=passes).array[0]
        logits = passes.answer((), report).logits
        rows.append(
            {
                "noise": number + 1,
                "relative change": relative_change(made, original.array[0]),
                "rank correlation": alike.ranks(made),
                "change of the score": abs(float(subject.question.score(logits)[0]) - score)
                / (abs(score) or 1.0),
            }
        )
    return _finding(rows, noise_level)


def relative_change(changed: np.ndarray, original: np.ndarray) -> float:
    """Euclidean norm of the difference over that of the original (Yeh et al., 2019)."""
    size = float(np.linalg.norm(original.astype(np.float64)))
    return float(np.linalg.norm((changed - original).astype(np.float64))) / size


def _ranges(image: np.ndarray) -> np.ndarray:
    """(1, C, 1, ...) robust intensity range of each channel."""
    low, high = np.percentile(image.reshape(len(image), -1), PERCENTILES, axis=1)
    shape = (1, -1, *[1] * (image.ndim - 1))
    return (high - low).astype(np.float32).reshape(shape)


def _finding(rows: list[dict[str, float]], level: float) -> Finding:
    changes = [row["relative change"] for row in rows]
    ranks = [0.0 if math.isnan(r) else r for r in (row["rank correlation"] for row in rows)]
    moved = max(row["change of the score"] for row in rows)
    worst = min(ranks)
    figures = {
        "max sensitivity": max(changes), "mean sensitivity": sum(changes) / len(changes),
        "least rank correlation": worst, "largest relative change of the score": moved,
    }  # fmt: skip
    detail = (
        f"(rank correlation at least {worst:.2f}, relative change up to {max(changes):.2f}), and "
        f"the score by up to {100 * moved:.1f} %"
    )
    start = f"With noise of {100 * level:g} % of the intensity range the map"
    verdict: Verdict
    if worst >= STABLE:
        verdict, sentence = "passed", f"{start} hardly changes {detail}: it is stable."
    elif worst >= UNSTABLE:
        verdict, sentence = "note", f"{start} changes somewhat {detail}."
    else:
        verdict = "failed"
        sentence = f"{start} becomes another one {detail}: its details mean little."
    return Finding(
        "noise_sensitivity", "Sensitivity to noise", verdict, sentence, figures,
        rows=tuple(rows),
    )  # fmt: skip
