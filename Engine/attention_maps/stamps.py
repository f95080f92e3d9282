"""What tells whether a model on the disk is still the one that was loaded."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

SUFFIXES = frozenset((".json", ".yaml", ".yml", ".csv", ".pt", ".pth", ".ts", ".py"))
MOST_ENTRIES = 2000  # a folder with more is looked through in part: it is asked about often


def stamp(path: Path) -> tuple[int, int]:
    """When a model was changed last, in ns, and its size in bytes; zeros where there is none.

    Args:
        path: A file; or a folder, of which the files count that models consist of. Others, such as
            logs, may be written while a model is loaded.
    """
    try:
        files = [path]
        if path.is_dir():
            inside = islice(path.rglob("*"), MOST_ENTRIES)
            files = [item for item in inside if item.suffix.lower() in SUFFIXES]
        states = [item.stat() for item in files]
    except OSError:
        return 0, 0
    newest = max((state.st_mtime_ns for state in states), default=0)
    return newest, sum(state.st_size for state in states)
