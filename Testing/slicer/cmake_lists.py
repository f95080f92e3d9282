"""The lists of files in the module's CMakeLists.txt; run as a script it writes them anew.

Slicer's macros install what is listed and nothing else, so a file that is missing from a list is
missing in the extension.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CMAKE = ROOT / "SlicerAttentionMaps" / "CMakeLists.txt"


def wanted() -> dict[str, list[str]]:
    """Files by the name of their list, as they lie in the tree."""
    module, engine = ROOT / "SlicerAttentionMaps", ROOT / "Engine" / "attention_maps"
    resources = [*(ROOT / "Resources" / "UI").iterdir(), *(ROOT / "Resources" / "Icons").iterdir()]
    data = [path for path in engine.rglob("*") if path.is_file() and path.suffix != ".py"]
    return {
        "MODULE_PYTHON_SCRIPTS": _names(module.rglob("*.py"), module),
        "MODULE_RESOURCES": _names(resources, ROOT),
        "ENGINE_PYTHON_SCRIPTS": _names(engine.rglob("*.py"), engine),
        "ENGINE_RESOURCES": _names(data, engine),
    }


def listed(text: str) -> dict[str, list[str]]:
    """Files by the name of their list, as CMakeLists.txt has them."""
    return {name: _list(name).search(text)[1].split() for name in wanted()}


def written(text: str) -> str:
    """CMakeLists.txt with all lists as they should be."""
    for name, files in wanted().items():
        lines = "".join(f"  {file}\n" for file in files)
        text = _list(name).sub(f"set({name}\n{lines}  )\n", text)
    return text


def _list(name: str) -> re.Pattern[str]:
    return re.compile(rf"^set\({name}\n(.*?)  \)\n", re.DOTALL | re.MULTILINE)


def _names(paths, folder: Path) -> list[str]:
    kept = (path.relative_to(folder) for path in paths if "__pycache__" not in path.parts)
    return sorted(path.as_posix() for path in kept if not path.name.startswith("."))


if __name__ == "__main__":
    CMAKE.write_text(written(CMAKE.read_text(encoding="utf-8")), encoding="utf-8")
