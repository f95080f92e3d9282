"""From an image to a bundle's network and back to a label map, by the bundle's own transforms."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attention_maps.errors import ImageError, ModelRunError
from attention_maps.geometry import reorient
from attention_maps.image_io.pictures import picture_affine
from attention_maps.models.bundle.arrangement import Arrangement
from attention_maps.models.bundle.describing import reading_of, transforms_of
from attention_maps.models.bundle.recipe import IMAGE, monai, quiet
from attention_maps.preprocessing import NetworkInput
from attention_maps.resampling import resample
from attention_maps.types import Grid, Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attention_maps.models.bundle.recipe import Recipe

PRED = "pred"


@dataclass(frozen=True)
class BundlePreparation:
    """What a bundle does to an image before the network, and to logits after it.

    Args:
        recipe: Its transforms.
        arrangement: What its inferer does to the volume.
        where: Where the transforms come from, for messages.
    """

    recipe: Recipe
    arrangement: Arrangement = field(default_factory=Arrangement)
    where: str = "the bundle"

    def prepare(self, image: Image, orientation: str | None = None) -> NetworkInput:
        """Apply the bundle's preprocessing.

        Args:
            image: (C, I, J, K), or (C, I, J) rows first.
            orientation: Where the axes are turned first; None leaves them to the bundle.

        Raises:
            ImageError: If the image has not one channel per image of the bundle.
            ModelRunError: If a transform fails.
        """
        orientation = "RAS" if self.recipe.canonical else orientation
        orientation = None if image.ndim == 2 else orientation
        turned = image if orientation is None else reorient(image, orientation)
        data, world = self._data(turned)
        data = self._preprocessed(data)
        seen = data[self._key(data)]
        grid = Grid(tuple(seen.shape[1:]), world @ _affine(seen))
        array, arranged = self.arrangement.apply(_plain(seen), grid)
        reading = reading_of(self.recipe.postprocessing)
        restore = None
        if reading.inverts or grid.same_as(_columns_first(turned.grid)):

            def restore(logits: torch.Tensor) -> NDArray[np.float32]:
                kept = self.arrangement.undo(logits.detach().float().cpu(), grid.shape)
                labels = self._labels(kept, data, turned)
                if orientation is None:
                    return labels
                placed = Image(labels[None], turned.affine)
                return resample(placed.array, placed.grid, image.grid, interpolation="nearest")[0]

        values = np.ascontiguousarray(array.numpy(), dtype=np.float32)
        return NetworkInput(values, arranged, image.grid, restore)

    def _data(self, image: Image) -> tuple[dict[str, Any], NDArray[np.float64]]:
        """What MONAI's loader would give, and the world that its affines lead to.

        Pictures have columns first in MONAI, and no place of their own.
        """
        array, affine, world = image.array, image.affine, np.eye(4)
        if image.ndim == 2:
            array, affine = array.transpose(0, 2, 1), affine[:, [1, 0, 2, 3]]
            if np.allclose(image.affine, picture_affine()):
                affine, world = world, affine
        keys = self.recipe.keys
        if len(keys) == 1:
            return {keys[0]: _meta_tensor(array, affine)}, world
        if len(keys) != len(array):
            raise ImageError(
                f"Expected {len(keys)} channels ({', '.join(keys)}), got {len(array)}; give one "
                "image per channel, in this order."
            )
        pairs = zip(keys, array, strict=True)
        return {key: _meta_tensor(values[None], affine) for key, values in pairs}, world

    def _preprocessed(self, data: dict[str, Any]) -> dict[str, Any]:
        chain = self.recipe.preprocessing
        if chain is None:
            return data
        whole = _works_on_items(chain)
        try:
            with torch.no_grad(), quiet(), _lenient(chain, whole):
                done = chain(data) if whole else {IMAGE: chain(next(iter(data.values())))}
        except Exception as error:  # whatever MONAI's transforms raise
            raise ModelRunError(
                f"The preprocessing of {self.where} failed on an image of shape "
                f"{[tuple(item.shape) for item in data.values()]}: {_cause(error)}"
            ) from error
        if not isinstance(done, dict):
            raise ModelRunError(
                f"Expected one image from the preprocessing of {self.where}, got "
                f"{type(done).__name__}: random crops and grids of patches belong to training."
            )
        return done

    def _key(self, data: dict[str, Any]) -> str:
        """Which of the items goes into the network: MONAI's evaluators take "image"."""
        key = IMAGE if IMAGE in data else self.recipe.keys[0]
        if key not in data:
            raise ModelRunError(
                f"Expected the preprocessing of {self.where} to give '{key}', got "
                f"{', '.join(map(str, data)) or 'nothing'}."
            )
        if not hasattr(data[key], "affine"):
            raise ModelRunError(
                f"Expected the preprocessing of {self.where} to keep the place of the image in the "
                f"world (a MetaTensor), got {type(data[key]).__name__}; leave out what makes a "
                "plain array of it."
            )
        return key

    def _labels(
        self, logits: torch.Tensor, data: dict[str, Any], image: Image
    ) -> NDArray[np.float32]:
        """Label map (*spatial) of an image by the bundle's postprocessing of logits."""
        chain = self.recipe.postprocessing
        key = self._key(data)
        meta = monai("data.meta_tensor")
        pred = meta.MetaTensor(logits, meta=dict(data[key].meta))
        reading = reading_of(chain)
        try:
            with torch.no_grad(), quiet():
                done = pred if chain is None else self._postprocessed(chain, data, pred)
        except Exception as error:  # whatever MONAI's transforms raise
            raise ModelRunError(
                f"The postprocessing of {self.where} failed: {_cause(error)}"
            ) from error
        found = _plain(done)
        labels = labels_of(found, len(logits), reading.activation, reading.discrete,
                           self.recipe.label_values)  # fmt: skip
        return labels.T if image.ndim == 2 else labels

    def _postprocessed(self, chain: Any, data: dict[str, Any], pred: Any) -> Any:
        if not _works_on_items(chain):
            return chain(pred)
        with _lenient(chain, True):
            return chain({**data, PRED: pred})[PRED]


