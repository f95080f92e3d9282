"""Class activation maps: activations of a layer, weighted by what the score does with them.

`A` are activations and `G` gradients, (B, K, voxels); pooled quantities run over all windows.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Literal

from attention_maps.algorithms.evidence import Evidence, Probe, channel_sum
from attention_maps.errors import MethodError
from attention_maps.lazy import torch
from attention_maps.registry import Option, method

if TYPE_CHECKING:
    Maps = list[torch.Tensor]

logger = logging.getLogger(__name__)

ROUNDING = 1e-5  # of the size of gradients: what is left of sums that cancel in single precision
SAMPLED = 61  # every so many voxels tell how large gradients are


@method(
    "cam", "CAM", needs="layer", signed=True,
    reference="Zhou et al., CVPR 2016, arXiv:1512.04150",
    remark="Only for a layer that goes through global average pooling into one linear layer.",
)  # fmt: skip
def cam(evidence: Evidence) -> Maps:
    """The head's own weights times the activations (global average pooling + linear head)."""
    weights = evidence.total(lambda a, g: g.sum(2))
    constant = evidence.total(lambda a, g: _spread(g, weights / evidence.voxels))
    if float(constant.max()) > 1e-3 * float(weights.abs().max()) / evidence.voxels:
        raise MethodError(
            "Expected a layer that goes through global average pooling into one linear layer, but "
            "the gradient at this layer varies from voxel to voxel; use grad_cam or hires_cam."
        )
    return evidence.weighted(weights)


