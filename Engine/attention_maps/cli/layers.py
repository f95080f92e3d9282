"""attention-maps layers: what can be explained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from attention_maps.cli.output import Column, print_json, print_table
from attention_maps.cli.running import command

if TYPE_CHECKING:
    from attention_maps.model import LoadedModel

EPILOG = (
    "Examples:\n\n"
    "attention-maps layers model.pt t1.nii.gz\n\n"
    "attention-maps layers model.pt flair.nii.gz t1.nii.gz --spec brats.json   "
    "(one file per channel)\n\n"
    "attention-maps layers model.pt --json   (a usual size is tried where no image is given)"
)
AUTOMATIC = ("auto", "auto:bottleneck")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("layers", epilog=EPILOG)(layers)


def layers(
    model: ModelFile,
    image: Annotated[
        list[Path] | None,
        typer.Argument(metavar="IMAGE", help="The image, one file per channel."),
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
) -> None:
    """List a network's layers in the order in which they run, and which can be explained.

    Stride and offset say where a layer lies in the network's input: feature i is centered at input
    voxel i * stride + offset. What is marked auto is taken where no layer is given.
    """
    with command(debug=debug, quiet=quiet):
        from attention_maps.loading import load_model

        chosen = load_options(configuration, folds, checkpoint, trust=trust)
        loaded = load_model(model, spec, device, **chosen)
        infos = loaded.layers(list(image) if image else None)
        marks = _automatic(loaded)
        if as_json:
            print_json(
                {
                    "model": loaded.name,
                    "kind": loaded.network.kind,
                    **marks,
                    "layers": [
                        {
                            "name": info.name, "kind": info.kind, "shape": info.shape,
                            "stride": info.stride, "offset": info.offset,
                            "explainable": info.explainable, "reason": info.reason,
                        }
                        for info in infos
                    ],
                }
            )  # fmt: skip
            return
        rows = [_row(info, [mark for mark, name in marks.items() if name == info.name])
                for info in infos]  # fmt: skip
        headings = ("Layer", "Kind", "Output", "Stride", "Offset", "")
        columns: list[Column] = [(heading, "left") for heading in headings]
        count = sum(info.explainable for info in infos)
        print_table(
            columns, rows, title=loaded.line or f"{loaded.name}, {loaded.network.kind}",
            caption=f"{count} of {len(infos)} can be explained",
        )  # fmt: skip


def _automatic(loaded: LoadedModel) -> dict[str, str | None]:
    """Layers behind the names that choose one; None where there is none."""
    from attention_maps.errors import LayerError

    found: dict[str, str | None] = {}
    for name in AUTOMATIC:
        try:
            found[name] = loaded.automatic_layer(name)
        except LayerError:
            found[name] = None
    return found


def _row(info: Any, marks: list[str]) -> list[str]:
    remark = ", ".join(marks) if info.explainable else f"not explainable: {info.reason}"
    shape = " x ".join(map(str, info.shape[1:]))
    return [info.name, info.kind, shape, _numbers(info.stride), _numbers(info.offset), remark]


def _numbers(values: tuple[float, ...] | None) -> str:
    if not values:
        return ""
    texts = [f"{round(value, 3):g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)
