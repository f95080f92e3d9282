"""attention-maps cohort: many cases, one report."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_maps.cli.masks import Labels, Metrics, Threshold
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
from attention_maps.cli.output import note, print_json, print_table, progress_bar
from attention_maps.cli.questions import read_options, read_question
from attention_maps.cli.running import FAILED, command

if TYPE_CHECKING:
    from attention_maps.cohort_table import Cohort

EPILOG = (
    "Examples:\n\n"
    "attention-maps cohort model.pt cases.csv -o results --target tumor   "
    "(columns: case, image, mask)\n\n"
    "attention-maps cohort nnunet_folder imagesTr_and_labelsTr -o results --layer auto:bottleneck "
    "--method grad_cam --method hires_cam --label tumor=1 --label edema=2\n\n"
    "The same line again goes on where it was interrupted."
)
QUESTION = "What is asked"
SAVED = "What is saved"
SHOWN = 6  # figures in the terminal


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("cohort", epilog=EPILOG)(evaluate_cohort)


def evaluate_cohort(
    model: ModelFile,
    cases: Annotated[
        Path,
        typer.Argument(
            metavar="CASES",
            help="A .csv or .xlsx with the columns case, image (or image_1, image_2, ... one per "
            "channel), mask, target; or a folder of images with masks (a.nii.gz, a_mask.nii.gz; "
            "imagesTr, labelsTr).",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", rich_help_panel=SAVED,
                     help="Folder for cohort.xlsx, cohort.html and what is kept of each case."),
    ],
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", "-l", rich_help_panel=QUESTION,
                     help="As in explain; may be repeated. Default: auto."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", rich_help_panel=QUESTION,
                     help="As in explain; may be repeated. Default: grad_cam."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", rich_help_panel=QUESTION,
                     help="A class's name or index; a case's own target goes first."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", rich_help_panel=QUESTION,
                     help="An option of a method or metric; may be repeated."),
    ] = None,
    label: Labels = None,
    metric: Metrics = None,
    threshold: Threshold = "otsu",
    title: Annotated[
        str, typer.Option("--title", rich_help_panel=SAVED, help="Of the page.")
    ] = "",
    maps: Annotated[
        bool, typer.Option("--maps", rich_help_panel=SAVED, help="Save all maps as NIfTI, too.")
    ] = False,
    pages: Annotated[
        bool, typer.Option("--pages", rich_help_panel=SAVED, help="Write a page per case, too.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", rich_help_panel=SAVED,
                     help="Compute cases anew that were done already."),
    ] = False,
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
    """Explain and evaluate many cases; one Excel file and one page tell of all.

    A case that fails is listed with its error, and does not stop the others; the exit code is then
    1. Run again, cases that were done are not computed anew.
    """
    kept = "cases that were done are kept, and the same line goes on from there"
    with command(debug=debug, quiet=quiet, interrupted=kept):
        from attention_maps.registry import find_metric
        from attention_maps.registry import metrics as all_metrics

        check_threshold(threshold)
        labels = read_labels(label)
        methods = method or ["grad_cam"]
        measured = all_metrics().values() if metric is None else map(find_metric, metric)
        options = read_options(option or [], methods, list(measured))
        asked = read_question([target] if target else [], [], [], None, None)
        chosen = load_options(configuration, folds, checkpoint, trust=trust)
        from attention_maps.cohorts import run_cohort
        from attention_maps.loading import load_model

        loaded = load_model(model, spec, device, **chosen)
        with progress_bar(quiet) as report:
            found = run_cohort(
                loaded, cases, output, method=methods, layer=layer or ["auto"],
                target=_target(asked.targets), metrics=metric, threshold=threshold, labels=labels,
                title=title, maps=maps, pages=pages, again=again, progress=report, **options,
            )  # fmt: skip
        if as_json:
            print_json({"means": found.means, "errors": found.errors,
                        "files": [str(path) for path in found.files]})  # fmt: skip
        else:
            _show(found)
        if found.continued:
            note(f"Done before: {len(found.continued)} cases; --again computes them anew.", quiet)
        for path in found.files:
            note(f"Report: {path}", quiet)
        if found.errors:
            raise typer.Exit(FAILED)


def _target(targets: tuple[str, ...]) -> object:
    """A class, or one class against another."""
    if not targets:
        return None
    first, versus, second = targets[0].partition(" vs ")
    if not versus:
        return targets[0]
    from attention_maps.targets import ContrastTarget

    return ContrastTarget(first.strip(), second.strip())


def _show(found: Cohort) -> None:
    """Means of what tells most; the report has all."""
    from attention_maps.report.cohort_view import leading
    from attention_maps.report.tables import label_of, metrics_in

    shown = leading(metrics_in(found.rows))[:SHOWN]
    rows = [
        [label_of(row["metric"]), row["label"], row["target"], row["layer"], row["method"],
         *_numbers(row)]
        for row in found.means
        if row["metric"] in shown
    ]  # fmt: skip
    print_table(
        [("Figure", "left"), ("Structure", "left"), ("Question", "left"), ("Layer", "left"),
         ("Method", "left"), ("Mean", "right"), ("SD", "right"), ("Median", "right"),
         ("n", "right")], rows,
    )  # fmt: skip


def _numbers(row: dict[str, Any]) -> list[str]:
    values = (row[name] for name in ("mean", "sd", "median"))
    return [*(f"{value:.4g}" if math.isfinite(value) else "" for value in values), str(row["n"])]
