"""An attention map: on the layer's own grid, and placed in the image on first use."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.resampling import place
from attention_maps.slice_relevance import SliceRelevance, slice_relevance
from attention_maps.types import Grid, Image

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

    from attention_maps.answer import Answer


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Where a network looked to answer one question.

    Args:
        raw: (1, *grid) float32 map on the layer's own grid, with its own affine; signed, not
            normalized.
        field: Grid of the network's input: outside of it the map is 0.
        grid: Grid of the image that was explained.
        score: Value of the target.
        layer: Name of the layer, "input" for methods that work on the input.
        method: Name of the method.
        target: What was asked, in words.
        signed: Whether negative values mean evidence against.
        provenance: Everything that is needed to make the map again.
        answer: The network's answer, shared by all maps of one forward pass.
    """

    raw: Image
    field: Grid
    grid: Grid
    score: float
    layer: str
    method: str
    target: str
    signed: bool
    provenance: dict[str, Any]
    answer: Answer

    @cached_property
    def image(self) -> Image:
        """(1, *spatial) float32 on the image's own grid and affine, signed, not normalized."""
        return Image(place(self.raw.array, self.raw.grid, self.field, self.grid), self.grid.affine)

    @property
    def prediction(self) -> NDArray[np.float32] | Image:
        """The network's answer: (classes,) probabilities, or a label Image on the image's grid."""
        return self.answer.prediction

    @property
    def has_evidence(self) -> bool:
        """False where the map is zero everywhere: the method found nothing."""
        return bool(np.any(self.raw.array))

    def normalized(self) -> AttentionMap:
        """The same map divided by its largest absolute value; a map of zeros stays as it is.

        The largest value is taken over the image's own grid, the map that is seen.
        """
        largest = float(np.abs(self.image.array).max())
        if largest == 0:
            return self
        raw = Image(self.raw.array / np.float32(largest), self.raw.affine)
        provenance = {**self.provenance, "normalized_by": largest}
        result = replace(self, raw=raw, provenance=provenance)
        result.__dict__["image"] = Image(self.image.array / np.float32(largest), self.grid.affine)
        return result

    def slice_relevance(self, axis: int | None = None) -> list[SliceRelevance]:
        """How much each slice of the image matters.

        Args:
            axis: Axis of the image across the slices; None for the one with the largest spacing, k
                where all are equal.
        """
        if axis is None:
            axis = self.grid.ndim - 1 - int(np.argmax(np.round(self.grid.spacing[::-1], 4)))
        return slice_relevance(self.image, axis)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the placed map, and its provenance as JSON beside it.

        Args:
            path: An image file such as map.nii.gz; map.json is written beside it.

        Returns:
            The path of the image.

        Raises:
            ImageError: If the format or folder cannot be written.
        """
        from attention_maps.image_io import write_image
        from attention_maps.image_io.files import written_whole

        path = Path(path)
        write_image(self.image, path)
        stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
        with written_whole(path.with_name(stem + ".json")) as part:
            part.write_text(json.dumps(self.provenance, indent=2) + "\n", encoding="utf-8")
        return path

    def __repr__(self) -> str:
        evidence = "" if self.has_evidence else ", no evidence"
        return (
            f"AttentionMap({self.target} | {self.method} | {self.layer}, score {self.score:.4g}, "
            f"grid {self.raw.grid.shape} -> {self.grid.shape}{evidence})"
        )
