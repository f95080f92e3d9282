"""What MONAI's inferers do to a volume before they lay windows, and how it is undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from attention_maps.geometry import crop_grid, permute_axes

if TYPE_CHECKING:
    from attention_maps.types import Grid


@dataclass(frozen=True)
class Arrangement:
    """Slices first, and padding that is more than one value.

    Args:
        slices: Axis through the slices of a network of pictures, None where there are none.
        window: Least size per axis.
        mode: How a smaller volume is padded, as `torch.nn.functional.pad` has it; None for none.
    """

    slices: int | None = None
    window: tuple[int, ...] = ()
    mode: str | None = None

    def apply(self, array: torch.Tensor, grid: Grid) -> tuple[torch.Tensor, Grid]:
        """Arrange a volume (C, *spatial) and its grid."""
        if self.slices:
            array = array.movedim(1 + self.slices, 1)
            rest = [axis for axis in range(grid.ndim) if axis != self.slices]
            grid = permute_axes(grid, (self.slices, *rest))
        pads = self._pads(grid.shape)
        if self.mode is not None and any(map(sum, pads)):
            flat = [n for pair in reversed(pads) for n in pair]
            array = functional.pad(array[None], flat, mode=self.mode)[0]
            grid = crop_grid(grid, [-low for low, _ in pads], tuple(array.shape[1:]))
        return array, grid

    def undo(self, array: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """Bring an answer (classes, *spatial) back to the volume's `shape` and order of axes."""
        if self.mode is not None:
            pads = self._pads(shape)
            kept = [slice(low, low + n) for (low, _), n in zip(pads, shape, strict=True)]
            array = array[(slice(None), *kept)]
        return array.movedim(1, 1 + self.slices) if self.slices else array

    def _pads(self, shape: tuple[int, ...]) -> list[tuple[int, int]]:
        missing = [max(w - n, 0) for w, n in zip(self.window, shape, strict=False)]
        return [(n // 2, n - n // 2) for n in missing] or [(0, 0)] * len(shape)


def arrangement_of(inferer: Any) -> Arrangement:
    """What an inferer of MONAI does to a volume."""
    kind = type(inferer).__name__
    if kind == "SliceInferer":
        return Arrangement(int(inferer.spatial_dim))
    mode = getattr(inferer, "padding_mode", None)
    mode = str(getattr(mode, "value", mode))
    if mode not in ("reflect", "replicate", "circular"):
        return Arrangement()
    return Arrangement(None, tuple(inferer.roi_size), mode)
