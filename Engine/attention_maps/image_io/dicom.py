"""DICOM by SimpleITK and GDCM: one file, or the series in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import ImageError
from attention_maps.image_io.itk import (
    affine_of,
    channels_first,
    quiet_itk,
    unreadable,
)
from attention_maps.image_io.voi import shown
from attention_maps.types import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

SERIES_DESCRIPTION = "0008|103e"
FRAME_TIME_TAGS = ("0018|1063", "0018|1065")
SAME_POSITION_MM = 1e-3
POSITION_TOLERANCE_MM = 0.01
POSITION_TOLERANCE_OF_SPACING = 0.02


@dataclass(frozen=True)
class _Header:
    """Of one file: size (columns, rows, frames) and affine of (column, row, frame) -> RAS mm."""

    path: Path
    size: tuple[int, ...]
    affine: NDArray[np.float64]
    components: int
    description: str


def read_dicom_file(path: Path, *, window: bool = False) -> Image:
    """Read one DICOM file: a single frame is 2D, rows first; several frames are a volume.

    Values are rescaled; where low ones are meant to be white (MONOCHROME1), inverted within the
    range of their bits.

    Args:
        path: The file.
        window: Whether a picture gets the gray values, 0 to 255, of the window that it names.

    Raises:
        ImageError: If it cannot be read, its frames are a film, or it names no window.
    """
    with quiet_itk():
        header = _header(path)
        array = _pixels([header])
        if window:
            array = _windowed(array, header)
    if header.size[2] == 1:
        return Image(array[..., 0].swapaxes(1, 2), header.affine[:, [1, 0, 2, 3]])
    return Image(array, header.affine)


def read_dicom_folder(folder: Path, series: str | None = None, *, window: bool = False) -> Image:
    """Read a series from a folder, without its subfolders; rescaled to the modality's units.

    Slices are sorted by position and must be evenly spaced; a tilted gantry gives a sheared
    affine. Of several series in the folder the only one with several slices is read, which
    leaves out localizers and reports.

    Args:
        folder: Folder that holds the files.
        series: Series instance UID to read.
        window: As in `read_dicom_file`; for a single picture.

    Raises:
        ImageError: If there is no DICOM file, no such series, more than one to choose from, or
            if the slices do not make a volume.
    """
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader
    with quiet_itk():
        files = {
            uid: [Path(name) for name in reader.GetGDCMSeriesFileNames(str(folder), uid)]
            for uid in reader.GetGDCMSeriesIDs(str(folder))
        }
        if not files:
            raise _nothing_in(folder)
        chosen = files[_choose(files, folder, series)]
        if len(chosen) == 1:
            return read_dicom_file(chosen[0], window=window)
        if window:
            raise no_window(folder)
        headers, affine = _stack([_header(path) for path in chosen])
        return Image(_pixels(headers), affine)


def no_window(path: Path) -> ImageError:
    """The error for a window of what is no DICOM picture."""
    return ImageError(
        f"Expected a single DICOM picture of one channel for its window, got '{path}'; leave the "
        "window out, and say the intensities in the model's specification."
    )


def _windowed(array: NDArray[np.float32], header: _Header) -> NDArray[np.float32]:
    import SimpleITK

    if header.size[2] > 1 or header.components > 1:
        raise no_window(header.path)
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(header.path))
    reader.ReadImageInformation()
    return shown(array, reader, header.path)


def _nothing_in(folder: Path) -> ImageError:
    entries = sorted(folder.iterdir())
    subfolders = [entry.name for entry in entries if entry.is_dir()]
    held = f"{len(entries) - len(subfolders)} other files"
    if subfolders:
        held += f" and the subfolders {', '.join(subfolders[:5])}"
    return ImageError(
        f"Expected a folder with a DICOM series, but '{folder}' holds {held}; "
        "give the folder in which the .dcm files lie, or an image file."
    )


def _choose(files: dict[str, list[Path]], folder: Path, series: str | None) -> str:
    if series is None and len(files) == 1:
        return next(iter(files))
    if series in files:
        return str(series)
    headers = {uid: _header(paths[0]) for uid, paths in files.items()}
    volumes = [uid for uid in files if len(files[uid]) > 1 or headers[uid].size[2] > 1]
    if series is None and len(volumes) == 1:
        return volumes[0]
    listed = "; ".join(
        f"{uid} ({headers[uid].description or 'no description'}, {len(files[uid])} files)"
        for uid in files
    )
    asked = f"no series {series}" if series else f"{len(files)} series"
    raise ImageError(
        f"Expected one DICOM series, got {asked} in '{folder}': {listed}; "
        "give series=UID, or a folder that holds only one."
    )


def _header(path: Path) -> _Header:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise unreadable(path, error) from error
    size = (*reader.GetSize(), 1)[:3]
    if size[2] > 1 and any(reader.HasMetaDataKey(tag) for tag in FRAME_TIME_TAGS):
        raise ImageError(
            f"Expected a picture or a volume, got a film of {size[2]} frames in '{path}'; "
            "save the frames as one file each."
        )
    tag = SERIES_DESCRIPTION
    description = reader.GetMetaData(tag).strip() if reader.HasMetaDataKey(tag) else ""
    return _Header(path, size, affine_of(reader), reader.GetNumberOfComponents(), description)


def _stack(headers: list[_Header]) -> tuple[list[_Header], NDArray[np.float64]]:
    """Return the slices in order along their normal, and the affine of the volume they make."""
    first = headers[0]
    for other in headers[1:]:
        if other.size != first.size or other.components != first.components:
            raise _no_volume(first, other, f"sizes {first.size} and {other.size}")
        if not np.allclose(other.affine[:3, :2], first.affine[:3, :2], rtol=0, atol=1e-4):
            raise _no_volume(first, other, "directions or pixel spacings that differ")
    if first.size[2] > 1:
        raise _no_volume(first, headers[1], "several frames each")
    normal = np.cross(first.affine[:3, 0], first.affine[:3, 1])
    normal *= np.sign(normal @ first.affine[:3, 2]) / np.linalg.norm(normal)
    headers = sorted(headers, key=lambda header: float(header.affine[:3, 3] @ normal))
    positions = np.array([header.affine[:3, 3] for header in headers])
    steps = np.diff(positions @ normal)
    narrow, wide = int(np.argmin(steps)), int(np.argmax(steps))
    if steps[narrow] < SAME_POSITION_MM:
        raise _no_volume(
            headers[narrow], headers[narrow + 1], "the same position (time points, echoes)"
        )
    step = (positions[-1] - positions[0]) / len(steps)
    off = np.abs(positions - positions[0] - step * np.arange(len(positions))[:, None]).max()
    if off > max(POSITION_TOLERANCE_MM, POSITION_TOLERANCE_OF_SPACING * float(steps.mean())):
        raise _no_volume(
            headers[wide],
            headers[wide + 1],
            f"a distance of {steps[wide]:.3f} mm where others have {steps[narrow]:.3f} mm "
            "(slices missing or not evenly spaced)",
        )
    affine = first.affine.copy()
    affine[:3, 2], affine[:3, 3] = step, positions[0]
    return headers, affine


def _no_volume(first: _Header, second: _Header, difference: str) -> ImageError:
    return ImageError(
        "Expected the slices of one volume: one size, one direction, even spacing; "
        f"'{first.path.name}' and '{second.path.name}' have {difference}. "
        "Give a folder with the files of one volume, or convert it with dcm2niix."
    )


def _pixels(headers: list[_Header]) -> NDArray[np.float32]:
    """(C, columns, rows, slices), rescaled; color components are channels."""
    import SimpleITK

    reader: Any
    names = [str(header.path) for header in headers]
    if len(names) == 1:  # the series reader would stack its frames along a 4th axis
        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(names[0])
    else:
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(names)
    reader.SetImageIO("GDCMImageIO")
    # Rescale slopes may differ from slice to slice, so no integer type will do.
    vector = headers[0].components > 1
    reader.SetOutputPixelType(SimpleITK.sitkVectorFloat32 if vector else SimpleITK.sitkFloat32)
    try:
        return channels_first(reader.Execute())
    except RuntimeError as error:
        raise unreadable(headers[0].path, error) from error
