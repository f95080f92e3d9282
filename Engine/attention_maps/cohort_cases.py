"""The cases of a cohort: read from a table, or found in a folder."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_maps.errors import ImageError
from attention_maps.image_io.files import ITK, NIFTI, PICTURES, suffix_of
from attention_maps.packages import needed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from os import PathLike

TABLES = (".csv", ".tsv", ".txt", ".xlsx")
IMAGES = (*NIFTI, *ITK, *PICTURES)
MASK_ENDING = re.compile(r"[-_.](mask|seg|segmentation|label|labels|gt)$", re.IGNORECASE)
CHANNEL_ENDING = re.compile(r"_(\d{4})$")  # as nnU-Net names them
CASE_COLUMNS = ("case", "name", "id", "subject")
MASK_COLUMNS = ("mask", "label", "labels", "segmentation")


@dataclass(frozen=True)
class CohortCase:
    """A case of a cohort.

    Args:
        name: What people call it.
        images: Files, one per channel.
        mask: Where the attention should be; None where that is not known.
        target: What is asked, where it is not the same for all.
    """

    name: str
    images: tuple[Path, ...]
    mask: Path | None = None
    target: str | None = None


def read_cases(source: str | PathLike[str]) -> list[CohortCase]:
    """Cases from a table or a folder.

    A table has a row per case and the columns `case`, `image` (or several whose names begin with
    image, one per channel), and where they are wanted `mask` and `target`. Paths are relative to
    the table. A folder has images with masks beside them (`a.nii.gz`, `a_mask.nii.gz`), or
    subfolders of images and of masks or labels with the same names, as nnU-Net has them.

    Args:
        source: A .csv, .tsv or .xlsx file, or a folder.

    Raises:
        FileNotFoundError: If it does not exist.
        ImageError: If it holds no case, columns are missing, or names are not unique.
        MissingPackageError: If an Excel file is given and openpyxl is not installed.
    """
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f"Expected a table or folder of cases, but no '{source}' exists.")
    if source.is_dir():
        cases = _of_folder(source)
    elif source.suffix.lower() in TABLES:
        cases = _of_table(source)
    else:
        raise ImageError(
            f"Expected a table of cases ({', '.join(TABLES)}) or a folder, got '{source.name}'."
        )
    if not cases:
        raise ImageError(f"Expected at least one case in '{source}', found none.")
    return checked_cases(cases)


def checked_cases(cases: Sequence[CohortCase]) -> list[CohortCase]:
    """The cases themselves.

    Raises:
        ImageError: If there are none, or names are not unique.
    """
    if not cases:
        raise ImageError("Expected at least one case, got none.")
    names = Counter(case.name for case in cases)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise ImageError(f"Expected a name of its own for each case, got twice: {name!r}.")
    return list(cases)


def _of_table(path: Path) -> list[CohortCase]:
    heads, rows = _rows_of(path)
    columns = [head.strip().lower() for head in heads]
    images = [n for n, name in enumerate(columns) if name.startswith("image")]
    if not images:
        raise ImageError(
            f"Expected a column 'image' (or several, one per channel) in '{path.name}', got "
            f"{', '.join(heads) or 'none'}."
        )
    case, mask = _first(columns, CASE_COLUMNS), _first(columns, MASK_COLUMNS)
    target = _first(columns, ("target",))

    def text(row: Sequence[str], column: int | None) -> str:
        return row[column].strip() if column is not None and column < len(row) else ""

    found = []
    for row in rows:
        files = [path.parent / name for column in images if (name := text(row, column))]
        if not files:
            if any(cell.strip() for cell in row):
                raise ImageError(f"Expected an image in each row of '{path.name}', got {row}.")
            continue
        name = text(row, case) or stem_of(files[0])
        inside = path.parent / text(row, mask) if text(row, mask) else None
        found.append(CohortCase(name, tuple(files), inside, text(row, target) or None))
    return found


def _first(columns: Sequence[str], names: Iterable[str]) -> int | None:
    """Number of the first column that has one of some names."""
    return next((columns.index(name) for name in names if name in columns), None)


def _rows_of(path: Path) -> tuple[list[str], list[list[str]]]:
    """Heads and rows as texts: names such as 001 stay as they are."""
    if path.suffix.lower() == ".xlsx":
        book = needed("openpyxl", "An Excel file").load_workbook(path, read_only=True)
        try:
            rows = [[_cell_text(cell) for cell in row] for row in book.active.values]
        finally:
            book.close()
    else:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        rows = [list(row) for row in csv.reader(text.splitlines(), delimiter=delimiter)]
    rows = [row for row in rows if row]
    return (rows[0], rows[1:]) if rows else ([], [])


def _cell_text(value: Any) -> str:
    """A cell as it is seen: 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value)


def _of_folder(folder: Path) -> list[CohortCase]:
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    images = [path for path in inside if path.name.lower().startswith("image")]
    masks = [path for path in inside if path.name.lower().startswith(("label", "mask", "seg"))]
    if images:
        truths = {stem_of(path): path for path in _files(masks[0])} if masks else {}
        return _grouped(_files(images[0]), truths)
    files = _files(folder)
    truths = {
        MASK_ENDING.sub("", stem_of(path)): path
        for path in files
        if MASK_ENDING.search(stem_of(path))
    }
    return _grouped([path for path in files if path not in truths.values()], truths)


def _grouped(files: Iterable[Path], masks: dict[str, Path]) -> list[CohortCase]:
    """Files that differ in the number of their channel alone are one case."""
    groups: dict[str, list[Path]] = {}
    for path in files:
        stem = stem_of(path)
        short = CHANNEL_ENDING.sub("", stem)
        groups.setdefault(short if stem not in masks else stem, []).append(path)
    return [CohortCase(name, tuple(found), masks.get(name)) for name, found in groups.items()]


def _files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir()
        if path.is_file() and suffix_of(path) in IMAGES and not path.name.startswith(".")
    )  # fmt: skip


def stem_of(path: Path) -> str:
    """Name of a file without what tells its kind.

    >>> stem_of(Path("a/case.1.nii.gz"))
    'case.1'
    """
    suffix = suffix_of(path)
    return path.name[: -len(suffix)] if suffix else path.name
