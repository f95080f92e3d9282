"""From a layer's tensor to a feature map on a regular grid (B, K, *spatial), and back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from attention_maps.tracing.placement import Factor, Placement


@dataclass(frozen=True)
class Layout:
    """How a layer's tensor holds a feature map.

    Args:
        shape: Shape of the layer's tensor.
        grid: Number of feature voxels per spatial axis.
        stride: Input voxels from one feature voxel to the next, per axis.
        offset: Input voxel (continuous index) of feature voxel 0's center, per axis.
        exact: False where the place was guessed from sizes.
        lead: Leading tokens to leave out, with their tensor axis; None for plain feature maps.
        parts: Factor sizes of the tensor, flattened; empty for plain feature maps.
        order: Order of the factors that gives batch, channels, spatial axes.
        batch: Number of leading factors in `order` that make up the batch.
        channels: Number of factors after them that make up the channels.
    """

    shape: tuple[int, ...]
    grid: tuple[int, ...]
    stride: tuple[float, ...]
    offset: tuple[float, ...]
    exact: bool
    lead: tuple[int, int] | None = None
    parts: tuple[int, ...] = ()
    order: tuple[int, ...] = ()
    batch: int = 1
    channels: int = 1

    def to_grid(self, tensor: torch.Tensor) -> torch.Tensor:
        """(B, K, *grid) of the layer's tensor, as a view where that is possible."""
        if not self.parts:
            return tensor
        if self.lead is not None:
            dim, count = self.lead
            tensor = tensor.narrow(dim, count, tensor.shape[dim] - count)
        split = tensor.reshape(self.parts).permute(self.order)
        sizes = [self.parts[index] for index in self.order]
        batch = prod(sizes[: self.batch])
        channels = prod(sizes[self.batch : self.batch + self.channels])
        return split.reshape(batch, channels, *self.grid)

    def channel_slice(self, tensor: torch.Tensor, channel: int) -> torch.Tensor:
        """View of one channel of the layer's tensor, class tokens left out."""
        if not self.parts:
            return tensor[:, channel]
        if self.lead is not None:
            dim, count = self.lead
            tensor = tensor.narrow(dim, count, tensor.shape[dim] - count)
        split = tensor.view(tensor.shape[0], *self.parts[1:]).permute(self.order)
        chosen = self.order[self.batch : self.batch + self.channels]
        sizes = [self.parts[index] for index in chosen]
        for size in reversed(sizes):
            split = split.select(self.batch + len(sizes) - 1, channel % size)
            channel //= size
            sizes.pop()
        return split


def layout_of(placement: Placement, inputs: tuple[int, ...]) -> Layout | None:
    """How a tensor at `placement` is a feature map; None where it holds no place.

    Args:
        placement: Placement of the layer's output.
        inputs: Spatial shape of the network's input.
    """
    axes = len(inputs)
    if len(placement.dims) == axes + 2 and all(
        len(dim) == 1 and dim[0].axis in (axis, None) and not dim[0].tokens
        for axis, dim in enumerate(placement.dims[2:])
    ):
        return _plain(placement, inputs)
    return _folded(placement, inputs)


def _plain(placement: Placement, inputs: tuple[int, ...]) -> Layout | None:
    shape = placement.shape
    if not placement.spatial:
        return None
    stride = []
    for axis, dim in enumerate(placement.dims[2:]):
        if dim[0].axis is None and dim[0].size > 1:
            return None
        stride.append(dim[0].step if dim[0].axis is not None else float(inputs[axis]))
    if any(f.spatial for dim in placement.dims[:2] for f in dim):
        return None
    return Layout(shape, shape[2:], tuple(stride), placement.offset, placement.exact)


def _folded(placement: Placement, inputs: tuple[int, ...]) -> Layout | None:
    """Tokens, windows and channels-last tensors."""
    lead = None
    factors: list[tuple[int, Factor]] = []
    for dim, content in enumerate(placement.dims):
        if len(content) == 1 and content[0].tokens:
            lead = (dim, content[0].lead)
            content = content[0].tokens
        factors += [(dim, factor) for factor in content]
    by_axis: list[list[int]] = [[] for _ in inputs]
    batch: list[int] = []
    channels: list[int] = []
    for index, (dim, factor) in enumerate(factors):
        if factor.axis is not None:
            by_axis[factor.axis].append(index)
        elif factor.tokens:
            return None
        else:
            (batch if dim == 0 else channels).append(index)
    grid, stride = [], []
    for axis, indices in enumerate(by_axis):
        indices.sort(key=lambda index: -abs(factors[index][1].step))
        step = _regular([factors[index][1] for index in indices])
        if step is None:
            return None
        grid.append(prod(factors[index][1].size for index in indices))
        stride.append(step or float(inputs[axis]))
    if not any(by_axis):
        return None
    order = (*batch, *channels, *(index for indices in by_axis for index in indices))
    return Layout(
        placement.shape, tuple(grid), tuple(stride), placement.offset, placement.exact, lead,
        tuple(factor.size for _, factor in factors), order, len(batch), len(channels),
    )  # fmt: skip


def _regular(factors: list[Factor]) -> float | None:
    """Step of an axis that is split in factors; 0 where it has none, None where irregular."""
    if not factors:
        return 0.0
    for outer, inner in pairwise(factors):
        if abs(outer.step - inner.step * inner.size) > 1e-6:
            return None
    return factors[-1].step
