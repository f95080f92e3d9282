"""Names of layers as M3d-CAM lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


def get_layers(model: nn.Module, reverse: bool = False) -> list[str]:
    """Names of all submodules in the order of their definition, each after what it is made of.

    Args:
        model: The module.
        reverse: Whether the last comes first.
    """
    names = list(_names(model, "", set()))
    return names[::-1] if reverse else names


def _names(module: nn.Module, prefix: str, seen: set[nn.Module]) -> Iterator[str]:
    for name, part in module.named_children():
        if part in seen:
            continue
        seen.add(part)
        yield from _names(part, f"{prefix}{name}.", seen)
        yield prefix + name
