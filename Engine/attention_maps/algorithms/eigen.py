"""Eigen-CAM and Eigen-Grad-CAM: the principal direction of a layer's activations.

The direction comes from the K x K covariance, never from a decomposition over voxels, which would
need tens of gigabytes for a volume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention_maps.algorithms.evidence import Evidence, channel_sum, weighted_sum
from attention_maps.errors import MethodError
from attention_maps.lazy import torch
from attention_maps.registry import method

if TYPE_CHECKING:
    from attention_maps.algorithms.evidence import Quantity


@method(
    "eigen_cam", "Eigen-CAM", needs="layer", signed=True,
    reference="Muhammad, Yeasin, IJCNN 2020, arXiv:2008.00299",
    remark="The map hardly depends on the question: only its sign does.",
)  # fmt: skip
def eigen_cam(evidence: Evidence) -> list[torch.Tensor]:
    """Where the activations vary together most, whatever was asked."""
    return _principal(evidence, lambda a, g: a, gradients=False)


@method(
    "eigen_grad_cam", "Eigen-Grad-CAM", needs="layer", signed=True, stitch="add",
    reference="Muhammad, Yeasin, IJCNN 2020, arXiv:2008.00299, on gradient times activation",
)  # fmt: skip
def eigen_grad_cam(evidence: Evidence) -> list[torch.Tensor]:
    """The principal component of gradient times activation."""
    return _principal(evidence, torch.mul, gradients=True)


def _principal(evidence: Evidence, feature: Quantity, *, gradients: bool) -> list[torch.Tensor]:
    """Centered features projected on their first principal direction; 0 where nothing varies.

    The sign of a direction is arbitrary: the one that agrees with HiResCAM is taken.

    Args:
        evidence: Activations and gradients.
        feature: What is projected, of activations and gradients (B, K, voxels).
        gradients: Whether it uses them.
    """
    sums, sizes = evidence.totals(
        lambda a, g: (feature(a, g).sum(2), torch.linalg.vector_norm(feature(a, g), 1, dim=2)),
        gradients=gradients,
    )
    mean, size = sums / evidence.seen, sizes.amax(1)[:, None, None] / evidence.seen
    size = torch.where(size > 0, size, 1)
    direction = _direction(evidence, feature, mean, size, gradients)
    offset = (direction * mean).sum(1, keepdim=True)

    def project(a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return weighted_sum(direction, feature(a, g)) - offset

    def agreement(a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        shown = project(a, g).to(_wide(a))
        return torch.linalg.vecdot(shown, channel_sum(torch.mul, a, g).to(_wide(a)), dim=1)

    sign = torch.where(evidence.total(agreement) < 0, -1.0, 1.0).to(direction)
    direction, offset = direction * sign[:, None], offset * sign[:, None]
    return evidence.draw(project, gradients=gradients)


def _direction(
    evidence: Evidence, feature: Quantity, mean: torch.Tensor, size: torch.Tensor, gradients: bool
) -> torch.Tensor:
    """(B, K) first principal direction, 0 where the features vary by rounding errors at most."""
    covariance = evidence.total(
        lambda a, g: _scatter(feature(a, g), mean, size), gradients=gradients
    )
    covariance /= evidence.seen
    if not torch.isfinite(covariance).all():
        raise MethodError("Expected finite activations and gradients, got NaN or Inf.")
    values, vectors = torch.linalg.eigh(covariance)
    rounding = covariance.shape[-1] * (32 * torch.finfo(mean.dtype).eps) ** 2
    return torch.where(values[:, -1:] > rounding, vectors[..., -1], 0).to(mean.dtype)


def _scatter(features: torch.Tensor, mean: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Sum over voxels of the outer product of centered features, (B, K, K) in float64.

    Features are divided by their usual size: squares of gradients would underflow.
    """
    channels, voxels = features.shape[1:]
    step = max(1, (1 << 22) // channels)
    total = torch.zeros(
        features.shape[0], channels, channels, dtype=_wide(features), device=features.device
    )
    for start in range(0, voxels, step):
        part = (features[..., start : start + step] - mean[..., None]) / size
        part = part.to(total.dtype)
        total += torch.bmm(part, part.transpose(1, 2))
    return total


def _wide(tensor: torch.Tensor) -> torch.dtype:
    """The widest type of the tensor's device; MPS has no float64."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64
