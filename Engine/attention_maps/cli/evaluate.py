"""attention-maps evaluate: maps held against masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_maps.cli.measuring import (
    SignText,
    TableFile,
    ThresholdText,
    check_sign,
    check_table,
    check_threshold,
    number_text,
    read_labels,
    write_table,
)
from attention_maps.cli.options import AsJson, Debug
from attention_maps.cli.output import print_json, print_table
from attention_maps.cli.questions import read_options
from attention_maps.cli.running import command, usage_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attention_maps.registry import Metric
    from attention_maps.scores import Scores
    from attention_maps.structures import StructureEvidence

EPILOG = (
    "Examples:\n\n"
    "attention-maps evaluate map.nii.gz tumor.nii.gz\n\n"
    "attention-maps evaluate map.nii.gz tumor.nrrd --threshold 0.5 --metric iou --json\n\n"
    "attention-maps evaluate enc.nii.gz dec.nii.gz labels.nii.gz --label tumor=1 --label edema=2 "
    "-o scores.xlsx\n\n"
    "attention-maps evaluate map.nii.gz tumor.nii.gz --metric pointing_game --option tolerance=15 "
    "  (mm)\n\n"
    "attention-maps evaluate map.nii.gz organs.nii.gz --label all --structures   "
    "(the attention in every structure, per ml)\n\n"
    "attention-maps evaluate --list   (all metrics)"
)
SHOWN = "What is printed"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate", epilog=EPILOG)(evaluate_maps)


def _list_metrics(wanted: bool) -> None:
    if not wanted:
        return
    from attention_maps.registry import metrics

    rows = [
        [item.name, _range(item), item.better, "\n".join([item.description, *_options(item)])]
        for item in metrics().values()
    ]
    print_table(
        [("Metric", "left"), ("Range", "left"), ("Better", "left"), ("What it is", "left")], rows
    )
    raise typer.Exit


def evaluate_maps(
    attention_maps: Annotated[
        list[Path], typer.Argument(metavar="MAP...", help="Maps that were saved.")
    ],
    mask: Annotated[
        Path,
        typer.Argument(
            metavar="MASK", help="Where the attention should be; not 0 is inside. Any grid."
        ),
    ],
    threshold: ThresholdText = "otsu",
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="Name of a metric; may be repeated. Default: all."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            help="The mask is a label map: NAME=NUMBER or NUMBER, one mask each, may be repeated; "
            "all for every label that occurs.",
        ),
    ] = None,
    sign: SignText = "positive",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="Option of a metric: tolerance=15."),
    ] = None,
    structures: Annotated[
        bool,
        typer.Option(
            "--structures",
            help="The share of the attention in every label, or in the mask, and per ml instead "
            "of metrics.",
            rich_help_panel=SHOWN,
        ),
    ] = False,
    output: TableFile = None,
    as_json: AsJson = False,
    list_metrics: Annotated[
        bool,
        typer.Option(
            "--list",
            help="List all metrics and their options.",
            callback=_list_metrics,
            is_eager=True,
            rich_help_panel=SHOWN,
        ),
    ] = False,
    debug: Debug = False,
) -> None:
    """Say how much of a map's attention lies inside a mask.

    Only positive values count, they speak for the answer (--sign). The mask is brought onto the
    map's grid through world coordinates. Where a metric is not defined, as for a map without
    evidence or an empty mask, there is no number, and a warning that says why.
    """
    with command(debug=debug):
        check_threshold(threshold)
        check_sign(sign)
        labels = read_labels(label)
        check_table(output, [*attention_maps, mask])
        if structures:
            if metric or option:
                raise usage_error("Expected --structures, or --metric and --option, got both.")
            _share_out(attention_maps, mask, labels, sign, output, as_json)
            return
        from attention_maps.evaluation import evaluate
        from attention_maps.registry import find_metric
        from attention_maps.registry import metrics as all_metrics

        chosen = [find_metric(name) for name in metric] if metric else list(all_metrics().values())
        options = read_options(option or [], [], chosen)
        asked: dict[str, Any] = {"labels": labels, "sign": sign, **options}
        found = [
            (path, name, scores)
            for path in attention_maps
            for name, scores in _by_label(
                evaluate(path, mask, metric or None, threshold, **asked)
            ).items()
        ]
        write_table(output, _tables(found, mask, threshold))
        if as_json:
            print_json(_record(found, mask, threshold, several=labels is not None))
        else:
            _print(found, chosen)


def _by_label(found: Any) -> dict[str, Scores]:
    from attention_maps.scores import Scores

    return {"": found} if isinstance(found, Scores) else found


def _tables(
    found: Sequence[tuple[Path, str, Scores]], mask: Path, threshold: str
) -> dict[str, list[dict[str, Any]]]:
    scores, reasons = [], []
    for path, name, values in found:
        who = {"map": str(path), "mask": str(mask), "label": name}
        cut = {"threshold": threshold, "cut": values.threshold, "voxels": values.voxels}
        scores.append({**who, **cut, **values})
        reasons += [{**who, "metric": key, "reason": text} for key, text in values.reasons.items()]
    return {"scores": scores, "not defined": reasons} if reasons else {"scores": scores}


def _record(
    found: Sequence[tuple[Path, str, Scores]], mask: Path, threshold: str, *, several: bool
) -> dict[str, Any]:
    records = [
        {
            "map": str(path), "label": name, "metrics": values, "reasons": values.reasons,
            "cut": values.threshold, "voxels": values.voxels,
        }
        for path, name, values in found
    ]  # fmt: skip
    shared = {"mask": str(mask), "threshold": threshold}
    if several or len(records) > 1:
        return {**shared, "scores": records}
    return {**records[0], **shared}


def _print(found: Sequence[tuple[Path, str, Scores]], chosen: Sequence[Metric]) -> None:
    """One map and mask: a row per metric and what it is; else a column each."""
    if len(found) == 1:
        values = found[0][2]
        rows = [
            [item.name, number_text(values[item.name], item.unit), item.description]
            for item in chosen
        ]
        print_table([("Metric", "left"), ("Value", "right"), ("What it is", "left")], rows)
        return
    headings = [" | ".join(filter(None, (path.name, name))) for path, name, _ in found]
    rows = [
        [item.name, *(number_text(values[item.name], item.unit) for *_, values in found)]
        for item in chosen
    ]
    print_table([("Metric", "left"), *((text, "right") for text in headings)], rows)


def _share_out(
    maps: Sequence[Path], mask: Path, labels: Any, sign: Any, output: Path | None, as_json: bool
) -> None:
    """Print the table of evidence."""
    from attention_maps.structures import evidence_table

    found = [(path, row) for path in maps for row in evidence_table(path, mask, labels, sign=sign)]
    records = [{"map": str(path), **row.to_dict()} for path, row in found]
    write_table(output, {"structures": records})
    if as_json:
        print_json({"mask": str(mask), "structures": records})
        return
    print_table(
        [
            ("Map", "left"), ("Structure", "left"), ("Share", "right"), ("Size", "right"),
            ("Share per size", "right"), ("Concentration", "right"), ("Mean", "right"),
            ("Peak", "right"),
        ],
        [_row(path, row) for path, row in found],
    )  # fmt: skip


def _row(path: Path, row: StructureEvidence) -> list[str]:
    picture = row.ml != row.ml
    size, unit = (row.mm2, "mm\u00b2") if picture else (row.ml, "ml")
    density = row.share_per_mm2 if picture else row.share_per_ml
    return [
        path.name, row.name, number_text(row.share), number_text(size, unit),
        number_text(density, f"/ {unit}"), number_text(row.concentration), number_text(row.mean),
        number_text(row.peak),
    ]  # fmt: skip


def _range(item: Metric) -> str:
    if item.limits is None:
        return item.unit
    low, high = (f"{limit:g}" for limit in item.limits)
    return f"{low} to {high}" if high != "inf" else f"{low} {item.unit} and more"


def _options(item: Metric) -> list[str]:
    return [f"--option {option.name}={option.default:g}: {option.help}"
            for option in item.options.values()]  # fmt: skip
