"""Submodules of a TorchScript program and their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping


class ModuleRef:
    """A submodule and its dotted name.

    Args:
        module: The C++ module.
        path: Dotted name, empty for the network itself.
        names: First names of modules that are registered twice.
    """

    __slots__ = ("_children", "_names", "kind", "module", "path")

    def __init__(self, module: Any, path: str = "", names: Mapping[str, str] | None = None) -> None:
        self.module = module
        self.path = path
        self._names = names or {}
        self.kind = str(module._type().name())
        self._children: dict[str, ModuleRef] = {}

    def attribute(self, name: str) -> Any:
        """Submodule, parameter (detached: gradients of parameters are not wanted) or value."""
        child = self._children.get(name)
        if child is not None:
            return child
        value = self.module.getattr(name)
        if isinstance(value, torch.Tensor):
            return value.detach() if value.requires_grad else value
        if isinstance(value, torch._C.ScriptModule):
            path = f"{self.path}.{name}" if self.path else name
            child = ModuleRef(value, self._names.get(path, path), self._names)
            self._children[name] = child
            return child
        return value


def first_names(module: Any) -> dict[str, str]:
    """Other names of modules that are registered twice -> the name registered first.

    TorchScript makes two modules of one that has two names; the tensors in them stay shared.

    Args:
        module: The C++ module.
    """
    found: dict[tuple[Any, ...], str] = {}
    names: dict[str, str] = {}

    def visit(part: Any, path: str) -> list[tuple[str, int, Any]]:
        parameters: Any = torch._C.ParameterDict(part)
        buffers: Any = torch._C.BufferDict(part)
        own = [*parameters.items(), *buffers.items()]
        tensors = [(name, t.data_ptr(), t.shape) for name, t in own if t is not None and t.numel()]
        for name, child in torch._C.ModuleDict(part).items():
            inner = visit(child, f"{path}.{name}" if path else name)
            tensors += [(f"{name}.{below}", *rest) for below, *rest in inner]
        if tensors:
            first = found.setdefault((str(part._type().name()), *tensors), path)
            if first != path:
                names[path] = first
        return tensors

    visit(module, "")
    return names
