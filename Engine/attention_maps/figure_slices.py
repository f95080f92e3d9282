"""Slices of a scan, a map and outlines as a radiologist looks at them.

Radiological convention: the patient's left is on the right of the picture, anterior is up in axial
slices, superior is up in coronal and sagittal ones, and sagittal slices face left. Oblique scans
are cut along their own axes, each shown as the anatomical axis nearest to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_maps.geometry import crop_grid, reorient
from attention_maps.image_io.pictures import picture_affine
from attention_maps.peak import describe_position
from attention_maps.types import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from attention_maps.types import Grid

    Outlines = Mapping[str, Callable[[Grid], NDArray[np.bool_]]]

# Of an array in LPS: plane, axis through it, letters at left, right, top, bottom; whether rows
# have to be turned over (superior is up, but K runs to it).
PLANES = (
    ("Axial", 2, "RLAP", False),
    ("Coronal", 1, "RLSI", True),
    ("Sagittal", 0, "APSI", True),
)
OBLIQUE_DEGREES = 1.0
WINDOW = (0.5, 99.5)
WINDOW_VOXELS = 2_000_000


@dataclass(frozen=True, eq=False)
class Slice:
    """One picture, rows first, top left pixel first.

    Args:
        title: Plane and position.
        letters: Patient sides at left, right, top, bottom; empty where they are not known.
        spacing: Height and width of a pixel in mm.
        scan: (rows, columns) gray values.
        attention: (rows, columns) values of the map.
        outlines: (rows, columns) bool by name.
        peak: Row and column of the map's maximum, None where the map is 0.
    """

    title: str
    letters: str
    spacing: tuple[float, float]
    scan: NDArray[np.float32]
    attention: NDArray[np.float32]
    outlines: dict[str, NDArray[np.bool_]]
    peak: tuple[int, int] | None

    @property
    def size(self) -> tuple[float, float]:
        """Height and width in mm."""
        rows, columns = self.scan.shape
        return rows * self.spacing[0], columns * self.spacing[1]


def cut_slices(
    scan: Image,
    attention: Image,
    outlines: Outlines,
    index: tuple[int, ...],
    marked: bool,
) -> list[Slice]:
    """Slices through a voxel: axial, coronal and sagittal of a volume, or the picture itself.

    Planes in which the volume is a single row of voxels are left out.

    Args:
        scan: (1, *spatial) on the map's grid.
        attention: (1, *spatial).
        outlines: By name, what gives a mask (*spatial) on a grid.
        index: The voxel, on the map's grid.
        marked: Whether it is the map's maximum.
    """
    if attention.ndim == 2:
        return [_picture(scan, attention, outlines, index if marked else None)]
    position = attention.grid.to_world(index)
    scan, attention = reorient(scan, "LPS"), reorient(attention, "LPS")
    grid = attention.grid
    at = tuple(int(n) for n in np.rint(grid.to_index(position)))
    planes = [plane for plane in PLANES if min(np.delete(grid.shape, plane[1])) > 1]
    slices = []
    for name, axis, letters, turned in planes or PLANES[:1]:
        start, shape = [0, 0, 0], list(grid.shape)
        start[axis], shape[axis] = at[axis], 1
        slab = crop_grid(grid, start, shape)

        def look(volume: NDArray, axis: int = axis, turned: bool = turned) -> NDArray:
            rows_first = volume.squeeze(axis).T
            return rows_first[::-1] if turned else rows_first

        columns, rows = (side for side in range(3) if side != axis)
        part = tuple(slice(first, first + n) for first, n in zip(start, shape, strict=True))
        row = grid.shape[rows] - 1 - at[rows] if turned else at[rows]
        slices.append(
            Slice(
                f"{name}  {describe_position(tuple(position), (0, 1, 2)[axis])} mm", letters,
                (grid.spacing[rows], grid.spacing[columns]),
                look(scan.array[0][part]), look(attention.array[0][part]),
                {key: look(mask_on(slab)) for key, mask_on in outlines.items()},
                (row, at[columns]) if marked else None,
            )
        )  # fmt: skip
    return slices


def _picture(
    scan: Image, attention: Image, outlines: Outlines, peak: tuple[int, ...] | None
) -> Slice:
    grid = attention.grid
    found = {key: mask_on(grid) for key, mask_on in outlines.items()}
    spacing = (grid.spacing[0], grid.spacing[1])
    place = (peak[0], peak[1]) if peak is not None else None
    letters = _letters_of_picture(grid.affine)
    return Slice("", letters, spacing, scan.array[0], attention.array[0], found, place)


def _letters_of_picture(affine: NDArray[np.float64]) -> str:
    """Patient sides of a 2D image that has a place in the patient; a plain picture has none."""
    if np.allclose(affine[:3, 3], 0) and any(
        np.allclose(abs(affine[:3, :2]).astype(bool), abs(plain[:3, :2]).astype(bool))
        for plain in (picture_affine(), np.eye(4))
    ):
        return ""
    rows, columns = affine[:3, 0], affine[:3, 1]

    def side(direction: NDArray[np.float64]) -> str:
        axis = int(np.abs(direction).argmax())
        return ("RL", "AP", "SI")[axis][int(direction[axis] < 0)]

    return side(-columns) + side(columns) + side(-rows) + side(rows)


def gray_of(image: Image) -> Image:
    """The first channel of a volume; the luminance of a color picture."""
    if image.ndim == 2 and image.channels == 3:
        luminance = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), image.array, 1)
        return Image(luminance[None], image.affine)
    return Image(image.array[:1], image.affine)


def gray_window(scan: Image) -> tuple[float, float]:
    """Gray values of black and white: robust percentiles of the finite voxels."""
    values = scan.array[0]
    step = max(1, round((values.size / WINDOW_VOXELS) ** (1 / values.ndim)))
    sample = values[(slice(None, None, step),) * values.ndim]
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return 0.0, 1.0
    low, high = (float(x) for x in np.percentile(sample, WINDOW))
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    return low, high if high > low else low + 1.0


def obliquity(affine: NDArray[np.float64], ndim: int) -> float:
    """Largest angle in degrees between a volume's axis and the anatomical axis nearest to it."""
    if ndim != 3:
        return 0.0
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.degrees(np.arccos(np.clip(np.abs(axes).max(axis=0), 0, 1)).max()))
