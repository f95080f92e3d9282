"""Which Python packages the module needs, and which of them are there.

Nothing is imported to find out, torch least of all: packages are looked up, not loaded. What the
worker's torch can do, the worker itself says (`WorkerSession.environment`).
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .i18n import _

# Installed once such a model is first chosen.
FOR_MODELS = ("nnunetv2", "monai")
# Installed once something is measured or saved that needs them.
FOR_MEASURES = ("scikit-image", "pandas", "openpyxl", "jinja2", "matplotlib")


@dataclass(frozen=True)
class Requirement:
    """A package that something needs.

    Attributes:
        name: as pip knows it.
        module: as Python imports it.
        minimum: oldest version that works.
        purpose: what it is for.
        required: whether the panel needs it; the others serve scripts and the command line.
        shipped: whether it comes with 3D Slicer, and must be left as it is.
    """

    name: str
    module: str
    minimum: str
    purpose: str
    required: bool = True
    shipped: bool = False

    @property
    def specifier(self) -> str:
        """What pip is asked for."""
        return f"{self.name}>={self.minimum}"


@dataclass(frozen=True)
class Package:
    """A package that is needed, and what was found of it.

    Attributes:
        requirement: what is needed.
        installed: whether it is there.
        version: empty if nobody knows.
    """

    requirement: Requirement
    installed: bool
    version: str = ""

    @property
    def isOld(self) -> bool:
        """Whether it is there, but older than what works."""
        if not self.installed or not self.version:
            return False
        return _numbers(self.version) < _numbers(self.requirement.minimum)

    @property
    def isFine(self) -> bool:
        """Whether it is there, and new enough."""
        return self.installed and not self.isOld


def requirements() -> tuple[Requirement, ...]:
    """Return what the module needs, first what it cannot do without."""
    return (
        Requirement("torch", "torch", "2.6", _("runs the networks")),
        Requirement("pydantic", "pydantic", "2.6", _("checks what a model expects")),
        Requirement("numpy", "numpy", "1.26", _("arrays"), shipped=True),
        Requirement("SimpleITK", "SimpleITK", "2.3", _("resampling, components"), shipped=True),
        Requirement("nnunetv2", "nnunetv2", "2.5", _("nnU-Net models"), required=False),
        Requirement("monai", "monai", "1.4", _("MONAI bundles"), required=False),
        Requirement(
            "scikit-image",
            "skimage",
            "0.22",
            _("tests whether a map can be trusted"),
            required=False,
        ),
        Requirement("pandas", "pandas", "2.2", _("tables in files"), required=False),
        Requirement("openpyxl", "openpyxl", "3.1", _("Excel files"), required=False),
        Requirement("jinja2", "jinja2", "3.1", _("report pages"), required=False),
        Requirement("nibabel", "nibabel", "5.2", _("NIfTI files in scripts"), required=False),
        Requirement("matplotlib", "matplotlib", "3.8", _("figures and reports"), required=False),
        Requirement("typer", "typer", "0.12", _("the command line"), required=False),
        Requirement("rich", "rich", "13", _("the command line"), required=False),
    )


def packages(look: Callable[[Requirement], Package] | None = None) -> tuple[Package, ...]:
    """Return all packages with what is found of them.

    Args:
        look: finds one; None for `lookUp`.
    """
    importlib.invalidate_caches()
    return tuple((look or lookUp)(requirement) for requirement in requirements())


def toInstall(found: tuple[Package, ...], also: Iterable[str] = ()) -> tuple[Package, ...]:
    """Return what is missing or too old, and can be installed for the panel.

    Args:
        found: all packages.
        also: names of optional ones that are wanted, too.
    """
    wanted = {*also, *(item.requirement.name for item in found if item.requirement.required)}
    return tuple(
        package
        for package in found
        if package.requirement.name in wanted
        and not package.requirement.shipped
        and not package.isFine
    )


def namedIn(message: str, among: tuple[str, ...] = FOR_MODELS) -> str:
    """Return the package that a message names; empty if it names none.

    No other is ever installed because of a model: what a file asks for may be anything.

    Args:
        message: of an error.
        among: packages that may be installed because of it.
    """
    return next((name for name in among if re.search(rf"\b{name}\b", message)), "")


def lookUp(requirement: Requirement) -> Package:
    """Find a package without importing it."""
    from importlib import metadata  # not at file scope: it costs a tenth of loading the module

    try:
        installed = importlib.util.find_spec(requirement.module) is not None
    except (ImportError, ValueError):  # what is left of a package that was removed
        installed = False
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        version = ""
    return Package(requirement, installed, version if installed else "")


def _numbers(version: str) -> tuple[int, ...]:
    """2.13.0+cpu -> (2, 13, 0), as comparing needs no more."""
    release = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in release[0].split(".")) if release else (0,)
