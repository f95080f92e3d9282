"""Maps, masks and pictures as NumPy arrays, whatever they come as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def as_array(values: Any) -> NDArray[Any]:
    """The values as an array; those of a tensor, on whatever device, as float32."""
    return np.asarray(values.detach().float().cpu() if hasattr(values, "detach") else values)


def of_size(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A map (*spatial) by linear interpolation on another grid with the same outer edges."""
    from torch import from_numpy
    from torch.nn.functional import interpolate

    mode = "bilinear" if values.ndim == 2 else "trilinear"
    tensor = from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None, None]
    return interpolate(tensor, shape, mode=mode, align_corners=False)[0, 0].numpy()
