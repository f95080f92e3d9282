"""Which Python runs the worker process, and in which environment."""

import os
import shutil
import sys
from pathlib import Path

import slicer

from .EnginePath import ensureEngine

# Slicer's launcher in front of its Python, or the interpreter itself.
_NAMES = ("PythonSlicer", "PythonSlicer-real")
# What the application sets for its own Python, and what leads another one astray.
_OWN_VARIABLES = ("PYTHONHOME", "PYTHONPATH", "PYTHONNOUSERSITE", "LD_LIBRARY_PATH")


def find(named: str = "") -> str:
    """Return the Python interpreter that runs the worker.

    The one that is named in the settings; else Slicer's own Python, on the application's path or
    beside it; else the interpreter that runs this.

    Raises:
        WorkerError: If there is none, or the named one does not exist.
    """
    ensureEngine()
    from attention_maps.errors import WorkerError

    if named:
        found = shutil.which(str(Path(named).expanduser()))
        if found is None:
            raise WorkerError(
                f"Expected a Python interpreter, but '{named}' does not exist or may not be run; "
                "choose another one in the Setup section, or leave it empty for Slicer's own."
            )
        return found
    for candidate in _candidates():
        found = shutil.which(candidate)
        if found is not None:
            return found
    raise WorkerError(
        "Found no Python interpreter to run the network in: Slicer's PythonSlicer is not where the "
        "application is; choose one that has PyTorch in the Setup section."
    )


def changesFor(interpreter: str) -> dict:
    """Return variables to set for an interpreter beside the application's own; None removes one.

    Slicer's Python needs the application's environment, any other one that in which the
    application was started.
    """
    if isOwn(interpreter):
        return {}
    started = _startupEnvironment()
    changed = {name: started.get(name) for name in {*os.environ, *started}}
    return {name: value for name, value in changed.items() if os.environ.get(name) != value}


def isOwn(interpreter: str) -> bool:
    """Whether it is Slicer's Python, or the one that runs this."""
    path = Path(interpreter)
    return path.stem in _NAMES or path == Path(sys.executable or "")


def _candidates() -> list[str]:
    folders = [os.environ.get("SLICER_HOME", "")]
    application = getattr(slicer, "app", None)
    if application is not None:
        home = getattr(application, "slicerHome", "")
        folders = [str(home() if callable(home) else home), *folders]
    names = [*_NAMES]  # on the path
    names += [str(Path(folder) / "bin" / name) for folder in folders if folder for name in _NAMES]
    if Path(sys.executable or "").stem.lower().startswith("python"):
        names.append(sys.executable)
    return names


def _startupEnvironment() -> dict:
    """Return the environment without what the application's launcher added."""
    application = getattr(slicer, "app", None)
    if application is None:
        return {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    started = dict(slicer.util.startupEnvironment())
    if started == dict(os.environ):  # started without the launcher: nobody knows what it added
        return {name: value for name, value in started.items() if name not in _OWN_VARIABLES}
    return started
