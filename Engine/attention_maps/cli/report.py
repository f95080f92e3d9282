"""The network's answer and its maps in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.cli.output import Column, print_table, print_text
from attention_maps.peak import describe_place, find_peak

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from attention_maps.answer import Answer
    from attention_maps.result import AttentionMap

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
    sizes = np.bincount(labels.array.astype(np.uint16).ravel(), minlength=answer.classes + 1)
    edges = np.asarray(labels.grid.affine[:3, : labels.ndim])
    voxel = float(np.sqrt(np.linalg.det(edges.T @ edges)))  # mm^3 or mm^2
    first = 0 if answer.activation == "softmax" else 1
    found = []
    for n in order:
        count = int(sizes[n + first])
        size = {"ml": count * voxel / 1000} if labels.ndim == 3 else {"mm2": count * voxel}
        record = {"index": n, "name": answer.class_label(n), "voxels": count, **size}
        found.append(record | {"background": n == answer.background})
    return found


def record_of(
    maps: Sequence[AttentionMap], files: Sequence[Path], figures: Sequence[Path]
) -> dict[str, Any]:
    """All that `explain --json` prints."""
    answer = maps[0].answer
    records = []
    for number, item in enumerate(maps):
        known = item.provenance
        peak = find_peak(item.image)
        records.append(
            {
                "target": item.target, "layer": item.layer, "method": item.method,
                "score": item.score, "evidence": item.has_evidence,
                "maximum": peak.value if peak else 0.0,
                "maximum_ras": list(peak.ras) if peak else None,
                "maximum_voxel": list(peak.index) if peak else None,
                "seconds": known["seconds"], "note": known["note"], "remark": known["remark"],
                "options": known["options"],
                "file": str(files[number]) if files else None,
                "figure": str(figures[number]) if figures else None,
            }
        )  # fmt: skip
    known = maps[0].provenance
    return {
        "model": known["model"], "device": known["device"], "task": answer.task,
        "activation": answer.activation, "answer": classes_of(answer), "maps": records,
    }  # fmt: skip


def show(maps: Sequence[AttentionMap], files: Sequence[Path]) -> None:
    """Print the answer and a table of the maps."""
    known = maps[0].provenance
    print_text(f"{known['model']['name']} ({known['model']['kind']}, {known['device']})")
    print_text(f"Answer: {_answer_in_words(maps[0].answer)}")
    rows = []
    for number, item in enumerate(maps):
        peak = find_peak(item.image)
        place, value = "no evidence", "0"
        if peak is not None:
            value = f"{peak.value:.4g}"
            place = describe_place(peak)
        row = [item.target, item.layer, item.method, f"{item.score:.6g}", value, place,
               f"{item.provenance['seconds']:.2f}"]  # fmt: skip
        rows.append([*row, str(files[number])] if files else row)
    columns: list[Column] = [
        ("Target", "left"), ("Layer", "left"), ("Method", "left"), ("Score", "right"),
        ("Maximum", "right"), ("at", "left"), ("Seconds", "right"),
    ]  # fmt: skip
    print_table([*columns, ("File", "left")] if files else columns, rows)
    for text in dict.fromkeys(
        item.provenance[key] for item in maps for key in ("note", "remark") if item.provenance[key]
    ):
        print_text(f"Note: {text}")


def _answer_in_words(answer: Answer) -> str:
    texts = []
    for item in classes_of(answer):
        if "probability" in item:
            texts.append(f"{item['name']} {item['probability']:.3f}")
        elif not item["background"]:
            size = f"{item['ml']:.1f} ml" if "ml" in item else f"{item['mm2']:.0f} mm\u00b2"
            texts.append(f"{item['name']} {size}")
    more = len(texts) - SHOWN_CLASSES
    return ", ".join(texts[:SHOWN_CLASSES]) + (f", and {more} more" if more > 0 else "")
