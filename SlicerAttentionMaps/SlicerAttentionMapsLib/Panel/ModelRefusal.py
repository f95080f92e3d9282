"""What a person can do about a model that was refused, and how it is said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from .. import Dependencies
from ..i18n import _

if TYPE_CHECKING:
    from .InputPanel import VolumeFacts
    from .State import PanelState

TRUST, INSTALL, SLICES = "trust", "install", "slices"
# What the engine says to scripts about consent.
_TO_SCRIPTS = re.compile(r"\s*If you know where .*$", re.DOTALL)


@dataclass(frozen=True)
class Remedy:
    """What the button beside the warning does.

    Attributes:
        kind: TRUST, INSTALL or SLICES.
        label: of the button.
        toolTip: what will happen.
        package: name of the package to install.
    """

    kind: str
    label: str
    toolTip: str
    package: str = ""


def remedy(state: PanelState) -> Remedy | None:
    """Return what a click can do about what the warning says; None where nothing can."""
    given = state.input
    if given.modelErrorKind == "ConsentError":
        return Remedy(
            TRUST,
            _("Trust this model..."),
            _("Allow code that comes with the model to be executed, after a question."),
        )
    package = missingPackage(state)
    if package and not state.setup.choices.interpreter:
        return Remedy(
            INSTALL,
            _("Install {name}...").format(name=package),
            _("Download it and add it to 3D Slicer's Python, after a question."),
            package,
        )
    if given.model is not None and isVolumeForPictures(given.model, given.volumes):
        return Remedy(
            SLICES,
            _("Look slice by slice"),
            _("Let the model see every slice of the volume, and say so in what it expects."),
        )
    return None


def message(state: PanelState) -> str:
    """Return why the model was refused, as it is read beside the button."""
    given = state.input
    if given.modelErrorKind == "ConsentError":
        said = _TO_SCRIPTS.sub("", given.modelError)
        return _("{said} Trust it only if you know where it comes from.").format(said=said)
    package = missingPackage(state)
    if not package:
        return given.modelError
    interpreter = state.setup.choices.interpreter
    if interpreter:
        return _(
            "This model needs the Python package {name}: {python} -m pip install {name}"
        ).format(name=package, python=interpreter)
    return _("This model needs the Python package {name}, which is not installed.").format(
        name=package
    )


def slicesField(state: PanelState) -> dict[str, str]:
    """Return what the specification says of slices: one answer for each, or one for each voxel."""
    model = state.input.model or {}
    return {"together": "batch"} if model.get("task") == "classification" else {}


def missingPackage(state: PanelState) -> str:
    """Return the optional package that a model was refused for; empty if it was for none."""
    given = state.input
    isMissing = given.modelErrorKind == "MissingPackageError"
    return Dependencies.namedIn(given.modelError) if isMissing else ""


def consentQuestion(path: str) -> str:
    """Return what a person is asked before code of a model is executed."""
    return _(
        "Loading '{name}' executes code that comes with it, which can do whatever you can do on "
        "this computer. Trust it only if you know where it comes from.\n\n{path}"
    ).format(name=PurePath(path).name, path=path)


def isVolumeForPictures(model: dict, volumes: tuple[VolumeFacts | None, ...]) -> bool:
    """Whether a network of pictures is to see a volume."""
    first = volumes[0] if volumes else None
    isFlat = first is None or 1 in first.size or 0 in first.size
    return model.get("spatial_dims") == 2 and not isFlat
