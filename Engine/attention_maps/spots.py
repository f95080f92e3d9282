"""Hot spots: the connected parts of a thresholded map, with their boxes in the world."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import MethodError
from attention_maps.evaluation import NOTHING
from attention_maps.measures.attention import Attention, what_counts
from attention_maps.measures.components import label_components
from attention_maps.measures.threshold import read_threshold
from attention_maps.measures.voxels import (
    MM3_PER_ML,
    is_right_angled,
    right_angled_axes,
    voxel_size,
)
from attention_maps.packages import needed
from attention_maps.regions import as_map, named_masks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attention_maps.measures.attention import Sign
    from attention_maps.regions import Labels
    from attention_maps.types import Grid

    Point = tuple[float, float, float]
    Box = tuple[slice, ...]

logger = logging.getLogger(__name__)

MOST = 1000  # hot spots, where no number is given


@dataclass(frozen=True)
class HotSpot:
    """One connected part of a map above its threshold.

    Args:
        number: 1 for the one with the hottest voxel, and so on.
        bounds: Lowest voxel index per axis, and the one after the highest.
        center_ras: Center of the box in mm.
        size_mm: Length of the box along each of its axes, from outer edge to outer edge of the
            voxels; a picture's has two.
        axes: Directions of the box, unit vectors in RAS. Those of the grid; on a sheared grid the
            nearest ones at right angles, and the box is the smallest along them. A picture's third
            is at right angles to it.
        voxels: Number of voxels.
        ml: Volume; NaN in a picture.
        mm2: Area of the part of a picture; NaN in 3D.
        peak: Largest value of the map in it.
        peak_ras: Where that is, in mm.
        mean: Mean value.
        share: Its share of what counts of the whole map.
        overlaps: Share of its voxels in each segment, by name.
    """

    number: int
    bounds: tuple[tuple[int, ...], tuple[int, ...]]
    center_ras: Point
    size_mm: tuple[float, ...]
    axes: tuple[Point, Point, Point]
    voxels: int
    ml: float
    mm2: float
    peak: float
    peak_ras: Point
    mean: float
    share: float
    overlaps: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain numbers, texts, lists and dicts."""
        return asdict(self)


def hot_spots(
    result: Any,
    threshold: str | float = "otsu",
    *,
    minimum_ml: float = 0.0,
    most: int | None = None,
    segments: Any = None,
    labels: Labels = "all",
    sign: Sign = "positive",
) -> list[HotSpot]:
    """The connected parts of a map above a threshold, hottest first.

    Voxels hang together through their faces (in pictures, edges).

    Args:
        result: An AttentionMap, an Image with one channel, or a path.
        threshold: As in `attention_maps.evaluate`; with "+largest" there is one hot spot.
        minimum_ml: Smaller ones are left out.
        most: How many at most, the hottest. None for all, up to 1000: of the map that has more
            (noise above a low threshold falls into millions) the hottest 1000, and a warning is
            logged.
        segments: With which the overlap is measured: a label map (Image, path, or array on the
            map's grid), or a dict {name: mask}.
        labels: Of the label map: {name: value}, a list of values, or "all" that occur besides 0.
        sign: As in `attention_maps.evaluate`. Values of "negative" hot spots are turned positive.

    Returns:
        Hot spots; none where nothing of the map is above the threshold, or it has no evidence,
        which is logged.

    Raises:
        ImageError: If map or segments cannot be used.
        MethodError: If threshold or limits cannot be used.
    """
    rule = read_threshold(threshold)
    shown = as_map(result)
    _check_limits(minimum_ml, most, shown.grid)
    attention = Attention(what_counts(shown.array[0], sign), shown.grid, rule)
    if not attention.maximum > 0:
        logger.warning("There are no hot spots: %s.", NOTHING[sign])
        return []
    box = attention.attended_box
    if box is None:
        logger.warning("There are no hot spots: no voxel of the map is above the threshold.")
        return []
    least = minimum_ml * MM3_PER_ML / voxel_size(shown.grid)
    labels_of_spots, count = _kept(attention, box, least, most)
    spots = [
        _spot(attention, number, labels_of_spots, inner, box)
        for number, inner in enumerate(_boxes(labels_of_spots, count), start=1)
    ]
    if segments is not None:
        several = None if hasattr(segments, "items") else labels
        for name, mask in named_masks(segments, several, shown):
            inside = np.bincount(labels_of_spots[mask[box]], minlength=count + 1)
            for spot in spots:
                spot.overlaps[name] = float(inside[spot.number] / spot.voxels)
    return spots


