"""Deletion and insertion: does the score follow the voxels that the map marks?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from attention_maps.faithfulness.body import blurred, mean_of_tissue
from attention_maps.faithfulness.findings import Curve, Finding, Verdict
from attention_maps.faithfulness.orders import NEVER, random_like, steps_of
from attention_maps.faithfulness.thresholds import LEAST_DROP
from attention_maps.lazy import torch
from attention_maps.registry import Option, trust_test

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attention_maps.algorithms.evidence import Probe
    from attention_maps.faithfulness.subject import Subject

    Array = NDArray[np.float32]
    Steps = NDArray[np.uint8]

BASELINES = {"blurred": "blurred image", "tissue mean": "mean of the tissue"}
SMALLEST_FRACTION, LARGEST_FRACTION = 0.01, 0.5
Job = tuple[str, int, int]  # baseline, order, number of steps taken


@dataclass(frozen=True)
class Removal:
    """Scores while voxels are replaced, one order per map.

    Args:
        fractions: Share of the voxels that is replaced, from 0 to 1.
        curves: (orders, fractions) scores by baseline, 1 for the image and 0 for the baseline.
        ends: Scores of the image and of the baseline, by baseline.
    """

    fractions: tuple[float, ...]
    curves: dict[str, NDArray[np.float64]]
    ends: dict[str, tuple[float, float]]

    def usable(self, baseline: str) -> bool:
        """Whether the score falls when everything is replaced."""
        full, empty = self.ends[baseline]
        return full - empty > LEAST_DROP * max(abs(full), abs(empty))

    def areas(self, baseline: str) -> NDArray[np.float64]:
        """(orders,) areas under the curves."""
        rows, widths = self.curves[baseline], np.diff(self.fractions)
        areas: NDArray[np.float64] = ((rows[:, 1:] + rows[:, :-1]) / 2) @ widths
        return areas


def _passes(subject: Subject, *, removal_steps: int, controls: int, blur: float) -> int:
    steps, random = _sizes(subject, removal_steps, controls)
    return 1 + len(BASELINES) * (1 + (1 + random) * steps)


def _sizes(subject: Subject, steps: int, controls: int) -> tuple[int, int]:
    """Numbers of steps and of random maps; fewer over windows, where each pass takes many runs."""
    return steps or (4 if subject.windowed else 8), controls or (3 if subject.windowed else 5)


@trust_test(
    "deletion", "Deletion", passes=_passes,
    reference="Petsiuk et al., BMVC 2018, arXiv:1806.07421; Samek et al., IEEE TNNLS 2017, "
    "arXiv:1509.06321",
)  # fmt: skip
def deletion(
    subject: Subject,
    *,
    removal_steps: Annotated[
        int, Option("points of the curve between its ends, 0 for 8, or 4 over windows", 0, 200)
    ] = 0,
    controls: Annotated[
        int, Option("random maps to compare with, 0 for 5, or 3 over windows", 0, 1000)
    ] = 0,
    blur: Annotated[
        float, Option("blur of the baseline, as share of the shortest edge", 0.001, 1)
    ] = 0.05,
) -> Finding:
    """Does the score fall faster when the hottest voxels go first than in random order?"""
    return _tested(subject, "deletion", removal_steps, controls, blur)


@trust_test(
    "insertion", "Insertion", passes=_passes,
    reference="Petsiuk et al., BMVC 2018, arXiv:1806.07421",
)  # fmt: skip
def insertion(
    subject: Subject,
    *,
    removal_steps: Annotated[
        int, Option("points of the curve between its ends, 0 for 8, or 4 over windows", 0, 200)
    ] = 0,
    controls: Annotated[
        int, Option("random maps to compare with, 0 for 5, or 3 over windows", 0, 1000)
    ] = 0,
    blur: Annotated[
        float, Option("blur of the baseline, as share of the shortest edge", 0.001, 1)
    ] = 0.05,
) -> Finding:
    """Does the score rise faster when the hottest voxels come first than in random order?"""
    return _tested(subject, "insertion", removal_steps, controls, blur)


def _tested(subject: Subject, test: str, steps: int, controls: int, blur: float) -> Finding:
    steps, controls = _sizes(subject, steps, controls)
    fractions = tuple(np.geomspace(SMALLEST_FRACTION, LARGEST_FRACTION, steps).tolist())
    probe = subject.probe(subject.part(0.0, 1.0))

    def orders() -> list[Steps]:
        values, body = subject.placed(subject.map.raw), subject.body & probe.reach().numpy()
        found = []
        for number in range(1 + controls):
            subject.report.stage(f"Ordering voxels: map {number + 1} of {1 + controls}", 0, 0, 1)
            made = values if number == 0 else random_like(values, subject.seed + number)
            found.append(steps_of(made, body, fractions, subject.seed))
        return found

    def baselines() -> dict[str, Array]:
        mean = mean_of_tissue(subject.array, subject.tissue)
        return {"blurred": blurred(subject.array, subject.spacing, blur), "tissue mean": mean}

    found = removal(
        probe,
        subject.once(("orders", fractions, controls), orders),
        subject.once(("baselines", blur), baselines),
        fractions,
        insert=test == "insertion",
    )
    return _finding(test, found)


def removal(
    probe: Probe,
    orders: Sequence[Steps],
    baselines: dict[str, Array],
    fractions: Sequence[float],
    *,
    insert: bool = False,
) -> Removal:
    """Score an image while voxels are replaced.

    Args:
        probe: The network.
        orders: Per map, at which step each voxel is taken (see `steps_of`).
        baselines: (C, *spatial) what takes their place, by name.
        fractions: Share that is taken at each step, growing, without 0 and 1.
        insert: Whether voxels of the image are put into the baseline, rather than the other way.
    """
    image = probe.inputs
    taken = [torch.from_numpy(order).to(image.device) for order in orders]
    fillings = {name: torch.from_numpy(b)[None].to(image) for name, b in baselines.items()}
    count = len(fractions)
    jobs: list[Job | None] = [None, *((name, 0, -1) for name in fillings)]
    jobs += [(name, row, step) for name in fillings for row in range(len(taken))
             for step in range(count)]  # fmt: skip

    def picture(job: Job | None) -> torch.Tensor:
        if job is None:
            return image
        name, row, step = job
        order = taken[row]
        if step < 0:
            replaced = order != NEVER
        elif insert:
            replaced = (order > step) & (order != NEVER)
        else:
            replaced = order <= step
        return torch.where(replaced, fillings[name], image)

    scores: dict[Job | None, float] = {}
    for part in probe.batches(len(jobs), "Insertion" if insert else "Deletion"):
        chosen = [jobs[number] for number in part]
        values = probe.score(torch.cat([picture(job) for job in chosen]))
        scores.update(zip(chosen, values.tolist(), strict=True))
    full, curves, ends = scores[None], {}, {}
    for name in fillings:
        empty = scores[name, 0, -1]
        first, last = (empty, full) if insert else (full, empty)
        raw = [[first, *(scores[name, row, step] for step in range(count)), last]
               for row in range(len(taken))]  # fmt: skip
        ends[name] = (full, empty)
        curves[name] = (np.array(raw) - empty) / ((full - empty) or 1.0)
    return Removal((0.0, *fractions, 1.0), curves, ends)


def _finding(test: str, found: Removal) -> Finding:
    label = test.capitalize()
    insert = test == "insertion"
    full = next(iter(found.ends.values()))[0]
    figures = {"score": full}
    figures |= {f"score, {name}": empty for name, (_, empty) in found.ends.items()}
    usable = [name for name in found.curves if found.usable(name)]
    if not usable:
        ends = ", ".join(f"{empty:.4g} ({name})" for name, (_, empty) in found.ends.items())
        reason = f"the score is not lower without the image: {full:.4g} with it, {ends} without"
        return Finding(test, label, "not tested", f"Not tested: {reason}.", figures, reason=reason)
    curves: list[Curve] = []
    rows: list[dict[str, Any]] = []
    controls, wins, texts = {}, [], []
    for name in usable:
        own, *random = found.areas(name).tolist()
        figures[f"area, {name}"] = own
        controls[f"area, {name}"] = max(random) if insert else min(random)
        wins += [own > other if insert else own < other for other in random]
        texts.append(f"{name}: area {own:.2f}, random {min(random):.2f} to {max(random):.2f}")
        curves += _curves(name, found, insert)
        rows += [
            {"baseline": name, "order": order, "area": area}
            for order, area in zip(_orders(len(random)), [own, *random], strict=True)
        ]
    verdict, sentence = _words(insert, wins, "; ".join(texts))
    return Finding(
        test, label, verdict, sentence, figures, controls, tuple(curves), tuple(rows)
    )  # fmt: skip


def _orders(controls: int) -> list[str]:
    return ["map", *(f"random map {number}" for number in range(1, controls + 1))]


def _curves(name: str, found: Removal, insert: bool) -> list[Curve]:
    where = f"share of voxels {'inserted into' if insert else 'replaced by'} the {BASELINES[name]}"
    rows = found.curves[name]
    return [
        Curve(f"{title}, {name}", found.fractions, tuple(row.tolist()), where,
              "score (1 image, 0 baseline)")
        for title, row in zip(_orders(len(rows) - 1), rows, strict=True)
    ]  # fmt: skip


def _words(insert: bool, wins: Sequence[bool], detail: str) -> tuple[Verdict, str]:
    doing = "Inserting" if insert else "Removing"
    moves = "raises" if insert else "lowers"
    start = f"{doing} the hottest voxels first {moves} the score"
    if all(wins):
        return "passed", (
            f"{start} faster than every random map does ({detail}): the answer rests on what the "
            "map marks."
        )
    if 2 * sum(wins) > len(wins):
        return "note", (
            f"{start} faster than {sum(wins)} of {len(wins)} curves of random maps ({detail}): the "
            "answer rests on what the map marks in part only."
        )
    return "failed", (
        f"{start} no faster than random maps do ({detail}): the answer does not rest on what the "
        "map marks."
    )
