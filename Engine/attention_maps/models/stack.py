"""A network of pictures that gets all slices of a volume at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import torch

    from attention_maps.models.base import Network, Tap
    from attention_maps.slices import Slices


class StackNetwork:
    """The same network on a volume.

    Args:
        network: Takes a batch or a sequence of pictures.
        slices: How a volume becomes one.
    """

    def __init__(self, network: Network, slices: Slices) -> None:
        self.kind = network.kind
        self.name = network.name
        self.aliases = network.aliases
        self._network = network
        self._slices = slices

    def run(self, inputs: torch.Tensor, tap: Tap | None) -> Any:
        """Run on (1, C, slices, rows, columns)."""
        output = self._network.run(self._slices.arrange(inputs), tap)
        return self._slices.answer(output) if hasattr(output, "movedim") else output

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Parameters and buffers."""
        return self._network.tensors()

    def changing(self) -> AbstractContextManager[dict[str, torch.Tensor]]:
        """Parameters and running statistics to be changed in place."""
        return self._network.changing()

    def layer_names(self) -> list[str]:
        """Names of the layers."""
        return self._network.layer_names()
