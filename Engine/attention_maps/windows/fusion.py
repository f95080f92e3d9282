"""The network's answer on the whole volume, fused from windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attention_maps.model import LoadedModel
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
    model: LoadedModel,
    plan: Plan,
    inputs: torch.Tensor,
    views: Sequence[View],
    *,
    before: Callable[[View], None] | None = None,
    replace: Any = None,
    tick: Callable[[], None] | None = None,
) -> Fused:
    """Run a network through windows and blend what it gives, without gradients.

    Args:
        model: The model.
        plan: The windows.
        inputs: (1, C, *shape) whole volume, on any device.
        views: Looks through windows; each window with all its mirrorings, or none of them.
        before: Called before each view.
        replace: Functions by layer name that change a layer's output.
        tick: Called before every operator.
    """
    fusion: _Fusion | None = None
    for view in views:
        if before is not None:
            before(view)
        trace = model.run(
            seen(plan, inputs, view, model), gradients=False, tick=tick, replace=replace,
            member=view.member,
        )  # fmt: skip
        _check_size(plan, trace.logits)
        output = plan.to_volume(trace.logits)
        if fusion is None:
            fusion = _Fusion(plan, output, inputs.device, trace.activation)
        fusion.add(view, output)
    if fusion is None:
        raise ValueError("Expected at least one view.")
    return fusion.result()


def seen(plan: Plan, inputs: torch.Tensor, view: View, model: LoadedModel) -> torch.Tensor:
    """(1, C, *spatial) of a volume as the network sees it in a view."""
    part = plan.to_network(view.flip(plan.cut(inputs, view.start, plan.how.value)))
    return part.to(model.device, model.dtype)


def network_weights(plan: Plan, like: torch.Tensor) -> torch.Tensor:
    """(*shape) sum of the weights of all windows at each voxel of the volume."""
    total = like.new_zeros(plan.shape)
    weights = plan.weights.to(like)
    for start in plan.starts:
        plan.add(total, start, weights)
    return total


def _check_size(plan: Plan, output: torch.Tensor) -> None:
    """Refuse an answer that cannot be stitched."""
    if tuple(output.shape[2:]) != plan.seen:
        raise ModelError(
            f"Expected an answer for each voxel of the window {plan.seen}, got shape "
            f"{tuple(output.shape)}; correct `patch_size` or `output` in the model's "
            "specification, or leave `patch_size` out."
        )


class _Fusion:
    """Sums of what windows gave."""

    def __init__(
        self, plan: Plan, output: torch.Tensor, home: torch.device, activation: str | None
    ) -> None:
        wide = torch.promote_types(output.dtype, torch.float32)
        self._plan = plan
        self._activation = activation
        self._total = torch.zeros(1, output.shape[1], *plan.shape, dtype=wide, device=home)
        self._weight = torch.zeros(plan.shape, dtype=wide, device=home)
        self._weights = plan.weights.to(self._total)

    def add(self, view: View, output: torch.Tensor) -> None:
        values = view.flip(output).to(self._total) * self._weights
        self._plan.add(self._total, view.start, values)
        self._plan.add(self._weight, view.start, self._weights)

    def result(self) -> Fused:
        self._total /= torch.where(self._weight > 0, self._weight, 1)
        return Fused(self._total, self._activation)
