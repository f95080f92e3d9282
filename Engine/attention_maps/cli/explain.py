"""attention-maps explain: maps of one image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_maps.cli.destinations import (
    FIGURE_SUFFIXES,
    MAP_SUFFIXES,
    Destination,
    plan,
    refuse_inputs,
    sidecars,
    with_json,
)
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
from attention_maps.cli.output import note, print_json, progress_bar
from attention_maps.cli.questions import Asked, read_options, read_question
from attention_maps.cli.report import record_of, show
from attention_maps.cli.running import command
from attention_maps.cli.slices import check_table, write_slices

if TYPE_CHECKING:
    from attention_maps.result import AttentionMap
    from attention_maps.types import Image

EPILOG = (
    "Examples:\n\n"
    "attention-maps explain model.pt t1.nii.gz --output map.nii.gz --figure map.png\n\n"
    "attention-maps explain model.pt flair.nii.gz t1.nii.gz --target tumor -o map.nii.gz   "
    "(one file per channel)\n\n"
    "attention-maps explain model.pt t1.nii.gz --target 'tumor vs edema' --layer auto:bottleneck "
    "--method hires_cam\n\n"
    "attention-maps explain model.pt ct.nii.gz --component -12.5,30,44 -o map.nii.gz   "
    "(the predicted part under a point; mm, RAS)\n\n"
    "attention-maps explain model.pt t1.nii.gz --layer all --method grad_cam --method layer_cam "
    "-o maps/   (one forward pass for all)"
)
QUESTION = "What is asked"
SAVED = "What is saved"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", epilog=EPILOG)(explain_image)


def explain_image(
    model: ModelFile,
    image: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE",
            help="NIfTI, NRRD, MetaImage, PNG, JPEG or a DICOM folder; one per channel.",
        ),
    ],
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "--layer", "-l", rich_help_panel=QUESTION,
            help="A layer's name, auto (default), auto:bottleneck, all; may be repeated. "
            "See: attention-maps layers MODEL IMAGE.",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-m", rich_help_panel=QUESTION,
            help="grad_cam (default), hires_cam, ...; may be repeated. "
            "See: attention-maps methods.",
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", "-t", rich_help_panel=QUESTION,
            help="A class's name or index, or 'A vs B' for why A rather than B; may be repeated. "
            "Default: the likeliest class, or the largest predicted one.",
        ),
    ] = None,
    point: Annotated[
        list[str] | None,
        typer.Option("--point", metavar="R,A,S", rich_help_panel=QUESTION,
                     help="Ask about one voxel; mm, RAS."),
    ] = None,
    component: Annotated[
        list[str] | None,
        typer.Option("--component", metavar="R,A,S", rich_help_panel=QUESTION,
                     help="Ask about the predicted connected part under a point; mm, RAS."),
    ] = None,
    region: Annotated[
        Path | None,
        typer.Option("--region", metavar="MASK", rich_help_panel=QUESTION,
                     help="Ask about a region: a mask on any grid."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option("--top", metavar="K", min=1, rich_help_panel=QUESTION,
                     help="Ask about each of the K likeliest classes."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", rich_help_panel=QUESTION,
                     help="An option of the method, such as samples=50; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", rich_help_panel=SAVED,
                     help="Map as .nii.gz, .nii, .nrrd or .mha, with its provenance as .json "
                     "beside it; a folder where there are several maps."),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", "-f", rich_help_panel=SAVED,
                     help="Overview as .png, .jpg, .pdf or .svg; a folder where there are several "
                     "maps."),
    ] = None,
    slices: Annotated[
        Path | None,
        typer.Option("--slices", metavar="CSV", rich_help_panel=SAVED,
                     help="Table of how much each slice of the image matters, one map after the "
                     "other."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", rich_help_panel=SAVED, help="Mask to outline in the figure."),
    ] = None,
    spec: Spec = None,
    device: Device = "auto",
    configuration: Configuration = None,
    folds: Folds = None,
    checkpoint: Checkpoint = None,
    trust: Trust = False,
    previous_stage: Annotated[
        Path | None,
        typer.Option("--previous-stage", metavar="LABELS", rich_help_panel="Model",
                     help="Label map of a cascade's first stage; default: it is computed."),
    ] = None,
    dicom_window: Annotated[
        bool,
        typer.Option("--dicom-window", rich_help_panel="Model",
                     help="Take the gray values, 0 to 255, of the window that a DICOM picture "
                     "names, in place of the stored ones."),
    ] = False,
    within: Annotated[
        Path | None,
        typer.Option("--within", metavar="MASK", rich_help_panel="Model",
                     help="Run only windows that meet this mask; nothing is predicted elsewhere."),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", min=1, rich_help_panel="Model",
                     help="Inputs or windows at once; default: as many as fit."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Show where a network looked to answer a question about an image.

    Maps are signed float32 on the image's own grid, so that they overlay in every viewer. Files
    are written when all maps are done; existing ones are replaced, inputs never.
    """
    with command(debug=debug, quiet=quiet):
        layers, names = layer or ["auto"], method or ["grad_cam"]
        asked = read_question(target or [], point or [], component or [], region, top)
        several = asked.count * len(layers) * len(names) > 1 or "all" in layers or top is not None
        maps_to = plan(output, "--output", MAP_SUFFIXES, several)
        figures_to = plan(figure, "--figure", FIGURE_SUFFIXES, several)
        inputs = [model, *image, region, mask, previous_stage, within, *sidecars(model, spec)]
        check_table(slices, inputs)
        if maps_to is not None and not maps_to.folder:
            refuse_inputs(with_json(maps_to.path), inputs)
        if figures_to is not None and not figures_to.folder:
            refuse_inputs([figures_to.path], inputs)
        for path in (region, mask, previous_stage, within):
            if path is not None and not path.exists():
                raise FileNotFoundError(f"Expected a mask, but '{path}' does not exist.")
        options = read_options(option or [], names)
        chosen = load_options(configuration, folds, checkpoint, trust=trust)
        chosen["previous_stage"] = previous_stage
        from attention_maps.image_io import read_image

        scan = read_image(list(image), dicom_window=dicom_window)
        outlined = None if mask is None else read_image(mask)
        with progress_bar(quiet) as report:
            maps = _explain(
                (model, spec, device, chosen, within), scan, asked, report, quiet,
                {"method": names, "layer": layers, "batch_size": batch_size, **options},
            )  # fmt: skip
        files = _save(maps, maps_to, inputs)
        figures = _draw(maps, figures_to, scan, outlined, inputs)
        if slices is not None:
            write_slices(maps, slices)
            note(f"Slices: {slices}", quiet)
        if as_json:
            print_json(record_of(maps, files, figures))
            return
        show(maps, files)
        for path in figures:
            note(f"Figure: {path}", quiet)
        if not files and not figures and slices is None:
            note("Nothing was saved; --output map.nii.gz or --figure map.png does.", quiet)


