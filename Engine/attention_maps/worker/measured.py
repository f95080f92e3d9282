"""What a client gets of a request that measured."""

from __future__ import annotations

from typing import Any

from attention_maps.scores import Scores


def measured_of(found: dict[str, Any]) -> Any:
    """What was measured, as in one process; None where nothing was."""
    match found:
        case {"metrics": values, "reasons": reasons, "threshold": threshold, "voxels": voxels}:
            return Scores(values, reasons, threshold, voxels)
        case {"evidence": rows}:
            from attention_maps.structures import StructureEvidence

            return [StructureEvidence(**row) for row in rows]
        case {"hot_spots": spots}:
            from attention_maps.spots import HotSpot

            return [HotSpot(**{name: _as_was(item) for name, item in s.items()}) for s in spots]
        case {"trust": report}:
            return report
        case {"sweep": rows}:
            return rows
    return None


def _as_was(value: Any) -> Any:
    """Tuples for lists."""
    return tuple(map(_as_was, value)) if isinstance(value, list) else value
