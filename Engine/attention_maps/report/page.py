"""One page in one file: HTML with its style and pictures inside, made by Jinja."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import attention_maps
from attention_maps.packages import needed
from attention_maps.report.cells import Table, cell_of, table_of
from attention_maps.report.tables import find, label_of
from attention_maps.report.writing import CONTROL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attention_maps.report.cohort_view import CohortView
    from attention_maps.report.view import CaseView

TEMPLATES = Path(__file__).with_name("templates")
CAUTION = (
    "Not a medical device. A map shows what a network computed with; it is no proof of disease, "
    "and no proof that the network is right."
)
SIZE = "\N{REPLACEMENT CHARACTER}size\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Page:
    """What the template gets.

    Args:
        title: Of the page.
        line: Below the title.
        cases: In full.
        cohort: Summary of many cases; None for one.
        glossary: What the figures mean.
        created: When.
        contents: Anchors and names of links within the page.
    """

    title: str
    line: str
    cases: Sequence[CaseView]
    cohort: CohortView | None
    glossary: Table | None
    created: str
    contents: tuple[tuple[str, str], ...]
    version: str = attention_maps.__version__
    caution: str = CAUTION
    size: str = SIZE

    @property
    def single(self) -> bool:
        """Whether it is about one case, whose name is the title's."""
        return self.cohort is None and len(self.cases) == 1


def render(
    title: str, cases: Sequence[CaseView], cohort: CohortView | None, metrics: Iterable[str]
) -> str:
    """The page as text.

    Args:
        title: Of the page.
        cases: In full.
        cohort: Summary of many cases.
        metrics: Names of the figures that the page explains.

    Raises:
        MissingPackageError: If Jinja is not installed.
    """
    jinja2 = needed("jinja2", "A page")
    created = datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0")
    many = f"{len(cases)} cases, " if len(cases) > 1 else ""
    page = Page(
        title, f"{many}{created}", cases, cohort, glossary(metrics), created,
        _contents(cases, cohort),
    )  # fmt: skip
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    style = jinja2.filters.Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))
    text = environment.get_template("page.html.jinja").render(page=page, style=style)
    text = CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return text.replace(SIZE, _size_text(len(text.encode("utf-8"))))


def _size_text(size: int) -> str:
    """Bytes as people read them.

    >>> _size_text(123_456), _size_text(2_345_678)
    ('123 kB', '2.3 MB')
    """
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"


def _contents(cases: Sequence[CaseView], cohort: CohortView | None) -> tuple[tuple[str, str], ...]:
    """Links to the parts of a page of several cases."""
    links: list[tuple[str, str]] = []
    if cohort is not None:
        links.append(("summary", "Summary"))
        if cohort.examples:
            links.append(("examples", "Examples"))
        if cohort.cases:
            links.append(("cases", "All cases"))
        if cohort.errors:
            links.append(("errors", "Failed cases"))
        if cohort.provenance:
            links.append(("provenance", "Provenance"))
    if len(cases) > 1 or cohort is not None:
        links += [(case.anchor, case.name) for case in cases]
    return (*links, ("figures", "What the figures mean")) if links else ()


def glossary(metrics: Iterable[str]) -> Table | None:
    """What figures mean, one line each; None without figures that are known."""
    rows = []
    for name in metrics:
        known = find(name)
        if known is None:
            continue
        limits = getattr(known, "limits", None)
        span = " to ".join(cell_of(float(side)).text for side in limits) if limits else ""
        rows.append(
            {
                "label": label_of(name), "description": known.description,
                "unit": known.unit or "none", "range": span, "better": known.better,
                "reference": known.reference,
            }
        )  # fmt: skip
    columns = {"label": "Figure", "description": "What it is", "unit": "Unit", "range": "Range",
               "better": "Better", "reference": "Reference"}  # fmt: skip
    return table_of("Figures of this page", rows, columns) if rows else None
