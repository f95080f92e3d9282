"""The specification beside a model file, as plain JSON: read for the form, written for next time.

The engine checks what it says; here nothing of the engine is imported, so that the application
need not have what it needs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .Written import toldInWords

_FORMAT_VERSION = 1


def sidecarOf(modelPath: str | os.PathLike) -> Path | None:
    """Return where the specification of a model file is (model.pt -> model.json).

    None for a folder, which has its own, and for what is itself a JSON file.
    """
    path = Path(modelPath).expanduser()
    if path.is_dir() or not path.name or path.suffix == ".json":
        return None
    return path.with_suffix(".json")


def read(path: Path) -> dict[str, Any]:
    """Return the fields of a specification file; empty where it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write(
    modelPath: str | os.PathLike, specification: Mapping[str, Any], *, overwrite: bool = False
) -> Path:
    """Write a specification beside its model; it appears whole or not at all.

    Returns:
        The file.

    Raises:
        FileExistsError: If there is one already and it must not be overwritten.
        ValueError: If the model cannot have one.
        OSError: If it cannot be written there; the message says what to do.
    """
    path = sidecarOf(modelPath)
    if path is None:
        raise ValueError(f"Expected a model file that can have a sidecar, got '{modelPath}'.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"'{path}' exists already; pass overwrite=True to replace it.")
    fields = {"format_version": _FORMAT_VERSION, **specification}
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    text = json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
    advice = "copy the model to a folder of your own"
    with toldInWords(f"'{path.name}' beside the model", advice):
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path
