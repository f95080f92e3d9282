"""How much each voxel of a window counts where windows overlap.

Gaussian weights are MONAI's (centered between the middle voxels) or nnU-Net's (centered on voxel
n // 2, cut off at four standard deviations, held in half precision), as their inference has them.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attention_maps.windows.tiling import Style

Blending = Literal["constant", "gaussian"]

SIGMA = 1 / 8  # of the window's edge, in both packages
SMALLEST_OF_MONAI = 1e-3
LARGEST_OF_NNUNET = 10.0
REACH_OF_NNUNET = 4.0


def blending_weights(
    patch: Sequence[int], blending: Blending = "constant", style: Style = "monai"
) -> NDArray[np.float64]:
    """Weights of a window's voxels, of the window's shape, all positive.

    Args:
        patch: Voxels per axis of a window.
        blending: "constant" or "gaussian".
        style: Whose Gaussian: "monai" or "nnunet".
    """
    if blending == "constant":
        return np.ones(tuple(patch))
    if style == "monai":
        weights = _outer([_centered_between(n) for n in patch])
        return np.maximum(weights, max(float(weights.min()), SMALLEST_OF_MONAI))
    weights = _outer([_centered_on_voxel(n) for n in patch])
    weights = (weights * (LARGEST_OF_NNUNET / weights.max())).astype(np.float16)
    weights[weights == 0] = weights[weights > 0].min()
    return weights.astype(np.float64)


def _outer(profiles: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return reduce(np.multiply.outer, profiles)


def _centered_between(size: int) -> NDArray[np.float64]:
    x = np.arange(size) - (size - 1) / 2
    return np.exp(-(x**2) / (2 * (SIGMA * size) ** 2))


def _centered_on_voxel(size: int) -> NDArray[np.float64]:
    x = np.arange(size) - size // 2
    sigma = SIGMA * size
    profile = np.exp(-(x**2) / (2 * sigma**2))
    return np.where(np.abs(x) <= int(REACH_OF_NNUNET * sigma + 0.5), profile, 0.0)
