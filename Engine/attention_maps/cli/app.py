"""The application: its commands and what they share."""

from __future__ import annotations

from typing import Annotated

import typer

import attention_maps
from attention_maps.cli.case_report import register as register_report
from attention_maps.cli.cohort import register as register_cohort
from attention_maps.cli.demo import register as register_demo
from attention_maps.cli.evaluate import register as register_evaluate
from attention_maps.cli.explain import register as register_explain
from attention_maps.cli.hot_spots import register as register_hot_spots
from attention_maps.cli.layers import register as register_layers
from attention_maps.cli.methods import register as register_methods
from attention_maps.cli.sweep import register as register_sweep
from attention_maps.cli.trust import register as register_trust

app = typer.Typer(
    name="attention-maps",
    help="Where a trained network looked, placed exactly in the scan. Research use only.",
    epilog="Begin with: attention-maps layers MODEL IMAGE, then: attention-maps explain MODEL "
    "IMAGE -o map.nii.gz --figure map.png. Every command has --help with examples. "
    "Exit codes: 0 done, 1 failed (one line on stderr says why), 2 wrong usage, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
for register in (
    register_layers,
    register_explain,
    register_evaluate,
    register_hot_spots,
    register_trust,
    register_sweep,
    register_report,
    register_cohort,
    register_methods,
    register_demo,
):
    register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"attention-maps {attention_maps.__version__}")
        raise typer.Exit


@app.callback()
def shared(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Where a trained network looked, placed exactly in the scan. Research use only."""


def main() -> None:
    """Entry point of `attention-maps`."""
    app()
