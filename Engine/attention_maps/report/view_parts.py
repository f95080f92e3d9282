"""Parts of a case as a page shows them: the trust report, the sweep, hot spots."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attention_maps.report.cells import Table, number_text, sentence, table_of
from attention_maps.report.sweep_plots import draw_heat_map, draw_lines
from attention_maps.report.tables import label_of, unit_of
from attention_maps.report.trust_plots import draw_curves, without_numbers
from attention_maps.sweep_table import method_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attention_maps.faithfulness.findings import Finding, TrustReport
    from attention_maps.report.pictures import Shot
    from attention_maps.spots import HotSpot
    from attention_maps.sweep_table import Sweep

SIDES = ("RL", "AP", "SI")
MOST_SPOTS = 10
MOST_ROWS = 40
MOST_SWEEP_PLOTS = 3
PLOTTED = ("energy_inside", "dice", "pointing_game", "positive_share", "entropy")


@dataclass(frozen=True)
class FindingView:
    """What a test found."""

    label: str
    verdict: str
    look: str
    sentence: str
    plot: Shot | None
    tables: tuple[Table, ...]
    reference: str


@dataclass(frozen=True)
class TrustView:
    """A trust report."""

    heading: str
    summary: str
    remark: str
    overview: Table
    findings: tuple[FindingView, ...]


@dataclass(frozen=True)
class SweepView:
    """A sweep."""

    summary: str
    plots: tuple[Shot, ...]
    best: Table
    failures: Table | None


def trust_view(report: TrustReport, *, plots: bool = True) -> TrustView:
    """A trust report with its curves drawn.

    Args:
        report: What was found.
        plots: Whether findings are wanted.
    """
    made = report.map
    counts = Counter(str(item.verdict) for item in report.findings)
    words = [
        f"{counts[verdict]} {text}"
        for verdict, text in (
            ("passed", "passed"), ("failed", "failed"), ("note", "to be noted"),
            ("not tested", "not tested"),
        )
        if counts[verdict]
    ]  # fmt: skip
    rows = [
        {
            "label": item.label,
            "verdict": item.verdict,
            "sentence": sentence(item.sentence or item.reason),
        }
        for item in report.findings
    ]
    columns = {"label": "Test", "verdict": "Verdict", "sentence": "What was found"}
    shown = [item for item in report.findings if item.curves or item.figures or item.rows]
    findings = tuple(_finding_view(item) for item in shown) if plots else ()
    method = made.provenance.get("method_label", made.method)
    return TrustView(
        f"{method} at {made.layer}, {made.target}", ", ".join(words) + ".", report.remark,
        table_of("Tests of the map", rows, columns), findings,
    )  # fmt: skip


def _finding_view(finding: Finding) -> FindingView:
    from attention_maps.report.pictures import plot_shot

    figure = draw_curves(finding)
    shot = None
    if figure is not None:
        lines = ", ".join(curve.name for curve in finding.curves)
        shot = plot_shot(figure, f"{finding.label}: curves of {lines}")
    look = finding.verdict if finding.verdict in ("passed", "failed", "note") else "untested"
    text = sentence(finding.sentence or finding.reason)
    return FindingView(
        finding.label, finding.verdict, look, text, shot, tuple(_tables_of(finding)),
        finding.reference,
    )  # fmt: skip


def _tables_of(finding: Finding) -> list[Table]:
    """Figures beside the control's, and the rows of the test."""
    tables = []
    rows = figure_rows(finding)
    if rows:
        columns = {"figure": "Figure", "value": "This map", "control": "Control"}
        if not finding.controls:
            del columns["control"]
        tables.append(table_of(f"{finding.label}: figures", rows, columns))
    if finding.rows:
        keys = dict.fromkeys(
            key for row in finding.rows for key, value in row.items() if value not in ("", None)
        )
        heads = {key: sentence(str(key).replace("_", " ")).rstrip(".") for key in keys}
        left = len(finding.rows) - MOST_ROWS
        note = f"{left} more rows are in the Excel report." if left > 0 else ""
        rows_shown: Sequence[Mapping[str, Any]] = finding.rows[:MOST_ROWS]
        tables.append(table_of(f"{finding.label}: in parts", rows_shown, heads, note=note))
    return tables


def figure_rows(finding: Finding) -> list[dict[str, Any]]:
    """One row per figure, with the controls that belong to it; of many their range."""
    rows = []
    left = dict(finding.controls)
    for name, value in finding.figures.items():
        groups: dict[str, list[float]] = {}
        for key in list(left):
            kind = _kind_of_control(key, name)
            if kind is not None:
                groups.setdefault(kind, []).append(left.pop(key))
        controls = "; ".join(_range_text(kind, values) for kind, values in groups.items())
        rows.append({"figure": name.replace("_", " "), "value": value, "control": controls})
    for key, value in left.items():
        rows.append({"figure": key.replace("_", " "), "value": None, "control": value})
    return rows


