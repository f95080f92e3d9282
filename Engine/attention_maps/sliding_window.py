"""How a network's answer on a whole volume is put together from windows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from attention_maps.validation import Checked, Index, Number

Share = Annotated[float, Field(strict=True, ge=0, lt=1)]


class SlidingWindow(Checked):
    """Windows of the size `patch_size` over the volume, as MONAI or nnU-Net lays them."""

    style: Literal["monai", "nnunet"] = Field(
        "monai",
        description="monai: fixed steps, the last window moved inward; nnunet: evenly spread.",
    )
    overlap: Share = Field(0.25, description="Share of a window that the next one covers again.")
    blending: Literal["constant", "gaussian"] = Field(
        "constant", description="How voxels count where windows overlap."
    )
    mirror_axes: tuple[Index, ...] = Field(
        (),
        max_length=3,
        description="Spatial axes of the network's tensor, from 0, along which windows are "
        "mirrored, too, in all combinations; logits are averaged.",
    )
    value: Number = Field(0.0, description="Value around a volume smaller than the window.")

    @field_validator("mirror_axes")
    @classmethod
    def _different_axes(cls, axes: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(axes)) < len(axes):
            raise ValueError(f"expected each axis once, got {list(axes)}")
        return axes
