"""The network's answer on the whole volume, fused from windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attention_maps.windows.looks import Looks
    from attention_maps.windows.plan import Plan, View


@dataclass(frozen=True)
class Fused:
    """What the network gives for the whole volume.

    Args:
        output: (1, classes, *shape) blended output of the network; 0 where no window lay.
        activation: The last activation that was looked through.
    """

    output: torch.Tensor
    activation: str | None


def fuse(
    looks: Looks,
    inputs: torch.Tensor,
    views: Sequence[View],
    *,
    after: Callable[[int], None] | None = None,
    replace: Any = None,
) -> Fused:
    """Run a network through windows and blend what it gives, without gradients.

    Args:
        looks: The model and its windows.
        inputs: (1, C, *shape) whole volume, on any device.
        views: Looks through windows; each window with all its mirrorings, or none of them.
        after: Called with the number of views that are done.
        replace: Functions by layer name that change a layer's output.
    """
    plan = looks.plan
    sums: dict[int, _Fusion] = {}
    activation = None
    for done, look in enumerate(looks.over(inputs, views, replace=replace), start=1):
        _check_size(plan, look.output)
        activation, member = look.activation, look.view.member
        if member not in sums:
            sums[member] = _Fusion(plan, look.output, inputs.device)
        sums[member].add(look.view, plan.to_volume(look.output))
        if after is not None:
            after(done)
    if not sums:
        raise ValueError("Expected at least one view.")
    first, *others = sums.values()
    output = first.result()
    for fusion in others:  # in place: volumes of all classes are large
        output += fusion.result()
    return Fused(output.div_(len(sums)), activation)


def network_weights(
    plan: Plan, like: torch.Tensor, starts: Sequence[tuple[int, ...]]
) -> torch.Tensor:
    """(*shape) sum of the weights of windows at each voxel of the volume."""
    total = like.new_zeros(plan.shape)
    weights = plan.weights.to(like)
    for start in starts:
        plan.add(total, start, weights)
    return total.masked_fill_(total == 0, 1)  # where no window lies


def _check_size(plan: Plan, output: torch.Tensor) -> None:
    """Refuse an answer that cannot be stitched."""
    if tuple(output.shape[2:]) != plan.seen:
        raise ModelError(
            f"Expected an answer for each voxel of the window {plan.seen}, got shape "
            f"{tuple(output.shape)}; correct `patch_size` or `output` in the model's "
            "specification, or leave `patch_size` out."
        )


class _Fusion:
    """Sums of what one network gave in windows.

    nnU-Net adds up in half precision, whose smallest numbers decide its answer in the corners of a
    volume: so does this, for the same answer. Numbers in double precision stay so.
    """

    def __init__(self, plan: Plan, output: torch.Tensor, home: torch.device) -> None:
        wide = torch.promote_types(output.dtype, torch.float32)
        as_nnunet = plan.how.style == "nnunet" and wide == torch.float32
        self._plan = plan
        self._wide = wide
        kept = torch.float16 if as_nnunet else wide
        self._total = torch.zeros(1, output.shape[1], *plan.shape, dtype=kept, device=home)
        self._weight = torch.zeros(plan.shape, dtype=kept, device=home)
        self._weights = plan.weights.to(home, wide)
        self._mean: torch.Tensor | None = None
        self._seen = 0

    def add(self, view: View, output: torch.Tensor) -> None:
        """Add an answer (1, classes, *patch); the mirrored ones of a window follow each other."""
        values = view.flip(output).to(self._total.device, self._wide)
        self._mean = values if self._mean is None else self._mean + values
        self._seen += 1
        if self._seen < len(self._plan.mirrorings):
            return
        mean = (self._mean / self._seen) * self._weights
        self._plan.add(self._total, view.start, mean)
        self._plan.add(self._weight, view.start, self._weights.to(self._total.dtype))
        self._mean, self._seen = None, 0

    def result(self) -> torch.Tensor:
        """(1, classes, *shape); 0 where no window lay."""
        self._total /= torch.where(self._weight > 0, self._weight, 1)
        return self._total.to(self._wide)