def _spread(gradients: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    low, high = gradients.aminmax(dim=2)
    return torch.maximum(high - mean, mean - low)


@method(
    "grad_cam", "Grad-CAM", needs="layer", aliases=("gcam", "seg_grad_cam"),
    reference="Selvaraju et al., ICCV 2017, arXiv:1610.02391; "
    "Vinogradova et al., AAAI 2020, arXiv:2002.11434",
)  # fmt: skip
def grad_cam(evidence: Evidence) -> Maps:
    """Activations weighted by their mean gradient, positive part: coarse, class-specific."""
    return evidence.weighted(mean_gradients(evidence))


def mean_gradients(evidence: Evidence) -> torch.Tensor:
    """(B, K) gradients averaged over all voxels; logs a warning where only rounding is left."""
    sums, sizes = evidence.totals(lambda a, g: (g.sum(2), _size(g)))
    left, size = float(sums.norm()), float(sizes.norm())
    if left < ROUNDING * size:
        logger.warning(
            "Grad-CAM shows rounding errors here: the gradients at this layer cancel to %.0e of "
            "their size, as they do before an instance normalization. Take hires_cam or layer_cam, "
            "or another layer.",
            left / size,
        )
    return sums / evidence.voxels


def _size(gradients: torch.Tensor) -> torch.Tensor:
    """(B, K) sum of absolute values, of a sample of the voxels."""
    sample = gradients[..., ::SAMPLED]
    return sample.abs().sum(2) * (gradients.shape[2] / sample.shape[2])


@method(
    "grad_cam_pp", "Grad-CAM++", needs="layer", aliases=("gcampp", "grad_cam++"),
    reference="Chattopadhay et al., WACV 2018, arXiv:1710.11063",
)  # fmt: skip
def grad_cam_pp(evidence: Evidence) -> Maps:
    """Grad-CAM with weights that do justice to several objects of one class."""
    sums = evidence.total(lambda a, _: a.sum(2), gradients=False)[..., None]

    def weight(a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        parts = zip(g.split(step, 1), sums.split(step, 1), strict=True)
        return torch.cat([_positive_share(part, total) for part, total in parts], 1)

    step = evidence.channels_at_once
    weights = evidence.total(weight)
    return evidence.weighted(weights)


def _positive_share(gradients: torch.Tensor, sums: torch.Tensor) -> torch.Tensor:
    """Sum of alpha * ReLU(G); only positive gradients count, so alpha is needed there alone."""
    positive = gradients.relu()
    share = positive / (positive * sums).add_(2)
    return share.nan_to_num_(0.0, 0.0, 0.0).sum(2)


@method(
    "hires_cam", "HiResCAM", needs="layer", signed=True, stitch="add",
    aliases=("seg_hires_grad_cam",),
    reference="Draelos, Carin, 2021, arXiv:2011.08891; Rheude et al., 2024, arXiv:2409.20287",
)  # fmt: skip
def hires_cam(evidence: Evidence) -> Maps:
    """Gradient times activation, voxel by voxel: fine, signed, faithful to what is computed."""
    return evidence.draw(lambda a, g: channel_sum(torch.mul, a, g))


@method(
    "x_grad_cam", "XGrad-CAM", needs="layer", aliases=("xgradcam",),
    reference="Fu et al., BMVC 2020, arXiv:2008.02312",
)  # fmt: skip
def x_grad_cam(evidence: Evidence) -> Maps:
    """Grad-CAM with gradients averaged where the activations are, so that the score is kept."""
    products, sums, sizes, slopes = evidence.totals(
        lambda a, g: (
            torch.linalg.vecdot(a, g, dim=2),
            a.sum(2),
            torch.linalg.vector_norm(a, 1, dim=2),
            g.sum(2),
        )
    )
    means = slopes / evidence.seen
    usable = sums.abs() >= 1e-3 * sizes
    usable &= sums != 0
    weights = torch.where(usable, products / torch.where(usable, sums, 1), means)
    return evidence.weighted(weights)


@method(
    "layer_cam", "LayerCAM", needs="layer", stitch="add", aliases=("layercam",),
    reference="Jiang et al., IEEE TIP 2021, doi:10.1109/TIP.2021.3089943",
)  # fmt: skip
def layer_cam(evidence: Evidence) -> Maps:
    """Positive gradient times activation, voxel by voxel: fine, also in shallow layers."""

    def product(a: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        return g.relu().mul_(a)

    return evidence.draw(lambda a, g: channel_sum(product, a, g))


@method(
    "seg_xres_cam", "Seg-XRes-CAM", needs="layer", stitch="add",
    reference="Hasany et al., CVPR Workshops 2023, doi:10.1109/CVPRW59228.2023.00384",
)  # fmt: skip
def seg_xres_cam(
    evidence: Evidence,
    *,
    pool_size: Annotated[int, Option("feature voxels pooled along each axis", 1, 64)] = 2,
    pool: Annotated[Literal["max", "mean"], Option("how gradients are pooled")] = "max",
) -> Maps:
    """Between Grad-CAM and HiResCAM: gradients pooled over small windows."""

    def picture(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
        total = torch.zeros_like(activations[:, 0], dtype=_at_least_float32(activations))
        step = evidence.channels_at_once
        for a, g in zip(activations.split(step, 1), gradients.split(step, 1), strict=True):
            total += _pool(g.to(total.dtype), pool_size, pool).mul_(a).sum(1)
        return total

    return evidence.draw_grids(picture)


def _at_least_float32(tensor: torch.Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)


def _pool(gradients: torch.Tensor, size: int, pool: str) -> torch.Tensor:
    """Pool over windows and bring back to the grid by linear interpolation."""
    spatial = gradients.shape[2:]
    functional = torch.nn.functional
    kernel = [min(size, n) for n in spatial]
    if max(kernel) == 1:
        return gradients.clone()
    if pool == "max":
        reduce = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
        pooled = reduce[len(spatial)](gradients, kernel, ceil_mode=True)
    else:
        mean = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
        pooled = mean[len(spatial)](gradients, kernel, ceil_mode=True, count_include_pad=False)
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(spatial)]
    factors = [float(k) for k in kernel]
    finer = functional.interpolate(pooled, scale_factor=factors, mode=mode, align_corners=False)
    return finer[(slice(None), slice(None), *(slice(n) for n in spatial))]


@method(
    "score_cam", "Score-CAM", needs="layer and network", gradients=False,
    reference="Wang et al., CVPR Workshops 2020, arXiv:1910.01279",
)  # fmt: skip
def score_cam(
    evidence: Evidence,
    probe: Probe,
    *,
    channels: Annotated[int, Option("most active channels that are tried, 0 for all", 0)] = 0,
) -> Maps:
    """Activations weighted by the score of the image seen through each of them; no gradients."""
    chosen = list(range(probe.channels))
    if 0 < channels < probe.channels:
        chosen = _spread_of_channels(evidence).argsort(descending=True)[:channels].tolist()
    base = probe.score(torch.zeros_like(probe.inputs))
    scores = torch.cat(
        [
            probe.score(probe.inputs * _scaled(probe.channel_maps(chosen[part.start : part.stop])))
            for part in probe.batches(len(chosen), "Score-CAM")
        ]
    )
    weights = torch.zeros(1, probe.channels, dtype=scores.dtype, device=scores.device)
    weights[0, chosen] = torch.softmax(scores - base, 0)
    return evidence.weighted(weights)


def _spread_of_channels(evidence: Evidence) -> torch.Tensor:
    """(K,) variance of each channel over all windows."""
    mean = evidence.total(lambda a, _: a.sum(2), gradients=False) / evidence.seen

    def squares(a: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return (a - mean[..., None]).square_().sum(2)

    return evidence.total(squares, gradients=False)[0]


def _scaled(masks: torch.Tensor) -> torch.Tensor:
    """Masks (N, *spatial) as (N, 1, *spatial), each scaled to 0..1; constant ones become 0."""
    flat = masks.flatten(1)
    low, high = flat.aminmax(dim=1, keepdim=True)
    extent = torch.where(high > low, high - low, 1)
    return ((flat - low) / extent).reshape(masks.shape)[:, None]


@method(
    "ablation_cam", "Ablation-CAM", needs="layer and network", gradients=False,
    reference="Desai, Ramaswamy, WACV 2020, doi:10.1109/WACV45572.2020.9093360",
)  # fmt: skip
def ablation_cam(evidence: Evidence, probe: Probe) -> Maps:
    """Activations weighted by what the score loses without each of them; no gradients."""
    full = probe.score(probe.inputs)
    without = torch.cat(
        [probe.score_without(part) for part in probe.batches(probe.channels, "Ablation-CAM")]
    )
    weights = (full - without)[None]
    return evidence.weighted(weights)
