"""Input sizes that a network takes, and the voxel grids that follow from them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from attention_maps.validation import Count, Kind, Number

PerAxis = Annotated[tuple[Count, ...], Field(min_length=2, max_length=3)]


class MultipleOf(Kind):
    """Pad symmetrically until every axis is a multiple of `factor`."""

    kind: Literal["multiple_of"] = "multiple_of"
    factor: Count | PerAxis = Field(description="One number, or one per axis.")
    value: Number = Field(0.0, description="Value of the padding.")


class FixedSize(Kind):
    """Bring the image to exactly `shape` voxels."""

    kind: Literal["fixed"] = "fixed"
    shape: PerAxis = Field(description="Number of voxels per axis.")
    fit: Literal["resize", "pad_crop"] = Field(
        "resize",
        description="resize: the whole field of view is resampled to `shape`; pad_crop: padded or "
        "cropped symmetrically, the spacing stays.",
    )
    value: Number = Field(0.0, description="Value of the padding.")


InputSize = Annotated[MultipleOf | FixedSize, Field(discriminator="kind")]
