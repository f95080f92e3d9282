"""Masks and the names of their labels on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_maps.cli.running import usage_error
from attention_maps.cohort_cases import stem_of

if TYPE_CHECKING:
    from collections.abc import Sequence

MEASURED = "What is measured"

Masks = Annotated[
    list[str] | None,
    typer.Option(
        "--mask", metavar="[NAME=]FILE", rich_help_panel=MEASURED,
        help="Where the attention should be; not 0 is inside. Any grid; may be repeated.",
    ),
]  # fmt: skip
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label", rich_help_panel=MEASURED,
        help="The mask is a label map: NAME=NUMBER or NUMBER, one mask each, may be repeated; all "
        "for every label that occurs.",
    ),
]  # fmt: skip
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric", rich_help_panel=MEASURED, help="energy_inside, dice, ...; may be repeated."
    ),
]
Threshold = Annotated[
    str,
    typer.Option(
        "--threshold", rich_help_panel=MEASURED,
        help="otsu, a fraction of the maximum such as 0.5, value:0.3, quantile:0.95; each with "
        "+largest for the largest connected part alone.",
    ),
]  # fmt: skip


def read_masks(given: Sequence[str]) -> dict[str, Path]:
    """Files by name; without a name that of the file."""
    found: dict[str, Path] = {}
    for text in given:
        name, equals, file = text.partition("=")
        path = Path(file) if equals and not Path(text).exists() else Path(text)
        if path == Path(text):
            name = stem_of(path)
        if not path.exists():
            raise FileNotFoundError(f"Expected a mask, but '{path}' does not exist.")
        if name in found:
            raise usage_error(f"Expected a name of its own for each --mask, got '{name}' twice.")
        found[name] = path
    return found


def one_or_several(masks: dict[str, Path], labels: Any) -> Any:
    """What `evaluate` takes as mask: a label map, several masks, or None."""
    if labels is not None and len(masks) != 1:
        raise usage_error(f"Expected one --mask for --label, got {len(masks)}.")
    if labels is not None:
        return next(iter(masks.values()))
    return masks or None
