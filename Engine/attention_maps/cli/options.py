"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

ModelFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="TorchScript file (.pt, .ts), torch.export file (.pt2), nnU-Net v2 results folder, "
        "MONAI bundle (folder, .zip, .ts).",
    ),
]
Spec = Annotated[
    str | None,
    typer.Option(
        "--spec",
        help="What the network expects: a JSON file or the name of a shipped specification. "
        "Without it model.json beside model.pt is used; without that the image goes in as it is.",
        rich_help_panel="Model",
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel="Model"),
]
Configuration = Annotated[
    str | None,
    typer.Option(
        "--configuration",
        help="Of several models in a folder, such as 3d_lowres of nnU-Net. Default: 3d_fullres.",
        rich_help_panel="Model",
    ),
]
Folds = Annotated[
    str | None,
    typer.Option(
        "--folds", metavar="0,1,...", help="Trained folds that are averaged. Default: all.",
        rich_help_panel="Model",
    ),
]  # fmt: skip
Checkpoint = Annotated[
    str | None,
    typer.Option("--checkpoint", help="final (default), best, latest.", rich_help_panel="Model"),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Allow code that comes with the model to be executed. Only for models whose origin "
        "you know.",
        rich_help_panel="Model",
    ),
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print JSON instead of a table.", rich_help_panel="What is printed"
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="No progress bar, no notes.", rich_help_panel="What is printed"
    ),
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug", help="Show the traceback of an error.", rich_help_panel="What is printed"
    ),
]


def load_options(
    configuration: str | None, folds: str | None, checkpoint: str | None, *, trust: bool
) -> dict[str, Any]:
    """What `load_model` is given beside model, specification and device."""
    return {
        "configuration": configuration,
        "folds": None if folds is None else [fold.strip() for fold in folds.split(",")],
        "checkpoint": checkpoint,
        "trust": trust,
    }
