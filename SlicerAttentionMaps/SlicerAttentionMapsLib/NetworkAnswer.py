"""What a network answers, as plain data: the same from this process and from a worker."""

from dataclasses import dataclass

import numpy as np

# Counting makes 64-bit copies.
_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class NetworkAnswer:
    """The fields that results and questions need; the engine's `WorkerAnswer` has them, too.

    Attributes:
        task: "classification" or "segmentation".
        activation: "softmax", "sigmoid" or "none".
        classes: names of the classes.
        background: index of the background class, or None.
        ranking: indices of the classes, likeliest or largest first.
        labels: (*spatial) whole numbers on the image's grid; None for classification.
        affine: (4, 4) voxel index of `labels` -> world RAS mm.
    """

    task: str
    activation: str
    classes: tuple[str, ...]
    background: int | None
    ranking: tuple[int, ...]
    labels: np.ndarray | None = None
    affine: np.ndarray | None = None


def fromEngine(answer) -> NetworkAnswer:
    """Return an `attention_maps.answer.Answer` as plain data."""
    names = tuple(answer.class_label(index) for index in range(answer.classes))
    plain = (answer.task, answer.activation, names, answer.background, tuple(answer.ranking()))
    if answer.task != "segmentation":
        return NetworkAnswer(*plain)
    image = answer.prediction
    return NetworkAnswer(*plain, image.array[0].astype(np.uint16), image.affine)


def labelOfClass(answer, index: int) -> int:
    """Return the label of a class: those that exclude each other count from 0, others from 1."""
    return index + (0 if answer.activation == "softmax" else 1)


def presentClasses(answer, labels: np.ndarray) -> list[int]:
    """Return the classes among some labels, the most frequent first, without the background."""
    counts, flat = np.zeros(len(answer.classes) + 1, dtype=np.int64), np.ravel(labels)
    for start in range(0, flat.size, _CHUNK):
        counts += np.bincount(flat[start : start + _CHUNK], minlength=len(counts))
    classes = [index for index in range(len(answer.classes)) if index != answer.background]
    classes.sort(key=lambda index: -counts[labelOfClass(answer, index)])
    return [index for index in classes if counts[labelOfClass(answer, index)]]
