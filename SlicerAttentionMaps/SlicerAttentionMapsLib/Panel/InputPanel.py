"""The Input section: what it shows and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ..i18n import _
from . import Fit, ModelRefusal, SpecForm
from . import ModelOptions as Options
from .Control import Control
from .ModelOptions import ModelOptions

if TYPE_CHECKING:
    from .Control import Controls
    from .State import PanelState


@dataclass(frozen=True)
class VolumeFacts:
    """What is known of a chosen volume without looking at its voxels.

    Attributes:
        key: the node's ID.
        name: its name.
        size: voxels along i, j, k; zeros where it holds no image.
        spacing: mm along i, j, k.
        components: numbers per voxel, 1 for a scalar volume.
        problem: why it cannot be explained whatever the model is; empty if it can.
    """

    key: str
    name: str
    size: tuple[int, int, int] = (0, 0, 0)
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    components: int = 1
    problem: str = ""


@dataclass(frozen=True)
class InputState:
    """What the section knows.

    Attributes:
        volumes: one per selector, None where none is chosen.
        modelPath: model file or folder.
        modelFound: whether there is something at that path.
        sidecar: path of the specification beside the model, whether it exists or not; empty if
            the model cannot have one.
        sidecarFound: whether it exists.
        specification: what the form shows: the edited specification, or the model's own.
        edited: whether it was edited and not saved.
        unread: entries of the form that cannot be read: their text and what is wrong, by name.
        model: the worker's summary of the loaded model; None if none is loaded.
        modelLoading: whether the worker is loading it.
        modelError: why it was refused; empty if it was not.
        modelErrorKind: class of that error.
        options: what is chosen of a folder of trained networks.
        choices: what it holds: "configurations", "folds" and "checkpoints"; empty for any other
            model, and as long as that is not known.
    """

    volumes: tuple[VolumeFacts | None, ...] = (None,)
    modelPath: str = ""
    modelFound: bool = False
    sidecar: str = ""
    sidecarFound: bool = False
    specification: Mapping[str, Any] = field(default_factory=dict)
    edited: bool = False
    unread: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    model: dict[str, Any] | None = None
    modelLoading: bool = False
    modelError: str = ""
    modelErrorKind: str = ""
    options: ModelOptions = field(default_factory=ModelOptions)
    choices: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether volumes and model are there and loaded."""
        return self.model is not None and bool(self.volumes) and not _missingChannel(self)


@dataclass(frozen=True)
class FormEntry:
    """One entry of the specification's form.

    Attributes:
        editor: what its widget shows.
        problem: what is wrong with it; empty if nothing is.
    """

    editor: Control
    problem: str = ""


def channelNames(model: Mapping[str, Any] | None, components: int = 1) -> tuple[str, ...]:
    """Return the label of each volume selector; one is enough where a volume holds all channels.

    Args:
        model: the worker's summary of the model.
        components: numbers per voxel of the first volume.
    """
    told = model or {}
    channels = told.get("channels") or told.get("first_channels") or 1
    names = tuple((model or {}).get("channel_names") or ())
    if channels == 1 or components == channels:
        return (_("Volume"),)
    if len(names) == channels:
        return names
    return tuple(_("Channel {n}").format(n=n + 1) for n in range(channels))


def problem(state: PanelState) -> str:
    """Return why nothing can be explained, in one sentence; empty if it can."""
    given = state.input
    if not any(given.volumes):
        return _("Choose a volume.")
    if not given.modelPath:
        return _("Choose a model.")
    if not given.modelFound:
        return _("There is no file or folder '{path}'.").format(path=given.modelPath)
    if given.unread:
        return _("The specification has an entry that cannot be read.")
    if given.modelError:
        return _("The model cannot be used, see Input.")
    if given.model is None:
        return _("The model is being loaded.")
    missing = _missingChannel(given)
    if missing:
        return _("Choose a volume for the channel '{name}'.").format(name=missing)
    return Fit.obstacle(given.model, _chosen(given))


def warning(state: PanelState) -> str:
    """Return why volume and model do not fit, or the model was refused; empty if all is well."""
    given = state.input
    if given.modelError:
        return ModelRefusal.message(state)  # also where it stands in the form, which may be closed
    if given.modelPath and not given.modelFound:
        return problem(state) if any(given.volumes) else ""
    if given.model is None or not given.ready:
        return next((volume.problem for volume in _chosen(given) if volume.problem), "")
    return Fit.obstacle(given.model, _chosen(given)) or Fit.warning(given.model, _chosen(given))


def modelLine(given: InputState) -> str:
    """Return what the model is and expects, in one line."""
    if given.model is not None:
        return str(given.model["line"])
    if given.modelError and given.edited:
        return _("The specification was refused.")
    if given.modelError:
        return _("The model could not be loaded.")
    if given.modelLoading:
        return _("Loading {name}").format(name=PurePath(given.modelPath).name)
    return ""


