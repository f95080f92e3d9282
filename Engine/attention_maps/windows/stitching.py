"""Maps of overlapping windows as one map of the volume."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from attention_maps.registry import Stitch
    from attention_maps.tracing.layout import Layout
    from attention_maps.windows.plan import Plan, View


class Placer:
    """Draws feature maps of one layer on the voxels of a window, where they belong.

    Between feature voxels values are interpolated linearly, beyond the outermost they hold.

    Args:
        layout: How the layer lies in a window.
        patch: Voxels per axis of a window.
    """

    def __init__(self, layout: Layout, patch: tuple[int, ...]) -> None:
        self._matrices = [
            _interpolation(n, stride, offset, size)
            for n, stride, offset, size in zip(
                layout.grid, layout.stride, layout.offset, patch, strict=True
            )
        ]

    def __call__(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, *patch) of (N, *grid)."""
        for axis, matrix in enumerate(self._matrices, start=1):
            if matrix is not None:
                moved = maps.movedim(axis, -1) @ matrix.to(maps).T
                maps = moved.movedim(-1, axis)
        return maps


def _interpolation(grid: int, stride: float, offset: float, size: int) -> torch.Tensor | None:
    """(size, grid) weights of feature voxels at input voxels; None where they are the same."""
    if grid == size and stride == 1 and offset == 0:
        return None
    position = ((torch.arange(size, dtype=torch.float64) - offset) / stride).clamp(0, grid - 1)
    low = position.floor().long()
    share = position - low
    rows = torch.arange(size)
    matrix = torch.zeros(size, grid, dtype=torch.float64)
    matrix[rows, low] += 1 - share
    matrix[rows, (low + 1).clamp_max(grid - 1)] += share
    return matrix


class Stitcher:
    """Adds up maps of windows; windows that are left out count as zero.

    Args:
        plan: The windows.
        layout: How the layer lies in a window; None for maps on the window's own voxels.
        stitch: "blend" for the blended mean of the windows, "add" for their sum.
        weight: (*shape) sum of the weights of all windows, where the volume is kept.
    """

    def __init__(
        self, plan: Plan, layout: Layout | None, stitch: Stitch, weight: torch.Tensor
    ) -> None:
        self._plan = plan
        self._layout = layout
        self._weight = weight if stitch == "blend" else None
        self._weights = plan.weights.to(weight)
        self._total = weight.new_zeros(1, *plan.shape)

    @cached_property
    def _place(self) -> Placer | None:
        return None if self._layout is None else Placer(self._layout, self._plan.seen)

    def add(self, view: View, maps: torch.Tensor) -> None:
        """Add maps (N, *grid) of what the network saw in a view."""
        placed = maps if self._place is None else self._place(maps)
        placed = view.flip(self._plan.to_volume(placed))
        placed = placed.to(self._total)
        if self._weight is not None:
            share = len(self._plan.mirrorings)
            placed = placed * (self._weights / share)
        if len(placed) != len(self._total):
            self._total = self._total.new_zeros(len(placed), *self._plan.shape)
        self._plan.add(self._total, view.start, placed)

    def result(self) -> torch.Tensor:
        """(N, *shape)."""
        if self._weight is not None:
            self._total /= self._weight
        return self._total
