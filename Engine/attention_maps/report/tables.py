"""The tables of a report: scores, means, hot spots, evidence, tests, sweeps, provenance."""

from __future__ import annotations

import math
from itertools import chain
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING, Any

from attention_maps.concentration import FIGURES, NO_EVIDENCE, map_figures
from attention_maps.report.provenance import provenance_rows
from attention_maps.sweep_table import described, direction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from attention_maps.report.case import ReportCase
    from attention_maps.result import AttentionMap

    Rows = list[dict[str, Any]]

GROUP = ("target", "layer", "method", "label")
NOT_SCORES = ("case", *GROUP, "score", "threshold", "reason")


def tables_of(cases: Sequence[ReportCase]) -> dict[str, Rows]:
    """All tables by name; those without a row are left out.

    Args:
        cases: The cases.
    """
    scores = [row for case in cases for row in score_rows(case)]
    tables = {
        "scores": scores,
        "means": mean_rows(scores),
        "trust": _of_each(cases, trust_rows),
        "trust figures": _of_each(cases, trust_figure_rows),
        "trust curves": _of_each(cases, curve_rows),
        "trust tables": _of_each(cases, trust_table_rows),
        "hot spots": _of_each(cases, hot_spot_rows),
        "evidence": _of_each(cases, evidence_rows),
        "sweep": _of_each(cases, lambda case: list(case.sweep.rows) if case.sweep else []),
        "errors": [{"case": case.name, "error": case.error} for case in cases if case.error],
        "provenance": _of_each(cases, case_provenance),
    }
    return {name: rows for name, rows in tables.items() if rows}


def _of_each(cases: Iterable[ReportCase], rows_of: Any) -> Rows:
    return [{"case": case.name, **row} for case in cases for row in rows_of(case)]


def map_keys(made: AttentionMap) -> dict[str, Any]:
    """What tells a map from others."""
    return {"target": made.target, "layer": made.layer, "method": made.method}


def score_rows(case: ReportCase) -> Rows:
    """One row per map and mask: the metrics, and the figures of the map alone."""
    rows: Rows = []
    for made, several in zip(case.maps, case.scores_of_maps, strict=True):
        alone = map_figures(made.image)
        found: Mapping[str, Mapping[str, float]] = several or {"": {}}
        for label, scores in found.items():
            reasons = getattr(scores, "reasons", {})
            words = list(dict.fromkeys(reasons.values()))
            if math.isnan(alone["entropy"]) and not words:
                words = [NO_EVIDENCE]
            rows.append(
                {
                    "case": case.name, **map_keys(made), "label": label, "score": made.score,
                    **scores, **alone, "threshold": getattr(scores, "threshold", None),
                    "reason": "; ".join(words),
                }
            )  # fmt: skip
    return rows


def metrics_in(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the metrics of score rows, in their order."""
    names = dict.fromkeys(chain.from_iterable(rows))
    return [name for name in names if name not in NOT_SCORES]


def mean_rows(rows: Sequence[Mapping[str, Any]]) -> Rows:
    """Mean, SD, median, range and number of each metric, per question, layer, method and label.

    Values that are not defined do not count; `n` says how many were.

    Args:
        rows: As `score_rows` gives them, of all cases.
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(key, "") for key in GROUP), []).append(row)
    found: Rows = []
    for key, members in groups.items():
        for metric in metrics_in(members):
            values = [float(row[metric]) for row in members if is_number(row.get(metric))]
            found.append(
                {
                    **dict(zip(GROUP, key, strict=True)), "metric": metric,
                    "unit": unit_of(metric), "better": better_of(metric),
                    **statistics_of(values), "not defined": len(members) - len(values),
                }
            )  # fmt: skip
    return found


