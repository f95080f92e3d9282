"""Which models a person has allowed to execute code that comes with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .WorkerChoices import Settings

_KEY = "AttentionMaps/TrustedModels"
_MOST_FILES = 5000  # a folder with more is no model, and is not looked through at every turn

# What a model may write beside itself while it is run, and nothing executes.
_WRITTEN = {".log", ".txt", ".csv", ".png", ".jpg", ".nii", ".gz", ".md"}


class ModelTrust:
    """Remembers consent per file and time of its last change: another file needs another question.

    Consent lives as long as this object, or for ever on this computer; it is never in a scene, as
    whoever made the scene is not who answers for the model.

    Args:
        settings: of the application.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._given: dict[str, Any] = {}

    def covers(self, path: str) -> bool:
        """Whether there is consent for what is at a path now."""
        if not path:
            return False
        key = _resolved(path)
        known = [state for state in (self._given.get(key), self._kept().get(key)) if state]
        return bool(known) and _stateOf(path) in known

    def give(self, path: str, *, always: bool = False) -> None:
        """Allow what is at a path now.

        Args:
            path: the model that was chosen, a file or a folder.
            always: keep it on this computer.
        """
        key, state = _resolved(path), _stateOf(path)
        self._given[key] = state
        if always:
            self._settings.setValue(_KEY, json.dumps({**self._kept(), key: state}))

    def _kept(self) -> dict[str, Any]:
        try:
            found = json.loads(str(self._settings.value(_KEY, "") or "{}"))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def _resolved(path: str) -> str:
    return str(Path(path).expanduser().resolve())


def _stateOf(path: str) -> list[Any]:
    """Return what changes when a file does, or one in a folder; empty where nobody can tell."""
    place = Path(path).expanduser()
    files = [place]
    if place.is_dir():
        files = []
        for file in place.rglob("*"):
            if "__pycache__" not in file.parts and file.suffix.lower() not in _WRITTEN:
                files.append(file)
            if len(files) > _MOST_FILES:
                return []
    try:
        return [_stamp(file, place) for file in sorted(files) if file.is_file()]
    except OSError:
        return []


def _stamp(file: Path, place: Path) -> list[Any]:
    status = file.stat()
    return [file.relative_to(place).as_posix(), status.st_mtime_ns, status.st_size]
