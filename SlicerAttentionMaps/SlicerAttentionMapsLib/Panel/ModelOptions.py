"""What a person may choose of a model that is more than one file, and what is shown of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..i18n import _
from .Control import Control, Item

if TYPE_CHECKING:
    from .Control import Controls
    from .State import PanelState

# How nnU-Net lays windows; what a specification says of them is said as a whole.
_WINDOWS = {"style": "nnunet", "overlap": 0.5, "blending": "gaussian"}


@dataclass(frozen=True)
class ModelOptions:
    """What is chosen; the defaults leave it to the model.

    Attributes:
        configuration: name of the configuration.
        folds: names of the folds that are averaged; empty for all.
        checkpoint: name of the checkpoint.
        mirroring: whether windows are mirrored, too, where the model was trained so.
    """

    configuration: str = ""
    folds: tuple[str, ...] = ()
    checkpoint: str = ""
    mirroring: bool = True


def parsed(text: str) -> ModelOptions:
    """Return the choices of a scene; what cannot be read counts as not chosen."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = {}
    found = found if isinstance(found, dict) else {}
    folds = found.get("folds")
    return ModelOptions(
        configuration=str(found.get("configuration") or ""),
        folds=tuple(map(str, folds)) if isinstance(folds, list) else (),
        checkpoint=str(found.get("checkpoint") or ""),
        mirroring=found.get("mirroring") is not False,
    )


def written(options: ModelOptions) -> str:
    """Return the choices as JSON; empty where nothing is chosen."""
    usual = asdict(ModelOptions())
    chosen = {name: value for name, value in asdict(options).items() if value != usual[name]}
    return json.dumps(chosen, sort_keys=True) if chosen else ""


def forEngine(options: ModelOptions, *, trusted: bool = False) -> dict[str, Any]:
    """Return the choices as `load_model` takes them."""
    chosen: dict[str, Any] = {}
    if options.configuration:
        chosen["configuration"] = options.configuration
    if options.folds:
        chosen["folds"] = list(options.folds)
    if options.checkpoint:
        chosen["checkpoint"] = options.checkpoint
    if trusted:
        chosen["trust"] = True
    return chosen


def specificationFor(edited: Mapping[str, Any], options: ModelOptions) -> dict[str, Any] | None:
    """Return what the engine is told that the model expects; None to leave it to the model.

    Args:
        edited: what was edited; empty for nothing.
        options: what is chosen.
    """
    if options.mirroring:
        return dict(edited) or None
    windows = {**(edited.get("sliding_window") or _WINDOWS)}
    windows.pop("mirror_axes", None)
    return {**edited, "sliding_window": windows}


def controls(state: PanelState) -> Controls:
    """Return what each widget of the choices shows."""
    given, running = state.input, state.explain.running
    known, options = given.choices, given.options
    isChosen = bool(written(options))
    configurations = tuple(known.get("configurations", ()))
    checkpoints = tuple(known.get("checkpoints", ()))
    return {
        "modelOptionsBox": Control(visible=bool(known) or isChosen, enabled=not running),
        "configurationComboBox": Control(
            items=_items(configurations, options.configuration),
            current=options.configuration or str(known.get("configuration", "")),
            enabled=len(configurations) > 1,
            toolTip=_("Which of the trained configurations is explained."),
        ),
        "checkpointComboBox": Control(
            items=_items(checkpoints, options.checkpoint),
            current=options.checkpoint or next(iter(checkpoints), ""),
            enabled=len(checkpoints) > 1,
            toolTip=_("Networks as they were at the end of training, or at their best."),
        ),
        "foldsLabel": Control(visible=bool(known.get("folds"))),
        "foldsWidget": Control(visible=bool(known.get("folds"))),
        "mirroringCheckBox": Control(
            visible="folds" in known or not options.mirroring,
            checked=options.mirroring,
            toolTip=_(
                "Look at every window mirrored, too, where the model was trained so: up to 8 times "
                "the time."
            ),
        ),
        "usualOptionsButton": Control(
            enabled=isChosen, toolTip=_("Leave these choices to the model.")
        ),
    }


def folds(state: PanelState) -> tuple[tuple[str, bool], ...]:
    """Return the names of the folds, and whether each is averaged."""
    chosen, known = state.input.options.folds, state.input.choices.get("folds", ())
    usual = [name for name in known if name != "all"] or list(known)
    return tuple((name, name in (chosen or usual)) for name in known)


def withFold(state: PanelState, name: str, checked: bool) -> ModelOptions:
    """Return the choices with a fold more or less; the last one stays."""
    there = {fold: isChecked for fold, isChecked in folds(state)} | {name: checked}
    chosen = tuple(fold for fold, isChecked in there.items() if isChecked)
    options = state.input.options
    known = state.input.choices.get("folds", ())
    usual = tuple(fold for fold in known if fold != "all") or tuple(known)
    if not chosen:
        chosen = (name,)
    return ModelOptions(
        options.configuration,
        () if chosen == usual else chosen,
        options.checkpoint,
        options.mirroring,
    )


def withConfiguration(options: ModelOptions, name: str) -> ModelOptions:
    """Return the choices with another configuration, whose folds and checkpoints are others."""
    return ModelOptions(configuration=name, mirroring=options.mirroring)


def _items(names: tuple[str, ...], chosen: str) -> tuple[Item, ...]:
    """Return the choices of a list; what is chosen but not there is among them."""
    missing = (chosen,) if chosen and chosen not in names else ()
    return tuple(Item(name, name) for name in (*names, *missing))
