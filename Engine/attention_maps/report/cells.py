"""Tables of a page: what is written in a cell, and how numbers are read."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LONG = 28  # characters from which on a text may be broken anywhere


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: What is written.
        number: Whether it is a number, which stands on the right.
        share: From 0 to 100, shown as a bar; None for none.
        undefined: Whether it is a number that is not defined.
        reason: Why.
        verdict: A verdict, shown as a badge.
    """

    text: str
    number: bool = False
    share: float | None = None
    undefined: bool = False
    reason: str = ""
    verdict: str = ""

    @property
    def long(self) -> bool:
        """Whether the text may be broken anywhere."""
        return len(self.text) > LONG


@dataclass(frozen=True)
class Head:
    """The head of a column.

    Args:
        text: What is written.
        number: Whether the column holds numbers.
    """

    text: str
    number: bool = False


@dataclass(frozen=True)
class Table:
    """A table with its caption.

    Args:
        caption: Above it.
        columns: Heads.
        rows: Cells.
        reasons: Why numbers are not defined.
        note: Below it.
    """

    caption: str
    columns: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    reasons: tuple[str, ...] = ()
    note: str = ""


def cell_of(
    value: Any, limits: tuple[float, float] | None = None, reason: str = "", *, missing: str = ""
) -> Cell:
    """A cell of any value.

    Args:
        value: Text, number, True or False, None, or a list of them.
        limits: Smallest and largest possible number: shown as a bar.
        reason: Why it is not defined, where it is NaN.
        missing: What is written for None.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return Cell(missing)
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, int | float):
        if not math.isfinite(value):
            return Cell("not defined", True, undefined=True, reason=reason)
        share = None
        if limits is not None and limits[1] > limits[0] and math.isfinite(limits[1] - limits[0]):
            share = round(100 * min(1, max(0, (value - limits[0]) / (limits[1] - limits[0]))), 1)
        return Cell(number_text(value), True, share)
    if isinstance(value, list | tuple):
        return Cell(", ".join(cell_of(item).text for item in value))
    return Cell(str(value))


def number_text(value: float) -> str:
    """A number as people read it: up to four digits, a true minus sign.

    >>> number_text(0.123456), number_text(12), number_text(3.0)
    ('0.1235', '12', '3')
    """
    if isinstance(value, int) or abs(value) >= 10_000:
        text = f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")
        if abs(value) >= 1e12:
            text = f"{value:.4g}"
    else:
        text = f"{value:.4g}"
    return text.replace("-", "\N{MINUS SIGN}")


def table_of(
    caption: str,
    rows: Iterable[Mapping[str, Any]],
    columns: Mapping[str, str],
    *,
    limits: Mapping[str, tuple[float, float]] | None = None,
    percent: Sequence[str] = (),
    note: str = "",
) -> Table:
    """A table of rows.

    Args:
        caption: Above it.
        rows: Values by name of the column.
        columns: Heads by name of the column.
        limits: Smallest and largest possible number of columns that get a bar.
        percent: Columns of shares, written in percent with a bar.
        note: Below it.
    """
    listed = list(rows)
    cells = [
        tuple(_cell(row, name, (limits or {}).get(name), name in percent) for name in columns)
        for row in listed
    ]
    numeric = [_holds_numbers([row[place] for row in cells]) for place in range(len(columns))]
    cells = [
        tuple(replace(cell, number=known) for cell, known in zip(row, numeric, strict=True))
        for row in cells
    ]
    heads = [
        Head(head, place > 0 and known)
        for place, (head, known) in enumerate(zip(columns.values(), numeric, strict=True))
    ]
    return Table(caption, tuple(heads), tuple(cells), reasons_of(cells), note)


def _holds_numbers(cells: Sequence[Cell]) -> bool:
    """Whether a column holds numbers alone, empty cells aside."""
    filled = [cell for cell in cells if cell.text]
    return bool(filled) and all(cell.number for cell in filled)


def _cell(
    row: Mapping[str, Any], name: str, limits: tuple[float, float] | None, percent: bool
) -> Cell:
    """One cell of a row."""
    if name == "verdict":
        return Cell(str(row[name]), verdict=str(row[name]))
    cell = cell_of(row.get(name), (0.0, 1.0) if percent else limits, str(row.get("reason") or ""))
    if percent and cell.number and not cell.undefined:
        return replace(cell, text=f"{100 * row[name]:.1f}\N{NO-BREAK SPACE}%")
    return cell


def sentence(text: str) -> str:
    """A text that begins with a capital letter and ends with a full stop.

    >>> sentence("the map is zero")
    'The map is zero.'
    """
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def reasons_of(rows: Sequence[Sequence[Cell]]) -> tuple[str, ...]:
    """Reasons of all cells that are not defined, each once."""
    found = (cell.reason.rstrip(". ") for row in rows for cell in row if cell.undefined)
    return tuple(dict.fromkeys(reason for reason in found if reason))
