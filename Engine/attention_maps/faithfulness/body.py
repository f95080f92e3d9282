"""The body in an image, and what voxels are replaced by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.faithfulness.similarity import WHAT
from attention_maps.packages import needed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float32]
    Mask = NDArray[np.bool_]

SMALLEST_BODY = 0.1  # share of the image; less is no body but something bright in it


def tissue_of(image: Array) -> Mask:
    """(*spatial) where any channel of an image (C, *spatial) is nearer to tissue than to air.

    Otsu's threshold parts both; the middle between their means keeps clear of the noise in either.
    All voxels where that parts off a body of less than a tenth of the image.
    """
    filters = needed("skimage.filters", WHAT, "scikit-image")
    tissue = np.zeros(image.shape[1:], dtype=np.bool_)
    for channel in image:
        if np.ptp(channel) > 0:
            # Flat: a volume of three slices is no color picture, about which it would warn.
            above = channel > filters.threshold_otsu(channel.ravel())
            means = [channel[part].mean(dtype=np.float64) for part in (above, ~above)]
            tissue |= channel > sum(means) / 2
    return tissue if tissue.mean() >= SMALLEST_BODY else np.ones_like(tissue)


def filled(tissue: Mask) -> Mask:
    """A mask with what it encloses in the planes across any axis, such as the lungs."""
    if tissue.ndim < 3:
        return _without_holes(tissue)
    whole = tissue.copy()
    for axis in range(tissue.ndim):
        planes, result = np.moveaxis(tissue, axis, 0), np.moveaxis(whole, axis, 0)
        for plane, found in zip(planes, result, strict=True):
            if plane.any() and not plane.all():
                found |= _without_holes(plane)
    return whole


def _without_holes(plane: Mask) -> Mask:
    ndimage = needed("scipy.ndimage", WHAT)
    labels, _ = ndimage.label(~plane)
    edges = [labels[0], labels[-1], labels[:, 0], labels[:, -1]]
    outside = np.unique(np.concatenate([edge.ravel() for edge in edges]))
    holes: Mask = ~np.isin(labels, outside[outside > 0])
    return holes


def blurred(image: Array, spacing: Sequence[float], share: float) -> Array:
    """An image (C, *spatial) without detail: a Gaussian blur.

    Args:
        image: The image.
        spacing: Voxel size in mm.
        share: Standard deviation as a share of the image's shortest edge in mm, axes of one voxel
            left out.
    """
    ndimage = needed("scipy.ndimage", WHAT)
    edges = [n * mm for n, mm in zip(image.shape[1:], spacing, strict=True) if n > 1]
    sigma = [share * min(edges) / mm for mm in spacing]
    return np.stack([ndimage.gaussian_filter(channel, sigma) for channel in image])


def mean_of_tissue(image: Array, tissue: Mask) -> Array:
    """An image (C, *spatial) with its mean over a mask in every voxel."""
    means = [float(channel[tissue].mean(dtype=np.float64)) for channel in image]
    shape = (-1, *[1] * (image.ndim - 1))
    filled_in = np.broadcast_to(np.array(means, np.float32).reshape(shape), image.shape)
    return np.ascontiguousarray(filled_in)


def edge_map(image: Array) -> Array:
    """(*spatial) size of the gradient of an image (C, *spatial), summed over channels."""
    ndimage = needed("scipy.ndimage", WHAT)
    edges: Any = sum(ndimage.gaussian_gradient_magnitude(channel, 1.0) for channel in image)
    return np.asarray(edges, dtype=np.float32)
