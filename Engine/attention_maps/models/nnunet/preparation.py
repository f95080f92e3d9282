"""From a scan to nnU-Net's input and back to its label map, by nnU-Net's own functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.geometry import affine_of_layer, permute_axes, reorient
from attention_maps.models.nnunet.label_maps import label_map
from attention_maps.models.nnunet.network import nnunet, quiet, understood
from attention_maps.preprocessing import NetworkInput
from attention_maps.resampling import resample
from attention_maps.types import Grid, Image

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

REORIENTING_READER = "NibabelIOWithReorient"


@dataclass(frozen=True)
class NnunetPreparation:
    """What is done to a scan before the network, and to logits after it.

    Args:
        plans: nnU-Net's PlansManager.
        configuration: Its ConfigurationManager.
        dataset: Contents of dataset.json.
        previous: Gives the label map (1, I, J, K) of the stage before, on the scan's voxels; None
            where there is none.
    """

    plans: Any
    configuration: Any
    dataset: dict[str, Any]
    previous: Callable[[Image], Image] | None = None

    def prepare(self, image: Image, orientation: str | None = None) -> NetworkInput:
        """Crop, normalize and resample a scan.

        Args:
            image: The scan, (C, I, J, K).
            orientation: Where the axes are turned first; None leaves them, as nnU-Net does.
        """
        source = image.grid
        if self.plans.plans["image_reader_writer"] == REORIENTING_READER:
            orientation = "RAS"
        turned = image if orientation is None else reorient(image, orientation)
        spacing = [header_spacing(value) for value in turned.grid.spacing]
        properties: dict[str, Any] = {"spacing": spacing[::-1]}
        stage = None
        if self.previous is not None:
            stage = self.previous(image)
            stage = stage if orientation is None else reorient(stage, orientation)
        data, seg = self._preprocessed(turned, stage, properties)
        if stage is not None:
            data = np.vstack((data, self._one_hot(seg, data.dtype)))
        grid = self._grid(turned.grid, properties, data.shape[1:])

        def restore(logits: torch.Tensor) -> NDArray[np.float32]:
            labels = self._labels(logits, properties)
            placed = Image(labels.transpose(2, 1, 0)[None], turned.affine)
            if orientation is None:
                return placed.array[0]
            return resample(placed.array, placed.grid, source, interpolation="nearest")[0]

        return NetworkInput(np.ascontiguousarray(data, dtype=np.float32), grid, source, restore)

    def _preprocessed(
        self, image: Image, stage: Image | None, properties: dict[str, Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        array = image.array.transpose(0, 3, 2, 1)
        seg = None if stage is None else stage.array.transpose(0, 3, 2, 1).astype(np.int16)
        with understood("preprocessing"):
            preprocessor = self.configuration.preprocessor_class(verbose=False)
            data, seg, _ = preprocessor.run_case_npy(
                array, seg, properties, self.plans, self.configuration, self.dataset
            )
        return data, seg

    def _one_hot(self, seg: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """Channels of the stage before, one per foreground label."""
        labels = nnunet("utilities.label_handling.label_handling")
        foreground = self.plans.get_label_manager(self.dataset).foreground_labels
        found: NDArray[Any] = labels.convert_labelmap_to_one_hot(seg[0], foreground, dtype)
        return found

    def _grid(self, grid: Grid, properties: dict[str, Any], shape: tuple[int, ...]) -> Grid:
        """Where the network's voxels lie: transposed, cropped, resampled edge to edge."""
        order = [2 - axis for axis in self.plans.transpose_forward]
        turned = permute_axes(grid, order)
        box = properties["bbox_used_for_cropping"]
        cropped = properties["shape_after_cropping_and_before_resampling"]
        stride = [old / new for old, new in zip(cropped, shape, strict=True)]
        offset = [step / 2 - 0.5 + low for step, (low, _) in zip(stride, box, strict=True)]
        return Grid(shape, affine_of_layer(turned.affine, stride, offset))

    def _labels(self, logits: torch.Tensor, properties: dict[str, Any]) -> NDArray[Any]:
        """nnU-Net's label map (z, y, x) of logits (classes, *grid)."""
        manager = self.plans.get_label_manager(self.dataset)
        with quiet():
            return label_map(logits, self.plans, self.configuration, manager, properties)


def header_spacing(length: float) -> float:
    """A spacing as the image's header has it: the length of an affine's axis carries its noise.

    nnU-Net rounds the new number of voxels, where noise of 1e-7 decides between two of them.

    >>> header_spacing(1.9999998)
    2.0
    """
    plain = round(length, 4)
    near = plain if abs(plain - length) <= 2e-6 * length else length
    return float(np.float32(near))
