"""What methods get to work with.

`Evidence` is one layer's activations and gradients, over one window or many: a method pools over
all of them and draws its map window by window. `Probe` is the network seen from its input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from attention_maps.lazy import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Quantity = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

CHUNK_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class Evidence:
    """Activations and gradients of one layer.

    Args:
        activations: One (B, K, *spatial) tensor per window, floating point.
        gradients: Gradients of the score with respect to them; empty for methods without.
    """

    activations: Sequence[torch.Tensor]
    gradients: Sequence[torch.Tensor] = ()

    @property
    def windows(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Pairs of activations and gradients, flattened to (B, K, voxels), at least float32."""
        gradients = self.gradients or self.activations
        for first, second in zip(self.activations, gradients, strict=True):
            yield _flat(first), _flat(second)

    def total(self, quantity: Quantity) -> torch.Tensor:
        """Sum of a quantity of (activations, gradients) over the windows."""
        values = [quantity(a, g) for a, g in self.windows]
        return values[0] if len(values) == 1 else torch.stack(values).sum(0)

    @property
    def voxels(self) -> int:
        """Number of feature voxels in all windows."""
        return sum(a[0, 0].numel() for a in self.activations)

    @property
    def channels_at_once(self) -> int:
        """Number of channels whose intermediate results fit in a small work space."""
        return max(1, CHUNK_ELEMENTS // self.activations[0][:, 0].numel())

    def draw(self, picture: Quantity) -> list[torch.Tensor]:
        """One (B, *spatial) map per window of a function that gives (B, voxels)."""
        return [
            picture(a, g).reshape(source.shape[0], *source.shape[2:])
            for source, (a, g) in zip(self.activations, self.windows, strict=True)
        ]


class Probe(Protocol):
    """The network seen from its input, and from one layer.

    Attributes:
        inputs: (1, C, *spatial) input.
        activations: (1, K, *grid) of the chosen layer, for methods that need one.
    """

    inputs: torch.Tensor
    activations: torch.Tensor

    def score(self, inputs: torch.Tensor) -> torch.Tensor:
        """Scores (N,) of inputs (N, C, *spatial); the question stays that of the first input."""

    def gradient(self, inputs: torch.Tensor, *, guided: bool = False) -> torch.Tensor:
        """Gradients of the scores with respect to inputs (N, C, *spatial), of their shape."""

    def score_without(self, channels: Sequence[int]) -> torch.Tensor:
        """Scores (N,) with one channel of the layer set to zero in each."""

    def on_input(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (N, *grid) of the layer placed on the input's grid, (N, *spatial)."""

    def batches(self, count: int, label: str) -> Iterator[range]:
        """Split `count` runs in batches that fit, reporting progress."""


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.float()
    return tensor.flatten(2)


def weighted_sum(weights: torch.Tensor, activations: torch.Tensor) -> torch.Tensor:
    """Sum over channels of weights (B, K) times activations (B, K, voxels): (B, voxels)."""
    return torch.bmm(weights[:, None], activations)[:, 0]


def channel_sum(quantity: Quantity, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Sum over channels of a quantity of two (B, K, voxels) tensors, a few channels at a time."""
    step = max(1, CHUNK_ELEMENTS // max(1, first[:, 0].numel()))
    result = quantity(first[:, :step], second[:, :step]).sum(1)
    for start in range(step, first.shape[1], step):
        part = slice(start, start + step)
        result += quantity(first[:, part], second[:, part]).sum(1)
    return result
