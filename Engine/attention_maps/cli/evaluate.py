"""attention-maps evaluate: a map held against a mask."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from attention_maps.cli.options import AsJson, Debug
from attention_maps.cli.output import print_json, print_table
from attention_maps.cli.running import command, usage_error

EPILOG = (
    "Examples:\n\n"
    "attention-maps evaluate map.nii.gz tumor.nii.gz\n\n"
    "attention-maps evaluate map.nii.gz tumor.nrrd --threshold 0.5 --metric iou --json"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate", epilog=EPILOG)(evaluate_map)


def evaluate_map(
    attention_map: Annotated[Path, typer.Argument(metavar="MAP", help="A map that was saved.")],
    mask: Annotated[
        Path,
        typer.Argument(
            metavar="MASK", help="Where the attention should be; not 0 is inside. Any grid."
        ),
    ],
    threshold: Annotated[
        str,
        typer.Option(
            "--threshold", help="otsu, or a fraction of the map's maximum from 0 up to 1."
        ),
    ] = "otsu",
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="energy_inside, iou, dice; may be repeated. Default: all."),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say how much of a map's attention lies inside a mask.

    Only positive values count, they speak for the answer. The mask is brought onto the map's grid
    through world coordinates. A map without evidence or an empty mask gives no number, and a
    warning that says why.
    """
    with command(debug=debug):
        from attention_maps.evaluation import evaluate
        from attention_maps.registry import metrics

        found = evaluate(attention_map, mask, metric or None, _threshold(threshold))
        if as_json:
            print_json({"map": str(attention_map), "mask": str(mask), "threshold": threshold,
                        "metrics": found})  # fmt: skip
            return
        known = metrics()
        rows = [
            [name, "undefined" if math.isnan(value) else f"{value:.4f}", known[name].description]
            for name, value in found.items()
        ]
        print_table([("Metric", "left"), ("Value", "right"), ("What it is", "left")], rows)


def _threshold(text: str) -> str | float:
    if text == "otsu":
        return text
    try:
        return float(text)
    except ValueError:
        raise usage_error(
            f"Expected --threshold otsu or a number from 0 up to 1, got '{text}'."
        ) from None
