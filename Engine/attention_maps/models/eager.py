"""Eager PyTorch modules: forward hooks, and everything put back afterwards."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attention_maps.models.base import (
    Loaded,
    ModelKind,
    changing,
    evaluating,
    lock_of,
    refuse_inference_tensors,
    register_kind,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from attention_maps.models.base import LoadOptions, Tap


class EagerNetwork:
    """A `torch.nn.Module` in memory.

    Args:
        module: The caller's module; wrappers (torch.compile, DataParallel) are looked through.
    """

    kind = "PyTorch module"

    def __init__(self, module: nn.Module) -> None:
        self.module = _unwrapped(module)
        self.name = type(self.module).__name__
        first = {part: name for name, part in self.module.named_modules()}
        every = self.module.named_modules(remove_duplicate=False)
        self.aliases = {name: first[part] for name, part in every if name != first[part]}

    def run(self, inputs: torch.Tensor, tap: Tap | None) -> Any:
        """Run in evaluation mode with parameters frozen; the module is as before afterwards."""
        with lock_of(self.module), contextlib.ExitStack() as stack:
            stack.enter_context(evaluating(self.module))
            stack.enter_context(_frozen(self.module))
            if tap is not None:
                stack.enter_context(self._tapped(tap))
            return self.call(inputs)

    def call(self, inputs: torch.Tensor) -> Any:
        """Call the module itself."""
        return self.module(inputs)

    def label(self, name: str, part: nn.Module) -> tuple[str, str]:
        """Name and kind under which a submodule is known as a layer."""
        return name, type(part).__name__

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Parameters, then buffers."""
        yield from self.module.named_parameters()
        yield from self.module.named_buffers()

    def changing(self) -> AbstractContextManager[dict[str, torch.Tensor]]:
        """Parameters and running statistics to be changed in place (see `base.changing`)."""
        return changing(self.module)

    def layer_names(self) -> list[str]:
        """Dotted names of all submodules, each module once."""
        return [name for name, _ in self.module.named_modules() if name]

    @contextlib.contextmanager
    def _tapped(self, tap: Tap) -> Iterator[None]:
        handles = []
        try:
            for name, part in self.module.named_modules():
                if name and not isinstance(part, torch.jit.ScriptModule):  # it takes no hooks
                    hook = _hook(*self.label(name, part), tap)
                    handles.append(part.register_forward_hook(hook, always_call=False))
            yield
        finally:
            for handle in handles:
                handle.remove()


def _unwrapped(module: nn.Module) -> nn.Module:
    while True:
        inner = getattr(module, "_orig_mod", None)
        if inner is None and isinstance(module, nn.DataParallel):
            inner = module.module
        if inner is None:
            return module
        module = inner


@contextlib.contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    learning = [p for p in module.parameters() if p.requires_grad and p.is_leaf]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def _hook(name: str, kind: str, tap: Tap) -> Any:
    def hook(_part: nn.Module, _inputs: Any, output: Any) -> Any:
        return tap(name, kind, output)

    return hook


def _accepts(source: Any) -> bool:
    return isinstance(source, nn.Module) and not isinstance(source, torch.jit.ScriptModule)


def _load(source: nn.Module, device: str, options: LoadOptions) -> Loaded:
    refuse_inference_tensors(source)
    return Loaded((EagerNetwork(source),))


register_kind(
    ModelKind(
        "eager", "A torch.nn.Module in memory, explained where it is.", _accepts, _load, choices=()
    )
)
