"""What the last result is and says, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..i18n import _

_MOST = 6


def captionOf(provenances: Sequence[Mapping[str, Any]]) -> str:
    """Return a few lines about the maps of one question; empty where there are none.

    Args:
        provenances: how each map was made, as the engine recorded it.
    """
    if not provenances:
        return ""
    first = provenances[0]
    lines = [_question(first)]
    lines += [_mapLine(provenance) for provenance in provenances[:_MOST]]
    if len(provenances) > _MOST:
        lines.append(_("... and {n} more").format(n=len(provenances) - _MOST))
    return "\n".join(lines)


def _question(provenance: Mapping[str, Any]) -> str:
    parts = [
        _("{target}: score {score}").format(
            target=provenance["target"], score=_number(provenance["score"])
        )
    ]
    if provenance.get("voxels"):
        parts.append(_("{n} voxels of the network's answer").format(n=provenance["voxels"]))
    return ", ".join(parts)


def _mapLine(provenance: Mapping[str, Any]) -> str:
    line = f"{provenance['method_label']} | {provenance['layer']}"
    if not provenance.get("evidence", True):
        line += ": " + _("no evidence, the map is zero everywhere")
    elif provenance.get("note"):
        line += f": {provenance['note']}"
    return line


def _number(score: float) -> str:
    return f"{score:.4g}"
