"""attention-maps sweep: layers x methods for one question."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_maps.cli.destinations import check_file, sidecars
from attention_maps.cli.masks import (
    Labels,
    Masks,
    Metrics,
    Threshold,
    one_or_several,
    read_masks,
)
from attention_maps.cli.measuring import check_threshold, read_labels
from attention_maps.cli.options import (
    AsJson,
    Checkpoint,
    Configuration,
    Debug,
    Device,
    Folds,
    ModelFile,
    Quiet,
    Spec,
    Trust,
    load_options,
)
from attention_maps.cli.output import note, print_json, print_table, print_text, progress_bar
from attention_maps.cli.questions import read_options, read_question
from attention_maps.cli.running import command, usage_error

if TYPE_CHECKING:
    from attention_maps.sweep_table import Sweep

EPILOG = (
    "Examples:\n\n"
    "attention-maps sweep model.pt t1.nii.gz --mask tumor.nii.gz -o sweep.xlsx --heat-map sweep.png"
    "\n\n"
    "attention-maps sweep model.pt t1.nii.gz --target tumor --layer enc.3 --layer dec.1 "
    "--method grad_cam --method hires_cam"
)
QUESTION = "What is asked"
SAVED = "What is saved"
TABLES = (".xlsx", ".csv", ".json")
PLOTS = (".png", ".svg", ".pdf", ".jpg")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sweep", epilog=EPILOG)(sweep_layers)


def sweep_layers(
    model: ModelFile,
    image: Annotated[
        list[Path], typer.Argument(metavar="IMAGE", help="One file per channel, as in explain.")
    ],
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", "-l", rich_help_panel=QUESTION,
                     help="A layer's name; may be repeated. Default: all."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", rich_help_panel=QUESTION,
                     help="May be repeated. Default: all that need one backward pass."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", rich_help_panel=QUESTION,
                     help="A class's name or index, or 'A vs B'. Default: the likeliest class, or "
                     "the largest predicted one."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", rich_help_panel=QUESTION,
                     help="An option of a method or metric; may be repeated."),
    ] = None,
    mask: Masks = None,
    label: Labels = None,
    metric: Metrics = None,
    threshold: Threshold = "otsu",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", rich_help_panel=SAVED,
                     help="Table as .xlsx, .csv or .json."),
    ] = None,
    heat_map: Annotated[
        Path | None,
        typer.Option("--heat-map", rich_help_panel=SAVED,
                     help="Layers x methods as colors: .png, .svg, .pdf or .jpg."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", rich_help_panel=SAVED,
                     help="Lines over the layers: .png, .svg, .pdf or .jpg."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="METRIC", rich_help_panel=SAVED,
                     help="Of heat map and plot. Default: the first."),
    ] = None,
    spec: Spec = None,
    device: Device = "auto",
    configuration: Configuration = None,
    folds: Folds = None,
    checkpoint: Checkpoint = None,
    trust: Trust = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Ask one question of many layers by many methods, and say which maps are best.

    All maps come from one forward and one backward pass. Without a mask, maps are measured by
    themselves: share of positive evidence, entropy, concentration.
    """
    with command(debug=debug, quiet=quiet):
        check_threshold(threshold)
        masks, labels = read_masks(mask or []), read_labels(label)
        where = one_or_several(masks, labels)
        inputs = [model, *image, *masks.values(), *sidecars(model, spec)]
        check_file(output, "--output", TABLES, inputs)
        check_file(heat_map, "--heat-map", PLOTS, inputs)
        check_file(plot, "--plot", PLOTS, inputs)
        from attention_maps.concentration import FIGURES
        from attention_maps.registry import find_metric
        from attention_maps.sweeping import chosen_methods, chosen_metrics

        names = [item.name for item in chosen_methods(method)]
        measured = [find_metric(item) for item in chosen_metrics(metric, bool(masks))]
        shown = [*(item.name for item in measured), *FIGURES]
        if by is not None and by not in shown:
            raise usage_error(f"Expected --by to be one of {', '.join(shown)}, got '{by}'.")
        options = read_options(option or [], names, measured)
        asked = read_question([target] if target else [], [], [], None, None)
        chosen = load_options(configuration, folds, checkpoint, trust=trust)
        with progress_bar(quiet) as report:
            found = _sweep(
                (model, spec, device, chosen), image, where, asked, report,
                {"layers": layer or "all", "methods": method, "metrics": metric, "labels": labels,
                 "threshold": threshold, **options},
            )  # fmt: skip
        drawn = by or found.metrics[0]
        if output is not None:
            note(f"Table: {found.save(output)}", quiet)
        if heat_map is not None:
            note(f"Heat map: {found.heat_map(heat_map, drawn)}", quiet)
        if plot is not None:
            note(f"Plot: {found.plot(plot, drawn)}", quiet)
        if as_json:
            print_json({**found.to_dict(), "best": found.best_rows()})
            return
        _show(found)


def _sweep(
    model: tuple[Path, str | None, str, dict[str, Any]],
    image: list[Path],
    mask: Any,
    asked: Any,
    report: Any,
    how: dict[str, Any],
) -> Sweep:
    from attention_maps.explainer import Explainer
    from attention_maps.image_io import read_image
    from attention_maps.loading import load_model
    from attention_maps.sweeping import sweep

    source, spec, device, chosen = model
    session = Explainer(load_model(source, spec, device, **chosen), read_image(list(image)))
    return sweep(session, mask=mask, target=asked.resolve(session.answer), progress=report, **how)


def _show(found: Sweep) -> None:
    """The best by each metric, and what could not be made."""
    rows = [
        [row["metric"], row["label"], f"{row['value']:.4g}" if row["layer"] else "undefined",
         row["layer"] or "", row["method"] or "", row["better"]]
        for row in found.best_rows()
    ]  # fmt: skip
    print_text(f"{found.provenance.get('target', '')}: best of {len(found.rows)} rows")
    print_table(
        [("Figure", "left"), ("Structure", "left"), ("Value", "right"), ("Layer", "left"),
         ("Method", "left"), ("Better", "left")], rows,
    )  # fmt: skip
    for row in found.failures():
        maps = f"{row['maps']} map" + ("s" if row["maps"] > 1 else "")
        print_text(f"Note: {maps} of {row['method']} not made: {row['reason']}")
    for method, remark in found.provenance.get("remarks", {}).items():
        print_text(f"Note: {method}: {remark}")
