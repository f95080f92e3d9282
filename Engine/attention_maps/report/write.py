"""A report as a file: a page, an Excel file, CSV or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_maps.errors import ImageError
from attention_maps.image_io.files import suffix_of, written_whole
from attention_maps.packages import needed
from attention_maps.report.case import ReportCase
from attention_maps.report.tables import metrics_in, score_rows, tables_of
from attention_maps.report.writing import SUFFIXES as TABLE_SUFFIXES
from attention_maps.report.writing import write_json, write_tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

PAGES = (".html", ".htm")
WIDTHS = ((4, 1440), (10, 1080), (float("inf"), 840))  # pixels of each up to so many maps
MOST_IN_FULL = 8  # cases; of more there is a summary, which can still be sent by mail


def write_report(
    path: str | PathLike[str],
    cases: ReportCase | Sequence[ReportCase],
    *,
    title: str | None = None,
) -> Path:
    """Write what was found of one case or many.

    A page (.html) is one file that loads nothing: maps in three planes over the scan, scores,
    tests, tables and provenance; of several cases a summary first, of more than eight a summary
    with examples alone. Excel (.xlsx) has a sheet each for scores, means per question, layer,
    method and label, tests, hot spots, evidence, sweeps, provenance; JSON has the same, and the
    trust reports in full; CSV has the scores, and the other tables in files beside it.

    Args:
        path: A name that ends in .html, .xlsx, .csv or .json.
        cases: One case or several.
        title: Of the page; None for one that tells the case, or how many there are.

    Returns:
        The path.

    Raises:
        ImageError: If the name ends in something else, or an image or mask cannot be used.
        MissingPackageError: If a package is needed that is not installed.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    listed = [cases] if isinstance(cases, ReportCase) else list(cases)
    if not listed:
        raise ValueError("Expected at least one case to report, got none.")
    suffix = suffix_of(path)
    if suffix not in (*PAGES, *TABLE_SUFFIXES):
        raise ImageError(
            f"Expected a report's name that ends in {', '.join((PAGES[0], *TABLE_SUFFIXES))}, got "
            f"'{path.name}'."
        )
    if suffix in PAGES:
        return _write_page(path, listed, title)
    tables = tables_of(listed)
    if not tables:
        raise ValueError("Expected maps, a sweep, tests or an error to report, got names alone.")
    if suffix == ".json":
        full: dict[str, Any] = dict(tables)
        reports = [
            {"case": case.name, **report.to_dict()}
            for case in listed
            for report in case.trust_reports
        ]
        write_json(path, {**full, "trust reports": reports} if reports else full)
        return path
    return write_tables(path, tables)


def _write_page(path: Path, cases: list[ReportCase], title: str | None) -> Path:
    needed("jinja2", "A page")
    needed("matplotlib", "A page with pictures")
    from attention_maps.report.page import render
    from attention_maps.report.view import view_of

    rows = [row for case in cases for row in score_rows(case)]
    full = cases if len(cases) <= MOST_IN_FULL else []
    maps = sum(len(case.maps) for case in full)
    width = next(pixels for most, pixels in WIDTHS if maps <= most)
    views = [view_of(case, number, width) for number, case in enumerate(full, start=1)]
    summary = _summary(cases, rows, len(full) == 0) if len(cases) > 1 else None
    known = metrics_in(rows)
    for case in cases:
        known += [name for name in (case.sweep.metrics if case.sweep else ()) if name not in known]
    if title is None:
        title = cases[0].name if len(cases) == 1 else f"Attention maps of {len(cases)} cases"
    text = render(title, views, summary, known)
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def _summary(cases: list[ReportCase], rows: list[dict[str, Any]], examples: bool) -> Any:
    from attention_maps.report.cohort_view import cohort_view
    from attention_maps.report.pictures import draw_map

    by_name = {case.name: case for case in cases}

    def picture(row: Any) -> Any:
        case = by_name[row["case"]]
        if case.image is None:
            return None
        keys = ("target", "layer", "method")
        made = next(m for m in case.maps if all(getattr(m, key) == row[key] for key in keys))
        drawn = draw_map(made, case.image, case.masks, case.name)
        return drawn, drawn.caption

    errors = {case.name: case.error for case in cases if case.error}
    return cohort_view(rows, errors, None, picture if examples else None)
