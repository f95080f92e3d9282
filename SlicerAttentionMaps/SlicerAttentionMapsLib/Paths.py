"""The one place that knows where the module's files lie, installed or in the source tree."""

from pathlib import Path

_MODULE = Path(__file__).resolve().parents[1]


def resourcePath(name: str) -> Path:
    """Return the path of a file of `Resources/`, such as "UI/SlicerAttentionMaps.ui"."""
    installed = _MODULE / "Resources" / name
    return installed if installed.exists() else _MODULE.parent / "Resources" / name
