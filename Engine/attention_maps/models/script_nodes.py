"""What single nodes of a TorchScript graph compute, as Python functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from attention_maps.models.fused_attention import with_gradient
from attention_maps.models.script_modules import ModuleRef
from attention_maps.models.script_operators import PLAIN, TENSOR_QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

VIEWS = {
    "alias", "contiguous", "detach", "expand", "expand_as", "flatten", "permute", "reshape",
    "select", "slice", "squeeze", "t", "to", "transpose", "unflatten", "unsqueeze", "view",
    "view_as", "clone", "type_as", "chunk", "unbind", "split",
}  # fmt: skip


class UnsupportedOperatorError(Exception):
    """The graph has an operator that cannot be run from Python."""


def used_values(node: Any) -> set[str]:
    """Names of all values that a node uses, its blocks included."""
    names = {value.debugName() for value in node.inputs()}
    for block in node.blocks():
        names |= {value.debugName() for value in block.outputs()}
        for inner in block.nodes():
            names |= used_values(inner)
    return names


def constant_of(node: Any) -> Any:
    """Value of a constant, tensors without gradient.

    Raises:
        UnsupportedOperatorError: If it has no value in Python.
    """
    try:
        value = node.output().toIValue()
    except RuntimeError as error:
        raise UnsupportedOperatorError(f"constant {node}".strip()) from error
    if isinstance(value, torch.Tensor) and value.requires_grad:
        return value.detach()
    return value


def is_layer(node: Any) -> bool:
    """Whether an operator makes one new tensor of others: a layer of a graph without modules."""
    namespace, name = node.kind().split("::")
    outputs = list(node.outputs())
    return (
        namespace != "prim"
        and len(outputs) == 1
        and outputs[0].type().isSubtypeOf(torch._C.TensorType.get())
        and name.rstrip("_") not in VIEWS
        and any(value.type().isSubtypeOf(torch._C.TensorType.get()) for value in node.inputs())
    )


def is_statement(node: Any) -> bool:
    """Whether it is `x.add_(1)`, behind which the program goes on with `x`, not the result."""
    outputs = list(node.outputs())
    in_place = node.kind().startswith("aten::") and node.kind().endswith("_")
    return in_place and is_layer(node) and not outputs[0].uses()


def is_written_part(node: Any) -> bool:
    """Whether it is `x[:, :4].add_(1)`: what comes next is `x`, of which this is no layer."""
    maker = next(node.inputs()).node().kind() if is_statement(node) else ""
    parts = VIEWS - {"clone", "contiguous", "to"} | {"__getitem__"}
    return maker.removeprefix("aten::") in parts


def _get_attribute(owner: Any, name: str) -> Any:
    return owner.attribute(name) if isinstance(owner, ModuleRef) else getattr(owner, name)


def _set_attribute(owner: Any, name: str, value: Any) -> None:
    if isinstance(owner, ModuleRef):
        owner.module.setattr(name, value)
    else:
        setattr(owner, name, value)


def _number_to_tensor(number: float) -> torch.Tensor:
    return torch.tensor(number, dtype=torch.float64 if isinstance(number, float) else None)


def structural_function(node: Any) -> tuple[Callable[..., Any], bool] | None:
    """Nodes that build and take apart, which have no schema."""
    kind = node.kind()
    if kind == "prim::GetAttr":
        name = node.s("name")
        return (lambda owner: _get_attribute(owner, name)), False
    if kind == "prim::SetAttr":
        name = node.s("name")
        return (lambda owner, value: _set_attribute(owner, name, value)), False
    if kind in ("prim::TupleConstruct", "prim::NamedTupleConstruct"):
        return (lambda *values: tuple(values)), False
    if kind == "prim::ListConstruct":
        return (lambda *values: list(values)), False
    if kind == "prim::DictConstruct":
        return (lambda *values: dict(zip(values[::2], values[1::2], strict=True))), False
    if kind in ("prim::TupleUnpack", "prim::ListUnpack"):
        return (lambda values: values), True
    if kind == "prim::TupleIndex":
        return (lambda values, index: values[index]), False
    if kind == "prim::TupleSlice":
        low, high = node.i("beg"), node.i("end")
        return (lambda values: values[low:high]), False
    if kind == "prim::NumToTensor":
        return _number_to_tensor, False
    if kind == "prim::CreateObject" and str(node.output().type()).endswith(".no_grad"):
        return torch.no_grad, False
    if kind == "prim::Uninitialized":
        return (lambda: None), False
    if kind == "prim::ConstantChunk":
        chunks, dim = node.i("chunks"), node.i("dim")
        return (lambda tensor: torch.chunk(tensor, chunks, dim)), True
    return None


def operator_function(node: Any) -> Callable[..., Any]:
    """The function that a node's schema names."""
    kind = node.kind()
    has_tensor = any(value.type().isSubtypeOf(torch._C.TensorType.get()) for value in node.inputs())
    text = node.schema()
    if text == "(no schema)":
        if kind in PLAIN:
            return PLAIN[kind]
        raise UnsupportedOperatorError(kind)
    if has_tensor and kind in TENSOR_QUESTIONS:
        return TENSOR_QUESTIONS[kind]
    schema = torch._C.parse_schema(text)
    types = [str(argument.type) for argument in schema.arguments]
    if kind in PLAIN and not any("Tensor" in name for name in types):
        return PLAIN[kind]
    namespace, name = kind.split("::")
    try:
        packet = getattr(getattr(torch.ops, namespace), name)
        overload = getattr(packet, schema.overload_name or "default")
    except AttributeError as error:
        if kind in PLAIN:
            return PLAIN[kind]
        raise UnsupportedOperatorError(text) from error
    keywords = [a.name for a in schema.arguments if a.kwarg_only]
    if not keywords:
        return with_gradient(kind, overload)
    positional = len(schema.arguments) - len(keywords)

    def with_keywords(*arguments: Any) -> Any:
        named = dict(zip(keywords, arguments[positional:], strict=True))
        return overload(*arguments[:positional], **named)

    return with_keywords
