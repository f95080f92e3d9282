"""M3d-CAM's names: `from attention_maps import medcam` in place of `from medcam import medcam`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_maps.injection import Evaluator, inject
from attention_maps.injection.layers import get_layers
from attention_maps.injection.scores import compute_score

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["Evaluator", "compute_score", "get_layers", "inject", "save"]


def save(
    attention_map: Any, filename: str | PathLike[str], heatmap: bool, raw_input: Any = None
) -> Path:
    """Save a map: 3D as float32 NIfTI, 2D as PNG.

    Args:
        attention_map: (*spatial) map, array or tensor.
        filename: Path without its ending; its folder is made.
        heatmap: Whether only positive values count ("gcam", "gcampp"); False for signed maps.
        raw_input: The image of the map: for 3D what has a place in the world, for 2D also a
            picture (rows, columns, 3) or (3, rows, columns).

    Returns:
        The path.
    """
    from attention_maps.injection.files import save_array

    return save_array(Path(filename), attention_map, not heatmap, raw_input)
