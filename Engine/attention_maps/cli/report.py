"""The network's answer and its maps in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attention_maps.answer_words import answer_in_words, classes_of
from attention_maps.cli.output import Column, print_table, print_text
from attention_maps.peak import describe_place, find_peak

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from attention_maps.result import AttentionMap


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
    print_text(f"Answer: {answer_in_words(maps[0].answer)}")
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
