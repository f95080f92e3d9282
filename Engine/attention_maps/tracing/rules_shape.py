"""Rules of operators that reorder, cut and join axes (see `rules`)."""

from __future__ import annotations

from dataclasses import replace
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
from attention_maps.tracing.rules import argument, per_axis, rule

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    dim = argument(args, 1, 0) % len(shape)
    start = argument(args, 2) or 0
    step = argument(args, 4) or 1
    before = dim_size(source.dims[dim])
    start = max(start + before, 0) if start < 0 else min(start, before)
    if start == 0 and step == 1 and before == shape[dim]:
        return source
    return cut(source, dim, start, step, shape[dim])


def cut(source: Placement, dim: int, start: int, step: int, size: int) -> Placement:
    """Every `step`-th index of one tensor axis from `start` on, `size` of them."""
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
    dims = list(cut(source, dim, index, 1, 1).dims)
    result = cut(source, dim, index, 1, 1)
    del dims[dim]
    return result.with_dims(dims)


@rule("roll")
def _roll(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    result = args[0]
    dims = per_axis(argument(args, 2), 1, 0)
    for shift, dim in zip(per_axis(args[1], len(dims)), dims, strict=True):
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
            dims[dim] = (factor._replace(step=-factor.step),)
            result = result.with_dims(dims)
        elif any(inner.spatial for inner in result.dims[dim]):
            result = replace(result, exact=False)
    return result


@rule("rot90")
def _rot90(args: Sequence[Any], shape: tuple[int, ...]) -> Placement | None:
    turns = int(argument(args, 1, 1)) % 4
    first, second = argument(args, 2, [0, 1])
    if turns == 0:
        return args[0]
    if turns == 2:
        return _flip([args[0], [first, second]], shape)
    flipped = _flip([args[0], [second if turns == 1 else first]], shape)
    return _transpose([flipped, first, second], shape)


@rule("view_as_real", "view_as_real_copy")
def _view_as_real(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    return args[0].with_dims([*args[0].dims, (Factor(2),)])


@rule("view_as_complex", "view_as_complex_copy")
def _view_as_complex(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    return args[0].with_dims(args[0].dims[:-1])


@rule("unfold")
def _unfold(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    source, dim, size, step = args[0], args[1] % len(args[0].dims), args[2], args[3]
    factor = single(source.dims[dim]) or Factor(dim_size(source.dims[dim]))
    dims = list(source.dims)
    dims[dim] = (Factor(shape[dim], factor.axis, factor.step * step),)
    return source.with_dims([*dims, (Factor(size, factor.axis, factor.step),)])


@rule("pixel_unshuffle")
def _pixel_unshuffle(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    result, factor = args[0], args[1]
    for dim in (len(shape) - 2, len(shape) - 1):
        result = slide(result, dim, shape[dim], kernel=factor, stride=factor, low=0)
    dims = list(result.dims)
    dims[-3] = (Factor(shape[-3]),)
    return result.with_dims(dims)


@rule("im2col")
def _im2col(args: Sequence[Any], shape: tuple[int, ...]) -> Placement:
    source = args[0]
    kernel, dilation, padding, stride = args[1:5]
    result, tokens = source, []
    for axis, dim in enumerate((2, 3)):
        extent = (kernel[axis] - 1) * dilation[axis] + 1
        before = dim_size(source.dims[dim])
        count = (before + 2 * padding[axis] - extent) // stride[axis] + 1
        result = slide(result, dim, count, kernel=extent, stride=stride[axis], low=padding[axis])
        tokens += list(result.dims[dim])
    return result.with_dims([result.dims[0], (Factor(shape[1]),), tuple(tokens)])


@rule("col2im")
def _col2im(args: Sequence[Any], shape: tuple[int, ...]) -> Placement | None:
    source = args[0]
    size, kernel, dilation, padding, stride = args[1:6]
    result = reshape(source.with_dims([*source.dims[:1], (Factor(shape[1]),), source.dims[2]]), [
        shape[0], shape[1],
        *((size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
          for i in (0, 1)),
    ])  # fmt: skip
    if result is None:
        return None
    for axis, dim in enumerate((2, 3)):
        reach = (kernel[axis] - 1) * dilation[axis]
        low = (reach - padding[axis]) / stride[axis]
        kernel_size = reach / stride[axis] + 1
        result = slide(
            result, dim, shape[dim], kernel=kernel_size, stride=1 / stride[axis], low=low
        )
    return result


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
    parts = [part for part in args[0] if isinstance(part, Placement) or part.numel()]
    dim = argument(args, 1, 0) % len(shape)
    known = [part for part in parts if isinstance(part, Placement)]
    if any(factor.spatial for factor in known[0].dims[dim]):
        return _cat_along_space(parts, known, dim, shape)
    joined = []
    for part in known:
        dims = list(part.dims)
        dims[dim] = (Factor(shape[dim]),)
        joined.append(part.with_dims(dims))
    return merge(joined, shape)


def _cat_along_space(
    parts: list[Any], known: list[Placement], dim: int, shape: tuple[int, ...]
) -> Placement | None:
    """Padding or class tokens in front, or pieces of a volume put side by side again."""
    first = known[0]
    before = sum(int(part.shape[dim]) for part in parts[: parts.index(first)])
    dims = list(first.dims)
    factor = single(first.dims[dim])
    if factor is None or len(shape) != len(first.offset) + 2:
        if len(known) > 1 or parts[-1] is not first:
            return None
        dims[dim] = (Factor(shape[dim], None, 0.0, before, first.dims[dim]),)
        return first.with_dims(dims)
    axis, step = factor.axis, factor.step
    if axis is None:
        return None
    if factor.size == 1 and len(known) > 1:
        step = known[1].offset[axis] - first.offset[axis]
    dims[dim] = (Factor(shape[dim], axis, step),)
    whole = first.with_dims(dims).shifted(axis, -before * step)
    return whole if _in_line(parts, whole, dim, axis) else replace(whole, exact=False)


def _in_line(parts: list[Any], whole: Placement, dim: int, axis: int) -> bool:
    """Whether pieces put side by side lie where one regular axis has them."""
    factor, start = whole.dims[dim][0], 0
    for part in parts:
        if isinstance(part, Placement):
            wanted = whole.offset[axis] + start * factor.step
            inner = single(part.dims[dim])
            if abs(part.offset[axis] - wanted) > 1e-6 or inner is None:
                return False
            if inner.size > 1 and abs(inner.step - factor.step) > 1e-6:
                return False
        start += int(part.shape[dim])
    return True


@rule("stack")
def _stack(args: Sequence[Any], shape: tuple[int, ...]) -> Placement | None:
    dim = argument(args, 1, 0) % len(shape)
    parts = [part for part in args[0] if isinstance(part, Placement)]
    factor = _along_offsets(parts) if len(parts) == shape[dim] else Factor(shape[dim])
    stacked = []
    for part in parts:
        dims = list(part.dims)
        dims.insert(dim, (factor,))
        stacked.append(part.with_dims(dims))
    return stacked[0] if factor.spatial else merge(stacked, shape)


def _along_offsets(parts: list[Placement]) -> Factor:
    """The axis along which slices lie one behind the other."""
    count = len(parts)
    if count < 2 or any(part.dims != parts[0].dims for part in parts):
        return Factor(count)
    steps = [b - a for a, b in zip(parts[0].offset, parts[1].offset, strict=True)]
    moving = [axis for axis, step in enumerate(steps) if abs(step) > 1e-6]
    if len(moving) != 1:
        return Factor(count)
    axis = moving[0]
    start, step = parts[0].offset[axis], steps[axis]
    if any(abs(part.offset[axis] - start - i * step) > 1e-6 for i, part in enumerate(parts)):
        return Factor(count)
    return Factor(count, axis, step)
