"""Where the voxels of a tensor lie in the network's input.

A tensor's axes are described by factors: a plain feature map has one spatial factor per axis, a
token sequence has the three axes of the volume folded into one, a window partition has each axis
of the volume split in two. Index i of a factor moves the center of the receptive field by
`i * step` input voxels along its axis, so that reshaping, permuting and slicing never lose track.
The arithmetic of strides, offsets and receptive fields follows Araujo, Norris, Sim (Distill 2019).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Factor(NamedTuple):
    """One factor of a tensor axis.

    Args:
        size: Number of indices.
        axis: Spatial axis of the network's input, or None (batch, channels, heads, ...).
        step: Input voxels from one index to the next, 0 where axis is None.
        lead: Leading indices that are no place, such as a class token; with `tokens` only.
        tokens: Factors of the indices behind them.
    """

    size: int
    axis: int | None = None
    step: float = 0.0
    lead: int = 0
    tokens: tuple[Factor, ...] = ()

    @property
    def spatial(self) -> bool:
        """Whether its indices tell where something is."""
        return self.axis is not None or bool(self.tokens)


Dim = tuple[Factor, ...]


@dataclass(frozen=True)
class Placement:
    """Place of a tensor's voxels in the network's input.

    Args:
        dims: Factors of every tensor axis, outermost first.
        offset: Input voxel (continuous index) of the receptive field's center at index 0, per axis.
        field: Extent of the receptive field in input voxels, per axis.
        exact: False where an operator was not known and sizes had to be compared instead.
    """

    dims: tuple[Dim, ...]
    offset: tuple[float, ...]
    field: tuple[float, ...]
    exact: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return tuple(dim_size(dim) for dim in self.dims)

    @property
    def spatial(self) -> bool:
        """Whether any axis still tells where something is."""
        return any(factor.spatial for dim in self.dims for factor in dim)

    def with_dims(self, dims: Iterable[Dim]) -> Placement:
        """The same place with other axes."""
        return replace(self, dims=tuple(dims))

    def shifted(self, axis: int, offset: float = 0.0, field: float = 0.0) -> Placement:
        """Move the centers and grow the receptive field along one axis, in input voxels."""
        offsets, fields = list(self.offset), list(self.field)
        offsets[axis] += offset
        fields[axis] += field
        return replace(self, offset=tuple(offsets), field=tuple(fields))

    def contracted(self, dims: Iterable[int]) -> Placement:
        """Sum over axes: their factors become part of the receptive field."""
        result = self
        for dim in dims:
            for factor in (f for outer in self.dims[dim] for f in (outer.tokens or (outer,))):
                if factor.axis is not None:
                    reach = (factor.size - 1) * factor.step
                    result = result.shifted(factor.axis, reach / 2, abs(reach))
        return result


def dim_size(dim: Dim) -> int:
    """Number of indices of an axis."""
    return prod(factor.size for factor in dim)


def input_placement(shape: Sequence[int]) -> Placement:
    """Placement of the network's input (B, C, *spatial)."""
    axes = len(shape) - 2
    dims = [(Factor(int(n)),) for n in shape[:2]]
    dims += [(Factor(int(n), axis, 1.0),) for axis, n in enumerate(shape[2:])]
    return Placement(tuple(dims), (0.0,) * axes, (1.0,) * axes)


def _clean(dim: Iterable[Factor]) -> Dim:
    """Drop factors of one index and join neighbors that make up one regular axis."""
    joined: list[Factor] = []
    for factor in dim:
        if factor.size == 1 and (factor.axis is None or joined):
            continue
        mergeable = joined and not factor.tokens and not joined[-1].tokens
        if mergeable and joined[-1].axis == factor.axis:
            outer = joined[-1]
            if factor.axis is None or abs(outer.step - factor.step * factor.size) < 1e-9:
                joined[-1] = Factor(outer.size * factor.size, factor.axis, factor.step)
                continue
            if outer.size == 1:
                joined[-1] = factor
                continue
        joined.append(factor)
    return tuple(joined) if joined else (Factor(1),)


