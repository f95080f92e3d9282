"""Where a map is strongest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from attention_maps.types import Image


@dataclass(frozen=True)
class Peak:
    """The voxel with the largest absolute value.

    Args:
        index: Voxel index per spatial axis.
        ras: Its position in mm, RAS.
        value: Its value, signed.
    """

    index: tuple[int, ...]
    ras: tuple[float, float, float]
    value: float


def find_peak(image: Image) -> Peak | None:
    """The first voxel of the largest absolute value in the first channel; None where all are 0."""
    values = image.array[0]
    extremes = (values.argmax(), values.argmin())  # no copy of a large map, unlike abs
    places = [tuple(int(n) for n in np.unravel_index(flat, values.shape)) for flat in extremes]
    index = max(places, key=lambda place: abs(values[place]))
    value = float(values[index])
    if value == 0:
        return None
    right, anterior, superior = (float(x) for x in image.grid.to_world(index))
    return Peak(index, (right, anterior, superior), value)


def describe_position(ras: tuple[float, ...], axis: int) -> str:
    """A coordinate along a RAS axis as radiologists write it.

    >>> describe_position((-30.04, 2.0, 7.5), 0)
    'L 30.0'
    """
    rounded = round(float(ras[axis]), 1)
    return f"{('RL', 'AP', 'SI')[axis][rounded < 0]} {abs(rounded):.1f}"


def describe_place(peak: Peak) -> str:
    """Where a peak is: in mm as radiologists write it; in a picture by row and column, from 0."""
    if len(peak.index) == 2:
        return f"row {peak.index[0]}, column {peak.index[1]}"
    return ", ".join(describe_position(peak.ras, axis) for axis in range(3)) + " mm"
