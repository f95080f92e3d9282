"""How much of the attention lies where it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_maps.registry import metric

if TYPE_CHECKING:
    from attention_maps.measures.comparison import Comparison


@metric(
    "energy_inside", "Energy inside",
    reference="Wang et al., Score-CAM (energy-based pointing game), CVPR Workshops 2020, "
    "arXiv:1910.01279",
)  # fmt: skip
def energy_inside(comparison: Comparison) -> float:
    """Share of the positive attention that lies inside the mask: 0..1, higher is better."""
    evidence = comparison.evidence
    inside = evidence.sum(where=comparison.mask, dtype=np.float64)
    return float(inside / evidence.sum(dtype=np.float64))
