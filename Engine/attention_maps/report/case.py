"""What a report is about: one case with its maps, masks and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.evaluation import evaluate
from attention_maps.regions import named_masks
from attention_maps.types import Image
from attention_maps.undefined import reasons_alone

if TYPE_CHECKING:
    from attention_maps.faithfulness.findings import TrustReport
    from attention_maps.result import AttentionMap
    from attention_maps.scores import Scores
    from attention_maps.spots import HotSpot
    from attention_maps.structures import StructureEvidence
    from attention_maps.sweep_table import Sweep

MASK = "mask"


@dataclass(frozen=True, eq=False)
class ReportCase:
    """One case of a report; all but the name may be left out.

    Args:
        name: What people call it.
        image: The image that was explained, as in `explain`: shown below the maps.
        maps: The maps.
        masks: Where the attention should be, by name: an Image or path on any grid, or an array on
            the image's grid.
        scores: What `evaluate` gave: of the only map, or a list with one item per map. None where
            there are masks: it is asked for all metrics.
        trust: What `trust` gave, or several.
        sweep: What `sweep` gave.
        hot_spots: What `hot_spots` gave of the first map.
        evidence: What `evidence_table` gave of the first map.
        threshold: As in `evaluate`, where `scores` is None.
        error: Why there is nothing else.
    """

    name: str
    image: Any = None
    maps: Sequence[AttentionMap] = ()
    masks: Mapping[str, Any] = field(default_factory=dict)
    scores: Any = None
    trust: TrustReport | Sequence[TrustReport] | None = None
    sweep: Sweep | None = None
    hot_spots: Sequence[HotSpot] = ()
    evidence: Sequence[StructureEvidence] = ()
    threshold: str | float = "otsu"
    error: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.scores, Sequence) and len(self.scores) != len(self.maps):
            raise ValueError(
                f"Expected scores of each of the {len(self.maps)} maps of '{self.name}', got "
                f"{len(self.scores)}."
            )

    @property
    def trust_reports(self) -> list[TrustReport]:
        """All trust reports."""
        if self.trust is None:
            return []
        return list(self.trust) if isinstance(self.trust, Sequence) else [self.trust]

    @cached_property
    def scores_of_maps(self) -> list[dict[str, Scores]]:
        """Scores by name of the mask, for each map; empty dicts where there is none."""
        if self.scores is None:
            if not self.masks:
                return [{} for _ in self.maps]
            with reasons_alone():
                return [
                    evaluate(made, dict(self.masks), threshold=self.threshold) for made in self.maps
                ]
        given = self.scores if isinstance(self.scores, Sequence) else [self.scores]
        found = [_by_label(item, list(self.masks)) for item in given]
        return found + [{} for _ in range(len(self.maps) - len(found))]


def _by_label(scores: Any, names: list[str]) -> dict[str, Any]:
    """Scores by name of the mask, of one mask or several."""
    if all(hasattr(item, "items") for item in scores.values()):
        return {str(name): item for name, item in scores.items()}
    return {names[0] if len(names) == 1 else MASK: scores}


def named_masks_of(mask: Any, labels: Any, shown: Image) -> dict[str, Any]:
    """Masks by name, to be measured and outlined: each label of a label map is one.

    Args:
        mask: A label map where there are labels, else masks by name, or None.
        labels: As in `evaluate`.
        shown: The map, on whose grid the masks are.
    """
    if mask is None:
        return {}
    given = mask if labels is not None or hasattr(mask, "items") else {MASK: mask}
    return {
        name: Image(inside[None].astype(np.float32), shown.affine)
        for name, inside in named_masks(given, labels, shown)
    }
