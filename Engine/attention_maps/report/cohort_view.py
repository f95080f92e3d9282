"""Many cases on one page: summary statistics, how the cases are spread, every case in one row."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attention_maps.errors import AttentionMapsError
from attention_maps.report.cells import Table, number_text, table_of
from attention_maps.report.provenance import provenance_rows
from attention_maps.report.tables import (
    GROUP,
    better_of,
    find,
    is_number,
    label_of,
    mean_rows,
    metrics_in,
    unit_of,
)
from attention_maps.report.trust_plots import draw_distribution
from attention_maps.sweep_table import method_label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from attention_maps.report.pictures import MapPictures, Shot

    Rows = Sequence[Mapping[str, Any]]

logger = logging.getLogger(__name__)

MOST_PLOTS = 6
MOST_COLUMNS = 6
MOST_ROWS = 400
# What is shown first of what there is.
FIRST = (
    "energy_inside", "dice", "iou", "pointing_game", "average_precision", "relevance_rank",
    "peak_distance", "wioa", "hausdorff_distance_95",
)  # fmt: skip


@dataclass(frozen=True)
class Example:
    """A case with its pictures."""

    heading: str
    pictures: MapPictures
    caption: str


@dataclass(frozen=True)
class CohortView:
    """The summary of many cases."""

    facts: tuple[tuple[str, str], ...]
    means: tuple[Table, ...]
    plots: tuple[Shot, ...]
    examples: tuple[Example, ...]
    cases: Table | None
    errors: Table | None
    provenance: Table | None


def leading(metrics: Sequence[str]) -> list[str]:
    """Metrics in the order of what tells most."""
    known = [name for name in FIRST if name in metrics]
    return known + [name for name in metrics if name not in known]


def cohort_view(
    rows: Rows,
    errors: Mapping[str, str],
    provenance: Mapping[str, Any] | None = None,
    picture: Callable[[Mapping[str, Any]], tuple[MapPictures, str] | None] | None = None,
) -> CohortView:
    """Summarize score rows.

    Args:
        rows: As `score_rows` gives them, of all cases.
        errors: Why a case could not be evaluated, by name.
        provenance: What all maps have in common.
        picture: Gives the pictures of a score row and their caption, where there are some.
    """
    from attention_maps.report.pictures import plot_shot

    metrics = leading(metrics_in(rows))
    named = [{**row, "method": method_label(row["method"])} for row in rows]
    plots = []
    for metric in metrics[:MOST_PLOTS]:
        figure = draw_distribution(rows, metric)
        if figure is not None:
            plots.append(plot_shot(figure, f"Distribution of {label_of(metric)} over the cases"))
    failed = [{"case": name, "error": text} for name, text in errors.items()]
    columns = {"case": "Case", "error": "Why"}
    return CohortView(
        _facts(named, errors), _means(rows), tuple(plots), _examples(rows, metrics, picture),
        _cases(named, metrics), table_of("Cases without a result", failed, columns) if failed
        else None, _provenance(provenance),
    )  # fmt: skip


def _facts(rows: Rows, errors: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    names = dict.fromkeys(row["case"] for row in rows)
    facts = [("Cases", f"{len(names)} evaluated" + (f", {len(errors)} failed" if errors else ""))]
    for key, term in zip(GROUP, ("Questions", "Layers", "Methods", "Labels"), strict=True):
        found = [str(item) for item in dict.fromkeys(row.get(key) for row in rows) if item]
        if found:
            more = f", and {len(found) - 12} more" if len(found) > 12 else ""
            facts.append((term, ", ".join(found[:12]) + more))
    return tuple(facts)


def _means(rows: Rows) -> tuple[Table, ...]:
    """One table per question, layer, method and label."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in mean_rows(rows):
        groups.setdefault(tuple(str(row[key]) for key in GROUP), []).append(row)
    columns = {"name": "Figure", "mean": "Mean", "sd": "SD", "median": "Median",
               "lowest": "Lowest", "highest": "Highest", "n": "n"}  # fmt: skip
    tables = []
    for (target, layer, method, label), members in groups.items():
        order = leading([row["metric"] for row in members])
        members.sort(key=lambda row: order.index(row["metric"]))
        inside = f", in {label}" if label else ""
        caption = f"{method_label(method)} at {layer}: {target}{inside}"
        shown = [{**row, "name": _with_unit(row["metric"])} for row in members]
        alone = any(row["n"] == 1 for row in members)
        note = "The standard deviation needs two cases." if alone else ""
        tables.append(table_of(caption, shown, columns, note=note))
    return tuple(tables)


def _with_unit(metric: str) -> str:
    unit = unit_of(metric)
    return f"{label_of(metric)} ({unit})" if unit else label_of(metric)


def _cases(rows: Rows, metrics: Sequence[str]) -> Table | None:
    """One row per case, map and label with the leading metrics."""
    if not rows:
        return None
    varying = [key for key in GROUP if len({row.get(key) for row in rows}) > 1]
    shown = list(metrics[:MOST_COLUMNS])
    columns = {"case": "Case", **{key: key.capitalize() for key in varying},
               **{name: _with_unit(name) for name in shown}}  # fmt: skip
    limits = {name: known.limits for name in shown if getattr(known := find(name), "limits", None)}
    left = [
        f"{count} more {what}"
        for count, what in (
            (len(metrics) - len(shown), "figures"), (len(rows) - MOST_ROWS, "rows"),
        )
        if count > 0
    ]  # fmt: skip
    note = f"{' and '.join(left)} are in the Excel report." if left else ""
    return table_of("Figures of every case", rows[:MOST_ROWS], columns, limits=limits, note=note)


def _examples(
    rows: Rows,
    metrics: Sequence[str],
    picture: Callable[[Mapping[str, Any]], tuple[MapPictures, str] | None] | None,
) -> tuple[Example, ...]:
    """The cases with the worst, middle and best value of the leading metric."""
    if picture is None or not metrics:
        return ()
    metric = metrics[0]
    ranked = sorted(
        (row for row in rows if is_number(row.get(metric))), key=lambda row: row[metric],
        reverse=better_of(metric) == "lower",
    )  # fmt: skip
    if not ranked:
        return ()
    places = {len(ranked) // 2: "Middle", 0: "Worst", len(ranked) - 1: "Best"}
    examples = []
    for place, word in sorted(places.items(), reverse=True):
        row = ranked[place]
        try:
            found = picture(row)
        except (AttentionMapsError, OSError) as error:
            logger.warning("No picture of %s: %s", row["case"], error)
            continue
        if found is not None:
            inside = f" in {row['label']}" if row.get("label") else ""
            name = label_of(metric)
            heading = f"{word}: {row['case']}, {name}{inside} {number_text(row[metric])}"
            examples.append(Example(heading, *found))
    return tuple(examples)


def _provenance(provenance: Mapping[str, Any] | None) -> Table | None:
    if not provenance:
        return None
    columns = {"item": "Item", "value": "Value"}
    return table_of("What all maps have in common", provenance_rows(provenance), columns)
