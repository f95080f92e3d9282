"""Cases of a report, from what another program has kept of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attention_maps.report.case import ReportCase
from attention_maps.result import AttentionMap
from attention_maps.scores import Scores
from attention_maps.worker.measured import measured_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attention_maps.faithfulness.findings import TrustReport
    from attention_maps.types import Image


@dataclass(frozen=True, eq=False)
class KeptMap:
    """A map that was kept without the session that made it.

    Args:
        image: (1, *spatial) the map in its place.
        provenance: How it was made.
        scores: By name of the mask, what `evaluate` gave: values, reasons, threshold and voxels.
        trust: Trust reports, as dicts.
    """

    image: Image
    provenance: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    trust: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, eq=False)
class KeptCase:
    """A case that was kept.

    Args:
        name: What people call it.
        image: The image that was explained.
        maps: Its maps.
        masks: Where the attention should be, by name.
        sweep: A sweep as a dict; empty for none.
        hot_spots: Of the first map, as dicts.
        evidence: Of the first map, as dicts.
        threshold: That the scores were asked with.
    """

    name: str
    image: Image
    maps: Sequence[KeptMap]
    masks: Mapping[str, Any] = field(default_factory=dict)
    sweep: Mapping[str, Any] = field(default_factory=dict)
    hot_spots: Sequence[Mapping[str, Any]] = ()
    evidence: Sequence[Mapping[str, Any]] = ()
    threshold: str | float = "otsu"


def report_case(kept: KeptCase) -> ReportCase:
    """The case as `write_report` takes it; numbers that are null are NaN."""
    from attention_maps.sweep_table import Sweep

    maps = [_map_of(item) for item in kept.maps]
    return ReportCase(
        kept.name, kept.image, maps, kept.masks,
        scores=[
            {name: _scores_of(scores) for name, scores in item.scores.items()}
            for item in kept.maps
        ],
        trust=[
            _report_of(report, made, kept.image)
            for item, made in zip(kept.maps, maps, strict=True)
            for report in item.trust
        ],
        sweep=Sweep.from_dict(dict(kept.sweep)) if kept.sweep else None,
        hot_spots=measured_of({"hot_spots": _with_numbers(kept.hot_spots)}),
        evidence=measured_of({"evidence": _with_numbers(kept.evidence)}),
        threshold=kept.threshold,
    )  # fmt: skip


def _map_of(kept: KeptMap) -> AttentionMap:
    """The map, without the network's answer."""
    known, grid, nothing = kept.provenance, kept.image.grid, None
    made = AttentionMap(
        kept.image, grid, grid, known["score"], known["layer"], known["method"], known["target"],
        known["signed"], dict(known), nothing,  # type: ignore[arg-type]
    )  # fmt: skip
    made.__dict__["image"] = kept.image  # it is in its place already
    return made


def _scores_of(kept: Mapping[str, Any]) -> Scores:
    values = {name: _number(value) for name, value in kept["values"].items()}
    return Scores(values, kept["reasons"], kept["threshold"], kept["voxels"])


def _report_of(kept: Mapping[str, Any], made: AttentionMap, image: Image) -> TrustReport:
    from attention_maps.faithfulness.findings import Curve, Finding, TrustReport

    def curve_of(curve: Mapping[str, Any]) -> Curve:
        points = {axis: tuple(map(_number, curve[axis])) for axis in ("x", "y")}
        return Curve(**{**curve, **points})

    findings = tuple(
        Finding(
            **{
                **finding,
                "figures": {key: _number(value) for key, value in finding["figures"].items()},
                "controls": {key: _number(value) for key, value in finding["controls"].items()},
                "curves": tuple(map(curve_of, finding["curves"])),
                "rows": tuple(finding["rows"]),
            }
        )
        for finding in kept["findings"]
    )
    return TrustReport(made, findings, kept["provenance"], image)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _with_numbers(value: Any) -> Any:
    """Measured numbers, where null stands for what is none."""
    if isinstance(value, dict):
        return {key: _with_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_numbers(item) for item in value]
    return math.nan if value is None else value
