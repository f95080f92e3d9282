"""Maps on the grid that was asked for, and in the world where an image says where that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import ImageError
from attention_maps.geometry import permute_axes, resize_grid
from attention_maps.inputs import as_image
from attention_maps.resampling import place
from attention_maps.types import Grid, Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attention_maps.injection.maps import LayerMaps


@dataclass(frozen=True, eq=False)
class Place:
    """Where the input of a network lies.

    Args:
        field: Grid of the input, axes as in the batch.
        target: Grid of the image that the input was made of.
    """

    field: Grid
    target: Grid


def unplaced(spatial: tuple[int, ...]) -> Place:
    """Of an input of which nothing is known: voxel indices, as they are in the batch."""
    field = Grid(spatial, np.eye(4))
    return Place(field, field)


def on_grid(
    values: NDArray[np.float32], affine: NDArray[np.float64], where: Place,
    shape: str | tuple[int, ...],
) -> Image:  # fmt: skip
    """Maps on the grid that was asked for.

    Args:
        values: (B, *grid) on the layer's own grid.
        affine: (4, 4) index on that grid -> index of the input.
        where: Where the input lies.
        shape: "default" for the image's grid, "layer" for the layer's, or voxels per axis of the
            input's field.

    Returns:
        (B, *spatial) with its affine.

    Raises:
        ImageError: If the shape has another number of axes than the input.
    """
    layer = Grid(values.shape[1:], where.field.affine @ affine)
    if shape == "layer":
        return Image(values, layer.affine)
    target = where.target
    if not isinstance(shape, str):
        if len(shape) != where.field.ndim:
            raise ImageError(
                f"Expected data_shape with {where.field.ndim} axes, as the batch has, got {shape}."
            )
        target = resize_grid(where.field, shape)
    return Image(place(values, layer, where.field, target), target.affine)


def without_place(
    maps: LayerMaps, spatial: tuple[int, ...], shape: str | tuple[int, ...]
) -> NDArray[np.float32]:
    """(B, *shape) maps with the axes of the batch."""
    return on_grid(maps.values, maps.affine, unplaced(spatial), shape).array


def place_of(raw: Any, spatial: tuple[int, ...]) -> Place:
    """Where the image lies that an input was made of.

    The input has the image's field of view, whatever its size. Its axes are those of the image, or
    reversed, as SimpleITK gives arrays: the sizes tell; where they do not, an image of SimpleITK
    has them reversed.

    Args:
        raw: What `as_image` takes. Arrays and tensors say nothing of it, but for a MetaTensor.
        spatial: Voxels per axis of the input.

    Raises:
        ImageError: If it is no image, or has not as many axes.
    """
    if raw is None or (_is_array(raw) and getattr(raw, "affine", None) is None):
        return unplaced(spatial)
    target = as_image(raw, len(spatial)).grid
    if target.ndim != len(spatial):
        raise ImageError(
            f"Expected raw_input with {len(spatial)} spatial axes, as the batch has, got "
            f"{target.ndim}."
        )
    turned = hasattr(raw, "GetDirection")
    if (target.shape == spatial) != (target.shape[::-1] == spatial):
        turned = target.shape != spatial
    field = permute_axes(target, range(target.ndim)[::-1]) if turned else target
    return Place(resize_grid(field, spatial), target)


def raws_of(raw_input: Any, images: int, axes: int) -> list[Any]:
    """What was given for each image of a batch.

    Args:
        raw_input: One for all, or a list, array or tensor with one for each.
        images: Number of images.
        axes: Number of spatial axes.

    Raises:
        ImageError: If there are more or fewer.
    """
    if raw_input is None:
        return [None] * images
    if isinstance(raw_input, list | tuple):
        given = list(raw_input)
    elif _is_array(raw_input) and _has_batch(raw_input, images, axes):
        given = [_of_image(raw_input, image) for image in range(len(raw_input))]
    else:
        given = [raw_input] * images
    if len(given) != images:
        raise ImageError(
            f"Expected raw_input for each of {images} images, or one for all, got {len(given)}."
        )
    return given


def _has_batch(array: Any, images: int, axes: int) -> bool:
    """Whether the first axis is that of the batch; a picture has its colors last or first."""
    if array.ndim == axes + 1 and axes == 2:
        return array.shape[-1] not in (1, 3) and array.shape[0] == images
    return bool(array.ndim > axes + 1 or (axes == 2 and array.ndim == 4))


def _of_image(array: Any, image: int) -> Any:
    """One image of a batch; a MetaTensor's affine is that of the image, or of all."""
    affine = getattr(array, "affine", None)
    if affine is None:
        return array[image]
    affines = np.asarray(affine, dtype=np.float64)
    own = affines[image] if affines.ndim == 3 else affines
    return Image(np.asarray(array[image].detach().cpu()), own)


def _is_array(raw: Any) -> bool:
    return isinstance(raw, np.ndarray) or hasattr(raw, "detach")