def _explain(
    model: tuple[Path, str | None, str, dict[str, Any], Path | None],
    scan: Image,
    asked: Asked,
    report: Any,
    quiet: bool,
    how: dict[str, Any],
) -> list[AttentionMap]:
    """All maps."""
    from attention_maps.explainer import Explainer
    from attention_maps.loading import load_model

    source, spec, device, chosen, within = model
    loaded = load_model(source, spec, device, **chosen)
    session = Explainer(loaded, scan, region=within)
    if loaded.line:
        note(loaded.line, quiet)
    if loaded.spec.patch_size is not None:
        layers = [name for name in how["layer"] if name != "all"] or "auto"
        note(str(session.estimate(layers)), quiet)
    made = session.explain(target=asked.resolve(session.answer), progress=report, **how)
    return made if isinstance(made, list) else [made]


def _save(
    maps: list[AttentionMap], place: Destination | None, inputs: list[Path | None]
) -> list[Path]:
    if place is None:
        return []
    files = place.files(maps)
    refuse_inputs([part for file in files for part in with_json(file)], inputs)
    if place.folder:
        place.path.mkdir(parents=True, exist_ok=True)
    return [item.save(file) for item, file in zip(maps, files, strict=True)]


def _draw(
    maps: list[AttentionMap],
    place: Destination | None,
    scan: Image,
    mask: Image | None,
    inputs: list[Path | None],
) -> list[Path]:
    if place is None:
        return []
    from attention_maps.figure import save_figure

    files = place.files(maps)
    refuse_inputs(files, inputs)
    if place.folder:
        place.path.mkdir(parents=True, exist_ok=True)
    return [save_figure(m, scan, file, mask) for m, file in zip(maps, files, strict=True)]
