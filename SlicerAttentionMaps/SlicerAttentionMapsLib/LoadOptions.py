"""What a person may choose about a model that is more than one file."""

import os
from pathlib import Path

from . import VolumeBridge

# As the Logic calls them, and the engine.
NAMES = {
    "configuration": "configuration",
    "folds": "folds",
    "checkpoint": "checkpoint",
    "trust": "trust",
    "previousStage": "previous_stage",
}


def split(options: dict) -> tuple[dict, dict]:
    """Return those of `load_model`, in the engine's words, and the others: a method's."""
    ofModel = {NAMES[name]: value for name, value in options.items() if name in NAMES}
    ofMethod = {name: value for name, value in options.items() if name not in NAMES}
    return {name: value for name, value in ofModel.items() if value is not None}, ofMethod


def forLogic(ofModel: dict) -> dict:
    """Return options as `SlicerAttentionMapsLogic.explain` takes them."""
    names = {word: name for name, word in NAMES.items()}
    return {names[word]: value for word, value in ofModel.items()}


def forEngine(ofModel: dict) -> dict:
    """Return options as `load_model` takes them in this process: a volume node as an Image."""
    stage = ofModel.get("previous_stage")
    if not hasattr(stage, "GetClassName"):
        return ofModel
    return {**ofModel, "previous_stage": VolumeBridge.imageFromVolumes([stage])}


def forWorker(ofModel: dict) -> dict:
    """Return options as plain data.

    Raises:
        ModelError: If the previous stage is none of a file.
    """
    from attention_maps.errors import ModelError

    plain = {name: list(item) if name == "folds" else item for name, item in ofModel.items()}
    stage = plain.get("previous_stage")
    if stage is not None:
        if not isinstance(stage, str | os.PathLike):
            raise ModelError(
                "Expected a file as previousStage, as the worker reads it itself, got "
                f"{type(stage).__name__}; save the label map, or call `explain`, which takes nodes."
            )
        plain["previous_stage"] = str(Path(stage).expanduser().resolve())
    return plain


def stateOf(ofModel: dict) -> str:
    """Return text that changes when options do, or the label map among them."""
    from .KeptSessions import fileState, volumeState

    stage, plain = ofModel.get("previous_stage"), dict(ofModel)
    if hasattr(stage, "GetClassName"):
        plain["previous_stage"] = volumeState(stage)
    elif stage is not None:
        plain["previous_stage"] = fileState(stage)
    return repr(sorted(plain.items()))