def statistics_of(values: Sequence[float]) -> dict[str, Any]:
    """Number, mean, sample standard deviation, median and range; NaN where there are too few."""
    if not values:
        return {"n": 0, **dict.fromkeys(("mean", "sd", "median", "lowest", "highest"), math.nan)}
    spread = stdev(values) if len(values) > 1 else math.nan
    return {
        "n": len(values), "mean": fmean(values), "sd": spread, "median": median(values),
        "lowest": min(values), "highest": max(values),
    }  # fmt: skip


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def unit_of(metric: str) -> str:
    """Unit of a metric; empty where it has none, or is not known."""
    known = find(metric)
    return known.unit if known else ""


def better_of(metric: str) -> str:
    """Which way is better; empty where the metric is not known."""
    return direction(metric) if find(metric) else ""


def label_of(metric: str) -> str:
    """Name of a metric for people."""
    known = find(metric)
    return known.label if known else metric.replace("_", " ")


def find(metric: str) -> Any:
    """What is known of a metric, None for one that is not registered."""
    from attention_maps.registry import metrics

    return described(metric) if metric in FIGURES or metric in metrics() else None


def trust_rows(case: ReportCase) -> Rows:
    """One row per test: the verdict and its sentence."""
    return [
        {
            **map_keys(report.map), "test": item.test, "label": item.label,
            "verdict": item.verdict, "sentence": item.sentence or item.reason,
            "reference": item.reference,
        }
        for report in case.trust_reports
        for item in report.findings
    ]  # fmt: skip


def trust_figure_rows(case: ReportCase) -> Rows:
    """One row per figure of a test, the control's beside the map's."""
    rows: Rows = []
    for report in case.trust_reports:
        for item in report.findings:
            for name in dict.fromkeys([*item.figures, *item.controls]):
                rows.append(
                    {
                        **map_keys(report.map), "test": item.test, "figure": name,
                        "value": item.figures.get(name), "control": item.controls.get(name),
                    }
                )  # fmt: skip
    return rows


def curve_rows(case: ReportCase) -> Rows:
    """One row per point of a curve."""
    return [
        {
            **map_keys(report.map), "test": item.test, "curve": curve.name,
            "x_label": curve.x_label, "x": x, "y_label": curve.y_label, "y": y,
        }
        for report in case.trust_reports
        for item in report.findings
        for curve in item.curves
        for x, y in zip(curve.x, curve.y, strict=True)
    ]  # fmt: skip


def trust_table_rows(case: ReportCase) -> Rows:
    """The tables of all tests, one below the other."""
    return [
        {**map_keys(report.map), "test": item.test, **row}
        for report in case.trust_reports
        for item in report.findings
        for row in item.rows
    ]


def hot_spot_rows(case: ReportCase) -> Rows:
    """One row per hot spot; lists are spread over columns."""
    rows: Rows = []
    for spot in case.hot_spots:
        record = spot.to_dict()
        center, peak = record.pop("center_ras"), record.pop("peak_ras")
        overlaps, size = record.pop("overlaps"), record.pop("size_mm")
        bounds = record.pop("bounds")
        del record["axes"]
        named = {f"center_{side}_mm": value for side, value in zip("ras", center, strict=True)}
        named |= {f"size_{n}_mm": value for n, value in enumerate(size, start=1)}
        named |= {f"peak_{side}_mm": value for side, value in zip("ras", peak, strict=True)}
        named |= {"voxels_from": list(bounds[0]), "voxels_to": list(bounds[1])}
        rows.append({**record, **named, **{f"in {key}": v for key, v in overlaps.items()}})
    return rows


def evidence_rows(case: ReportCase) -> Rows:
    """One row per structure."""
    return [item.to_dict() for item in case.evidence]


def case_provenance(case: ReportCase) -> Rows:
    """One row per item of each map, sweep and trust report."""
    rows: Rows = []
    for made in case.maps:
        rows += [{**map_keys(made), **row} for row in provenance_rows(made.provenance)]
    for report in case.trust_reports:
        own = report.provenance.get("trust", {})
        rows += [{**map_keys(report.map), **row} for row in provenance_rows({"trust": own}) if own]
    if case.sweep is not None and not case.maps:
        rows += provenance_rows(case.sweep.provenance)
    return rows
