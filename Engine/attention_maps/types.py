"""The data that travels through the engine: images on grids in the world, and what layers are."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike, NDArray

    ProgressCallback = Callable[[float, str], bool | None]

AXIS_NAMES = "ijk"


@contextmanager
def into_float32() -> Iterator[None]:
    """Refuse numbers that become Inf where they are converted to float32 inside.

    Raises:
        ImageError: If there is one.
    """
    try:
        with np.errstate(over="raise"):
            yield
    except FloatingPointError:
        largest = np.finfo(np.float32).max
        raise ImageError(
            f"Expected numbers up to {largest:.2g}, got one that is too large for float32; scale "
            "or clip them first."
        ) from None


def checked_affine(affine: ArrayLike | None) -> NDArray[np.float64]:
    """Return a 4 x 4 float64 affine, or say what is wrong with it.

    Args:
        affine: (4, 4) voxel index -> RAS mm, or None for the identity.

    Raises:
        ImageError: If it is not 4 x 4, not finite, singular, or its last row is not 0 0 0 1.
    """
    if affine is None:
        return np.eye(4)
    try:
        matrix = np.array(affine, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ImageError(
            f"Expected a (4, 4) affine of numbers (voxel index -> RAS mm), got {affine!r}."
        ) from error
    if matrix.shape != (4, 4):
        raise ImageError(
            f"Expected a (4, 4) affine (voxel index -> RAS mm), got shape {matrix.shape}."
        )
    if not np.isfinite(matrix).all():
        raise ImageError("Expected a finite affine, got NaN or Inf; repair the image header.")
    if not np.array_equal(matrix[3], [0.0, 0.0, 0.0, 1.0]):
        raise ImageError(f"Expected 0 0 0 1 as last row of the affine, got {matrix[3].tolist()}.")
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    volume = abs(np.linalg.det(matrix[:3, :3]))
    if lengths.min() == 0 or volume < 1e-6 * lengths.prod():
        raise ImageError(
            "Expected an invertible affine, but its axes are zero or lie in one plane "
            f"(axis lengths {lengths.tolist()} mm); repair the image header."
        )
    return matrix


@dataclass(frozen=True, eq=False)
class Grid:
    """A voxel grid in the world.

    Args:
        shape: Number of voxels per spatial axis, 2 or 3 of them.
        affine: (4, 4) voxel index -> RAS mm; a 2D grid uses its first two columns and the origin.
    """

    shape: tuple[int, ...]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) not in (2, 3) or min(shape) < 1:
            raise ImageError(f"Expected 2 or 3 spatial axes of at least one voxel, got {shape}.")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", checked_affine(self.affine))

    @property
    def ndim(self) -> int:
        """Number of spatial axes, 2 or 3."""
        return len(self.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance of neighboring voxels along each axis, in mm."""
        lengths = np.linalg.norm(self.affine[:3, : self.ndim], axis=0)
        return tuple(float(length) for length in lengths)

    def to_world(self, index: ArrayLike) -> NDArray[np.float64]:
        """RAS positions in mm, (..., 3), of voxel indices (..., ndim)."""
        index = np.asarray(index, dtype=np.float64)
        return index @ self.affine[:3, : self.ndim].T + self.affine[:3, 3]

    def to_index(self, ras: ArrayLike) -> NDArray[np.float64]:
        """Continuous voxel indices (..., ndim) of RAS positions (..., 3) in mm."""
        inverse = np.linalg.inv(self.affine)
        ras = np.asarray(ras, dtype=np.float64)
        return (ras @ inverse[:3, :3].T + inverse[:3, 3])[..., : self.ndim]

    def same_as(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """Whether both grids have the same shape and no corner is `tolerance` mm or more apart."""
        if self.shape != other.shape:
            return False
        corners = np.stack(np.meshgrid(*([0, n - 1] for n in self.shape), indexing="ij"), axis=-1)
        gap = self.to_world(corners) - other.to_world(corners)
        return bool(np.abs(gap).max() < tolerance)


@dataclass(frozen=True, eq=False)
class Image:
    """An image, map or mask with its place in the world.

    Args:
        array: (C, I, J, K), or (C, I, J) for 2D, converted to float32. 2D pictures are rows first.
        affine: (4, 4) voxel index -> RAS mm; None for the identity.

    Raises:
        ImageError: If the array has not 3 or 4 axes, is empty or complex, holds a number that is
            too large for float32, or the affine is wrong.
    """

    array: NDArray[np.float32]
    affine: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))

    def __post_init__(self) -> None:
        source: Any = self.array
        if hasattr(source, "detach"):  # a torch tensor, on whatever device
            source = source.detach().cpu()
            source = (source if source.is_complex() else source.float()).numpy()
        array = np.asarray(source)
        if array.dtype.kind not in "fiub":
            raise ImageError(f"Expected an array of real numbers, got dtype {array.dtype}.")
        if array.ndim not in (3, 4) or 0 in array.shape:
            raise ImageError(
                "Expected an array (C, I, J, K), or (C, I, J) for 2D, with at least one voxel, "
                f"got shape {array.shape}; a volume without channel axis needs array[None]."
            )
        with into_float32():
            array = array.astype(np.float32, copy=False)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "affine", checked_affine(self.affine))

    @property
    def grid(self) -> Grid:
        """The voxel grid without the values."""
        return Grid(self.array.shape[1:], self.affine)

    @property
    def channels(self) -> int:
        """Number of channels C."""
        return int(self.array.shape[0])

    @property
    def ndim(self) -> int:
        """Number of spatial axes, 2 or 3."""
        return self.array.ndim - 1


@dataclass(frozen=True)
class LayerInfo:
    """One layer, as it ran: `layers()` lists them in execution order.

    Args:
        name: The module's dotted name; `name#2` is its second call in one forward pass.
        kind: Class of the module or operator, such as Conv3d.
        shape: Output shape, batch first.
        stride: Input voxels from one output voxel to the next, per spatial axis.
        offset: Input voxel (continuous index) at which output voxel 0 is centered, per axis.
        explainable: Whether methods that need this layer's activations can be used.
        reason: Why not, else empty.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    stride: tuple[float, ...] | None = None
    offset: tuple[float, ...] | None = None
    explainable: bool = True
    reason: str = ""
