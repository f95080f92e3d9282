"""How each operator moves its input's placement: one small function per family.

Every rule gets the operator's arguments (placements in place of tensors that have one) and the
shape of its result. What is not listed is taken as working voxel by voxel.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from attention_maps.tracing.placement import (
    Factor,
    Placement,
    dim_size,
    merge,
    reshape,
    single,
    slide,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Rule = Callable[[Sequence[Any], tuple[int, ...]], Placement | None]

RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators of the aten namespace."""

    def register(function: Rule) -> Rule:
        RULES.update({f"aten::{name}": function for name in names})
        return function

    return register


def _per_axis(value: Any, axes: int, default: Any = None) -> list[Any]:
    """Spread an int or a list of one over all axes."""
    if value is None or (isinstance(value, list | tuple) and not value):
        return [default] * axes
    values = list(value) if isinstance(value, list | tuple) else [value]
    return values * axes if len(values) == 1 else values


def _argument(args: Sequence[Any], index: int, default: Any = None) -> Any:
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
    stride, padding, dilation = (_per_axis(args[i], axes) for i in (3, 4, 5))
    transposed = bool(_argument(args, 6, False))
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
def _pooling(args: Sequence[Any], shape: tuple[int, ...], *, dilated: bool = True) -> Placement:
    result = args[0]
    axes = min(len(shape) - 1, len(result.offset))
    first = len(shape) - axes
    kernel = _per_axis(args[1], axes)
    stride = _per_axis(_argument(args, 2), axes)
    padding = _per_axis(_argument(args, 3), axes, 0)
    dilation = _argument(args, 4)
    dilation = [1] * axes if isinstance(dilation, bool) else _per_axis(dilation, axes, 1)
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
    for dim in range(len(shape) - min(len(shape) - 1, len(result.offset)), len(shape)):
        before = dim_size(result.dims[dim])
        kernel = before / shape[dim]
        result = slide(result, dim, shape[dim], kernel=kernel, stride=kernel, low=0)
    return result


@rule(
    "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_linear1d",
    "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d",
    "_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d",
    "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa",
)  # fmt: skip
def _upsampling(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    result = args[0]
    aligned = any(argument is True for argument in args[2:3])
    for dim in range(2, len(shape)):
        before = dim_size(result.dims[dim])
        if aligned and shape[dim] > 1:
            step, low = (before - 1) / (shape[dim] - 1), 0.0
        else:
            step = before / shape[dim]
            low = (1 - step) / 2
        result = slide(result, dim, shape[dim], kernel=1, stride=step, low=low)
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


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze", "unsqueeze", "flatten",
      "squeeze_", "unsqueeze_", "unflatten", "view_copy")  # fmt: skip
def _reshape(args: Sequence[Any], shape: tuple[int, ...]) -> Placement | None:
    return reshape(args[0], shape)


