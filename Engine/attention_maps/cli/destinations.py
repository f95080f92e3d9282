"""Where maps and figures go: checked before anything is computed, never onto an input."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attention_maps.cli.running import usage_error
from attention_maps.image_io.files import suffix_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attention_maps.result import AttentionMap

MAP_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
FIGURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".pdf", ".svg")


@dataclass(frozen=True)
class Destination:
    """A file, or a folder that gets one file per map.

    Args:
        path: Of the file or folder.
        suffix: Of the files, with the dot.
        folder: Whether `path` is a folder.
    """

    path: Path
    suffix: str
    folder: bool

    def files(self, maps: Sequence[AttentionMap]) -> list[Path]:
        """One path per map; the names tell target, layer and method."""
        if not self.folder:
            return [self.path]
        stems: list[str] = []
        for item in maps:
            stem = "_".join(_word(part) for part in (item.target, item.layer, item.method))
            taken = sum(other == stem or other.startswith(f"{stem}~") for other in stems)
            stems.append(f"{stem}~{taken + 1}" if taken else stem)
        return [self.path / (stem + self.suffix) for stem in stems]


def plan(
    path: Path | None, option: str, suffixes: tuple[str, ...], several: bool
) -> Destination | None:
    """Decide between file and folder, and refuse what cannot be written.

    Args:
        path: What the user gave.
        option: Its option, for messages.
        suffixes: Of files; the first is the one in folders.
        several: Whether there is more than one map.
    """
    if path is None:
        return None
    is_file = suffix_of(path) in suffixes and not path.is_dir()
    if is_file and several:
        raise usage_error(f"Expected a folder for {option}, there are several maps, got '{path}'.")
    if not is_file and path.suffix and not path.is_dir():
        raise usage_error(
            f"Expected {option} to end in {', '.join(suffixes)}, or a folder, got '{path}'."
        )
    if is_file and not path.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"Expected an existing folder for {option}, but there is no '{path.absolute().parent}'."
        )
    nearest = path.absolute() if path.is_dir() else path.absolute().parent
    while not nearest.exists():
        nearest = nearest.parent
    if not os.access(nearest, os.W_OK):
        raise PermissionError(f"Cannot write {option} '{path}': no permission for '{nearest}'.")
    return Destination(path, suffixes[0], not is_file)


def check_file(
    path: Path | None, option: str, suffixes: tuple[str, ...], inputs: Iterable[Path | None]
) -> None:
    """Refuse a file that cannot be written, before anything is computed.

    Args:
        path: What the user gave.
        option: Its option, for messages.
        suffixes: What it may end in.
        inputs: Files that are read.
    """
    if path is None:
        return
    if suffix_of(path) not in suffixes or path.is_dir():
        raise usage_error(
            f"Expected {option} to be a file that ends in {', '.join(suffixes)}, got '{path}'."
        )
    plan(path, option, suffixes, several=False)
    refuse_inputs([path], inputs)


def refuse_inputs(outputs: Iterable[Path], inputs: Iterable[Path | None]) -> None:
    """Refuse to write onto a file that is read, or would be read the next time.

    Raises:
        typer.BadParameter: If an output is one of the inputs.
    """
    read = [path for path in inputs if path is not None]
    for output in outputs:
        if any(_same(output, path) for path in read):
            raise usage_error(f"Expected another name than '{output}', which is an input.")


def _same(first: Path, second: Path) -> bool:
    if first.exists() and second.exists():
        return first.samefile(second)
    return first.resolve() == second.resolve()


def sidecars(model: Path, spec: str | None) -> list[Path | None]:
    """Specification files that are read: the one given, or model.json beside the model.

    The latter need not exist: what is written there would be read as one from then on.
    """
    return [Path(spec) if spec else None, model.with_suffix(".json")]


def with_json(path: Path) -> list[Path]:
    """A map's file and the provenance beside it, as `AttentionMap.save` names it."""
    stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
    return [path, path.with_name(stem + ".json")]


def _word(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", text).strip("-") or "map"
