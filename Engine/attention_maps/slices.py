"""How a network of pictures sees a volume: slice by slice, or all slices at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from attention_maps.lazy import torch
from attention_maps.validation import Checked, Count, Index

if TYPE_CHECKING:
    from attention_maps.types import Grid

Size = Annotated[tuple[Count, Count], Field()]


class Slices(Checked):
    """A volume as a stack of pictures."""

    axis: Literal["thickest", "i", "j", "k"] = Field(
        "thickest",
        description="Axis across the slices, after the image was turned to `orientation`; "
        "thickest: the one with the largest spacing, k where all are equal.",
    )
    together: Literal["no", "batch", "sequence"] = Field(
        "no",
        description="no: one slice after the other; batch: all slices as one batch (slices, "
        "channels, rows, columns); sequence: with a batch axis before (1, slices, channels, rows, "
        "columns), as MRNet takes them.",
    )
    repeat: Count = Field(1, description="Copies of each channel: 3 makes a color picture of gray.")
    neighbors: Index = Field(
        0,
        description="Slices on each side that become channels, too (2.5D); at the ends the last "
        "slice is repeated.",
    )
    size: Size | None = Field(
        None, description="Rows and columns that slices are resized to; null = as they are."
    )

    def axis_of(self, grid: Grid) -> int:
        """Axis of a grid across which slices lie."""
        if self.axis != "thickest":
            return "ijk".index(self.axis)
        return int(2 - np.argmax(np.round(grid.spacing[::-1], 4)))

    def order_of(self, grid: Grid, axis_order: str) -> tuple[int, int, int]:
        """Axes of the image in the network's order: across the slices, rows, columns."""
        across = self.axis_of(grid)
        axes = [axis for axis in range(3) if axis != across]
        rows, columns = axes[::-1] if axis_order == "kji" else axes
        return across, rows, columns

    def as_channels(self, slab: torch.Tensor) -> torch.Tensor:
        """(N, C', rows, columns) of a slice with its neighbors (N, C, slices, rows, columns).

        Neighbors come channel by channel, from the first slice to the last, then the copies.
        """
        return slab.flatten(1, 2).repeat_interleave(self.repeat, 1)

    def from_channels(self, gradient: torch.Tensor) -> torch.Tensor:
        """The gradient of `as_channels`: (N, C, slices, rows, columns)."""
        summed = gradient.unflatten(1, (-1, self.repeat)).sum(2)
        return summed.unflatten(1, (-1, 2 * self.neighbors + 1))

    def arrange(self, volume: torch.Tensor) -> torch.Tensor:
        """All slices of (1, C, slices, rows, columns) as a network takes them at once."""
        count = volume.shape[2]
        moved = [
            volume[:, :, [min(max(at + step, 0), count - 1) for at in range(count)]]
            for step in range(-self.neighbors, self.neighbors + 1)
        ]
        stack = torch.stack(moved, 2) if self.neighbors else volume[:, :, None]
        slices = self.as_channels(stack[0].movedim(2, 0))
        return slices[None] if self.together == "sequence" else slices

    def answer(self, output: torch.Tensor) -> torch.Tensor:
        """What a network gives for a batch of slices, as an answer for the volume.

        One answer per slice, (slices, classes), becomes a segmentation with one voxel per slice,
        (1, classes, slices, 1, 1); pictures (slices, classes, rows, columns) become a volume.
        """
        if self.together != "batch" or output.shape[0] == 1:
            return output
        if output.ndim == 2:
            output = output[:, :, None, None]
        return output.movedim(0, 1)[None] if output.ndim == 4 else output
