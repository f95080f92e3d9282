"""write_image: NIfTI, NRRD, MetaImage or PNG, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import ImageError
from attention_maps.image_io.files import NIFTI, suffix_of, written_whole
from attention_maps.image_io.itk import write_itk
from attention_maps.image_io.nifti import write_nifti
from attention_maps.image_io.pictures import check_png, write_png

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from attention_maps.image_io.reading import AnyPath
    from attention_maps.types import Image

_WRITERS = {
    **dict.fromkeys(NIFTI, write_nifti),
    ".nrrd": write_itk,
    ".mha": write_itk,
    ".png": write_png,
}
DTYPES = ("float32", "uint8", "int16", "uint16", "int32")


def write_image(image: Image, path: AnyPath, *, dtype: DTypeLike | None = None) -> Path:
    """Write an image on its own grid, so that reading it gives the same array and affine.

    The file appears when it is complete; where writing fails nothing is left behind. Sheared
    grids and 2D images anywhere in space need NIfTI. PNG takes 2D images of whole numbers on a
    picture's grid.

    Args:
        image: (C, I, J, K) or (C, rows, columns).
        path: .nii, .nii.gz, .nrrd, .mha or .png; the folder must exist.
        dtype: Voxel type of the file: float32 (uint8 for PNG) unless given, or uint8, int16,
            uint16, int32 for labels.

    Returns:
        The path.

    Raises:
        ImageError: If the format is unknown or cannot hold the image, or the values do not fit
            the dtype.
        OSError: If the folder does not exist or cannot be written.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix not in _WRITERS:
        raise ImageError(
            f"Expected a file name that ends in {', '.join(_WRITERS)}, got '{path.name}'."
        )
    if suffix == ".png":
        check_png(image)
    wanted = np.dtype(dtype or ("uint8" if suffix == ".png" else "float32"))
    values = _as_dtype(image.array, wanted)
    with written_whole(path) as temporary:
        _WRITERS[suffix](image, values, temporary)
    return path


def _as_dtype(array: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.name not in DTYPES:
        raise ImageError(f"Expected dtype {', '.join(DTYPES)}, got {dtype}.")
    if dtype.kind == "f":
        return array
    limits = np.iinfo(dtype)
    fits = np.equal(array, np.rint(array)) & (array >= limits.min) & (array <= limits.max)
    if not fits.all():
        wrong = array[~fits][0]
        raise ImageError(
            f"Expected whole numbers {limits.min}..{limits.max} for {dtype}, got {wrong:g}; "
            "write float32 NIfTI, or round or scale the values first."
        )
    return array.astype(dtype)