@rule("permute", "permute_copy")
def _permute(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    return args[0].with_dims(args[0].dims[dim] for dim in args[1])


@rule("transpose", "transpose_", "transpose_copy", "swapaxes")
def _transpose(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    dims = list(args[0].dims)
    first, second = args[1], args[2]
    dims[first], dims[second] = dims[second], dims[first]
    return args[0].with_dims(dims)


@rule("t", "t_", "numpy_T", "mT")
def _matrix_transpose(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    return args[0].with_dims(reversed(args[0].dims))


@rule("expand", "expand_copy", "repeat")
def _expand(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    source = args[0].dims
    dims = [(Factor(size),) for size in shape]
    for back, dim in enumerate(reversed(source), start=1):
        if dim_size(dim) == shape[-back]:
            dims[-back] = dim
    return args[0].with_dims(dims)


@rule("slice", "slice_copy", "narrow")
def _slice(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    source = args[0]
    dim = _argument(args, 1, 0) % len(shape)
    start = _argument(args, 2) or 0
    step = _argument(args, 4) or 1
    before = dim_size(source.dims[dim])
    start = max(start + before, 0) if start < 0 else min(start, before)
    if start == 0 and step == 1 and before == shape[dim]:
        return source
    return _cut(source, dim, start, step, shape[dim])


def _cut(source: Placement, dim: int, start: int, step: int, size: int) -> Placement:
    factor = single(source.dims[dim])
    dims = list(source.dims)
    all_tokens = factor is not None and factor.lead == start and start + size == factor.size
    if factor is not None and factor.tokens and all_tokens and step == 1:
        dims[dim] = factor.tokens
        return source.with_dims(dims)
    if factor is None or factor.axis is None:
        dims[dim] = (Factor(size),)
        return source.with_dims(dims)
    return slide(source, dim, size, kernel=1, stride=step, low=-start)


@rule("select", "select_copy")
def _select(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    source = args[0]
    dim, index = args[1] % len(source.dims), args[2]
    index += dim_size(source.dims[dim]) if index < 0 else 0
    dims = list(_cut(source, dim, index, 1, 1).dims)
    result = _cut(source, dim, index, 1, 1)
    del dims[dim]
    return result.with_dims(dims)


@rule("roll")
def _roll(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    result = args[0]
    dims = _per_axis(_argument(args, 2), 1, 0)
    for shift, dim in zip(_per_axis(args[1], len(dims)), dims, strict=True):
        factor = single(result.dims[dim])
        if factor is not None and factor.axis is not None:
            result = result.shifted(factor.axis, -shift * factor.step)
    return result


@rule("flip")
def _flip(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    result = args[0]
    for dim in args[1]:
        factor = single(result.dims[dim])
        if factor is not None and factor.axis is not None:
            result = result.shifted(factor.axis, (factor.size - 1) * factor.step)
            dims = list(result.dims)
            dims[dim] = (replace_step(factor, -factor.step),)
            result = result.with_dims(dims)
    return result


def replace_step(factor: Factor, step: float) -> Factor:
    """The same factor with another step."""
    return Factor(factor.size, factor.axis, step)


@rule("unfold")
def _unfold(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    source, dim, size, step = args[0], args[1] % len(args[0].dims), args[2], args[3]
    factor = single(source.dims[dim]) or Factor(dim_size(source.dims[dim]))
    dims = list(source.dims)
    dims[dim] = (Factor(shape[dim], factor.axis, factor.step * step),)
    return source.with_dims([*dims, (Factor(size, factor.axis, factor.step),)])


@rule("pixel_shuffle")
def _pixel_shuffle(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    result, factor = args[0], args[1]
    dims = list(result.dims)
    dims[-3] = (Factor(shape[-3]),)
    result = result.with_dims(dims)
    for dim in (len(shape) - 2, len(shape) - 1):
        low = (1 - 1 / factor) / 2
        result = slide(result, dim, shape[dim], kernel=1, stride=1 / factor, low=low)
    return result


@rule("cat", "concat", "concatenate")
def _cat(args: Sequence[Any], shape: tuple[int, ...]) -> Placement | None:
    parts = list(args[0])
    dim = _argument(args, 1, 0) % len(shape)
    known = [part for part in parts if isinstance(part, Placement)]
    leading = parts[0]
    if len(parts) == 2 and not isinstance(leading, Placement | type(None)) and known:
        factor = Factor(shape[dim], None, 0.0, int(leading.shape[dim]), known[0].dims[dim])
        if any(inner.axis is not None for inner in known[0].dims[dim]):
            dims = list(known[0].dims)
            dims[dim] = (factor,)
            return known[0].with_dims(dims)
    joined = []
    for part in known:
        dims = list(part.dims)
        dims[dim] = (Factor(shape[dim]),)
        joined.append(part.with_dims(dims))
    if any(factor.axis is not None for factor in known[0].dims[dim]):
        first = known[0]
        alone = single(first.dims[dim])
        if alone is not None:  # windows put side by side again, or voxels appended at the end
            dims = list(first.dims)
            dims[dim] = (Factor(shape[dim], alone.axis, alone.step),)
            return first.with_dims(dims)
    return merge(joined, shape)


@rule("stack")
def _stack(args: Sequence[Any], shape: tuple[int, ...]) -> Placement | None:
    dim = _argument(args, 1, 0) % len(shape)
    parts = []
    for part in args[0]:
        if isinstance(part, Placement):
            dims = list(part.dims)
            dims.insert(dim, (Factor(shape[dim]),))
            parts.append(part.with_dims(dims))
    return merge(parts, shape)


@rule("mean", "sum", "amax", "amin", "max", "min", "median", "prod", "var", "std", "var_mean",
      "logsumexp", "linalg_vector_norm", "norm")  # fmt: skip
def _reduction(args: Sequence[Any], shape: tuple[int, ...]) -> Placement | None:
    source = args[0]
    if len(args) > 1 and isinstance(args[1], Placement):
        return merge([a for a in args if isinstance(a, Placement)], shape)
    position = 2 if isinstance(_argument(args, 1), float) else 1
    dims = _argument(args, position)
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


def elementwise(operands: Sequence[Placement], shape: tuple[int, ...]) -> Placement | None:
    """Rule of everything that works voxel by voxel, broadcasting its operands."""
    padded = []
    for operand in operands:
        missing = len(shape) - len(operand.dims)
        if missing >= 0:
            padded.append(replace(operand, dims=((Factor(1),),) * missing + operand.dims))
    same_size = [p for p in padded if prod(p.shape) == prod(shape)]
    return merge(same_size or padded, shape)
