"""attention-maps hot-spots: the connected parts of a map, with their boxes."""

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
from attention_maps.cli.output import print_json, print_table, print_text
from attention_maps.cli.running import command, usage_error

if TYPE_CHECKING:
    from attention_maps.spots import HotSpot

EPILOG = (
    "Examples:\n\n"
    "attention-maps hot-spots map.nii.gz\n\n"
    "attention-maps hot-spots map.nii.gz --threshold 0.5 --minimum-ml 0.1 --most 5 -o spots.csv\n\n"
    "attention-maps hot-spots map.nii.gz --segments organs.nii.gz --label liver=5 --json"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("hot-spots", epilog=EPILOG)(list_hot_spots)


def list_hot_spots(
    attention_map: Annotated[Path, typer.Argument(metavar="MAP", help="A map that was saved.")],
    threshold: ThresholdText = "otsu",
    minimum_ml: Annotated[
        float, typer.Option("--minimum-ml", min=0, help="Leave out smaller ones, ml.")
    ] = 0.0,
    most: Annotated[
        int | None, typer.Option("--most", min=1, help="The hottest so many. Default: all.")
    ] = None,
    segments: Annotated[
        Path | None,
        typer.Option(
            "--segments",
            help="A label map, on any grid: how much of each hot spot lies in which label.",
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            help="Of the label map: NAME=NUMBER or NUMBER, may be repeated. Default: "
            "all that occur.",
        ),
    ] = None,
    sign: SignText = "positive",
    output: TableFile = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the connected parts of a map above a threshold, hottest first.

    Each with its box (center and size in mm, RAS), volume, largest and mean value, and share of the
    whole map's attention.
    """  # fmt: skip
    with command(debug=debug):
        check_threshold(threshold)
        check_sign(sign)
        check_table(output, [attention_map, segments])
        if label and segments is None:
            raise usage_error("Expected --segments, the label map, as --label was given.")
        from attention_maps.spots import hot_spots

        asked: dict[str, Any] = {"labels": read_labels(label) or "all", "sign": sign}
        spots = hot_spots(
            attention_map, threshold, minimum_ml=minimum_ml, most=most, segments=segments, **asked
        )
        write_table(output, {"hot spots": [_flat(spot) for spot in spots]})
        if as_json:
            records = [spot.to_dict() for spot in spots]
            print_json({"map": str(attention_map), "threshold": threshold, "hot_spots": records})
        elif spots:
            _print(spots)
        else:
            print_text("No hot spots.")


def _flat(spot: HotSpot) -> dict[str, Any]:
    """A row of a table: one number per column."""
    lower, upper = spot.bounds
    row: dict[str, Any] = {"number": spot.number}
    for axis, (low, high) in enumerate(zip(lower, upper, strict=True)):
        row |= {f"{'ijk'[axis]}_from": low, f"{'ijk'[axis]}_to": high - 1}
    row |= {f"center_{'ras'[n]}_mm": value for n, value in enumerate(spot.center_ras)}
    row |= {f"size_{n + 1}_mm": value for n, value in enumerate(spot.size_mm)}
    row |= {"voxels": spot.voxels, "ml": spot.ml, "mm2": spot.mm2, "peak": spot.peak}
    row |= {f"peak_{'ras'[n]}_mm": value for n, value in enumerate(spot.peak_ras)}
    row |= {"mean": spot.mean, "share": spot.share}
    return row | {f"in {name}": value for name, value in spot.overlaps.items()}


def _print(spots: list[HotSpot]) -> None:
    rows = []
    for spot in spots:
        picture = len(spot.size_mm) == 2
        inside = [f"{name} {share:.0%}" for name, share in spot.overlaps.items() if share > 0]
        size = number_text(spot.mm2, "mm\u00b2") if picture else number_text(spot.ml, "ml")
        rows.append([
            str(spot.number), size, " x ".join(f"{length:.1f}" for length in spot.size_mm),
            ", ".join(f"{value:.1f}" for value in spot.center_ras), f"{spot.peak:.4g}",
            ", ".join(f"{value:.1f}" for value in spot.peak_ras), f"{spot.mean:.4g}",
            f"{spot.share:.1%}", ", ".join(inside),
        ])  # fmt: skip
    print_table(
        [
            ("No.", "right"), ("Size", "right"), ("Box, mm", "left"), ("Center, RAS", "left"),
            ("Peak", "right"), ("at, RAS", "left"), ("Mean", "right"), ("Share", "right"),
            ("In", "left"),
        ],
        rows,
    )  # fmt: skip