def controls(state: PanelState) -> Controls:
    """Return what each widget of the section shows."""
    given, running = state.input, state.explain.running
    line, why, remedy = modelLine(given), warning(state), ModelRefusal.remedy(state)
    return {
        "modelPathEdit": Control(text=given.modelPath, enabled=not running),
        "modelFolderButton": Control(enabled=not running),
        "modelLineLabel": Control(text=line, visible=bool(line)),
        "inputWarningFrame": Control(visible=bool(why)),
        "inputWarningLabel": Control(text=why),
        "remedyButton": Control(
            visible=remedy is not None,
            enabled=not running,
            text=remedy.label if remedy else "",
            toolTip=remedy.toolTip if remedy else "",
        ),
        **Options.controls(state),
        "specificationBox": Control(enabled=given.modelFound and not running),
        "specificationLabel": Control(text=_source(given)),
        "saveSidecarButton": _saveControl(given),
        "revertButton": Control(
            enabled=given.edited or bool(given.unread),
            toolTip=_("Forget what was changed here and take the model's own specification."),
        ),
    }


def channelControls(state: PanelState) -> tuple[tuple[str, Control], ...]:
    """Return label and contents of each volume selector."""
    given = state.input
    first = given.volumes[0] if given.volumes else None
    names = channelNames(given.model, first.components if first else 1)
    volumes = (*given.volumes, *(None for _name in names))[: len(names)]
    toolTip = _("The volume to explain; all channels must lie on one grid.")
    return tuple(
        (
            name,
            Control(
                node=volume.key if volume else "",
                enabled=not state.explain.running,
                toolTip=toolTip if len(names) > 1 else _("The volume to explain."),
            ),
        )
        for name, volume in zip(names, volumes, strict=True)
    )


def formEntries(given: InputState) -> dict[str, FormEntry]:
    """Return what each entry of the specification's form shows, by name."""
    texts, problems = SpecForm.textsOf(given.specification), _problems(given)
    entries = {}
    for entry in SpecForm.FIELDS:
        text, wrong = given.unread.get(entry.name, (texts[entry.name], ""))
        if entry.kind == "choice":
            editor = Control(items=SpecForm.choicesOf(entry, text), current=text)
        else:
            editor = Control(text=text)
        entries[entry.name] = FormEntry(editor, wrong or problems.get(entry.name, ""))
    text, wrong = given.unread.get(SpecForm.REST, (texts[SpecForm.REST], ""))
    problemOfRest = wrong or problems.get(SpecForm.REST, "") or problems.get("", "")
    return {**entries, SpecForm.REST: FormEntry(Control(text=text), problemOfRest)}


def _problems(given: InputState) -> dict[str, str]:
    """Return what the engine finds wrong with the specification, by name of the entry."""
    isOfFile = given.sidecarFound and given.modelError.startswith(given.sidecar)
    if given.modelError and (given.edited or isOfFile):
        return SpecForm.problemsByField(given.modelError)
    return {}


def _chosen(given: InputState) -> tuple[VolumeFacts, ...]:
    return tuple(volume for volume in given.volumes if volume is not None)


def _missingChannel(given: InputState) -> str:
    first = given.volumes[0]
    if first is None:
        return channelNames(given.model)[0]
    if not (given.model or {}).get("channels") and _chosen(given) == (first,):
        return ""  # the number is a guess, and a network may make its channels of one volume
    names = channelNames(given.model, first.components)
    volumes = (*given.volumes, *(None for _name in names))
    return next((name for name, volume in zip(names, volumes, strict=False) if not volume), "")


def _source(given: InputState) -> str:
    name = PurePath(given.sidecar).name
    if given.edited:
        return _("Changed here, and saved with the scene.")
    if given.sidecarFound:
        return _("From {name}.").format(name=name)
    return _("Found out from the model.")


def _saveControl(given: InputState) -> Control:
    name = PurePath(given.sidecar).name
    if not given.sidecar:
        why = _("A model in a folder brings its own specification.")
    elif given.model is None or given.unread:
        why = _("Only a specification with which the model can be loaded is saved.")
    else:
        text = _("Write the specification to {name} beside the model, for the next time.")
        return Control(enabled=True, toolTip=text.format(name=name))
    return Control(enabled=False, toolTip=why)


_IMAGES = {".nii", ".gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm", ".mrb", ".mrml", ".png", ".jpg"}


def isModelDrop(path: str) -> bool:
    """Return whether a dropped file may be a model: images and scenes are loaded instead."""
    return bool(path) and PurePath(path).suffix.lower() not in _IMAGES
