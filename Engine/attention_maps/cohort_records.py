"""What is kept of a case on the disk, so that a cohort can be continued."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import attention_maps
from attention_maps.report.pictures import MapPictures, Shot
from attention_maps.report.writing import plain, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from attention_maps.cohort_cases import CohortCase

FORMAT = 1


def fingerprint(case: CohortCase, model: str | None, settings: Mapping[str, Any]) -> str:
    """What tells whether a case was done already: files, model and settings.

    Args:
        case: The case.
        model: SHA-256 of the model's file, None where it has none.
        settings: What was asked.
    """
    given = [*case.images, *([case.mask] if case.mask else [])]
    files = [file for path in given for file in _files_of(path.resolve())]
    told = [FORMAT, attention_maps.__version__, case.name, case.target, model, plain(settings)]
    told.append([[str(path), *_state(path)] for path in files])
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _files_of(path: Path) -> list[Path]:
    """The file itself; of a folder, such as one of DICOM, all that is in it."""
    return sorted(path.rglob("*")) if path.is_dir() else [path]


def _state(path: Path) -> tuple[int, int]:
    """Time of the last change and size; zeros where there is none."""
    try:
        state = path.stat()
    except OSError:
        return 0, 0
    return state.st_mtime_ns, state.st_size


def is_told(target: Any) -> bool:
    """Whether the words for a question say all of it: not those for functions and arrays."""
    if is_dataclass(target) and not isinstance(target, type):
        return all(is_told(getattr(target, item.name)) for item in fields(target))
    if isinstance(target, list | tuple):
        return all(is_told(item) for item in target)
    return target is None or isinstance(target, str | int | float)


def file_names(cases: Iterable[CohortCase]) -> dict[str, str]:
    """A name for files by name of the case: no two alike, whatever is in the names."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for case in cases:
        word = re.sub(r"[^\w+-]+", "-", case.name).strip("-_")[:80] or "case"
        if word != case.name or word.lower() in taken:
            word = f"{word}-{hashlib.sha256(case.name.encode()).hexdigest()[:8]}"
        taken.add(word.lower())
        found[case.name] = word
    return found


def read_record(path: Path, wanted: str) -> dict[str, Any] | None:
    """The record of a case that was done already in the same way, else None."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("fingerprint") != wanted:
        return None
    return record


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a case."""
    write_json(path, record)


def pictures_to_dict(pictures: MapPictures) -> dict[str, Any]:
    """Pictures as plain values."""
    return asdict(pictures)


def pictures_from_dict(record: Mapping[str, Any]) -> MapPictures:
    """The pictures behind `pictures_to_dict`."""
    bar = record["bar"]
    return MapPictures(
        tuple(Shot(**item) for item in record["planes"]),
        None if bar is None else Shot(**bar),
        tuple((str(name), str(color), bool(dashed)) for name, color, dashed in record["names"]),
        record["caption"],
    )
