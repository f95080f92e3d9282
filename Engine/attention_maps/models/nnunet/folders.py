"""Which trained models a folder or archive holds, and which one is meant.

nnU-Net v2 keeps `Dataset*/Trainer__Plans__configuration/` with dataset.json, plans.json and
`fold_*/checkpoint_final.pth`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from attention_maps.errors import ModelError
from attention_maps.models.archives import unpacked
from attention_maps.models.file_kinds import zip_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PREFERRED = ("3d_fullres", "3d_cascade_fullres", "3d_lowres", "2d")
DESCRIPTIONS = ("plans.json", "dataset.json")
CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth", "checkpoint_latest.pth")
LEVELS_BELOW = 4
LEVELS_ABOVE = 3


@dataclass(frozen=True)
class TrainedModel:
    """One trained configuration.

    Args:
        folder: Its folder, with dataset.json and plans.json.
    """

    folder: Path

    @property
    def configuration(self) -> str:
        """Name of the configuration, such as 3d_fullres."""
        return self.folder.name.rpartition("__")[2]

    @property
    def trainer(self) -> str:
        """Class of the trainer."""
        return self.folder.name.partition("__")[0]

    @property
    def dataset(self) -> str:
        """Name of the dataset's folder."""
        return self.folder.parent.name

    def json(self, name: str) -> Any:
        """Contents of dataset.json or plans.json.

        Raises:
            ModelError: If it cannot be read.
        """
        path = self.folder / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(
                f"Expected '{path}' of an nnU-Net model, but it cannot be read: {error}."
            ) from None

    def folds(self) -> list[str]:
        """Names of the trained folds: numbers, or "all"."""
        found = (path.parent.name for path in self.folder.glob("fold_*/checkpoint_*.pth"))
        return sorted({name.removeprefix("fold_") for name in found})

    def checkpoint(self, fold: str, name: str | None) -> Path:
        """The checkpoint of a fold; the final one, else the best, where no name is given.

        Raises:
            ModelError: If there is none, with those that there are.
        """
        folder = self.folder / f"fold_{fold}"
        names = CHECKPOINTS if name is None else (name, f"{name}.pth", f"checkpoint_{name}.pth")
        for candidate in names:
            if (folder / candidate).is_file():
                return folder / candidate
        there = ", ".join(sorted(path.name for path in folder.glob("*.pth"))) or "none"
        raise ModelError(
            f"Expected a checkpoint {name or 'checkpoint_final.pth'} in '{folder}', found {there}."
        )


def is_nnunet(path: Path) -> bool:
    """Whether a folder, a file within one, or a zip archive holds nnU-Net v2 models."""
    if path.is_file():
        if path.suffix.lower() == ".zip":
            names = [PurePosixPath(name).name for name in zip_names(path)]
            return set(DESCRIPTIONS) <= set(names)
        near = path.suffix == ".pth" or path.name in DESCRIPTIONS
        return near and bool(_models_near(path.parent))
    return bool(_models_near(path))


def find_models(path: Path) -> list[TrainedModel]:
    """All trained configurations in a folder, the ones below or above it, or in an archive.

    Raises:
        ModelError: If there is none.
    """
    folder = unpacked(path) if path.suffix.lower() == ".zip" and path.is_file() else path
    models = _models_near(folder if folder.is_dir() else folder.parent)
    if not models:
        raise ModelError(
            f"Expected a folder of a trained nnU-Net v2 model (dataset.json, plans.json, fold_*/"
            f"checkpoint_final.pth), found none in, above or below '{path}'."
        )
    return models


def choose(models: Sequence[TrainedModel], configuration: str | None) -> TrainedModel:
    """The model that is meant.

    Without a configuration all must be of one dataset: which one is meant cannot be guessed.

    Raises:
        ModelError: If the configuration is not there, or several datasets or trainers have it.
    """
    known = list(dict.fromkeys(model.configuration for model in models))
    if configuration is not None:
        fitting = [model for model in models if configuration in _names_of(model)]
        if not fitting:
            raise ModelError(
                f"Expected one of the configurations {', '.join(known)}, got '{configuration}'."
            )
    elif len({model.folder.parent for model in models}) > 1:
        fitting = list(models)
    else:
        first = next((name for name in PREFERRED if name in known), known[0])
        fitting = [model for model in models if model.configuration == first]
    if len(fitting) > 1:
        listed = ", ".join(f"'{model.dataset}/{model.folder.name}'" for model in fitting)
        raise ModelError(f"Expected one trained model, found several: {listed}; name its folder.")
    return fitting[0]


def named_parts(model: TrainedModel, path: Path) -> tuple[list[str] | None, str | None]:
    """Folds and checkpoint that a path within a model's folder names; None where it names none."""
    inside, home = path.resolve(), model.folder.resolve()
    parts = inside.relative_to(home).parts if inside.is_relative_to(home) else ()
    if not parts or not parts[0].startswith("fold_"):
        return None, None
    return [parts[0].removeprefix("fold_")], parts[1] if len(parts) > 1 else None


def _names_of(model: TrainedModel) -> tuple[str, ...]:
    return model.configuration, model.folder.name, f"{model.dataset}/{model.folder.name}"


def _models_near(folder: Path) -> list[TrainedModel]:
    """Models in a folder, else in those above, else in those below."""
    above = [folder, *list(folder.resolve().parents)[:LEVELS_ABOVE]]
    for candidate in above:
        if _is_model(candidate):
            return [TrainedModel(candidate)]
    return [TrainedModel(found) for found in _below(folder, LEVELS_BELOW)]


def _is_model(folder: Path) -> bool:
    described = all((folder / name).is_file() for name in DESCRIPTIONS)
    return described and any(folder.glob("fold_*/checkpoint_*.pth"))


def _below(folder: Path, levels: int) -> Iterable[Path]:
    if levels < 0 or not folder.is_dir():
        return
    for child in sorted(path for path in folder.iterdir() if path.is_dir()):
        if _is_model(child):
            yield child
        elif not child.name.startswith((".", "fold_")):
            yield from _below(child, levels - 1)
