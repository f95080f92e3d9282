"""nnU-Net's label map of logits, made class by class.

nnU-Net brings the logits of all classes onto the scan's voxels at once: for a hundred classes and a
scan of 512 x 512 x 600 voxels that is 30 GB in half precision. One class after the other gives the
same labels in the memory of a few volumes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

LARGEST_IN_A_BYTE = 255


def label_map(
    logits: torch.Tensor, plans: Any, configuration: Any, labels: Any, properties: dict[str, Any]
) -> NDArray[np.integer[Any]]:
    """Label map (z, y, x) on the scan's voxels.

    Args:
        logits: (classes, *grid) on the voxels that the network saw, axes transposed as in the
            plans.
        plans: nnU-Net's PlansManager.
        configuration: Its ConfigurationManager, whose function resamples.
        labels: Its LabelManager.
        properties: What its preprocessing noted: spacing (z, y, x) in mm, shapes, the box of the
            crop.
    """
    small = len(labels.foreground_labels) < LARGEST_IN_A_BYTE
    found = np.zeros(properties["shape_before_cropping"], np.uint8 if small else np.uint16)
    box = tuple(slice(low, high) for low, high in properties["bbox_used_for_cropping"])
    channels = _resampled(logits, plans, configuration, properties)
    if labels.has_regions:
        _paint(found[box], channels, labels.regions_class_order)
    else:
        _take_likeliest(found[box], channels)
    return found.transpose(plans.transpose_backward)


def _resampled(
    logits: torch.Tensor, plans: Any, configuration: Any, properties: dict[str, Any]
) -> Iterator[NDArray[Any]]:
    """Each class on the voxels of the cropped scan, by nnU-Net's own function."""
    shape = properties["shape_after_cropping_and_before_resampling"]
    wanted = [properties["spacing"][axis] for axis in plans.transpose_forward]
    given = configuration.spacing
    if len(given) < len(shape):  # 2D: slices stay where they are
        given = [wanted[0], *given]
    for channel in logits:
        values = channel.detach()[None].cpu()
        yield np.asarray(configuration.resampling_fn_probabilities(values, shape, given, wanted))[0]


def _take_likeliest(found: NDArray[Any], channels: Iterator[NDArray[Any]]) -> None:
    """Write the class with the largest logit, the first of equals."""
    best = np.array(next(channels))
    for index, values in enumerate(channels, start=1):
        better = values > best
        found[better] = index
        best[better] = values[better]


def _paint(found: NDArray[Any], channels: Iterator[NDArray[Any]], order: Sequence[int]) -> None:
    """Write regions over each other, each where its probability is above one half."""
    for value, values in zip(order, channels, strict=True):
        found[torch.sigmoid(torch.from_numpy(values).float()).numpy() > 0.5] = value
