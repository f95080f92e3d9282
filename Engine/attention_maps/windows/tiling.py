"""Where windows lie, as MONAI and as nnU-Net lay them.

Both pad a volume that is smaller than the window, with the odd voxel at the end. MONAI steps by a
fixed number of voxels and moves the last window inward; nnU-Net spreads windows evenly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Style = Literal["monai", "nnunet"]


@dataclass(frozen=True)
class Tiling:
    """Windows over a volume.

    Args:
        shape: Voxels per axis of the padded volume.
        before: Voxels that were added in front, per axis.
        patch: Voxels per axis of a window.
        starts: First voxel of each window in the padded volume, the last axis fastest.
    """

    shape: tuple[int, ...]
    before: tuple[int, ...]
    patch: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]

    def window(self, start: Sequence[int]) -> tuple[slice, ...]:
        """Where a window lies in the padded volume."""
        return tuple(slice(at, at + n) for at, n in zip(start, self.patch, strict=True))

    def inside(self, shape: Sequence[int]) -> tuple[slice, ...]:
        """Where the volume itself, of this shape, lies in the padded one."""
        return tuple(slice(at, at + n) for at, n in zip(self.before, shape, strict=True))


def tile(
    shape: Sequence[int], patch: Sequence[int], overlap: float = 0.25, style: Style = "monai"
) -> Tiling:
    """Lay windows over a volume.

    Args:
        shape: Voxels per axis of the volume.
        patch: Voxels per axis of a window.
        overlap: Share of a window that the next one covers again, 0 <= overlap < 1.
        style: "monai" or "nnunet".

    >>> tile((10,), (4,), 0.5).starts
    ((0,), (2,), (4,), (6,))
    >>> tile((3,), (4,)).before, tile((3,), (4,)).shape
    ((0,), (4,))
    """
    padded = tuple(max(n, window) for n, window in zip(shape, patch, strict=True))
    before = tuple((new - old) // 2 for new, old in zip(padded, shape, strict=True))
    along = _even_steps if style == "nnunet" else _fixed_steps
    axes = [along(n, window, overlap) for n, window in zip(padded, patch, strict=True)]
    return Tiling(padded, before, tuple(patch), tuple(product(*axes)))


def _fixed_steps(size: int, window: int, overlap: float) -> list[int]:
    """MONAI's `dense_patch_slices`: fixed steps, the last window moved inward."""
    step = window if size == window else max(1, int(window * (1 - overlap)))
    count = math.ceil((size - window) / step) + 1
    return [min(index * step, size - window) for index in range(count)]


def _even_steps(size: int, window: int, overlap: float) -> list[int]:
    """nnU-Net's `compute_steps_for_sliding_window`: as few as the overlap allows, evenly spread."""
    count = math.ceil((size - window) / (window * (1 - overlap))) + 1
    if count == 1:
        return [0]
    return [round(index * (size - window) / (count - 1)) for index in range(count)]
