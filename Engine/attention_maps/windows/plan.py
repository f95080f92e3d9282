"""Which windows a volume is seen through, by which networks, and how they count."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from attention_maps.errors import ImageError, SpecError
from attention_maps.sliding_window import SlidingWindow
from attention_maps.windows.blending import blending_weights
from attention_maps.windows.tiling import Tiling, tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attention_maps.slices import Slices
    from attention_maps.spec import ModelSpec


@dataclass(frozen=True)
class View:
    """One look through a window.

    Args:
        start: First voxel of the window in the padded volume.
        flips: Spatial axes along which the network sees it mirrored.
        member: Index of the network.
    """

    start: tuple[int, ...]
    flips: tuple[int, ...]
    member: int

    def flip(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor whose last axes are spatial, mirrored; does and undoes it."""
        axes = tensor.ndim - len(self.start)
        return tensor.flip([axes + axis for axis in self.flips]) if self.flips else tensor


class Plan:
    """The windows over a volume.

    Args:
        shape: Voxels per axis of the network's input, the whole volume.
        patch: Voxels per axis of a window; one axis less than the volume for a network of pictures,
            which sees it slice by slice.
        how: How windows lie and count.
        members: Number of networks whose answers are averaged.
        slices: How a network of pictures sees slices, which follow each other along the first axis.

    Attributes:
        starts: First voxel of each window in the padded volume.
        weights: (*patch) how much each voxel of a window counts, float64.
        mirrorings: Axes of the volume along which each window is mirrored, the empty tuple first.
    """

    def __init__(
        self,
        shape: Sequence[int],
        patch: Sequence[int],
        how: SlidingWindow,
        members: int = 1,
        slices: Slices | None = None,
    ) -> None:
        self.shape = tuple(shape)
        self.how = how
        self.members = members
        self.slices = slices
        self.through = 0 if len(patch) < len(self.shape) else None
        weights = torch.from_numpy(blending_weights(patch, how.blending, how.style))
        self.weights = self.to_volume(weights)
        self.tiling: Tiling = tile(self.shape, self.weights.shape, how.overlap, how.style)
        self.starts = self.tiling.starts
        axes = [axis for axis in range(len(self.shape)) if axis != self.through]
        wrong = [axis for axis in how.mirror_axes if axis >= len(axes)]
        if wrong:
            raise SpecError(
                f"Expected mirror_axes from 0 to {len(axes) - 1}, the axes of the network's "
                f"tensor, got {wrong[0]}; correct `sliding_window.mirror_axes`."
            )
        self.mirrorings = _combinations([axes[axis] for axis in how.mirror_axes])

    def to_volume(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor (..., *spatial) of the network with the axes of the volume."""
        if self.through is None:
            return tensor
        return tensor.unsqueeze(tensor.ndim - len(self.shape) + 1 + self.through)

    def to_network(self, tensor: torch.Tensor) -> torch.Tensor:
        """The same back: without the axis through the slices."""
        if self.through is None:
            return tensor
        return tensor.squeeze(tensor.ndim - len(self.shape) + self.through)

    @property
    def patch(self) -> tuple[int, ...]:
        """Voxels per axis of a window in the volume."""
        return self.tiling.patch

    @property
    def seen(self) -> tuple[int, ...]:
        """Voxels per axis of what the network sees at once."""
        kept = (n for axis, n in enumerate(self.patch) if axis != self.through)
        return tuple(kept)

    def limit(self, region: torch.Tensor) -> None:
        """Leave out windows that hold no voxel of a region, (*shape) bool.

        Raises:
            ImageError: If the region is empty.
        """
        starts = tuple(at for at in self.starts if bool(self.cut(region, at).any()))
        if not starts:
            raise ImageError(
                "Expected a region that meets the network's field of view, got one without a voxel "
                "in it; check its geometry."
            )
        self.starts = starts

    @property
    def views_per_window(self) -> int:
        """How many answers are averaged in each window."""
        return self.members * len(self.mirrorings)

    def views(self, starts: Sequence[tuple[int, ...]], member: int | None = None) -> list[View]:
        """All looks through some windows, of one network or of all."""
        members = range(self.members) if member is None else [member]
        return [
            View(start, flips, number)
            for number in members
            for start in starts
            for flips in self.mirrorings
        ]

    def cut(
        self, tensor: torch.Tensor, start: Sequence[int | None], value: float = 0.0
    ) -> torch.Tensor:
        """A window of a tensor (..., *shape), None for all of an axis; `value` around it."""
        inside, outside = self._overlap(start)
        index: Any = (..., *inside)
        part = tensor[index]
        if not any(low or high for low, high in outside):
            return part
        pads = list(chain.from_iterable(reversed(outside)))
        return functional.pad(part, pads, value=value)

    def look(self, volume: torch.Tensor, view: View) -> torch.Tensor:
        """(1, C, *spatial) of a volume (1, C, *shape) as the network sees it in a view."""
        if self.slices is None:
            return self.to_network(view.flip(self.cut(volume, view.start, self.how.value)))
        around = self._slices_around(view).to(volume.device)
        slab = self.cut(volume.index_select(2, around), (None, *view.start[1:]), self.how.value)
        return self.slices.as_channels(view.flip(slab))

    def look_back(self, total: torch.Tensor, view: View, gradient: torch.Tensor) -> None:
        """Add the gradient of what the network saw in a view to that of the volume."""
        if self.slices is None:
            self.add(total, view.start, view.flip(self.to_volume(gradient)).to(total))
            return
        slab = view.flip(self.slices.from_channels(gradient)).to(total)
        around = self._slices_around(view).to(total.device)
        spread = total.new_zeros(*total.shape[:2], len(around), *total.shape[3:])
        self.add(spread, (None, *view.start[1:]), slab)
        total.index_add_(2, around, spread)

    def _slices_around(self, view: View) -> torch.Tensor:
        """Indices of a slice and its neighbors; the last one stands for those beyond the end."""
        reach = 0 if self.slices is None else self.slices.neighbors
        near = torch.arange(-reach, reach + 1) + view.start[0]
        return near.clamp(0, self.shape[0] - 1)

    def add(self, total: torch.Tensor, start: Sequence[int | None], values: torch.Tensor) -> None:
        """Add a window's values (..., *patch) to a tensor (..., *shape); padding is dropped."""
        inside, outside = self._overlap(start)
        kept = tuple(
            slice(low, values.shape[axis] - high)
            for axis, (low, high) in enumerate(outside, start=values.ndim - len(outside))
        )
        target: Any = (..., *inside)
        source: Any = (..., *kept)
        total[target] += values[source]

    def _overlap(
        self, start: Sequence[int | None]
    ) -> tuple[tuple[slice, ...], list[tuple[int, int]]]:
        """Where a window lies in the volume, and how far it reaches out at both ends."""
        inside, outside = [], []
        rows = zip(start, self.tiling.before, self.patch, self.shape, strict=True)
        for at, before, window, size in rows:
            if at is None:
                inside.append(slice(None))
                outside.append((0, 0))
                continue
            low, high = at - before, at - before + window
            inside.append(slice(max(low, 0), min(high, size)))
            outside.append((max(-low, 0), max(high - size, 0)))
        return tuple(inside), outside


def plan_of(spec: ModelSpec, shape: Sequence[int], members: int = 1) -> Plan | None:
    """The windows that a model's specification asks for; None where it sees the volume at once.

    Args:
        spec: The specification.
        shape: Voxels per axis of the network's input, the whole volume.
        members: Number of networks.

    Raises:
        SpecError: If it says how windows lie, but not how large they are.
    """
    one_by_one = spec.slices is not None and spec.slices.together == "no"
    if spec.patch_size is None and not one_by_one:
        if spec.sliding_window is not None:
            raise SpecError(
                "Expected `patch_size`, the size of the windows, where there is `sliding_window`, "
                "got none; add it, or leave out `sliding_window` to show the network all at once."
            )
        return None
    patch = spec.window or tuple(shape[1:])
    return Plan(shape, patch, spec.sliding_window or SlidingWindow(), members, spec.slices)


def _combinations(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """All subsets of axes, the empty one first."""
    return list(chain.from_iterable(combinations(axes, n) for n in range(len(axes) + 1)))
