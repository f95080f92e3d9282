"""Eigen-CAM and Eigen-Grad-CAM: the principal direction of a layer's activations.

The direction comes from the K x K covariance, never from a decomposition over voxels, which would
need tens of gigabytes for a volume.
"""

from __future__ import annotations

from attention_maps.algorithms.evidence import Evidence, channel_sum, weighted_sum
from attention_maps.errors import MethodError
from attention_maps.lazy import torch
from attention_maps.registry import method


@method(
    "eigen_cam", "Eigen-CAM", needs="layer", signed=True,
    reference="Muhammad, Yeasin, IJCNN 2020, arXiv:2008.00299",
    remark="The map hardly depends on the question: only its sign does.",
)  # fmt: skip
def eigen_cam(evidence: Evidence) -> list[torch.Tensor]:
    """Where the activations vary together most, whatever was asked."""
    return _principal(evidence, evidence)


@method(
    "eigen_grad_cam", "Eigen-Grad-CAM", needs="layer", signed=True,
    reference="Muhammad, Yeasin, IJCNN 2020, arXiv:2008.00299, on gradient times activation",
)  # fmt: skip
def eigen_grad_cam(evidence: Evidence) -> list[torch.Tensor]:
    """The principal component of gradient times activation."""
    products = [
        a.to(torch.promote_types(a.dtype, torch.float32)) * g
        for a, g in zip(evidence.activations, evidence.gradients, strict=True)
    ]
    return _principal(Evidence(products, products), evidence)


def _principal(features: Evidence, evidence: Evidence) -> list[torch.Tensor]:
    """Centered features projected on their first principal direction; 0 where nothing varies.

    The sign of a direction is arbitrary: the one that agrees with HiResCAM is taken.
    """
    mean = features.total(lambda a, _: a.sum(2)) / features.voxels
    direction = _direction(features, mean)
    offset = (direction * mean).sum(1, keepdim=True)
    maps = features.draw(lambda a, _: weighted_sum(direction, a) - offset)
    hires = _scaled(evidence.draw(lambda a, g: channel_sum(torch.mul, a, g)))
    mean_hires = sum(h.flatten(1).sum(1, keepdim=True) for h in hires) / evidence.voxels
    agreement = sum(
        torch.linalg.vecdot(m.flatten(1), h.flatten(1) - mean_hires, dim=1)
        for m, h in zip(_scaled(maps), hires, strict=True)
    )
    sign = torch.where(torch.as_tensor(agreement) < 0, -1.0, 1.0)
    return [m * sign.reshape(-1, *[1] * (m.ndim - 1)).to(m.dtype) for m in maps]


def _direction(features: Evidence, mean: torch.Tensor) -> torch.Tensor:
    """(B, K) first principal direction, 0 where the features vary by rounding errors at most."""
    extremes = [torch.stack(a.flatten(1).aminmax(dim=1)) for a, _ in features.windows]
    size = torch.cat(extremes).abs().amax(0)
    size = torch.where(size > 0, size, 1)[:, None, None]
    covariance = features.total(lambda a, _: _scatter(a, mean, size)) / features.voxels
    if not torch.isfinite(covariance).all():
        raise MethodError("Expected finite activations and gradients, got NaN or Inf.")
    values, vectors = torch.linalg.eigh(covariance)
    rounding = covariance.shape[-1] * (32 * torch.finfo(mean.dtype).eps) ** 2
    return torch.where(values[:, -1:] > rounding, vectors[..., -1], 0).to(mean.dtype)


def _scatter(features: torch.Tensor, mean: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Sum over voxels of the outer product of centered features, (B, K, K) in float64.

    Features are divided by their largest absolute value: squares of gradients would underflow.
    """
    channels, voxels = features.shape[1:]
    step = max(1, (1 << 22) // channels)
    total = torch.zeros(
        features.shape[0], channels, channels,
        dtype=torch.float64 if features.device.type != "mps" else torch.float32,
        device=features.device,
    )  # fmt: skip
    for start in range(0, voxels, step):
        part = (features[..., start : start + step] - mean[..., None]) / size
        total += torch.bmm(part, part.transpose(1, 2))
    return total


def _scaled(maps: list[torch.Tensor]) -> list[torch.Tensor]:
    """Maps divided by the largest absolute value of all, so that their products stay finite."""
    largest = torch.stack([m.abs().amax() for m in maps]).amax()
    return [m / largest for m in maps] if largest > 0 else maps
