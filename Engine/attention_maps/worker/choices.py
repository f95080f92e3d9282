"""What a person may choose of a model that is a folder of trained networks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_maps.models.bundle.files import bundle_choices, is_bundle
from attention_maps.models.nnunet.folders import CHECKPOINTS, choose, find_models

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attention_maps.model import LoadedModel
    from attention_maps.models.nnunet.folders import TrainedModel


def choices_of(model: LoadedModel, path: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Configurations, folds and checkpoints of a model that has several; empty for any other.

    Args:
        model: The loaded model.
        path: What was loaded: its folder, one near it, or an archive.
        options: With which it was loaded; the folds are those of the chosen configuration.

    Returns:
        "configurations", "checkpoints" and, of nnU-Net, "folds", lists of names as `load_model`
        takes them, and "configuration", the one that is loaded.
    """
    place = Path(path).expanduser()
    if not model.network.kind.startswith("nnU-Net"):
        return _of_bundle(place, options) if is_bundle(place) else {}
    models = find_models(place)
    chosen = choose(models, options.get("configuration"))
    names = {item: _name(item, models) for item in models}
    return {
        "configurations": list(names.values()),
        "configuration": names[chosen],
        "folds": chosen.folds(),
        "checkpoints": _checkpoints(chosen),
    }


def _of_bundle(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    configurations, checkpoints = bundle_choices(path)
    return {
        "configurations": configurations,
        "configuration": options.get("configuration") or next(iter(configurations), ""),
        "checkpoints": checkpoints,
    }


def _name(model: TrainedModel, models: list[TrainedModel]) -> str:
    """The shortest name that is no other's."""
    for name_of in (_configuration, _folder):
        if Counter(map(name_of, models))[name_of(model)] == 1:
            return name_of(model)
    return f"{model.dataset}/{model.folder.name}"


def _configuration(model: TrainedModel) -> str:
    return model.configuration


def _folder(model: TrainedModel) -> str:
    return model.folder.name


def _checkpoints(model: TrainedModel) -> list[str]:
    """Names of checkpoints, the usual one first, that every fold has."""
    folds = [model.folder / f"fold_{fold}" for fold in model.folds()]
    there = [name for name in CHECKPOINTS if all((fold / name).is_file() for fold in folds)]
    return [name.removeprefix("checkpoint_").removesuffix(".pth") for name in there]
