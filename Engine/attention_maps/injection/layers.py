"""Names of layers: as M3d-CAM lists them, and as they are asked for."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from attention_maps.errors import LayerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from attention_maps.models.eager import EagerNetwork


def get_layers(model: nn.Module, reverse: bool = False) -> list[str]:
    """Names of all submodules in the order of their definition, each after what it is made of.

    Args:
        model: The module.
        reverse: Whether the last comes first.
    """
    names = list(_names(model, "", set()))
    return names[::-1] if reverse else names


def asked_layers(layers: str | list[str], module: nn.Module, network: EagerNetwork) -> list[str]:
    """Layers that are asked for as a list; inside a DataParallel by their names there.

    Raises:
        LayerError: If there is no module of that name.
    """
    names = [layers] if isinstance(layers, str) else layers
    if network.module is not module:
        names = [name.removeprefix("module.") for name in names]
    known = [*network.layer_names(), *network.aliases]
    for name in names:
        plain = name.partition("#")[0]
        if plain not in known and name.partition(":")[0] not in ("all", "auto"):
            close = [repr(item) for item in difflib.get_close_matches(plain, known, cutoff=0.4)]
            hint = f"closest: {', '.join(close)}; " if close else ""
            raise LayerError(
                f"Layer '{name}' is not in this model; {hint}model.get_layers() lists all."
            )
    return names


def _names(module: nn.Module, prefix: str, seen: set[nn.Module]) -> Iterator[str]:
    for name, part in module.named_children():
        if part in seen:
            continue
        seen.add(part)
        yield from _names(part, f"{prefix}{name}.", seen)
        yield prefix + name
