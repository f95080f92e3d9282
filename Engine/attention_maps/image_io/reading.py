"""read_image: any file, or several files as channels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from attention_maps.errors import ImageError
from attention_maps.image_io.dicom import no_window, read_dicom_file, read_dicom_folder
from attention_maps.image_io.files import DICOM, ITK, NIFTI, PICTURES, suffix_of
from attention_maps.image_io.itk import read_itk
from attention_maps.image_io.nifti import read_nifti
from attention_maps.image_io.pictures import read_picture
from attention_maps.types import Grid, Image

AnyPath = str | os.PathLike[str]
GRID_TOLERANCE_MM = 1e-3

_READERS = {
    **dict.fromkeys(NIFTI, read_nifti),
    **dict.fromkeys(ITK, read_itk),
    **dict.fromkeys(PICTURES, read_picture),
    **dict.fromkeys(DICOM, read_dicom_file),
}


def read_image(
    source: AnyPath | Sequence[AnyPath], *, series: str | None = None, dicom_window: bool = False
) -> Image:
    """Read an image from a file or folder, or several as the channels of one image.

    A volume is (C, I, J, K). Whatever is 2D (pictures, a single DICOM frame, files with two axes)
    is rows first, (C, rows, columns). The affine maps voxel index to RAS mm.

    Args:
        source: NIfTI, NRRD, MetaImage, PNG, JPEG, TIFF, BMP or DICOM file, a folder with a DICOM
            series, or a list of these on one grid.
        series: Series instance UID, for DICOM folders that hold several.
        dicom_window: For DICOM pictures, such as X-rays: take the gray values, 0 to 255, of the
            window that the file names, as viewers show it, in place of the stored ones.

    Returns:
        The image, float32.

    Raises:
        FileNotFoundError: If a file does not exist.
        ImageError: If a file cannot be read or is no image in this sense, or grids differ.
    """
    if isinstance(source, str | os.PathLike):
        return _read_one(_as_path(source), series, dicom_window)
    if not isinstance(source, Sequence) or not source:
        raise ImageError(
            "Expected a path, or a list of at least one path (one channel each), "
            f"got {'an empty list' if isinstance(source, Sequence) else type(source).__name__}."
        )
    paths = [_as_path(one) for one in source]
    images = [_read_one(path, series, dicom_window) for path in paths]
    for path, image in zip(paths[1:], images[1:], strict=True):
        if not images[0].grid.same_as(image.grid, GRID_TOLERANCE_MM):
            raise ImageError(
                f"Expected channels on one grid, but '{paths[0]}' and '{path}' differ: "
                f"{_difference(images[0].grid, image.grid)}; resample one onto the other first."
            )
    if len(images) == 1:
        return images[0]
    return Image(np.concatenate([image.array for image in images]), images[0].affine)


def _as_path(source: object) -> Path:
    if isinstance(source, str | os.PathLike) and os.fspath(source):
        return Path(source)
    raise ImageError(f"Expected a path, got {source!r} of type {type(source).__name__}.")


def _read_one(path: Path, series: str | None, window: bool) -> Image:
    if not path.exists():
        raise FileNotFoundError(
            f"Expected an image file or a DICOM folder, but '{path}' does not exist."
        )
    try:
        if path.is_dir():
            return read_dicom_folder(path, series, window=window)
        kind = _kind_of(path)
        if window and kind not in DICOM:
            raise no_window(path)
        return read_dicom_file(path, window=window) if kind in DICOM else _READERS[kind](path)
    except PermissionError as error:
        raise ImageError(f"Cannot read '{path}': no permission.") from error
    except ImageError as error:
        if path.name in str(error):
            raise
        raise ImageError(f"'{path}': {error}") from error


def _kind_of(path: Path) -> str:
    """The suffix that says the format; DICOM files often have none, but a mark at byte 128."""
    if path.stat().st_size == 0:
        raise ImageError(f"Expected an image file, but '{path}' is empty (0 bytes).")
    suffix = suffix_of(path)
    if suffix in _READERS:
        return suffix
    with path.open("rb") as stream:
        if stream.read(132)[128:] == b"DICM":
            return DICOM[0]
    raise ImageError(
        f"Expected an image file, got '{path.name}' of unknown format; known are "
        f"{', '.join(_READERS)} and folders with a DICOM series."
    )


def _difference(first: Grid, second: Grid) -> str:
    """What differs between two grids, the plainest difference first."""
    if first.shape != second.shape:
        return f"shape {first.shape} and {second.shape}"
    if not np.allclose(first.spacing, second.spacing, rtol=0, atol=GRID_TOLERANCE_MM):
        return f"spacing {_short(first.spacing)} and {_short(second.spacing)} mm"
    one, other = (grid.affine[:3, : grid.ndim] / grid.spacing for grid in (first, second))
    if not np.allclose(one, other, rtol=0, atol=1e-4):
        return f"axis directions {_short(one.T)} and {_short(other.T)}"
    origins = [grid.affine[:3, 3] for grid in (first, second)]
    return f"position of voxel 0 {_short(origins[0])} and {_short(origins[1])} mm (RAS)"


def _short(values: object) -> str:
    return str(np.round(np.asarray(values, dtype=np.float64), 4).tolist())
