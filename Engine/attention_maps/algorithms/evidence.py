"""What methods get to work with.

`Evidence` is one layer's activations and gradients, over one window or many: a method pools over
all of them and draws its map window by window. `Probe` is the network seen from its input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attention_maps.lazy import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Quantity = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

CHUNK_ELEMENTS = 1 << 22


class Evidence:
    """Activations and gradients of one layer, over one window or many.

    Where they are not kept, each walk over the windows runs the network again: a method takes what
    it needs in as few walks as it can, and asks for gradients only where it uses them.

    Args:
        activations: One (B, K, *grid) tensor per window, floating point.
        gradients: Gradients of the score with respect to them; empty for methods without.
    """

    def __init__(
        self, activations: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor] = ()
    ) -> None:
        self._activations = activations
        self._gradients = gradients

    def grids(self, *, gradients: bool = True) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Walk over the windows.

        Args:
            gradients: Whether gradients are needed; else activations stand in their place.

        Yields:
            Activations and gradients of a window, (B, K, *grid).
        """
        second = self._gradients if gradients and self._gradients else self._activations
        yield from zip(self._activations, second, strict=True)

    @property
    def voxels(self) -> int:
        """Number of feature voxels in all windows, those that the question does not meet, too."""
        return self.seen

    @property
    def seen(self) -> int:
        """Number of feature voxels in the windows that `grids` walks over."""
        return sum(a[0, 0].numel() for a in self._activations)

    @property
    def channels_at_once(self) -> int:
        """Number of channels whose intermediate results fit in a small work space."""
        return max(1, CHUNK_ELEMENTS // self._activations[0][:, 0].numel())

    def total(self, quantity: Quantity, *, gradients: bool = True) -> torch.Tensor:
        """Sum of a quantity of (activations, gradients), (B, K, voxels), over the windows."""
        return self.totals(lambda a, g: (quantity(a, g),), gradients=gradients)[0]

    def totals(
        self,
        quantities: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]],
        *,
        gradients: bool = True,
    ) -> list[torch.Tensor]:
        """Sums of several quantities in one walk over the windows."""
        found: list[torch.Tensor] = []
        for a, g in self.grids(gradients=gradients):
            values = quantities(flat(a), flat(g))
            found = [t + v for t, v in zip(found, values, strict=True)] if found else list(values)
        return found

    def draw(self, picture: Quantity, *, gradients: bool = True) -> list[torch.Tensor]:
        """A map of a function of (activations, gradients), (B, K, voxels), that gives (B, voxels).

        Returns:
            One (B, *grid) map per window, or one of the whole volume.
        """

        def on_grid(a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
            return picture(flat(a), flat(g)).reshape(a.shape[0], *a.shape[2:])

        return self.draw_grids(on_grid, gradients=gradients)

    def draw_grids(self, picture: Quantity, *, gradients: bool = True) -> list[torch.Tensor]:
        """The same of a function of (B, K, *grid) that gives (B, *grid)."""
        return [picture(a, g) for a, g in self.grids(gradients=gradients)]

    def weighted(self, weights: torch.Tensor) -> list[torch.Tensor]:
        """One (B, *grid) map per window: the sum over channels of weights (B, K) * activations."""
        return self.draw(lambda a, _: weighted_sum(weights.to(a.dtype), a), gradients=False)


class Probe(Protocol):
    """The network seen from its input, and from one layer.

    Attributes:
        inputs: (1, C, *spatial) input.
    """

    inputs: torch.Tensor

    @property
    def channels(self) -> int:
        """Number of channels of the chosen layer, for methods that need one."""

    def reach(self) -> torch.Tensor:
        """(*spatial) bool: voxels on which the score can depend."""

    def score(self, inputs: torch.Tensor) -> torch.Tensor:
        """Scores (N,) of inputs (N, C, *spatial); the question stays that of the first input."""

    def gradient(self, inputs: torch.Tensor, *, guided: bool = False) -> torch.Tensor:
        """Gradients of the scores with respect to inputs (N, C, *spatial), of their shape."""

    def score_without(self, channels: Sequence[int]) -> torch.Tensor:
        """Scores (N,) with one channel of the layer set to zero in each."""

    def channel_maps(self, channels: Sequence[int]) -> torch.Tensor:
        """Activations (N, *spatial) of channels of the layer, placed on the input's grid."""

    def positive_on_input(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """The positive part of what `Evidence.draw` gave, on the input's grid: (1, *spatial)."""

    def batches(self, count: int, label: str) -> Iterator[range]:
        """Split `count` runs in batches that fit, reporting progress."""


def flat(tensor: torch.Tensor) -> torch.Tensor:
    """(B, K, voxels) of (B, K, *grid), at least float32."""
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
