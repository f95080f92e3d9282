"""Installs what is missing, after one question; a restart is offered only where it is needed."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from . import Dependencies
from .Dependencies import Package
from .i18n import _


class InstallError(OSError):
    """Packages could not be installed; the message says what to do."""


class Host(Protocol):
    """Who installs: 3D Slicer in the application, see `SlicerPackages`."""

    def ask(self, question: str) -> bool:
        """Ask a person; returns whether to go on."""

    def hasTorchInstaller(self) -> bool:
        """Return whether the PyTorch extension is installed."""

    def installTorch(self, versions: str) -> None:
        """Install torch of certain versions, such as ">=2.6", by the PyTorch extension."""

    def install(self, specifiers: list[str], constraints: Path) -> None:
        """Install packages by pip and wait for it."""

    def offerRestart(self, names: list[str]) -> None:
        """Say that packages were replaced that had been loaded, and offer to restart."""


@dataclass
class Surroundings:
    """What is installed and loaded.

    Attributes:
        look: finds a package.
        versions: gives the versions of all packages by their names.
        modules: gives the packages' names by the modules that they provide.
        loaded: what is imported.
    """

    look: Callable[[Dependencies.Requirement], Package] = Dependencies.lookUp
    versions: Callable[[], dict[str, str]] = field(default_factory=lambda: _versions)
    modules: Callable[[], Mapping[str, Iterable[str]]] = importlib.metadata.packages_distributions
    loaded: Mapping[str, object] = field(default_factory=lambda: sys.modules)


class PackageInstaller:
    """Installs what the panel needs.

    Args:
        host: who asks and installs.
        surroundings: what is there.
    """

    def __init__(self, host: Host, surroundings: Surroundings | None = None) -> None:
        self._host = host
        self._around = surroundings or Surroundings()

    def installMissing(self, also: tuple[str, ...] = ()) -> bool:
        """Ask, then install what is missing or too old.

        Args:
            also: names of optional packages that are wanted, too.

        Returns:
            Whether all is there now; False if the person said no.

        Raises:
            InstallError: it could not be installed.
        """
        missing = self._missing(also)
        if not missing:
            return True
        if not self._host.ask(question(missing, self._host.hasTorchInstaller())):
            logging.info("Attention Maps: installation was declined.")
            return False
        before = self._around.versions()
        self._install(missing)
        self._check(self._missing(also))
        replaced = self._replaced(before)
        logging.info("Attention Maps: installed %s.", _named(missing))
        if replaced:
            self._host.offerRestart(replaced)
        return True

    def _missing(self, also: tuple[str, ...]) -> tuple[Package, ...]:
        return Dependencies.toInstall(Dependencies.packages(self._around.look), also)

    def _install(self, missing: tuple[Package, ...]) -> None:
        wanted = [package.requirement for package in missing]
        torch = [item for item in wanted if item.name == "torch" and self._host.hasTorchInstaller()]
        others = [item.specifier for item in wanted if item not in torch]
        try:
            if others:
                with tempfile.TemporaryDirectory() as folder:
                    constraints = Path(folder, "constraints.txt")
                    constraints.write_text(self._constraints(wanted), encoding="utf-8")
                    self._host.install(others, constraints)
            for item in torch:
                self._host.installTorch(f">={item.minimum}")
        except Exception as error:  # whatever pip, the network or the disk say
            raise InstallError(
                _(
                    "{names} could not be installed: {error}. Check the network connection and the "
                    "free disk space; what pip said is in the Python console and the error log."
                ).format(names=_named(missing), error=_reason(error))
            ) from error

    def _constraints(self, wanted: list[Dependencies.Requirement]) -> str:
        """Keep pip from replacing what 3D Slicer ships, and a torch that fits the computer."""
        found = Dependencies.packages(self._around.look)
        kept = [
            package
            for package in found
            if package.version
            and (package.requirement.shipped or package.requirement.name == "torch")
            and package.requirement not in wanted
        ]
        return "".join(f"{package.requirement.name}=={package.version}\n" for package in kept)

    def _check(self, missing: tuple[Package, ...]) -> None:
        if missing:
            raise InstallError(
                _("{names} should have been installed, but cannot be found. Try again.").format(
                    names=_named(missing)
                )
            )

    def _replaced(self, before: dict[str, str]) -> list[str]:
        """Packages that have been imported in another version than is installed now."""
        after = self._around.versions()
        changed = {name for name, version in before.items() if after.get(name) != version}
        loaded = {
            _canonical(name)
            for module, names in self._around.modules().items()
            if module in self._around.loaded
            for name in names
        }
        return sorted(changed & loaded)


def question(missing: tuple[Package, ...], hasTorchInstaller: bool) -> str:
    """Return the one question that is asked before anything is installed."""
    lines = [
        _("These Python packages will be downloaded and added to 3D Slicer's Python:"),
        "",
        *(f"- {package.requirement.specifier} ({_why(package)})" for package in missing),
        "",
    ]
    if any(package.requirement.name == "torch" for package in missing):
        lines += [_torchByExtension() if hasTorchInstaller else _torchByPip(), ""]
    lines.append(_("Install them now?"))
    return "\n".join(lines)


def _torchByExtension() -> str:
    return _(
        "The PyTorch extension chooses the build for this computer's graphics card; the download "
        "can have several GB and take minutes."
    )


def _torchByPip() -> str:
    return _(
        "The PyTorch extension, which chooses the build for this computer's graphics card, is not "
        "installed. It is in the Extensions Manager: cancel, install PyTorch there, restart. "
        "Otherwise pip installs the standard build: for the processor on Windows, a download of "
        "several GB on Linux."
    )


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return _("pip ended with code {code}").format(code=error.returncode)
    return str(error).rstrip(".") or repr(error)


def _why(package: Package) -> str:
    if package.isOld:
        return _("{purpose}; version {version} is too old").format(
            purpose=package.requirement.purpose, version=package.version
        )
    return package.requirement.purpose


def _named(packages: tuple[Package, ...]) -> str:
    return ", ".join(package.requirement.name for package in packages)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _versions() -> dict[str, str]:
    importlib.invalidate_caches()
    found = importlib.metadata.distributions()
    return {_canonical(item.name): item.version for item in found if item.name}