def _check_limits(minimum_ml: float, most: int | None, grid: Grid) -> None:
    if not isinstance(minimum_ml, Real) or not 0 <= minimum_ml < math.inf:
        raise MethodError(f"Expected minimum_ml to be 0 or more, got {minimum_ml!r}.")
    if minimum_ml and grid.ndim == 2:
        raise MethodError(
            "Expected no minimum_ml for a map of a picture, whose parts have an area; leave it out."
        )
    if most is not None and (not isinstance(most, Integral) or isinstance(most, bool) or most < 1):
        raise MethodError(f"Expected most to be a whole number from 1 on, got {most!r}.")


def _kept(
    attention: Attention, box: Box, least: float, most: int | None
) -> tuple[NDArray[np.int32], int]:
    """Labels within a box, hottest first from 1 on, 0 where nothing is kept; and how many."""
    labels, count = label_components(attention.attended[box])
    attended = attention.attended[box]
    numbers, values = labels[attended], attention.evidence[box][attended]
    sizes = np.bincount(numbers, minlength=count + 1)
    peaks = np.zeros(count + 1, dtype=np.float32)
    np.maximum.at(peaks, numbers, values)
    order = np.lexsort((-sizes[1:], -peaks[1:])) + 1  # hottest first, of equal ones the largest
    order = order[sizes[order] >= least * (1 - 1e-9)]
    if most is None and len(order) > MOST:
        logger.warning(
            "The map has %d hot spots above the threshold; the hottest %d are given. A higher "
            "threshold, minimum_ml or most limits them.", len(order), MOST,
        )  # fmt: skip
        most = MOST
    order = order[:most]
    renamed = np.zeros(count + 1, dtype=np.int32)
    renamed[order] = np.arange(1, len(order) + 1)
    return renamed[labels], len(order)


def _boxes(labels: NDArray[np.int32], count: int) -> list[Box]:
    return needed("scipy.ndimage", "Finding hot spots").find_objects(labels, count)


def _spot(
    attention: Attention, number: int, labels: NDArray[np.int32], inner: Box, outer: Box
) -> HotSpot:
    """One hot spot.

    Args:
        attention: The map.
        number: Its number.
        labels: Of all hot spots, within the outer box.
        inner: Its box within the outer one.
        outer: Box within the map.
    """
    grid = attention.grid
    start = np.array([side.start for side in outer])
    start = start + [side.start for side in inner]
    part = labels[inner] == number
    values = attention.evidence[outer][inner]
    total, voxels = float(values.sum(where=part, dtype=np.float64)), int(np.count_nonzero(part))
    peak = np.unravel_index(np.where(part, values, -1).argmax(), part.shape)
    center, lengths, axes = _box_in_world(grid, part, start)
    size = voxels * voxel_size(grid)
    return HotSpot(
        number,
        (_whole(start), _whole(start + part.shape)),
        _point(center), tuple(map(float, lengths)), axes,
        voxels,
        size / MM3_PER_ML if grid.ndim == 3 else math.nan,
        size if grid.ndim == 2 else math.nan,
        float(values[peak]), _point(grid.to_world(start + peak)),
        total / voxels, total / attention.total,
    )  # fmt: skip


def _box_in_world(
    grid: Grid, part: NDArray[np.bool_], start: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[Point, Point, Point]]:
    """Center (3,), lengths (ndim,) and directions of the smallest box around a part, in mm."""
    axes = right_angled_axes(grid)
    if is_right_angled(grid):
        half = (np.array(part.shape) - 1) / 2
        center, lengths = grid.to_world(start + half), np.multiply(part.shape, grid.spacing)
    else:
        along = grid.to_world(np.argwhere(part) + start) @ axes
        reach = np.abs(axes.T @ grid.affine[:3, : grid.ndim]).sum(axis=1) / 2
        lowest, highest = along.min(axis=0) - reach, along.max(axis=0) + reach
        center, lengths = axes @ (lowest + highest) / 2, highest - lowest
        center = center + _off_plane(grid, axes)
    third = axes[:, 2] if grid.ndim == 3 else np.cross(axes[:, 0], axes[:, 1])
    return center, lengths, (_point(axes[:, 0]), _point(axes[:, 1]), _point(third))


def _off_plane(grid: Grid, axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of a grid's origin that its axes do not reach: 0 in 3D."""
    origin = grid.affine[:3, 3]
    return origin - axes @ (axes.T @ origin)


def _point(values: NDArray[np.float64]) -> Point:
    first, second, third = (float(value) for value in values)
    return first, second, third


def _whole(values: NDArray[np.intp]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)