def _kind_of_control(key: str, figure: str) -> str | None:
    """What kind of control a name speaks of; None where it is of another figure."""
    if key == figure:
        return ""
    if key.startswith(f"{figure}, "):
        return without_numbers(key[len(figure) + 2 :])
    if key.endswith(f", {figure}"):
        return without_numbers(key[: -len(figure) - 2])
    return None


def _range_text(kind: str, values: Sequence[float]) -> str:
    known = [value for value in values if math.isfinite(value)]
    if not known:
        text = "not defined"
    elif len(values) == 1:
        text = number_text(known[0])
    else:
        text = f"{number_text(min(known))} to {number_text(max(known))}"
    several = f"{len(values)} {kind}s" if len(values) > 1 else kind
    return f"{text} ({several})" if kind else text


def sweep_view(sweep: Sweep) -> SweepView:
    """A sweep with its heat maps and lines drawn."""
    from attention_maps.report.pictures import plot_shot

    chosen = [name for name in PLOTTED if name in sweep.metrics] or list(sweep.metrics)
    own = [name for name in sweep.metrics if name not in chosen]
    place = f" in {sweep.labels[0]}" if sweep.labels else ""
    shots = []
    for metric in [*chosen, *own][:MOST_SWEEP_PLOTS]:
        best = sweep.best(metric, sweep.labels[0] if sweep.labels else None)
        words = ""
        if best is not None:
            words = f"; best at {best['layer']} by {best['method']}: {best[metric]:.3g}"
        alt = f"Heat map of {label_of(metric)}{place}, layers by methods{words}"
        shots.append(plot_shot(draw_heat_map(sweep, metric), alt))
    first = [*chosen, *own][0]
    shots.insert(1, plot_shot(draw_lines(sweep, first), f"{label_of(first)}{place} over layers"))
    rows = [
        {**row, "metric": label_of(row["metric"]), "unit": unit_of(row["metric"])}
        for row in sweep.best_rows()
    ]
    columns = {"metric": "Figure", "label": "Structure", "layer": "Layer", "method": "Method",
               "value": "Value", "unit": "Unit", "better": "Better"}  # fmt: skip
    if not sweep.labels:
        del columns["label"]
    failures = [{**row, "method": method_label(row["method"])} for row in sweep.failures()]
    failed = sum(row["maps"] for row in failures)
    maps = len({(row["layer"], row["method"]) for row in sweep.rows}) - failed
    summary = (
        f"{maps} maps of one question: {len(sweep.layers)} layers, {len(sweep.methods)} methods."
    )
    heads = {"method": "Method", "maps": "Maps", "reason": "Why"}
    why = table_of("Maps that could not be made", failures, heads) if failures else None
    return SweepView(summary, tuple(shots), table_of("Best by each figure", rows, columns), why)


def hot_spot_table(spots: Sequence[HotSpot]) -> Table:
    """Hot spots, hottest first."""
    names = dict.fromkeys(name for spot in spots for name in spot.overlaps)
    flat = len(spots[0].size_mm) == 2
    rows = []
    for spot in spots[:MOST_SPOTS]:
        rows.append(
            {
                "number": spot.number, "share": spot.share,
                "size": spot.mm2 if flat else spot.ml,
                "box": " x ".join(f"{side:.1f}" for side in spot.size_mm),
                "center": position_text(spot.center_ras), "peak": spot.peak,
                "at": position_text(spot.peak_ras),
                **{f"in {name}": spot.overlaps.get(name) for name in names},
            }
        )  # fmt: skip
    columns = {"number": "No.", "share": "Share of attention", "size": "mm\u00b2" if flat else "ml",
               "box": "Box (mm)", "center": "Center (mm)", "peak": "Peak", "at": "Peak at (mm)",
               **{f"in {name}": f"Inside {name}" for name in names}}  # fmt: skip
    percent = ["share", *(f"in {name}" for name in names)]
    left = len(spots) - MOST_SPOTS
    note = f"The {MOST_SPOTS} hottest; {left} more are in the Excel report." if left > 0 else ""
    return table_of(
        "Connected parts above the threshold", rows, columns, percent=percent, note=note
    )


def position_text(ras: Sequence[float]) -> str:
    """A position as radiologists write it.

    >>> position_text((-30.04, 2.0, 7.5))
    'L 30.0, A 2.0, S 7.5'
    """
    rounded = [round(value, 1) for value in ras]
    return ", ".join(
        f"{side[value < 0]} {abs(value):.1f}" for side, value in zip(SIDES, rounded, strict=True)
    )
