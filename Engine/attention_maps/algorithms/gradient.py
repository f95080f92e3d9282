"""Gradients with respect to the network's input."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from attention_maps.algorithms.cam import mean_gradients
from attention_maps.algorithms.evidence import Evidence, Probe
from attention_maps.errors import MethodError
from attention_maps.lazy import torch
from attention_maps.registry import Option, method

logger = logging.getLogger(__name__)

SETTLED = 64  # a part that misses less than this share of the tolerance is not halved any more


@method(
    "guided_backprop", "Guided backpropagation", needs="network", signed=True, aliases=("gbp",),
    reference="Springenberg et al., ICLR Workshops 2015, arXiv:1412.6806",
    remark="Fails sanity checks (Adebayo et al., 2018, arXiv:1810.03292): it shows edges, even of "
    "a network with random weights.",
)  # fmt: skip
def guided_backprop(probe: Probe) -> torch.Tensor:
    """Gradient of the input through positive signals only: sharp edges, little class."""
    return probe.gradient(probe.inputs, guided=True).sum(1)


@method(
    "guided_grad_cam", "Guided Grad-CAM", needs="layer and network", signed=True,
    aliases=("ggcam",), reference="Selvaraju et al., ICCV 2017, arXiv:1610.02391",
    remark="Shares the failed sanity checks of guided backpropagation (Adebayo et al., 2018, "
    "arXiv:1810.03292).",
)  # fmt: skip
def guided_grad_cam(evidence: Evidence, probe: Probe) -> torch.Tensor:
    """Guided backpropagation, faded out where Grad-CAM is low."""
    coarse = probe.positive_on_input(evidence.weighted(mean_gradients(evidence)))
    return probe.gradient(probe.inputs, guided=True).sum(1) * coarse


@method(
    "saliency", "Saliency", needs="input",
    reference="Simonyan et al., ICLR Workshops 2014, arXiv:1312.6034",
)  # fmt: skip
def saliency(probe: Probe) -> torch.Tensor:
    """Size of the gradient: where a small change of the input changes the answer most."""
    return probe.gradient(probe.inputs).abs().amax(1)


@method(
    "input_x_gradient", "Input x gradient", needs="input", signed=True,
    reference="Shrikumar et al., 2016, arXiv:1605.01713",
)  # fmt: skip
def input_x_gradient(probe: Probe) -> torch.Tensor:
    """Gradient times input: each voxel's share in a linear picture of the network."""
    return (probe.gradient(probe.inputs) * probe.inputs).sum(1)


@method(
    "smooth_grad", "SmoothGrad", needs="network", signed=True,
    reference="Smilkov et al., 2017, arXiv:1706.03825",
)  # fmt: skip
def smooth_grad(
    probe: Probe,
    *,
    samples: Annotated[int, Option("noisy copies of the input", 1, 1000)] = 25,
    noise: Annotated[float, Option("standard deviation, as share of the range", 0, 10)] = 0.15,
    seed: Annotated[int, Option("seed of the noise", 0)] = 0,
) -> torch.Tensor:
    """Mean gradient over noisy copies of the input."""
    inputs = probe.inputs
    low, high = inputs.aminmax()
    deviation = noise * (high - low)
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros_like(inputs[0])
    for part in probe.batches(samples, "SmoothGrad"):
        # One draw per copy: a draw of several at once would depend on the batch size.
        draws = [torch.randn(inputs.shape[1:], generator=generator) for _ in part]
        noisy = inputs + deviation * torch.stack(draws).to(inputs)
        total += probe.gradient(noisy).sum(0)
    return (total / samples).sum(0, keepdim=True)


