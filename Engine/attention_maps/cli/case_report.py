"""attention-maps report: one case on one page, or as tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_maps.cli.destinations import check_file, sidecars
from attention_maps.cli.masks import (
    Labels,
    Masks,
    Threshold,
    one_or_several,
    read_masks,
)
from attention_maps.cli.measuring import check_threshold, read_labels
from attention_maps.cli.options import (
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
from attention_maps.cli.output import note, progress_bar
from attention_maps.cli.questions import read_options, read_question
from attention_maps.cli.running import command
from attention_maps.cohort_cases import stem_of

if TYPE_CHECKING:
    from attention_maps.report.case import ReportCase

EPILOG = (
    "Examples:\n\n"
    "attention-maps report model.pt t1.nii.gz --mask tumor.nii.gz -o report.html\n\n"
    "attention-maps report model.pt t1.nii.gz --mask labels.nii.gz --label tumor=1 --label edema=2 "
    "--method grad_cam --method hires_cam --sweep --test -o report.html -o report.xlsx"
)
QUESTION = "What is asked"
SAVED = "What is saved"
REPORTS = (".html", ".xlsx", ".csv", ".json")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", epilog=EPILOG)(report_case)


def report_case(
    model: ModelFile,
    image: Annotated[
        list[Path], typer.Argument(metavar="IMAGE", help="One file per channel, as in explain.")
    ],
    output: Annotated[
        list[Path],
        typer.Option("--output", "-o", rich_help_panel=SAVED,
                     help="A page as .html, tables as .xlsx, .csv or .json; may be repeated."),
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
        list[str] | None,
        typer.Option("--target", "-t", rich_help_panel=QUESTION,
                     help="A class's name or index, or 'A vs B'; may be repeated."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", rich_help_panel=QUESTION,
                     help="An option of a method; may be repeated."),
    ] = None,
    mask: Masks = None,
    label: Labels = None,
    threshold: Threshold = "otsu",
    sweep: Annotated[
        bool,
        typer.Option("--sweep", rich_help_panel=SAVED,
                     help="Ask the first question of all layers by all methods, too."),
    ] = False,
    test: Annotated[
        bool,
        typer.Option("--test", rich_help_panel=SAVED,
                     help="Test whether the first map can be trusted, too; takes a while."),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option("--name", rich_help_panel=SAVED, help="Of the case. Default: the file's."),
    ] = None,
    spec: Spec = None,
    device: Device = "auto",
    configuration: Configuration = None,
    folds: Folds = None,
    checkpoint: Checkpoint = None,
    trust: Trust = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Write a report of one case: maps in three planes, scores, hot spots, tests, provenance.

    The page is one file that loads nothing, and can be sent by mail.
    """
    with command(debug=debug, quiet=quiet):
        check_threshold(threshold)
        masks, labels = read_masks(mask or []), read_labels(label)
        where = one_or_several(masks, labels)
        for path in output:
            check_file(
                path, "--output", REPORTS, [model, *image, *masks.values(), *sidecars(model, spec)]
            )
        methods = method or ["grad_cam"]
        options = read_options(option or [], methods)
        asked = read_question(target or [], [], [], None, None)
        chosen = load_options(configuration, folds, checkpoint, trust=trust)
        with progress_bar(quiet) as report:
            case = _case(
                (model, spec, device, chosen), image, (where, labels, threshold), asked, report,
                {"method": methods, "layer": layer or ["auto"], **options},
                name or stem_of(image[0]), sweep, test,
            )  # fmt: skip
        from attention_maps.report.write import write_report

        for path in output:
            note(f"Report: {write_report(path, case)}", quiet)


def _case(
    model: tuple[Path, str | None, str, dict[str, Any]],
    image: list[Path],
    truth: tuple[Any, Any, str],
    asked: Any,
    report: Any,
    how: dict[str, Any],
    name: str,
    sweep: bool,
    test: bool,
) -> ReportCase:
    """All that is known of a case."""
    from attention_maps.explainer import Explainer
    from attention_maps.image_io import read_image
    from attention_maps.loading import load_model
    from attention_maps.report.case import ReportCase, named_masks_of
    from attention_maps.spots import hot_spots
    from attention_maps.structures import evidence_table

    source, spec, device, chosen = model
    mask, labels, threshold = truth
    scan = read_image(list(image))
    session = Explainer(load_model(source, spec, device, **chosen), scan)
    question = asked.resolve(session.answer)
    maps: Any = session.explain(target=question, progress=report, **how)
    masks = named_masks_of(mask, labels, maps[0].image)
    first = question[0] if isinstance(question, list) else question
    return ReportCase(
        name, scan, maps, masks, threshold=threshold,
        sweep=_swept(session, masks, first, threshold, report) if sweep else None,
        trust=session.trust(
            how["method"][0], how["layer"][0], first, progress=report
        ) if test else None,
        hot_spots=hot_spots(maps[0], threshold, segments=masks or None),
        evidence=evidence_table(maps[0], masks) if masks else (),
    )  # fmt: skip


def _swept(session: Any, masks: Any, target: Any, threshold: str, report: Any) -> Any:
    from attention_maps.sweeping import sweep

    return sweep(session, mask=masks or None, target=target, threshold=threshold, progress=report)
