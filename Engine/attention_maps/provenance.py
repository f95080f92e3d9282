"""Everything that is needed to make a map again, as plain JSON values."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import attention_maps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attention_maps.answer import Answer
    from attention_maps.model import LoadedModel
    from attention_maps.questions import Question
    from attention_maps.registry import Method
    from attention_maps.tracing.layout import Layout
    from attention_maps.types import Grid


def describe(
    model: LoadedModel,
    answer: Answer,
    method: Method,
    options: Mapping[str, Any],
    layer: str,
    layout: Layout | None,
    question: Question,
    score: float,
    field: Grid,
    source: Grid,
    seconds: float,
    has_evidence: bool,
) -> dict[str, Any]:
    """Say what was computed, of what, with what, and how long it took.

    Returns:
        A dict of strings, numbers, lists and dicts. Grids are shape and affine (voxel index ->
        RAS mm); times are in seconds.
    """
    return {
        "format_version": 1,
        "attention_maps": attention_maps.__version__,
        "model": {
            "name": model.name,
            "kind": model.network.kind,
            "network": model.network.name,
            "file": model.path.name if model.path else None,
            "sha256": model.sha256,
            "specification": model.spec.to_dict(),
        },
        "image": _grid(source),
        "network_input": _grid(field),
        "method": method.name,
        "method_label": method.label,
        "reference": method.reference,
        "remark": method.remark,
        "options": dict(options),
        "signed": method.signed,
        "layer": layer,
        "placement": None
        if layout is None
        else {
            "grid": list(layout.grid),
            "stride": list(layout.stride),
            "offset": list(layout.offset),
            "exact": layout.exact,
        },
        "target": question.text,
        "classes": [answer.class_label(index) for index in question.classes],
        "voxels": question.voxels,
        "task": answer.task,
        "activation": answer.activation,
        "score": score,
        "evidence": has_evidence,
        "note": question.note or ("" if has_evidence else "no evidence: the map is zero"),
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "seconds": round(seconds, 3),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _grid(grid: Grid) -> dict[str, Any]:
    return {"shape": list(grid.shape), "affine": grid.affine.tolist()}
