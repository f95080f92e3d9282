"""TorchScript operators in Python: what the dispatcher cannot call, and what it calls slowly.

TorchScript's lists and dictionaries are shared, never copied, and `torch.ops` would copy them; so
everything that is not a tensor operator runs as plain Python. Semantics follow the TorchScript
language reference (https://docs.pytorch.org/docs/stable/jit_language_reference_v2.html).
"""

from __future__ import annotations

import logging
import math
import operator
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

# numbers by which TorchScript knows dtypes (c10/core/ScalarType.h)
DTYPE_NUMBERS = {
    torch.uint8: 0, torch.int8: 1, torch.int16: 2, torch.int32: 3, torch.int64: 4,
    torch.float16: 5, torch.float32: 6, torch.float64: 7, torch.complex32: 8,
    torch.complex64: 9, torch.complex128: 10, torch.bool: 11, torch.bfloat16: 15,
}  # fmt: skip


class ScriptRaisedError(RuntimeError):
    """The TorchScript program raised an exception of its own."""


def raise_exception(message: str, name: str = "Exception") -> None:
    """`raise` of a TorchScript program."""
    raise ScriptRaisedError(f"{str(name).rsplit('.', 1)[-1]}: {message}")


def _set_item(container: Any, key: Any, value: Any) -> Any:
    container[key] = value
    return container


def _delete(container: Any, key: Any) -> None:
    del container[key]


def _extend(first: list[Any], second: list[Any]) -> None:
    first.extend(second)


def _append(values: list[Any], value: Any) -> list[Any]:
    values.append(value)
    return values


def _list_slice(values: Any, start: int | None, end: int | None, step: int = 1) -> Any:
    return values[slice(start, end, step)]


def _range_length(low: int, high: int, step: int) -> int:
    return len(range(low, high, step))


def _warn(message: str, *_: Any, **__: Any) -> None:
    logger.info("The network warns: %s", message)


def _sort(values: list[Any], reverse: bool = False) -> None:
    values.sort(reverse=reverse)


def _is(first: Any, second: Any) -> bool:
    return first is second


def _is_not(first: Any, second: Any) -> bool:
    return first is not second


def _new_tensor(data: Any, dtype: int | None, device: Any, *_: Any) -> torch.Tensor:
    """`torch.tensor` and `torch.as_tensor` of numbers and lists of them."""
    wanted = next((kind for kind, number in DTYPE_NUMBERS.items() if number == dtype), None)
    return torch.tensor(data, dtype=wanted, device=device)


def _true_divide(first: Any, second: Any) -> float:
    return first / second


