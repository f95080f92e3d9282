"""The one place that knows where the engine is."""

import importlib.util
import sys
from pathlib import Path

SOURCE_FOLDER = Path(__file__).resolve().parents[2] / "Engine"


def ensureEngine() -> None:
    """Make `import attention_maps` work: installed beside the module, or in the source tree."""
    if importlib.util.find_spec("attention_maps") is None and SOURCE_FOLDER.is_dir():
        sys.path.append(str(SOURCE_FOLDER))