@method(
    "integrated_gradients", "Integrated gradients", needs="network", signed=True, aliases=("ig",),
    reference="Sundararajan et al., ICML 2017, arXiv:1703.01365",
)  # fmt: skip
def integrated_gradients(
    probe: Probe,
    *,
    steps: Annotated[int, Option("points on the whole path", 2, 4096)] = 32,
    max_steps: Annotated[
        int, Option("most points in all, spent while incomplete", 2, 65536)
    ] = 1024,
    baseline: Annotated[float, Option("value of the empty image, in the network's units")] = 0.0,
    tolerance: Annotated[float, Option("allowed share of the score unexplained", 0, 1)] = 0.005,
) -> torch.Tensor:
    """Gradients added up on the way from an empty image; their sum is the score's change.

    What a part of the path must add up to is known from the scores at its ends. While the sum is
    incomplete, the part that misses most is halved: networks with normalization change all at once
    close to an empty image, where equal steps see nothing.
    """
    path = _Path(probe, baseline)
    parts = [path.part(0.0, 1.0, steps)]
    if not parts[0].finite:
        raise MethodError("The gradient along the path is not finite; choose another baseline.")
    change, settled = parts[0].change, torch.zeros_like(probe.inputs)
    used, finer = steps, max(2, steps // 4)
    while True:
        missing = abs(change - float(settled.sum()) - sum(part.total for part in parts))
        if missing <= tolerance * abs(change) or used + 2 * finer > max_steps or not parts:
            break
        parts.sort(key=lambda part: part.missing)
        worst = parts.pop()
        middle = (worst.start + worst.end) / 2
        halves = [path.part(worst.start, middle, finer), path.part(middle, worst.end, finer)]
        used += 2 * finer
        if not all(half.finite for half in halves):  # the score jumps; closer is not to be had
            parts.append(worst)
            break
        for half in halves:
            if half.missing > tolerance * abs(change) / SETTLED:
                parts.append(half)
            else:  # its shares need not be kept apart
                settled += half.shares
    if missing > 0.01 * abs(change):
        logger.warning(
            "Integrated gradients leave %.1f %% of the score unexplained after %d steps; raise "
            "max_steps.",
            100 * missing / max(abs(change), 1e-30),
            used,
        )
    return sum((part.shares for part in parts), settled).sum(1)


@dataclass
class _Part:
    """Integral of the gradient over a part of the path, times the path.

    Args:
        start: Where it begins, 0 at the empty image.
        end: Where it ends, 1 at the image.
        change: Change of the score from its start to its end.
        shares: (1, C, *spatial) shares of the voxels.
    """

    start: float
    end: float
    change: float
    shares: torch.Tensor

    @cached_property
    def total(self) -> float:
        """Sum of the shares."""
        return float(self.shares.cpu().double().sum())  # MPS has no float64

    @property
    def finite(self) -> bool:
        """False where a gradient was not."""
        return math.isfinite(self.total)

    @property
    def missing(self) -> float:
        """What the shares leave unexplained."""
        return abs(self.total - self.change)


class _Path:
    """The straight path from an empty image to the image."""

    def __init__(self, probe: Probe, baseline: float) -> None:
        self.probe = probe
        self.empty = torch.full_like(probe.inputs, baseline)
        self.step = probe.inputs - self.empty
        self.scores: dict[float, float] = {}

    def _score(self, at: float) -> float:
        if at not in self.scores:
            self.scores[at] = float(self.probe.score(self.empty + at * self.step))
        return self.scores[at]

    def part(self, start: float, end: float, count: int) -> _Part:
        """Gauss-Legendre quadrature with `count` points from `start` to `end`."""
        nodes, weights = np.polynomial.legendre.leggauss(count)
        at = torch.as_tensor(start + (end - start) * (nodes + 1) / 2).to(self.step)
        share = torch.as_tensor((end - start) * weights / 2).to(self.step)
        total = torch.zeros_like(self.step)
        shape = (-1, *[1] * (self.step.ndim - 1))
        for batch in self.probe.batches(count, "Integrated gradients"):
            chosen = list(batch)
            gradients = self.probe.gradient(self.empty + at[chosen].reshape(shape) * self.step)
            total += (share[chosen].reshape(shape) * gradients).sum(0, keepdim=True)
        return _Part(start, end, self._score(end) - self._score(start), total * self.step)
