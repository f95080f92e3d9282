"""How each operator moves its input's placement: one small function per family.

Every rule gets the operator's arguments (placements in place of tensors that have one) and the
shape of its result. What is not listed is taken as working voxel by voxel.
"""

from __future__ import annotations

from dataclasses import replace
from math import floor, prod
from typing import TYPE_CHECKING, Any

from attention_maps.tracing.placement import (
    Factor,
    Placement,
    dim_size,
    merge,
    single,
    slide,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Rule = Callable[[Sequence[Any], tuple[int, ...]], Placement | None]

RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators of the aten namespace."""

    def register(function: Rule) -> Rule:
        RULES.update({f"aten::{name}": function for name in names})
        return function

    return register


def per_axis(value: Any, axes: int, default: Any = None) -> list[Any]:
    """Spread an int or a list of one over all axes."""
    if value is None or (isinstance(value, list | tuple) and not value):
        return [default] * axes
    values = list(value) if isinstance(value, list | tuple) else [value]
    return values * axes if len(values) == 1 else values


def argument(args: Sequence[Any], index: int, default: Any = None) -> Any:
    """An operator's argument by position, or its default where it was left out."""
    return args[index] if len(args) > index else default


def _channels(placement: Placement, axes: int, count: int) -> Placement:
    """Replace the channel axis in front of the spatial ones, which the operator has summed."""
    position = len(placement.dims) - axes - 1
    dims = list(placement.dims)
    result = placement.contracted([position]) if position >= 0 else placement
    dims[position] = (Factor(count),)
    return result.with_dims(dims)


@rule("convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution")
def _convolution(args: Sequence[Any], shape: tuple[int, ...]) -> Placement | None:
    source, weight = args[0], args[1]
    axes = len(shape) - 2
    stride, padding, dilation = (per_axis(args[i], axes) for i in (3, 4, 5))
    transposed = bool(argument(args, 6, False))
    result = _channels(source, axes, shape[1])
    for axis in range(axes):
        kernel = (int(weight.shape[axis + 2]) - 1) * dilation[axis] + 1
        if transposed:
            reach = (kernel - 1) / stride[axis]
            low = (kernel - 1 - padding[axis]) / stride[axis]
            step = 1 / stride[axis]
            kernel = reach + 1
        else:
            low, step = padding[axis], stride[axis]
        result = slide(result, axis + 2, shape[axis + 2], kernel=kernel, stride=step, low=low)
    return result


@rule(
    "max_pool1d", "max_pool2d", "max_pool3d", "max_pool1d_with_indices", "mkldnn_max_pool2d",
    "max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool1d", "avg_pool2d", "avg_pool3d",
)  # fmt: skip
def _pooling(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    result = args[0]
    axes = len(args[1])
    first = len(shape) - axes
    kernel = list(args[1])
    stride = per_axis(argument(args, 2), axes)
    padding = per_axis(argument(args, 3), axes, 0)
    dilation = argument(args, 4)
    dilation = [1] * axes if isinstance(dilation, bool) else per_axis(dilation, axes, 1)
    for axis in range(axes):
        extent = (kernel[axis] - 1) * dilation[axis] + 1
        step = kernel[axis] if stride[axis] is None else stride[axis]
        result = slide(
            result, first + axis, shape[first + axis], kernel=extent, stride=step, low=padding[axis]
        )
    return result


@rule(
    "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "mkldnn_adaptive_avg_pool2d",
)  # fmt: skip
def _adaptive_pooling(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    result = args[0]
    for dim in range(len(shape) - len(args[1]), len(shape)):
        before = dim_size(result.dims[dim])
        kernel = before / shape[dim]
        result = slide(result, dim, shape[dim], kernel=kernel, stride=kernel, low=0)
    return result


@rule(
    "upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d",
    "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "_upsample_lanczos2d_aa",
)  # fmt: skip
def _interpolation(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    result, aligned, factors = args[0], args[2], args[3:]
    for axis, dim in enumerate(range(2, len(shape))):
        before = dim_size(result.dims[dim])
        step, low = _source_step(before, shape[dim], argument(factors, axis)), 0.0
        if aligned:
            step = (before - 1) / max(shape[dim] - 1, 1)
        else:
            low = (1 - step) / 2
        result = slide(result, dim, shape[dim], kernel=1, stride=step, low=low)
    return result


def _source_step(before: int, after: int, factor: float | None) -> float:
    """Indices from one output to the next; a given scale factor counts, not the rounded sizes."""
    return 1 / factor if factor else before / after


@rule("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")
def _nearest(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    return _nearest_neighbor(args, shape, 0.0)


@rule("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d")
def _nearest_exact(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    return _nearest_neighbor(args, shape, 0.5)


def _nearest_neighbor(args: Sequence[Any], shape: tuple[int, ...], shift: float) -> Placement:
    """Output i shows input floor((i + shift) * step): the mean gap to i * step is its place."""
    result, factors = args[0], args[2:]
    for axis, dim in enumerate(range(2, len(shape))):
        before, after = dim_size(result.dims[dim]), shape[dim]
        step = _source_step(before, after, argument(factors, axis))
        shown = (min(floor((i + shift) * step + 1e-9), before - 1) for i in range(after))
        low = -sum(index - i * step for i, index in enumerate(shown)) / after
        result = slide(result, dim, after, kernel=1, stride=step, low=low)
    return result


@rule("max_unpool2d", "max_unpool3d")
def _unpooling(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    result = args[0]
    for dim in range(2, len(shape)):
        step = dim_size(result.dims[dim]) / shape[dim]
        result = slide(result, dim, shape[dim], kernel=1, stride=step, low=(1 - step) / 2)
    return result


@rule("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
      "replication_pad1d", "replication_pad2d", "replication_pad3d")  # fmt: skip
def _padding(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    result, pads = args[0], list(args[1])
    for back in range(len(pads) // 2):
        dim = len(shape) - 1 - back
        low, high = pads[2 * back], pads[2 * back + 1]
        if low or high:
            result = slide(result, dim, shape[dim], kernel=1, stride=1, low=low)
    return result


@rule("mean", "sum", "amax", "amin", "max", "min", "median", "prod", "var", "std", "var_mean",
      "logsumexp", "linalg_vector_norm", "norm")  # fmt: skip
def _reduction(args: Sequence[Any], shape: tuple[int, ...]) -> Placement | None:
    source = args[0]
    if len(args) > 1 and isinstance(args[1], Placement):
        return merge([a for a in args if isinstance(a, Placement)], shape)
    position = 2 if isinstance(argument(args, 1), float) else 1
    dims = argument(args, position)
    rank = len(source.dims)
    dims = range(rank) if dims is None or dims == [] else dims
    dims = [dims % rank] if isinstance(dims, int) else [dim % rank for dim in dims]
    result = source.contracted(dims)
    if len(shape) == rank:
        return result.with_dims(
            (Factor(1),) if dim in dims else old for dim, old in enumerate(source.dims)
        )
    return result.with_dims(old for dim, old in enumerate(source.dims) if dim not in dims)


@rule("mm", "addmm", "linear", "matmul")
def _matrix(args: Sequence[Any], shape: tuple[int, ...]) -> Placement | None:
    left, right = args[-2:] if len(args) < 3 or args[0] is None else args[1:3]
    if not isinstance(left, Placement) or len(left.dims) != len(shape):
        return None
    result = left.contracted([len(left.dims) - 1])
    last = right.dims[-1] if isinstance(right, Placement) else (Factor(shape[-1]),)
    return result.with_dims([*left.dims[:-1], last])


@rule("bmm", "baddbmm")
def _batched_matrix(args: Sequence[Any], shape: tuple[int, ...]) -> Placement | None:
    left, right = args[-2:]
    if not isinstance(left, Placement):
        if not isinstance(right, Placement):
            return None
        dims = [right.dims[0], (Factor(shape[1]),), right.dims[2]]
        return right.contracted([1]).with_dims(dims)
    columns = right.dims[2] if isinstance(right, Placement) else (Factor(shape[2]),)
    batch = left.dims[0]
    result = left
    for inner in (f for outer in left.dims[2] for f in (outer.tokens or (outer,))):
        if inner.axis is not None:  # attention mixes all tokens: the query stays where it is
            result = result.shifted(inner.axis, 0.0, abs((inner.size - 1) * inner.step))
    return result.with_dims([batch, left.dims[1], columns])


@rule("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_efficient_attention",
      "_scaled_dot_product_flash_attention", "scaled_dot_product_attention",
      "_scaled_dot_product_attention_math", "_scaled_dot_product_cudnn_attention")  # fmt: skip
def _attention(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    return args[0].with_dims([*args[0].dims[:-1], (Factor(shape[-1]),)])


@rule(
    "gather", "take_along_dim", "sort", "topk", "index", "index_select", "index_put", "scatter",
    "scatter_add", "scatter_reduce", "masked_scatter", "grid_sampler_2d", "grid_sampler_3d",
    "cudnn_grid_sampler", "_fft_r2c", "_fft_c2c", "_fft_c2r",
)  # fmt: skip
def displaced(args: Sequence[Any], shape: tuple[int, ...]) -> Placement | None:
    """Rule of operators that carry values elsewhere, and of those that nobody knows."""
    source = next(_flat_placements(args))
    if len(source.dims) != len(shape):
        return None
    dims = []
    for dim, size in zip(source.dims, shape, strict=True):
        factor = single(dim)
        if dim_size(dim) != size:
            step = 0.0 if factor is None else factor.step * factor.size / size
            dim = (Factor(size, factor.axis if factor else None, step),)
        dims.append(dim)
    return replace(source, dims=tuple(dims), exact=False)


def _flat_placements(args: Sequence[Any]) -> Iterator[Placement]:
    for value in args:
        if isinstance(value, Placement):
            yield value
        elif isinstance(value, list | tuple):
            yield from _flat_placements(value)


def elementwise(operands: Sequence[Placement], shape: tuple[int, ...]) -> Placement | None:
    """Rule of everything that works voxel by voxel, broadcasting its operands."""
    padded = []
    for operand in operands:
        missing = len(shape) - len(operand.dims)
        operand = replace(operand, dims=((Factor(1),),) * max(missing, 0) + operand.dims)
        if missing < 0 or any(n not in (1, m) for n, m in zip(operand.shape, shape, strict=True)):
            return None
        padded.append(operand)
    same_size = [p for p in padded if prod(p.shape) == prod(shape)]
    return merge(same_size or padded, shape)
