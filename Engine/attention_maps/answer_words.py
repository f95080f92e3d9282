"""The network's answer in words: probabilities, or volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from attention_maps.answer import Answer

SHOWN_CLASSES = 10


def classes_of(answer: Answer) -> list[dict[str, Any]]:
    """The classes, likeliest or largest first: probability, or voxels and volume in ml.

    Volumes are of the label map on the image's own grid; a 2D image has an area in mm^2.
    """
    order = answer.ranking()
    if answer.task == "classification":
        shares = answer.probabilities
        return [
            {"index": n, "name": answer.class_label(n), "probability": float(shares[n])}
            for n in order
        ]
    labels: Any = answer.prediction
    most = max(answer.label_values) + 1
    sizes = np.bincount(labels.array.astype(np.uint16).ravel(), minlength=most)
    edges = np.asarray(labels.grid.affine[:3, : labels.ndim])
    voxel = float(np.sqrt(np.linalg.det(edges.T @ edges)))  # mm^3 or mm^2
    found = []
    for n in order:
        count = int(sizes[answer.label_values[n]])
        size = {"ml": count * voxel / 1000} if labels.ndim == 3 else {"mm2": count * voxel}
        record = {"index": n, "name": answer.class_label(n), "voxels": count, **size}
        found.append(record | {"background": n == answer.background})
    return found


def answer_in_words(answer: Answer) -> str:
    """The classes in one line, likeliest or largest first, background left out."""
    texts = []
    for item in classes_of(answer):
        if "probability" in item:
            texts.append(f"{item['name']} {item['probability']:.3f}")
        elif not item["background"]:
            size = f"{item['ml']:.1f} ml" if "ml" in item else f"{item['mm2']:.0f} mm\u00b2"
            texts.append(f"{item['name']} {size}")
    more = len(texts) - SHOWN_CLASSES
    return ", ".join(texts[:SHOWN_CLASSES]) + (f", and {more} more" if more > 0 else "")