# by operator name: everything that has no tensor in its signature
PLAIN: dict[str, Callable[..., Any]] = {
    "aten::add": operator.add, "aten::add_": operator.iadd, "aten::sub": operator.sub,
    "aten::mul": operator.mul, "aten::div": _true_divide, "aten::floordiv": operator.floordiv,
    "aten::remainder": operator.mod, "aten::fmod": math.fmod, "aten::pow": operator.pow,
    "aten::neg": operator.neg, "aten::abs": abs, "prim::abs": abs,
    "aten::eq": operator.eq, "aten::ne": operator.ne, "aten::lt": operator.lt,
    "aten::le": operator.le, "aten::gt": operator.gt, "aten::ge": operator.ge,
    "aten::__and__": operator.and_, "aten::__or__": operator.or_, "aten::__xor__": operator.xor,
    "aten::__lshift__": operator.lshift, "aten::__rshift__": operator.rshift,
    "aten::__not__": operator.not_, "aten::__is__": _is, "aten::__isnot__": _is_not,
    "aten::__contains__": operator.contains, "aten::len": len, "aten::hash": hash,
    "aten::append": _append, "aten::extend": _extend, "aten::insert": list.insert,
    "aten::pop": lambda values, *key: values.pop(*key), "aten::popitem": dict.popitem,
    "aten::clear": lambda container: container.clear(), "aten::reverse": list.reverse,
    "aten::copy": lambda container: container.copy(), "aten::list": list, "aten::sort": _sort,
    "aten::sorted": sorted, "aten::index": lambda values, value: values.index(value),
    "aten::count": lambda values, value: values.count(value), "aten::remove": list.remove,
    "aten::__getitem__": operator.getitem, "aten::_set_item": _set_item, "aten::Delete": _delete,
    "aten::slice": _list_slice, "aten::keys": lambda d: list(d.keys()),
    "aten::values": lambda d: list(d.values()), "aten::items": lambda d: list(d.items()),
    "aten::get": lambda d, *key: d.get(*key), "aten::update": dict.update, "aten::dict": dict,
    "aten::setdefault": dict.setdefault, "aten::Int": int, "aten::Float": float,
    "aten::Bool": bool, "aten::str": str, "aten::ord": ord, "aten::chr": chr,
    "aten::format": lambda text, *values: text.format(*values),
    "aten::percentFormat": lambda text, *values: text % values,
    "aten::join": lambda text, parts: text.join(parts), "aten::lower": str.lower,
    "aten::upper": str.upper, "aten::startswith": str.startswith, "aten::endswith": str.endswith,
    "aten::split": str.split, "aten::strip": str.strip, "aten::replace": str.replace,
    "aten::find": str.find, "aten::ceil": math.ceil, "aten::floor": math.floor,
    "aten::round": round, "aten::sqrt": math.sqrt, "aten::log": math.log, "aten::exp": math.exp,
    "aten::log2": math.log2, "aten::log10": math.log10, "prim::min": min, "prim::max": max,
    "aten::all": all, "aten::any": any, "aten::sum": sum,
    "aten::__range_length": _range_length, "prim::rangelist": lambda n: list(range(n)),
    "aten::__derive_index": lambda index, start, step: start + index * step,
    "aten::__round_to_zero_floordiv": lambda a, b: int(a / b), "aten::warn": _warn,
    "aten::_unwrap_optional": lambda value: value, "prim::unchecked_cast": lambda value: value,
    "prim::unchecked_unwrap_optional": lambda value: value, "prim::Print": lambda *values: None,
    # always yes: the shortcuts that PyTorch takes without gradients hide layers
    "prim::RaiseException": raise_exception, "aten::is_grad_enabled": lambda: True,
    "aten::is_scripting": lambda: True, "aten::tensor": _new_tensor, "aten::as_tensor": _new_tensor,
    "prim::tolist": lambda values: values,
    "prim::Enter": lambda context: context.__enter__(),
    "prim::Exit": lambda context, *_: context.__exit__(None, None, None),
}  # fmt: skip

# by operator name: questions about a tensor, answered without the dispatcher
TENSOR_QUESTIONS: dict[str, Callable[..., Any]] = {
    "aten::dim": lambda tensor: tensor.dim(),
    "aten::size": lambda tensor, *dim: tensor.size(*dim) if dim else list(tensor.shape),
    "aten::stride": lambda tensor, *dim: tensor.stride(*dim) if dim else list(tensor.stride()),
    "aten::numel": lambda tensor: tensor.numel(),
    "aten::len": len,
    "aten::is_floating_point": lambda tensor: tensor.is_floating_point(),
    "aten::Int": int, "aten::IntImplicit": int, "aten::Float": float, "aten::FloatImplicit": float,
    "aten::Bool": bool, "aten::ScalarImplicit": lambda tensor: tensor.item(),
    "aten::item": lambda tensor: tensor.item(),
    "prim::dtype": lambda tensor: DTYPE_NUMBERS[tensor.dtype],
    "prim::device": lambda tensor: tensor.device,
    "prim::is_cuda": lambda tensor: tensor.is_cuda,
    "prim::requires_grad": lambda tensor: True,  # as with gradients: the same layers run always
    "prim::layout": lambda tensor: 0,
    "prim::data": lambda tensor: tensor.detach(),
    "prim::shape": lambda tensor: list(tensor.shape),
    "aten::__is__": _is, "aten::__isnot__": _is_not,
}  # fmt: skip
