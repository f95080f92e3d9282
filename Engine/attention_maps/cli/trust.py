"""attention-maps trust: can a map be trusted?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_maps.cli.destinations import (
    MAP_SUFFIXES,
    check_file,
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
from attention_maps.cli.output import note, print_json, print_table, print_text, progress_bar
from attention_maps.cli.questions import read_options, read_question
from attention_maps.cli.running import command, usage_error

if TYPE_CHECKING:
    from attention_maps.faithfulness.findings import TrustReport

EPILOG = (
    "Examples:\n\n"
    "attention-maps trust model.pt t1.nii.gz\n\n"
    "attention-maps trust model.pt t1.nii.gz --target tumor --method hires_cam -o trust.html\n\n"
    "attention-maps trust model.pt t1.nii.gz --test randomization --option blocks=20 --json\n\n"
    "attention-maps trust --list   (all tests, their options and papers)"
)
QUESTION = "What is asked"
SAVED = "What is saved"
REPORTS = (".html", ".xlsx", ".csv", ".json")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("trust", epilog=EPILOG)(trust_map)


def _list_tests(wanted: bool) -> None:
    if wanted:
        _show_tests()
        raise typer.Exit


def trust_map(
    model: ModelFile,
    image: Annotated[
        list[Path], typer.Argument(metavar="IMAGE", help="One file per channel, as in explain.")
    ],
    layer: Annotated[
        str,
        typer.Option("--layer", "-l", rich_help_panel=QUESTION,
                     help="A layer's name, auto or auto:bottleneck."),
    ] = "auto",
    method: Annotated[
        str, typer.Option("--method", "-m", rich_help_panel=QUESTION, help="See: methods.")
    ] = "grad_cam",
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", rich_help_panel=QUESTION,
                     help="A class's name or index, or 'A vs B'. Default: the likeliest class, or "
                     "the largest predicted one."),
    ] = None,
    point: Annotated[
        str | None,
        typer.Option("--point", metavar="R,A,S", rich_help_panel=QUESTION,
                     help="Ask about one voxel; mm, RAS."),
    ] = None,
    component: Annotated[
        str | None,
        typer.Option("--component", metavar="R,A,S", rich_help_panel=QUESTION,
                     help="Ask about the predicted connected part under a point; mm, RAS."),
    ] = None,
    region: Annotated[
        Path | None,
        typer.Option("--region", metavar="MASK", rich_help_panel=QUESTION,
                     help="Ask about a region: a mask on any grid."),
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option("--test", rich_help_panel=QUESTION,
                     help="A test's name (see --list); may be repeated. Default: all."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", rich_help_panel=QUESTION,
                     help="An option of the method or of a test; may be repeated."),
    ] = None,
    seed: Annotated[
        int,
        typer.Option("--seed", min=0, rich_help_panel=QUESTION,
                     help="Of random weights, maps and noise."),
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", rich_help_panel=SAVED,
                     help="Report as .html (one page, pictures included), .xlsx, .csv or .json."),
    ] = None,
    save_map: Annotated[
        Path | None,
        typer.Option("--map", rich_help_panel=SAVED,
                     help="The map itself as .nii.gz, .nii, .nrrd or .mha."),
    ] = None,
    spec: Spec = None,
    device: Device = "auto",
    configuration: Configuration = None,
    folds: Folds = None,
    checkpoint: Checkpoint = None,
    trust: Trust = False,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", min=1, rich_help_panel="Model",
                     help="Inputs or windows at once; default: as many as fit."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
    show_list: Annotated[
        bool,
        typer.Option("--list", help="List the tests, and end.", callback=_list_tests,
                     is_eager=True, rich_help_panel="What is printed"),
    ] = False,
) -> None:  # fmt: skip
    """Make a map and test whether it can be trusted.

    Voxels are removed and inserted in the map's order, weights are randomized from the output
    back, noise is added, other methods and layers are asked. Each test gives a verdict, figures of
    the map and of controls, and a sentence. The model's file stays as it is.
    """
    with command(debug=debug, quiet=quiet):
        asked = read_question(
            [target] if target else [], [point] if point else [], [component] if component else [],
            region, None,
        )  # fmt: skip
        if asked.count > 1:
            raise usage_error("A report is about one map: give one of the questions.")
        inputs = [model, *image, region, *sidecars(model, spec)]
        check_file(output, "--output", REPORTS, inputs)
        check_file(save_map, "--map", MAP_SUFFIXES, inputs)
        if save_map is not None:
            refuse_inputs(with_json(save_map), [*inputs, output])
        chosen = load_options(configuration, folds, checkpoint, trust=trust)
        how = {"method": method, "layer": layer, "tests": test or None}
        how |= _options(option or [], method, test)
        with progress_bar(quiet) as report:
            found = _trust(
                (model, spec, device, chosen), image, asked, report, quiet,
                {**how, "seed": seed, "batch_size": batch_size},
            )  # fmt: skip
        if save_map is not None:
            note(f"Map: {found.map.save(save_map)}", quiet)
        if output is not None:
            note(f"Report: {found.save(output)}", quiet)
        if as_json:
            print_json(found.to_dict())
            return
        _show(found)


def _options(pairs: list[str], method: str, tests: list[str] | None) -> dict[str, Any]:
    """Options of the method and of the tests from key=value."""
    from attention_maps.registry import find_trust_test, trust_tests

    chosen = [find_trust_test(name) for name in tests] if tests else [*trust_tests().values()]
    return read_options(pairs, [method], chosen)


def _trust(
    model: tuple[Path, str | None, str, dict[str, Any]],
    image: list[Path],
    asked: Any,
    report: Any,
    quiet: bool,
    how: dict[str, Any],
) -> TrustReport:
    from attention_maps.explainer import Explainer
    from attention_maps.image_io import read_image
    from attention_maps.loading import load_model

    source, spec, device, chosen = model
    session = Explainer(load_model(source, spec, device, **chosen), read_image(list(image)))
    counted = {k: v for k, v in how.items() if k not in ("seed", "batch_size")}
    total = sum(session.trust_passes(**counted).values())
    windows = ""
    if session.model.spec.patch_size is not None:
        windows = f", each over up to {session.estimate(how['layer']).windows} windows"
    note(f"About {total} passes through the network{windows}.", quiet)
    return session.trust(target=asked.resolve(session.answer), progress=report, **how)


def _show(found: TrustReport) -> None:
    made = found.map
    print_text(f"{made.target} | {made.method} | {made.layer}, score {made.score:.4g}")
    rows = [[item.label, item.verdict, item.sentence] for item in found.findings]
    print_table([("Test", "left"), ("Verdict", "left"), ("What was found", "left")], rows)
    for text in (found.remark, str(found.provenance.get("note", ""))):
        if text:
            print_text(f"Note: {text}")


def _show_tests() -> None:
    from attention_maps.cli.methods import option_line
    from attention_maps.registry import trust_tests

    rows = [
        [item.name, f"{item.description}\n{item.reference}",
         "\n".join(option_line(option) for option in item.options.values())]
        for item in trust_tests().values()
    ]  # fmt: skip
    print_table([("Test", "left"), ("What it asks", "left"), ("Options", "left")], rows)
