"""The Setup section: what it shows and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..Dependencies import Package, toInstall
from ..i18n import _
from ..WorkerChoices import WorkerChoices
from .Control import Control, Item

if TYPE_CHECKING:
    from .Control import Controls
    from .State import PanelState


@dataclass(frozen=True)
class SetupState:
    """What the section knows.

    Attributes:
        packages: of 3D Slicer's own Python.
        choices: how the worker is run.
        environment: what the worker says of itself; empty until it was asked.
        checking: whether it is being asked.
        checkError: why it did not answer.
        installing: whether packages are being installed.
        shownReady: what was shown last: all is well, or not; None at first, and once packages
            were installed.
    """

    packages: tuple[Package, ...] = ()
    choices: WorkerChoices = field(default_factory=WorkerChoices)
    environment: Mapping[str, Any] = field(default_factory=dict)
    checking: bool = False
    checkError: str = ""
    installing: bool = False
    shownReady: bool | None = None


@dataclass(frozen=True)
class Row:
    """A line in the list of packages.

    Attributes:
        name: of the package.
        version: what was found of it, in words.
        purpose: what it is for.
        isProblem: whether it is needed, and missing or too old.
        isAbsent: whether it is neither there nor needed.
    """

    name: str
    version: str
    purpose: str
    isProblem: bool
    isAbsent: bool


def whileChecking(setup: SetupState) -> SetupState:
    """Return the state while a worker is asked: what the former one said is over."""
    return replace(setup, checking=True, checkError="", environment={})


def problem(state: PanelState) -> str:
    """Say why nothing can be explained; empty when all is well, as far as known."""
    setup = state.setup
    missing = _toInstall(setup)
    if missing:
        return _("{names} must be installed first (Setup).").format(names=_specifiers(missing))
    for package in setup.packages:
        if package.requirement.shipped and not package.isFine:
            return _(
                "Expected {name}, which 3D Slicer ships, found {version}: update 3D Slicer."
            ).format(
                name=package.requirement.specifier,
                version=package.version or _("none"),
            )
    if setup.checkError:
        return setup.checkError
    if setup.environment.get("problem"):
        return str(setup.environment["problem"])
    devices = setup.environment.get("devices", ())
    if devices and setup.choices.device not in ("auto", *devices):
        return _("The device {device} is not there; choose another one in Setup.").format(
            device=setup.choices.device
        )
    return ""


def rows(state: PanelState) -> tuple[Row, ...]:
    """Return the list of packages."""
    return tuple(
        Row(
            name=package.requirement.name,
            version=_version(package),
            purpose=package.requirement.purpose
            if package.requirement.required
            else _("{purpose} (optional)").format(purpose=package.requirement.purpose),
            isProblem=package.requirement.required and not package.isFine,
            isAbsent=not package.requirement.required and not package.installed,
        )
        for package in state.setup.packages
    )


def controls(state: PanelState) -> Controls:
    """Return what each widget of the section shows."""
    setup = state.setup
    trouble = problem(state)
    missing = _toInstall(setup)
    ready = not trouble
    return {
        "setupSection": Control(
            text=_("Setup: {summary}").format(summary=_summary(setup)) if ready else _("Setup"),
            checked=_isOpen(ready, setup.shownReady),
        ),
        "setupStatusLabel": Control(text=trouble or _("All that is needed is installed.")),
        "installPackagesButton": Control(
            visible=bool(missing),
            enabled=bool(missing) and not setup.installing,
            text=_("Installing...") if setup.installing else _("Install what is missing..."),
            toolTip=_("Install {names}, after a question.").format(names=_specifiers(missing)),
        ),
        "checkWorkerButton": Control(
            enabled=not (setup.checking or setup.installing or missing),
            text=_("Checking...") if setup.checking else _("Check"),
        ),
        "environmentLabel": Control(text=_environmentLine(setup)),
        "deviceComboBox": Control(items=_devices(setup), current=setup.choices.device),
        "interpreterPathLineEdit": Control(text=setup.choices.interpreter),
        "threadsSpinBox": Control(value=setup.choices.threads),
    }


def _isOpen(ready: bool, shownReady: bool | None) -> bool | None:
    """Open where there is something to do, closed at first where there is not; else as it is."""
    if shownReady is None:
        return not ready
    return True if shownReady and not ready else None


def _toInstall(setup: SetupState) -> tuple[Package, ...]:
    """What 3D Slicer's Python misses; another interpreter brings its own torch."""
    missing = toInstall(setup.packages)
    if not setup.choices.interpreter:
        return missing
    return tuple(package for package in missing if package.requirement.name != "torch")


def _specifiers(packages: tuple[Package, ...]) -> str:
    return ", ".join(package.requirement.specifier for package in packages)


def _version(package: Package) -> str:
    if not package.installed:
        return _("not installed")
    if package.isOld:
        return _("{version} (too old, expected {minimum})").format(
            version=package.version, minimum=package.requirement.minimum
        )
    return package.version or _("installed")


def _summary(setup: SetupState) -> str:
    """All is well, in a few words."""
    torch = setup.environment.get("torch")
    if torch:
        names = ", ".join(_deviceName(name) for name in setup.environment.get("devices", ()))
        return _("PyTorch {version}, {devices}").format(version=torch, devices=names)
    if setup.choices.interpreter:
        return _("another Python")
    versions = [item.version for item in setup.packages if item.requirement.name == "torch"]
    return _("PyTorch {version}").format(version="".join(versions)).strip()


def _environmentLine(setup: SetupState) -> str:
    found = setup.environment
    if setup.checking:
        return _("Starting the worker...")
    if not found:
        return _("Not known yet which devices there are: Check finds out.")
    if not found.get("torch"):
        return _("Python {python}, no PyTorch").format(python=found.get("python", ""))
    names = ", ".join(_deviceName(name) for name in found.get("devices", ()))
    threads = found.get("threads", "")
    threads = _("1 thread") if threads == 1 else _("{n} threads").format(n=threads)
    return _("PyTorch {torch}, Python {python}, {threads}; devices: {devices}").format(
        torch=found["torch"],
        python=found.get("python", ""),
        threads=threads,
        devices=names,
    )


def _devices(setup: SetupState) -> tuple[Item, ...]:
    known = list(setup.environment.get("devices", ())) or ["cpu"]
    chosen = setup.choices.device
    items = [Item("auto", _("Automatic"), _("The first GPU, or the processor if there is none."))]
    items += [Item(name, _deviceName(name), name) for name in known]
    if chosen not in ("auto", *known):
        isMissing = bool(setup.environment.get("devices"))
        label = _("{device} (not there)") if isMissing else "{device}"
        items.append(Item(chosen, label.format(device=_deviceName(chosen)), chosen))
    return tuple(items)


def _deviceName(device: str) -> str:
    """A device as people call it."""
    kind, _colon, index = device.partition(":")
    if kind == "cpu":
        return _("processor")
    if kind == "cuda":
        return _("NVIDIA GPU {index}").format(index=index or "0")
    if kind == "mps":
        return _("Apple GPU")
    return device
