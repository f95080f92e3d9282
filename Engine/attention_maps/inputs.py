"""Whatever a caller has as an image, as an `Image`."""

from __future__ import annotations

from typing import Any

import numpy as np

from attention_maps.errors import ImageError
from attention_maps.types import Image


def as_image(source: Any, axes: int | None = None) -> Image:
    """Make an Image of a path, a list of paths, an array or a tensor.

    Args:
        source: An Image, a path or several (one per channel), a SimpleITK or nibabel image, or an
            array or tensor (C, *spatial), (1, C, *spatial), or *spatial alone where `axes` tells
            that it has no channel axis. The affine of a MONAI MetaTensor is kept.
        axes: Number of spatial axes that the network expects, where it is known.

    Raises:
        ImageError: If it is none of these, or a batch of more than one.
    """
    if isinstance(source, Image):
        return source
    if _is_path(source):
        from attention_maps.image_io import read_image

        return read_image(source)
    if isinstance(source, list | tuple) and source and all(map(_is_path, source)):
        from attention_maps.image_io import read_image

        return read_image(list(source))
    if hasattr(source, "GetDirection") and hasattr(source, "GetNumberOfComponentsPerPixel"):
        from attention_maps.image_io.itk import affine_of, channels_first

        return Image(channels_first(source), affine_of(source))
    if hasattr(source, "dataobj") and hasattr(source, "affine"):
        data = np.asarray(source.dataobj)
        return Image(np.moveaxis(data, 3, 0) if data.ndim == 4 else data[None], source.affine)
    affine = getattr(source, "affine", None)
    if not isinstance(source, np.ndarray) and not hasattr(source, "detach"):
        raise ImageError(
            "Expected an Image, a path, a list of paths, a SimpleITK or nibabel image, or an "
            "array (C, *spatial), got "
            f"{type(source).__name__}."
        )
    shape = tuple(source.shape)
    if (axes is not None and len(shape) == axes + 2) or len(shape) == 5:
        if shape[0] != 1:
            raise ImageError(
                f"Expected one image, got a batch of {shape[0]} with shape {shape}; explain them "
                "one by one."
            )
        source = source[0]
    elif axes is not None and len(shape) == axes and shape[0] > 1:  # else one channel in 2D
        source = source[None]
    return Image(source, np.eye(4) if affine is None else np.asarray(affine))


def _is_path(source: Any) -> bool:
    return isinstance(source, str) or hasattr(source, "__fspath__")
