"""The table of how much each slice matters."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from attention_maps.cli.destinations import check_file
from attention_maps.image_io.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from attention_maps.result import AttentionMap

COLUMNS = ("target", "method", "layer", "slice", "r_mm", "a_mm", "s_mm", "value", "share")


def check_table(path: Path | None, inputs: Iterable[Path | None]) -> None:
    """Refuse what cannot be written, before anything is computed."""
    check_file(path, "--slices", (".csv",), inputs)


def write_slices(maps: Sequence[AttentionMap], path: Path) -> None:
    """Write one row per map and slice, as CSV."""
    with written_whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for made in maps:
            for item in made.slice_relevance():
                place = [f"{value:.3f}" for value in item.ras]
                numbers = [f"{item.value:.6g}", f"{item.share:.6g}"]
                writer.writerow(
                    [made.target, made.method, made.layer, item.index, *place, *numbers]
                )
