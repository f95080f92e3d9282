"""The window that a DICOM picture names: the gray values that its viewers show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import ImageError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WHITE = 255.0
CENTER, WIDTH, FUNCTION = "0028|1050", "0028|1051", "0028|1056"
INTERCEPT, SLOPE = "0028|1052", "0028|1053"
PHOTOMETRIC, BITS, SIGNED = "0028|0004", "0028|0101", "0028|0103"


def shown(array: NDArray[np.float32], reader: Any, path: Path) -> NDArray[np.float32]:
    """Gray values 0 to 255 by the file's first window.

    DICOM PS3.3, C.11.2.1.2: linear, linear exact and sigmoid.

    Args:
        array: Rescaled values; those of MONOCHROME1 inverted within the range of their bits, as
            GDCM gives them.
        reader: SimpleITK's reader of the file, for its header.
        path: The file, for messages.

    Raises:
        ImageError: If the file names no window that can be applied.
    """
    if not (reader.HasMetaDataKey(CENTER) and reader.HasMetaDataKey(WIDTH)):
        raise ImageError(
            f"Expected a window (WindowCenter, WindowWidth) in '{path}', found none; leave the "
            "window out, or apply the file's table with pydicom.pixels.apply_voi_lut and pass the "
            "array as an Image."
        )
    center, width = (_number(reader, tag, 0.0) for tag in (CENTER, WIDTH))
    function = _text(reader, FUNCTION) or "LINEAR"
    if not width >= (1 if function == "LINEAR" else 0) or not np.isfinite([center, width]).all():
        raise ImageError(
            f"Expected a window of some width in '{path}', got center {center:g} and width "
            f"{width:g}; leave the window out."
        )
    inverted = _text(reader, PHOTOMETRIC) == "MONOCHROME1"
    values = array.astype(np.float64)
    if inverted:
        values = _inversion(reader) - values
    part = _part_of_white(values, center, width, function, path)
    return (WHITE * (1 - part if inverted else part)).astype(np.float32)


def _part_of_white(
    values: NDArray[np.float64], center: float, width: float, function: str, path: Path
) -> NDArray[np.float64]:
    if function == "SIGMOID" and width > 0:
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
    if function == "LINEAR_EXACT" and width > 0:
        return np.clip((values - center) / width + 0.5, 0, 1)
    if function != "LINEAR":
        raise ImageError(
            f"Expected a window of the kind LINEAR, LINEAR_EXACT or SIGMOID in '{path}', got "
            f"{function} of width {width:g}; leave the window out."
        )
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def _inversion(reader: Any) -> float:
    """What a rescaled value and its inverse add up to: both ends of the stored range."""
    slope, intercept = _number(reader, SLOPE, 1.0), _number(reader, INTERCEPT, 0.0)
    ends = -1.0 if _number(reader, SIGNED, 0.0) else 2.0 ** _number(reader, BITS, 16.0) - 1
    return slope * ends + 2 * intercept


def _text(reader: Any, tag: str) -> str:
    return reader.GetMetaData(tag).strip() if reader.HasMetaDataKey(tag) else ""


def _number(reader: Any, tag: str, default: float) -> float:
    """The first of a tag's values."""
    first = _text(reader, tag).partition("\\")[0].strip()
    try:
        return float(first) if first else default
    except ValueError:
        return float("nan")
