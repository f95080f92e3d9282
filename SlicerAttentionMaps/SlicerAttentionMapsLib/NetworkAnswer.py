"""What a network answers, as plain data: the same from this process and from a worker."""

from dataclasses import dataclass

import numpy as np

# Counting makes 64-bit copies.
_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class NetworkAnswer:
    """The fields that results need; the engine's `WorkerAnswer` has them, too.

    Attributes:
        task: "classification" or "segmentation".
        activation: "softmax", "sigmoid" or "none".
        classes: names of the classes.
        background: index of the background class, or None.
        ranking: indices of the classes, likeliest or largest first.
        labels: (*spatial) whole numbers on the image's grid; None for classification.
        affine: (4, 4) voxel index of `labels` -> world RAS mm.
        fingerprint: text that differs where `labels` do.
        label_values: value of each class in `labels`; empty for the usual ones.
    """

    task: str
    activation: str
    classes: tuple[str, ...]
    background: int | None
    ranking: tuple[int, ...]
    labels: np.ndarray | None = None
    affine: np.ndarray | None = None
    fingerprint: str = ""
    label_values: tuple[int, ...] = ()


def fromEngine(answer) -> NetworkAnswer:
    """Return an `attention_maps.answer.Answer` as plain data."""
    names = tuple(answer.class_label(index) for index in range(answer.classes))
    plain = (answer.task, answer.activation, names, answer.background, tuple(answer.ranking()))
    if answer.task != "segmentation":
        return NetworkAnswer(*plain)
    from attention_maps.worker.summaries import fingerprint_of

    image = answer.prediction
    labels = image.array[0].astype(np.uint16)
    return NetworkAnswer(
        *plain, labels, image.affine, fingerprint_of(labels), tuple(answer.label_values)
    )


def labelOfClass(answer, index: int) -> int:
    """Return the label of a class: the model's own where it says so.

    Else those that exclude each other count from 0, others from 1.
    """
    if answer.label_values:
        return answer.label_values[index]
    return index + (0 if answer.activation == "softmax" else 1)


def predictedClasses(answer) -> list[int]:
    """Return the classes of the whole answer, the most frequent first, without the background."""
    counts = getattr(answer, "label_counts", ())  # counted by the worker
    if not counts:
        return presentClasses(answer, answer.labels)
    return _sorted(answer, [*counts, *[0] * (_numberOfLabels(answer) - len(counts))])


def boxOf(answer) -> tuple | None:
    """Return first and last index along I, J, K of what is not 0; None for everywhere."""
    box = getattr(answer, "label_box", None)
    return box if box is not None and len(box) == 3 else None


def presentClasses(answer, labels: np.ndarray) -> list[int]:
    """Return the classes among some labels, the most frequent first, without the background."""
    counts, flat = np.zeros(_numberOfLabels(answer), dtype=np.int64), np.ravel(labels)
    for start in range(0, flat.size, _CHUNK):
        counts += np.bincount(flat[start : start + _CHUNK], minlength=len(counts))
    return _sorted(answer, counts)


def _numberOfLabels(answer) -> int:
    """Return the number of values that labels can have, 0 among them."""
    return 1 + max(labelOfClass(answer, index) for index in range(len(answer.classes)))


def _sorted(answer, counts) -> list[int]:
    """Return the classes that have voxels, by the counts of the labels."""
    classes = [index for index in range(len(answer.classes)) if index != answer.background]
    classes.sort(key=lambda index: -counts[labelOfClass(answer, index)])
    return [index for index in classes if counts[labelOfClass(answer, index)]]
