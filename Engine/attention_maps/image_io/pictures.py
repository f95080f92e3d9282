"""PNG, JPEG, TIFF and BMP: pixels rows first, placed as ITK and 3D Slicer place them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import ImageError
from attention_maps.image_io.itk import RAS_FROM_LPS, channels_first, quiet_itk, unreadable
from attention_maps.types import Image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# Of these ITK gives the stored values, with 16 bits per channel too, which Pillow cuts to 8.
MODES_OF_ITK = ("RGB", "RGBA", "F", "I", "I;16", "I;16B")
GRAY_ALPHA_16 = "LA;16B"  # neither Pillow nor SimpleITK reads it in full


def read_picture(path: Path) -> Image:
    """Read a picture: 1 channel for gray, else 3; palettes expanded, transparency dropped.

    Rows run to the back and columns to the left, one pixel is 1 mm unless the file gives a
    resolution that ITK reads (JPEG, TIFF).
    """
    import PIL.Image
    import SimpleITK

    try:
        with PIL.Image.open(path) as picture, quiet_itk():
            _check_single(picture, path)
            picture.load()
            spacing = _spacing(path)
            color_key = picture.mode == "RGB" and "transparency" in picture.info
            if picture.mode in MODES_OF_ITK and not color_key:
                pixels = channels_first(SimpleITK.ReadImage(str(path)))
            else:
                pixels = _pillow_pixels(picture)
    except ImageError:
        raise
    except (
        OSError,
        SyntaxError,
        ValueError,
        RuntimeError,
        PIL.Image.DecompressionBombError,
    ) as error:
        raise unreadable(path, error) from error
    return Image(pixels[:3], picture_affine(spacing))


def picture_affine(spacing: tuple[float, float] = (1.0, 1.0)) -> NDArray[np.float64]:
    """Return row, column -> RAS mm of a picture with (row, column) spacing in mm."""
    lps = np.eye(4)
    lps[:2, :2] = [[0.0, spacing[1]], [spacing[0], 0.0]]
    return RAS_FROM_LPS @ lps


def check_png(image: Image) -> None:
    """Refuse an image that has more than a PNG file can hold: other axes, channels or a place."""
    if image.ndim != 2 or image.channels not in (1, 3):
        raise ImageError(
            "Expected a 2D image of 1 or 3 channels for a PNG file, got shape "
            f"{image.array.shape}; write .nii.gz."
        )
    if not np.allclose(image.affine, picture_affine(), rtol=0, atol=1e-5):
        raise ImageError(
            "Expected an image on a picture's own grid (1 mm pixels, no position), which is all "
            "that a PNG file can hold, got another affine; write .nii.gz."
        )


def write_png(image: Image, values: NDArray[Any], path: Path) -> None:
    """Write a gray or RGB picture of integers: 8 bits, or 16 bits if gray."""
    import PIL.Image

    kinds = (np.uint8, np.uint16) if image.channels == 1 else (np.uint8,)
    if values.dtype not in kinds:
        raise ImageError(
            f"Expected one of {[np.dtype(kind).name for kind in kinds]} for this PNG file, got "
            f"{values.dtype}; write .nii.gz."
        )
    pixels = values[0] if image.channels == 1 else np.moveaxis(values, 0, -1)
    PIL.Image.fromarray(np.ascontiguousarray(pixels)).save(path, format="PNG")


def _check_single(picture: Any, path: Path) -> None:
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise ImageError(
            f"Expected a single picture, got {frames} pages in '{path}'; save a stack of slices "
            "as NIfTI or NRRD, with its spacing."
        )
    if any(GRAY_ALPHA_16 in map(str, part) for part in picture.tile):
        raise ImageError(
            "Expected a picture that can be read in full, got 16 bits of gray with transparency "
            f"in '{path}', which would be cut to 8; save it without transparency."
        )


def _spacing(path: Path) -> tuple[float, float]:
    """(row, column) spacing in mm by ITK's rules; 1 where ITK does not know the kind of picture."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return 1.0, 1.0
    columns, rows = reader.GetSpacing()[:2]
    return rows, columns


def _pillow_pixels(picture: Any) -> NDArray[np.float32]:
    """(C, rows, columns) of palette, two-level, CMYK and partly transparent pictures."""
    if picture.mode in ("1", "L", "LA", "La"):
        return np.asarray(picture.convert("L"), dtype=np.float32)[None]
    palette = picture.mode in ("P", "PA")
    if palette:  # by way of RGBA, as Pillow advises for transparent palettes
        picture = picture.convert("RGBA")
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)
    if palette and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    return np.moveaxis(pixels, -1, 0)
