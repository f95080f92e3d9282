"""What a client gets: the same values as in one process, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.types import Image, LayerInfo
from attention_maps.worker.measured import measured_of
from attention_maps.worker.messages import Done, MapMade, SharedImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attention_maps.worker.arrays import SharedFolder


@dataclass(frozen=True, eq=False)
class WorkerMap:
    """A map that the worker made (see `attention_maps.result.AttentionMap`).

    Args:
        image: (1, *spatial) float32 map on the image's grid, its axes in memory in the order in
            which the image came.
        extremes: Its smallest and largest value.
        score: Value of the target.
        layer: Name of the layer.
        method: Name of the method.
        target: What was asked, in words.
        signed: Whether negative values mean evidence against.
        provenance: Everything that is needed to make the map again.
        raw: (1, *grid) float32 map on the layer's own grid; None where the question was live.
    """

    image: Image
    extremes: tuple[float, float]
    score: float
    layer: str
    method: str
    target: str
    signed: bool
    provenance: dict[str, Any]
    raw: Image | None = None

    @property
    def has_evidence(self) -> bool:
        """False where the map is zero everywhere: the method found nothing."""
        return bool(self.provenance["evidence"])


@dataclass(frozen=True, eq=False)
class WorkerAnswer:
    """The network's answer.

    Args:
        task: classification or segmentation.
        activation: How the logits are read: softmax, sigmoid or none.
        classes: Names of the classes.
        background: Index of the background class.
        ranking: Indices of the classes, likeliest or largest first.
        probabilities: Of each class, for classification.
        voxels: Predicted voxels of each class on the network's grid, for segmentation.
        volumes_ml: Predicted volume of each class, for segmentation in 3D.
        label_counts: Voxels of each value of `labels`, from 0.
        label_box: First and last index of what is not 0 in `labels`, along each axis; None where
            all of it is.
        fingerprint: Text that differs where `labels` do.
        label_values: Value of each class in `labels`.
        labels: (*spatial) uint8 or uint16 label map on the image's grid, for segmentation.
        affine: (4, 4) voxel index of `labels` -> RAS mm.
    """

    task: str
    activation: str
    classes: tuple[str, ...]
    background: int | None
    ranking: tuple[int, ...]
    probabilities: tuple[float, ...] | None = None
    voxels: tuple[int, ...] | None = None
    volumes_ml: tuple[float, ...] | None = None
    label_counts: tuple[int, ...] = ()
    label_box: tuple[tuple[int, int], ...] | None = None
    fingerprint: str = ""
    label_values: tuple[int, ...] = ()
    labels: NDArray[np.unsignedinteger] | None = None
    affine: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Finished:
    """A request is done.

    Args:
        result: What it found.
    """

    result: Any


def map_of(message: MapMade, folder: SharedFolder) -> WorkerMap:
    """A map with its arrays."""
    low, high = message.extremes
    raw = None if message.raw is None else _image(message.raw, folder)
    return WorkerMap(
        _image(message.image, folder), (low, high), message.score, message.layer, message.method,
        message.target, message.signed, message.provenance, raw,
    )  # fmt: skip


def result_of(message: Done, folder: SharedFolder) -> Any:
    """What a request found: an answer, a list of layers, what was measured, or a dict."""
    found = message.result
    if "layers" in found:
        return [LayerInfo(**_tuples(item)) for item in found["layers"]]
    measured = measured_of(found)
    if measured is not None:
        return measured
    if "ranking" not in found:
        return found
    if message.labels is None:
        return WorkerAnswer(**_tuples(found))
    labels = folder.fetch(message.labels.array)[0]
    return WorkerAnswer(**_tuples(found), labels=labels, affine=np.array(message.labels.affine))


def _image(shared: SharedImage, folder: SharedFolder) -> Image:
    return Image(folder.fetch(shared.array), shared.affine)  # type: ignore[arg-type]


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _tuple(value) for name, value in values.items()}


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value
