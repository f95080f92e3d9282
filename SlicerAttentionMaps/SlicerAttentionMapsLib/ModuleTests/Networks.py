"""The tests' networks, as files that the worker's Python writes."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import slicer

from .. import Interpreters, WorkerChoices

_folders: list[Path] = []
_missing: list[str] = []  # why there are none


def path(name: str) -> Path:
    """Return the file of a network, see `NetworkMaker`; skips the test where there is no torch."""
    if _missing:
        raise unittest.SkipTest(_missing[0])
    if not _folders:
        _folders.append(_write())
    return _folders[0] / f"{name}.pt"


def copyOf(name: str, folder: Path) -> Path:
    """Return a copy of a network and its specification, for tests that change or remove it."""
    for file in (path(name), path(name).with_suffix(".json")):
        shutil.copy(file, folder)
    return folder / f"{name}.pt"


def remove() -> None:
    """Remove the files."""
    _missing.clear()
    while _folders:
        shutil.rmtree(_folders.pop(), ignore_errors=True)


def _write() -> Path:
    interpreter = Interpreters.find(WorkerChoices.load(slicer.app.userSettings()).interpreter)
    environment = {**os.environ, **Interpreters.changesFor(interpreter)}
    environment = {name: value for name, value in environment.items() if value is not None}
    folder = Path(tempfile.mkdtemp(prefix="attention-maps-tests-"))
    script = Path(__file__).with_name("NetworkMaker.py")
    done = subprocess.run(
        [interpreter, str(script), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return folder
    shutil.rmtree(folder)
    if "No module named 'torch'" in done.stderr:
        _missing.append(f"{interpreter} has no PyTorch")
        raise unittest.SkipTest(_missing[0])
    raise RuntimeError(done.stderr)
