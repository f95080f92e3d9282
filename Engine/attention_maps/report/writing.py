"""Tables as files: Excel, CSV and JSON, safe to open whatever names are in them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import ImageError
from attention_maps.image_io.files import suffix_of, written_whole
from attention_maps.packages import needed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    Row = Mapping[str, Any]
    Tables = Mapping[str, Sequence[Row]]

SUFFIXES = (".xlsx", ".csv", ".json")
# Spreadsheets take text that begins like this for a formula, which may run programs.
FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
LONGEST_CELL = 32_767
LONGEST_SHEET_NAME = 31
WIDEST = 60  # characters


def write_tables(path: str | PathLike[str], tables: Tables) -> Path:
    """Write tables, whole or not at all.

    Excel gets a sheet per table, JSON an object with a list per table. A CSV file has room for one:
    it holds the first table, and the others lie beside it as `name.table.csv`. Numbers that are not
    defined (NaN, infinite) are empty cells, in JSON null. Text that a spreadsheet would take for a
    formula is marked as text: by the cell's type in Excel, by an apostrophe before it in CSV.

    Args:
        path: A name that ends in .xlsx, .csv or .json.
        tables: Rows by name of the table; each row is {column: text, number, True or False, None}.
            Columns are in the order in which they first appear.

    Returns:
        The path.

    Raises:
        ImageError: If the name ends in something else.
        MissingPackageError: If pandas or openpyxl is needed and not installed.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        raise ImageError(
            f"Expected a table's name that ends in {', '.join(SUFFIXES)}, got '{path.name}'."
        )
    if suffix == ".json":
        write_json(path, {name: [dict(row) for row in rows] for name, rows in tables.items()})
    elif suffix == ".xlsx":
        _write_excel(path, tables)
    else:
        for number, (name, rows) in enumerate(tables.items()):
            word = re.sub(r"[^\w.+-]+", "-", name)
            beside = path.with_name(f"{path.name[: -len(suffix)]}.{word}{suffix}")
            _write_csv(beside if number else path, rows)
    return path


def write_json(path: Path, value: Any) -> None:
    """Write JSON; numbers that it does not know are null, what it does not know is text."""
    text = json.dumps(plain(value), indent=2, allow_nan=False, ensure_ascii=False)
    with written_whole(path) as part:
        part.write_text(CONTROL.sub("\N{REPLACEMENT CHARACTER}", text) + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """The same in what JSON knows."""
    if hasattr(value, "items"):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def columns_of(rows: Sequence[Row]) -> list[str]:
    """All columns, in the order in which they first appear."""
    return list(dict.fromkeys(name for row in rows for name in row))


def frame(rows: Sequence[Row]) -> Any:
    """Rows as a pandas DataFrame, values as they are (dtype object).

    Raises:
        MissingPackageError: If pandas is not installed.
    """
    pandas = needed("pandas", "A table")
    return pandas.DataFrame([dict(row) for row in rows], columns=columns_of(rows), dtype=object)


def cell(value: Any) -> Any:
    """What a cell holds: a number, a truth value, a text without control characters, or None."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple | dict):
        value = json.dumps(plain(value), ensure_ascii=False)
    # A carriage return alone would begin a new row of a CSV file.
    text = str(value).replace("\r\n", "\n").replace("\r", "\n")
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)[:LONGEST_CELL]


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    texts = [{_as_text(cell(key)): _as_text(cell(v)) for key, v in row.items()} for row in rows]
    table = frame(texts)
    with written_whole(path) as part:
        # The mark at the beginning tells Excel that it is UTF-8.
        table.to_csv(part, index=False, encoding="utf-8-sig", lineterminator="\n")


def _as_text(value: Any) -> Any:
    """Text that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def _write_excel(path: Path, tables: Tables) -> None:
    openpyxl = needed("openpyxl", "An Excel file")
    book = openpyxl.Workbook()
    book.remove(book.active)
    taken: set[str] = set()
    for name, rows in tables.items():
        _fill(book.create_sheet(_sheet_name(name, taken)), rows)
    with written_whole(path) as part:
        book.save(part)


def _sheet_name(name: str, taken: set[str]) -> str:
    """A name that Excel allows, and that no other sheet has."""
    base = re.sub(r"[\[\]:*?/\\]", " ", str(cell(name))).strip(" '") or "Sheet"
    found, number = base[:LONGEST_SHEET_NAME], 1
    while found.lower() in taken:
        number += 1
        found = f"{base[: LONGEST_SHEET_NAME - 1 - len(str(number))]} {number}"
    taken.add(found.lower())
    return found


def _fill(sheet: Any, rows: Sequence[Row]) -> None:
    """Write rows below bold headings that stay in sight, in columns as wide as their content."""
    styles = needed("openpyxl.styles", "An Excel file")
    letter = needed("openpyxl.utils", "An Excel file").get_column_letter
    columns = columns_of(rows)
    widths = [len(name) for name in columns]
    for column, name in enumerate(columns, start=1):
        _put(sheet, 1, column, cell(name)).font = styles.Font(bold=True)
    for number, row in enumerate(rows, start=2):
        for column, name in enumerate(columns, start=1):
            value = cell(row.get(name))
            if value is None:
                continue
            _put(sheet, number, column, value)
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            widths[column - 1] = max(widths[column - 1], len(shown))
    for column, width in enumerate(widths, start=1):
        sheet.column_dimensions[letter(column)].width = min(width, WIDEST) + 2
    if columns:
        sheet.freeze_panes = "A2"
        sheet.auto_filter.ref = sheet.dimensions


def _put(sheet: Any, row: int, column: int, value: Any) -> Any:
    """Set one cell; text stays text, also where it begins with '='."""
    target = sheet.cell(row, column)
    target.value = value
    if isinstance(value, str):
        target.data_type = "s"
        target.quotePrefix = bool(FORMULA.match(value))
    return target