def labels_of(
    found: torch.Tensor,
    classes: int,
    activation: str | None,
    discrete: bool,
    values: tuple[int, ...] | None,
) -> NDArray[np.float32]:
    """Label map (*spatial) of what a postprocessing gives.

    Args:
        found: (1, *spatial) indices of classes, or (classes, *spatial) logits, probabilities, or
            zeros and ones; (1, *spatial) of overlapping classes is a label map already.
        classes: Number of the network's output channels.
        activation: "softmax", "sigmoid", or None where nothing was applied.
        discrete: Whether labels, or zeros and ones, were made.
        values: Value of each class in the label map; None for the usual ones.
    """
    alone = activation == "sigmoid" or classes == 1
    values = values or tuple(range(int(alone), int(alone) + classes))
    if not alone:
        index = found[0].round().long() if len(found) == 1 else found.argmax(0)
        return torch.tensor(values, dtype=torch.float32)[index.clamp(0, classes - 1)].numpy()
    if len(found) == 1 < classes:
        return found[0].round().numpy()
    border = 0.5 if activation or discrete else 0.0
    labels = torch.zeros(found.shape[1:])
    for channel, value in zip(found, values, strict=False):
        labels[channel >= border if border else channel > border] = value
    return labels.numpy()


def _meta_tensor(array: NDArray[np.float32], affine: NDArray[np.float64]) -> Any:
    """As MONAI's loader gives it, the channels in front."""
    keys = monai("utils").MetaKeys
    given = torch.as_tensor(affine)
    return monai("data.meta_tensor").MetaTensor(
        torch.from_numpy(np.array(array, dtype=np.float32, order="C")),
        affine=given,
        meta={
            "original_channel_dim": 0,
            keys.ORIGINAL_AFFINE: given.clone(),
            keys.SPATIAL_SHAPE: np.asarray(array.shape[1:]),
            keys.SPACE: monai("utils").SpaceKeys.RAS,
        },
    )


def _plain(tensor: Any) -> torch.Tensor:
    kept = tensor.as_tensor() if hasattr(tensor, "as_tensor") else torch.as_tensor(tensor)
    return kept.detach().float().cpu()


def _affine(tensor: Any) -> NDArray[np.float64]:
    return np.asarray(tensor.affine.cpu(), dtype=np.float64)


def _columns_first(grid: Grid) -> Grid:
    if grid.ndim == 3:
        return grid
    return Grid(grid.shape[::-1], grid.affine[:, [1, 0, 2, 3]])


def _works_on_items(chain: Any) -> bool:
    """Whether transforms take a dictionary of images rather than one image."""
    inner = getattr(chain, "transforms", None)
    if inner is not None:
        return any(map(_works_on_items, inner)) or not inner
    return isinstance(chain, monai("transforms").MapTransform)


def _lenient(chain: Any, whole: bool) -> Any:
    """A context in which transforms pass over items that are not there, such as labels."""
    kind = monai("transforms").MapTransform
    maps = tuple(item for item in transforms_of(chain) if isinstance(item, kind))
    if not maps or not whole:
        return contextlib.nullcontext()
    return monai("transforms.utils").allow_missing_keys_mode(maps)


def _cause(error: BaseException) -> str:
    inner = error.__cause__ or error
    lines = str(inner).strip().splitlines()
    return lines[0] if lines else repr(inner)