def _split(factors: list[Factor], size: int) -> Dim | None:
    """Take indices from the innermost factors until they make `size`; None where it cannot be."""
    taken: list[Factor] = []
    left = size
    while left > 1:
        if not factors:
            return None
        factor = factors.pop()
        if left % factor.size == 0:
            taken.append(factor)
            left //= factor.size
        elif factor.size % left == 0 and not factor.tokens:
            taken.append(Factor(left, factor.axis, factor.step))
            factors.append(Factor(factor.size // left, factor.axis, factor.step * left))
            left = 1
        else:
            return None
    return _clean(reversed(taken))


def reshape(placement: Placement, shape: Sequence[int]) -> Placement | None:
    """Follow `view` and `reshape`; None where the new axes cut across the old ones."""
    factors = [factor for dim in placement.dims for factor in dim if factor.size > 1]
    dims: list[Dim] = []
    for size in reversed(shape):
        dim = _split(factors, int(size))
        if dim is None:
            return None
        dims.append(dim)
    return _settle_subvoxels(placement.with_dims(reversed(dims)))


def _settle_subvoxels(placement: Placement) -> Placement:
    """Read channels that were folded into a spatial axis (pixel shuffle) as finer voxels."""
    result = placement
    dims = list(placement.dims)
    for position, dim in enumerate(dims):
        if position < 2 or len(dim) != 2 or dim[0].axis is None or dim[1].spatial:
            continue
        (outer, inner), axis = dim, dim[0].axis
        fine = outer.step / inner.size
        dims[position] = (Factor(outer.size * inner.size, axis, fine),)
        result = result.shifted(axis, -fine * (inner.size - 1) / 2)
    return result.with_dims(dims)


def slide(
    placement: Placement, dim: int, size: int, *, kernel: float, stride: float, low: float
) -> Placement:
    """Follow a sliding kernel along one axis.

    Args:
        placement: Placement of the operator's input.
        dim: Tensor axis.
        size: Number of indices after it.
        kernel: Extent of the kernel (dilation included), in indices of the input.
        stride: Indices of the input from one output to the next; a fraction for upsampling.
        low: Padding at the low end, in indices of the input.
    """
    factor = single(placement.dims[dim])
    dims = list(placement.dims)
    if factor is None or factor.axis is None:
        dims[dim] = (Factor(size),)
        return placement.with_dims(dims)
    step = factor.step
    moved = placement.shifted(
        factor.axis, step * ((kernel - 1) / 2 - low), abs(step) * max(kernel - 1, 0)
    )
    dims[dim] = (Factor(size, factor.axis, step * stride),)
    return moved.with_dims(dims)


def single(dim: Dim) -> Factor | None:
    """The only factor of an axis, or None where it has several."""
    return dim[0] if len(dim) == 1 else None


def merge(placements: Sequence[Placement], shape: Sequence[int]) -> Placement | None:
    """Where branches meet, the one with the smaller receptive field says where it is.

    A transposed convolution shifts the deep branch by half a stride and networks learn to undo it,
    so the skip connection decides. Branches of equal receptive field share the middle between them.
    """
    wanted = tuple(int(n) for n in shape)
    fitting = [p for p in placements if p.shape == wanted and p.spatial]
    if not fitting:
        return _merge_axes(placements, wanted)
    most = max(_places(p) for p in fitting)
    fitting = [p for p in fitting if _places(p) == most]
    smallest = min(sum(p.field) for p in fitting)
    deciding = [p for p in fitting if sum(p.field) <= smallest * (1 + 1e-6)]
    deciding = [p for p in deciding if p.dims == deciding[0].dims]
    offset = tuple(
        sum(values) / len(deciding) for values in zip(*(p.offset for p in deciding), strict=True)
    )
    field = tuple(max(values) for values in zip(*(p.field for p in fitting), strict=True))
    exact = all(p.exact for p in deciding)
    return Placement(deciding[0].dims, offset, field, exact)


def _places(placement: Placement) -> int:
    """Number of indices that tell where something is."""
    return prod(f.size for dim in placement.dims for f in dim if f.spatial)


def _merge_axes(placements: Sequence[Placement], shape: tuple[int, ...]) -> Placement | None:
    """Axes of a broadcast to which no operand has the full shape."""
    spatial = [p for p in placements if p.spatial] or list(placements)
    if not spatial:
        return None
    best = min(spatial, key=lambda p: sum(p.field))
    dims: list[Dim] = []
    for position, size in enumerate(shape):
        dim: Dim = (Factor(size),)
        for p in (best, *spatial):
            index = position - len(shape) + len(p.dims)
            if index >= 0 and dim_size(p.dims[index]) == size and size > 1:
                dim = p.dims[index]
                break
        dims.append(dim)
    return best.with_dims(dims)


def by_size(reference: Placement, shape: Sequence[int]) -> Placement | None:
    """Last resort behind an unknown operator: spread (B, C, *spatial) evenly over the input."""
    axes = len(reference.offset)
    if len(shape) != axes + 2:
        return None
    extents = [0] * axes
    for factor in (factor for dim in reference.dims for factor in dim):
        if factor.axis is not None:
            extents[factor.axis] = max(extents[factor.axis], factor.size)
    if min(extents) < 1:
        return None
    dims: list[Dim] = [(Factor(int(n)),) for n in shape[:2]]
    offset = []
    for axis, size in enumerate(shape[2:]):
        step = extents[axis] / int(size)
        dims.append((Factor(int(size), axis, step),))
        offset.append((step - 1) / 2)
    return Placement(tuple(dims), tuple(offset), tuple(float(n) for n in extents), exact=False)
