"""Gray and color pictures for networks that take the other: only where that has one meaning."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from attention_maps.types import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

COLORS = ({"red", "green", "blue"}, {"r", "g", "b"})


def fit_colors(image: Image, names: Sequence[str] | None) -> Image:
    """A picture in the colors that a network takes; anything else as it is.

    A color picture whose three channels are equal becomes gray for a network of one channel; a gray
    picture is repeated for one whose channels are called red, green and blue.

    Args:
        image: (C, rows, columns), or a volume, which stays as it is.
        names: Names of the network's channels, where they are known.
    """
    if image.ndim != 2 or names is None:
        return image
    array = image.array
    if len(names) == 1 and len(array) == 3 and (array[1:] == array[:1]).all():
        logger.info("The picture's three channels are equal; the network gets one of them.")
        return Image(array[:1], image.affine)
    if len(array) == 1 and {name.lower() for name in names} in COLORS:
        logger.info("The network takes color pictures; it gets the gray one three times.")
        return Image(np.repeat(array, 3, axis=0), image.affine)
    return image
