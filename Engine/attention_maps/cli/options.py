"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="TorchScript file (.pt, .ts), traced or scripted.")
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
