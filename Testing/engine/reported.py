"""Maps of known values, as tests of sweeps and reports need them."""

from __future__ import annotations

import numpy as np
import torch

import attention_maps as am
from attention_maps.answer import Answer
from attention_maps.result import AttentionMap
from attention_maps.spec import ModelSpec

SHAPE = (20, 24, 16)
AFFINE = np.array([[2.0, 0, 0, -21], [0, 1.5, 0, -33], [0, 0, 3.0, 10], [0, 0, 0, 1]])
HOT = (slice(5, 9), slice(12, 16), slice(6, 9))


def hot_array(value: float = 2.0) -> np.ndarray:
    """(1, *SHAPE): one hot box, else zero."""
    array = np.zeros((1, *SHAPE), np.float32)
    array[(0, *HOT)] = value
    return array


def scan() -> am.Image:
    """Noise of fixed seed."""
    return am.Image(np.random.default_rng(0).uniform(0, 100, (1, *SHAPE)), AFFINE)


def mask() -> np.ndarray:
    """The lower half of the hot box and a box of the same size beside it."""
    found = np.zeros(SHAPE, bool)
    found[5:7, 12:16, 6:9] = True
    found[12:14, 12:16, 6:9] = True
    return found


def attention_map(
    array: np.ndarray | None = None, *, target: str = "organ", layer: str = "enc.1",
    method: str = "grad_cam", signed: bool = False,
) -> AttentionMap:  # fmt: skip
    """A map as `explain` gives it, of a network that finds the hot box."""
    image = am.Image(hot_array() if array is None else array, AFFINE)
    inside = np.zeros(SHAPE, bool)
    inside[HOT] = True
    logits = torch.from_numpy(np.stack([~inside, inside]).astype(np.float32))[None]
    spec = ModelSpec(class_names=("background", "organ"))
    answer = Answer(logits, None, None, spec, image.grid, image.grid)
    provenance = {
        "attention_maps": "0.1.0", "method": method, "method_label": am.methods()[method].label,
        "model": {"name": "tiny", "kind": "TorchScript", "sha256": "ab" * 32},
        "reference": "Selvaraju 2017", "layer": layer, "target": target, "note": "",
        "versions": {"torch": "2.9"}, "options": {},
    }  # fmt: skip
    return AttentionMap(
        image, image.grid, image.grid, 1.5, layer, method, target, signed, provenance, answer
    )
