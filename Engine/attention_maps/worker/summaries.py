"""What the worker found, as plain JSON values."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import platform
import sys
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

import attention_maps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attention_maps.answer import Answer
    from attention_maps.model import LoadedModel
    from attention_maps.types import LayerInfo


def environment_summary() -> dict[str, Any]:
    """Versions, process id, and what torch finds; `torch` is None with a `problem` without it."""
    found: dict[str, Any] = {
        "attention_maps": attention_maps.__version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "numpy": np.__version__,
        "pid": os.getpid(),
        "torch": None,
        "devices": [],
        "problem": "",
    }
    if importlib.util.find_spec("torch") is None:
        found["problem"] = f"PyTorch is not installed for {sys.executable}"
        return found
    try:
        import torch
    except (ImportError, OSError) as error:  # a library that is missing or does not fit
        found["problem"] = f"PyTorch is installed but cannot be loaded: {error}"
        return found
    found["torch"] = torch.__version__
    found["threads"] = torch.get_num_threads()
    found["devices"] = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        found["devices"].append("mps")
    return found


def model_summary(model: LoadedModel) -> dict[str, Any]:
    """What a model is and expects, field by field and in one line for people."""
    spec = model.spec
    channels, axes = model.expected_input()
    axes = axes or len(spec.spacing or ()) or None
    found = {
        "name": model.name,
        "kind": model.network.kind,
        "network": model.network.name,
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "sha256": model.sha256,
        "task": spec.task,
        "channels": channels,
        "first_channels": model.first_channels(),
        "channel_names": list(spec.channels or ()),
        "spatial_dims": axes,
        "spacing": list(spec.spacing or ()),
        "orientation": spec.orientation,
        "class_names": list(spec.class_names or ()),
        "layer": spec.layer,
        "spec": spec.to_dict(),
    }
    found["windows"] = spec.patch_size is not None
    return {**found, "line": model.line or _line(found)}


def _line(found: dict[str, Any]) -> str:
    parts = [found["kind"]]
    if found["spatial_dims"]:
        parts.append(f"{found['spatial_dims']}D")
    if found["task"]:
        parts.append(found["task"])
    if found["channels"]:
        names = f" ({', '.join(found['channel_names'])})" if found["channel_names"] else ""
        parts.append(f"{found['channels']} channel{'s' * (found['channels'] > 1)}{names}")
    if found["spacing"]:
        parts.append(" x ".join(f"{value:g}" for value in found["spacing"]) + " mm")
    if found["orientation"]:
        parts.append(found["orientation"])
    if found["class_names"]:
        parts.append(f"classes: {', '.join(found['class_names'])}")
    return f"{found['name']}: {', '.join(parts)}"


def layer_summary(info: LayerInfo) -> dict[str, Any]:
    """One layer."""
    return dataclasses.asdict(info)


def answer_summary(answer: Answer) -> tuple[dict[str, Any], NDArray[np.unsignedinteger] | None]:
    """An answer, and for segmentation its label map (1, *spatial) on the image's grid."""
    found: dict[str, Any] = {
        "task": answer.task,
        "activation": answer.activation,
        "classes": [answer.class_label(index) for index in range(answer.classes)],
        "background": answer.background,
        "label_values": list(answer.label_values),
        "ranking": answer.ranking(),
        "probabilities": None,
        "voxels": None,
        "volumes_ml": None,
    }
    if answer.task == "classification":
        return {**found, "probabilities": answer.probabilities.tolist()}, None
    voxels = [int(answer.predicted(index).sum()) for index in range(answer.classes)]
    found["voxels"] = voxels
    if answer.grid.ndim == 3:
        milliliters = abs(float(np.linalg.det(answer.grid.affine[:3, :3]))) / 1000
        found["volumes_ml"] = [count * milliliters for count in voxels]
    predicted = answer.prediction.array  # type: ignore[union-attr]
    labels: NDArray[np.unsignedinteger] = predicted.astype(
        np.uint8 if predicted.max() < 256 else np.uint16
    )
    found["label_counts"] = counts_of(labels)
    found["label_box"] = _box_of(labels[0])
    found["fingerprint"] = fingerprint_of(labels[0])
    return found, labels


def counts_of(labels: NDArray[np.unsignedinteger]) -> list[int]:
    """Voxels of each value from 0; counted in parts, as counting makes 64-bit copies."""
    counts = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    for part in labels.reshape(-1, labels.shape[-2] * labels.shape[-1]):
        counts += np.bincount(part, minlength=len(counts))
    return counts.tolist()


def fingerprint_of(labels: NDArray[np.unsignedinteger]) -> str:
    """Text that differs where label maps (*spatial) do."""
    plain = np.ascontiguousarray(labels, dtype=np.uint16)
    return f"{zlib.crc32(plain.data):08x}"


def _box_of(labels: NDArray[np.unsignedinteger]) -> list[list[int]] | None:
    """First and last index of what is not 0 along each axis; None where nothing is 0."""
    inside = labels != 0
    if inside.all():
        return None
    box = []
    for axis in range(labels.ndim):
        others = tuple(other for other in range(labels.ndim) if other != axis)
        where = np.flatnonzero(inside.any(axis=others))
        box.append([int(where[0]), int(where[-1])] if len(where) else [0, 0])
    return box
