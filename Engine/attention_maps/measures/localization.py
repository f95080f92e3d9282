"""How much of the attention lies where it should, without a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention_maps.registry import metric

if TYPE_CHECKING:
    from attention_maps.measures.comparison import Comparison


@metric(
    "energy_inside", "Energy inside", limits=(0, 1),
    reference="Wang et al., Score-CAM (energy-based pointing game), CVPR Workshops 2020, "
    "arXiv:1910.01279",
)  # fmt: skip
def energy_inside(comparison: Comparison) -> float:
    """Share of the attention that lies inside the mask."""
    return comparison.weight_inside / comparison.attention.total


@metric(
    "relevance_mass", "Relevance mass accuracy", limits=(0, 1),
    reference="Arras et al., CLEVR-XAI, Information Fusion 81, 2022, arXiv:2003.07258",
)  # fmt: skip
def relevance_mass(comparison: Comparison) -> float:
    """Sum of the attention inside the mask over the sum of all: the same as energy inside."""
    return energy_inside(comparison)
