"""Gradients with respect to the network's input."""

from __future__ import annotations

import logging
from typing import Annotated

import numpy as np
import torch

from attention_maps.algorithms.evidence import Evidence, Probe, weighted_sum
from attention_maps.errors import MethodError
from attention_maps.registry import Option, method

logger = logging.getLogger(__name__)


@method(
    "guided_backprop", "Guided backpropagation", needs="input", signed=True, aliases=("gbp",),
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
    weights = evidence.total(lambda a, g: g.sum(2)) / evidence.voxels
    coarse = evidence.draw(lambda a, g: weighted_sum(weights, a).relu_())[0]
    guided = probe.gradient(probe.inputs, guided=True).sum(1)
    return guided * probe.on_input(coarse)


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
    "smooth_grad", "SmoothGrad", needs="input", signed=True,
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
    "integrated_gradients", "Integrated gradients", needs="input", signed=True, aliases=("ig",),
    reference="Sundararajan et al., ICML 2017, arXiv:1703.01365",
)  # fmt: skip
def integrated_gradients(
    probe: Probe,
    *,
    steps: Annotated[int, Option("points on the path; doubled while incomplete", 2, 4096)] = 32,
    max_steps: Annotated[int, Option("where the doubling ends", 2, 4096)] = 256,
    baseline: Annotated[float, Option("value of the empty image, in the network's units")] = 0.0,
    tolerance: Annotated[float, Option("allowed share of the score unexplained", 0, 1)] = 0.005,
) -> torch.Tensor:
    """Gradients added up on the way from an empty image; their sum is the score's change."""
    inputs = probe.inputs
    start = torch.full_like(inputs, baseline)
    change = float(probe.score(inputs) - probe.score(start))
    while True:
        shares = _path_integral(probe, start, inputs - start, steps)
        residual = abs(float(shares.sum(dtype=torch.float64)) - change)
        if residual <= tolerance * abs(change) or 2 * steps > max_steps:
            break
        steps *= 2
    if residual > 0.01 * abs(change):
        logger.warning(
            "Integrated gradients leave %.1f %% of the score unexplained after %d steps; "
            "raise max_steps.",
            100 * residual / max(abs(change), 1e-30),
            steps,
        )
    return shares.sum(1)


def _path_integral(
    probe: Probe, start: torch.Tensor, path: torch.Tensor, steps: int
) -> torch.Tensor:
    """Gauss-Legendre quadrature of the gradient along a straight path, times the path."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    at = torch.as_tensor((nodes + 1) / 2).to(path)
    share = torch.as_tensor(weights / 2).to(path)
    total = torch.zeros_like(path)
    shape = (-1, *[1] * (path.ndim - 1))
    for part in probe.batches(steps, "Integrated gradients"):
        chosen = list(part)
        gradients = probe.gradient(start + at[chosen].reshape(shape) * path)
        total += (share[chosen].reshape(shape) * gradients).sum(0, keepdim=True)
    if not torch.isfinite(total).all():
        raise MethodError("The gradient along the path is not finite; choose another baseline.")
    return total * path
