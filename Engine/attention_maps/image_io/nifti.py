"""NIfTI by nibabel: arrays (I, J, K) and affines to RAS, sheared ones too."""

from __future__ import annotations

import gzip
import logging
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import ImageError
from attention_maps.image_io.files import reason_of, suffix_of
from attention_maps.types import Grid, Image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

FORMS_AGREE_MM = 0.1
MM_PER_UNIT_CODE = {1: 1000.0, 3: 0.001}  # meter, micron; anything else counts as mm


def read_nifti(path: Path) -> Image:
    """Read a NIfTI file; the 4th axis, or the 5th if the 4th is 1, holds the channels.

    The affine is the sform if its code is set, else the qform; a warning tells if both are set and
    differ. With neither, voxels are spaced along the axes L, P, S from 0, as ITK and 3D Slicer
    place such files. Files with two axes are turned to rows first.
    """
    import nibabel

    try:
        file = nibabel.load(path)
        if not isinstance(file, nibabel.Nifti1Pair):
            raise ImageError(f"Expected a NIfTI file, got {type(file).__name__}: '{path}'.")
        _check_type(file.get_data_dtype(), path)
        data = file.get_fdata(dtype=np.float32, caching="unchanged")
    except ImageError:
        raise
    except (
        nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError,
        OSError,
        EOFError,
        MemoryError,
        OverflowError,
        ValueError,
        zlib.error,
    ) as error:
        raise _unreadable(path, error) from error
    _warn_if_forms_differ(file, path)
    affine = _affine_of(file)
    if data.ndim == 2:
        return Image(data.T[None], affine[:, [1, 0, 2, 3]])
    return Image(np.moveaxis(_channels_last(data, path), -1, 0), affine)


def write_nifti(image: Image, values: NDArray[Any], path: Path) -> None:
    """Write values (C, *spatial) of any dtype on the image's grid.

    The sform holds the affine. The qform does too if it can, that is if the axes are orthogonal.
    Compressed files carry no time, so that equal images give equal files.
    """
    import nibabel

    affine = image.affine
    if image.ndim == 2:
        if image.channels > 1:
            raise ImageError(
                f"Expected one channel for a 2D NIfTI file, got {image.channels}; "
                "write .nrrd, or one file per channel."
            )
        data, affine = values[0].T, affine[:, [1, 0, 2, 3]]
    else:
        data = values[0] if image.channels == 1 else np.moveaxis(values, 0, -1)
    file = nibabel.Nifti1Image(data, None, dtype=values.dtype)
    file.header.set_zooms(
        tuple(image.grid.spacing if image.ndim == 3 else image.grid.spacing[::-1])
        + (1.0,) * (data.ndim - image.ndim)
    )
    file.header.set_xyzt_units("mm")
    file.set_sform(affine, code=1, update_affine=True)
    if _is_orthogonal(affine):
        file.set_qform(affine, code=1, update_affine=False)
    if suffix_of(path) == ".nii.gz":
        with path.open("wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as stream:
            file.to_stream(stream)
    else:
        with path.open("wb") as stream:
            file.to_stream(stream)


def _check_type(dtype: np.dtype[Any], path: Path) -> None:
    if dtype.fields is not None or dtype.kind not in "fiu":
        kind = "RGB color" if dtype.fields is not None else str(dtype)
        raise ImageError(
            f"Expected real voxel values, got {kind} in '{path}'; convert it to one scalar image "
            "per component."
        )


def _affine_of(file: Any) -> NDArray[np.float64]:
    header = file.header
    if header["sform_code"] > 0 or header["qform_code"] > 0:
        affine = np.array(file.affine, dtype=np.float64)
    else:
        zooms = np.ones(3)
        zooms[: len(header.get_zooms()[:3])] = header.get_zooms()[:3]
        affine = np.diag([-zooms[0], -zooms[1], zooms[2], 1.0])
    affine[:3] *= MM_PER_UNIT_CODE.get(int(header["xyzt_units"]) & 7, 1.0)
    return affine


def _warn_if_forms_differ(file: Any, path: Path) -> None:
    """Say that other programs may place the image elsewhere (ITK often prefers the qform)."""
    if file.header["sform_code"] <= 0 or file.header["qform_code"] <= 0:
        return
    shape = (*file.shape, 1, 1)[:3]
    try:
        sform, qform = Grid(shape, file.get_sform()), Grid(shape, file.get_qform())
        agree = qform.same_as(sform, FORMS_AGREE_MM)
    except ValueError:  # one of them is no affine at all; reading goes on if it is the qform
        agree = False
    if not agree:
        logger.warning(
            "sform and qform of '%s' place it more than %g mm apart; the sform is used.",
            path,
            FORMS_AGREE_MM,
        )


def _channels_last(data: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    """Return (I, J, K, C) of (I, J, K), (I, J, K, C) or (I, J, K, 1, C)."""
    if data.ndim == 3:
        return data[..., None]
    if data.ndim == 4:
        return data
    if data.ndim == 5 and data.shape[3] == 1:
        return data[..., 0, :]
    raise ImageError(
        f"Expected (I, J, K), channels as (I, J, K, C) or vectors as (I, J, K, 1, C), got "
        f"{data.shape} in '{path}'; split a time series into one file per time point."
    )


def _is_orthogonal(affine: NDArray[np.float64]) -> bool:
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() < 1e-5)


def _unreadable(path: Path, error: Exception) -> ImageError:
    return ImageError(
        f"Expected a NIfTI file, but '{path}' cannot be read: {reason_of(error)}. "
        "It may be damaged, cut short, or of another format."
    )
