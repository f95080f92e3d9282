"""What commands that measure maps share: labels, thresholds, tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_maps.cli.destinations import check_file
from attention_maps.cli.running import usage_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TABLE_SUFFIXES = (".csv", ".xlsx", ".json")

ThresholdText = Annotated[
    str,
    typer.Option(
        "--threshold", "-t",
        help="Above it is attention: otsu, a fraction of the map's maximum (0.5), value:0.3 in the "
        "map's own unit, quantile:0.95 of all voxels; with +largest after it (otsu+largest) the "
        "largest connected part alone.",
    ),
]  # fmt: skip
SignText = Annotated[
    str,
    typer.Option(
        "--sign", metavar="positive|negative|absolute",
        help="What counts of a signed map: what speaks for the answer, against it, or both.",
    ),
]  # fmt: skip
TableFile = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="Write the tables, too: .csv, .xlsx or .json.",
        rich_help_panel="What is saved",
    ),
]  # fmt: skip


def read_labels(texts: Sequence[str] | None) -> Any:
    """Labels of texts such as "tumor=1", "2" or "all"; None without any."""
    if not texts:
        return None
    if "all" in texts:
        if len(texts) > 1:
            raise usage_error("Expected --label all alone, or labels one by one.")
        return "all"
    labels: dict[str, int] = {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        name = (name if equals else number).strip()
        if name in labels:
            raise usage_error(f"Expected each --label once, got '{name}' twice.")
        try:
            labels[name] = int(number)
        except ValueError:
            name = ""
        if not name:
            raise usage_error(f"Expected --label NAME=NUMBER, NUMBER or all, got '{text}'.")
    return labels


def check_threshold(text: str) -> None:
    """Refuse a threshold that is none, before anything is read."""
    from attention_maps.errors import MethodError
    from attention_maps.measures.threshold import read_threshold

    try:
        read_threshold(text)
    except MethodError as error:
        raise usage_error(f"--threshold: {error}") from None


def check_sign(text: str) -> None:
    """Refuse what is no sign, before anything is read."""
    if text not in ("positive", "negative", "absolute"):
        raise usage_error(f"Expected --sign positive, negative or absolute, got '{text}'.")


def check_table(path: Path | None, inputs: Iterable[Path | None]) -> None:
    """Refuse a table that cannot be written, before anything is computed."""
    check_file(path, "--output", TABLE_SUFFIXES, inputs)


def number_text(value: float | None, unit: str = "") -> str:
    """A number for people."""
    if value is None or math.isnan(value):
        return "undefined"
    digits = f"{value:.4f}" if abs(value) < 10 else f"{value:.5g}"
    return f"{digits} {unit}".rstrip()


def write_table(path: Path | None, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write tables where a file is wanted; sheets of one Excel file, files of their own as CSV."""
    if path is not None:
        from attention_maps.report.writing import write_tables

        write_tables(path, tables)
