"""NRRD and MetaImage by SimpleITK, whose world is LPS and whose arrays are KJI."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import ImageError
from attention_maps.image_io.files import reason_of
from attention_maps.types import Image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
PLANE_TOLERANCE = 1e-5


def read_itk(path: Path) -> Image:
    """Read an NRRD or MetaImage file; vector components are channels, two axes rows first."""
    import SimpleITK

    try:
        with quiet_itk():
            file = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        raise unreadable(path, error) from error
    if "complex" in file.GetPixelIDTypeAsString():
        raise ImageError(
            f"Expected real voxel values, got {file.GetPixelIDTypeAsString()} in '{path}'; "
            "save magnitude, phase, or both as channels."
        )
    if file.GetDimension() not in (2, 3):
        raise ImageError(
            f"Expected 2 or 3 spatial axes, got {file.GetDimension()} of size {file.GetSize()} in "
            f"'{path}'; save channels as vector components, time points as one file each."
        )
    return Image(channels_first(file), affine_of(file))


def channels_first(file: Any) -> NDArray[np.float32]:
    """Return (C, I, J, K), or (C, rows, columns) for 2D, of a SimpleITK image."""
    import SimpleITK

    array = SimpleITK.GetArrayFromImage(file).astype(np.float32, copy=False)
    if file.GetNumberOfComponentsPerPixel() == 1:
        array = array[..., None]
    return array.T if file.GetDimension() == 3 else np.moveaxis(array, -1, 0)


def affine_of(file: Any) -> NDArray[np.float64]:
    """Return voxel index -> RAS mm of a SimpleITK image or reader; 2D: row step first."""
    n = file.GetDimension()
    lps = np.eye(4)
    direction = np.reshape(file.GetDirection(), (n, n))
    lps[:n, :n] = direction * np.asarray(file.GetSpacing())
    lps[:n, 3] = file.GetOrigin()
    if n == 2:
        lps = lps[:, [1, 0, 2, 3]]
    return RAS_FROM_LPS @ lps


def write_itk(image: Image, values: NDArray[Any], path: Path) -> None:
    """Write values (C, *spatial) of any dtype on the image's grid, compressed.

    Raises:
        ImageError: If the grid is sheared, or 2D and not in the plane S = 0 that a 2D file has.
    """
    import SimpleITK

    lps = RAS_FROM_LPS @ image.affine
    if image.ndim == 2:
        if np.abs([*lps[2, :2], lps[2, 3]]).max() > PLANE_TOLERANCE:
            raise ImageError(
                "Expected a 2D image in the plane S = 0, which is all that a 2D "
                f"{path.suffix} file can hold, got one elsewhere; write .nii.gz."
            )
        lps = lps[:, [1, 0, 2, 3]]
        ordered = np.moveaxis(values, 0, -1)
    else:
        ordered = values.T
    n = image.ndim
    spacing = np.linalg.norm(lps[:n, :n], axis=0)
    direction = lps[:n, :n] / spacing
    if np.abs(direction.T @ direction - np.eye(n)).max() > 1e-5:
        raise ImageError(
            f"Expected orthogonal axes for a {path.suffix} file, got a sheared affine; "
            "write .nii.gz, which keeps it."
        )
    single = image.channels == 1
    file = SimpleITK.GetImageFromArray(ordered[..., 0] if single else ordered, isVector=not single)
    file.SetSpacing(spacing.tolist())
    file.SetDirection(direction.ravel().tolist())
    file.SetOrigin(lps[:n, 3].tolist())
    SimpleITK.WriteImage(file, str(path), useCompression=True)


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Keep ITK's own warnings off the terminal: what matters, we check and say ourselves."""
    import SimpleITK

    before = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(before)


def unreadable(path: Path, error: Exception) -> ImageError:
    """Return the error for a file that its reader refuses."""
    return ImageError(
        f"Expected an image file, but '{path}' cannot be read: {reason_of(error)}. "
        "It may be damaged, cut short, or of another format than its name says."
    )
