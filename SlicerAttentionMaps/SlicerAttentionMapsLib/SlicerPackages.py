"""Installs Python packages into 3D Slicer: the application's side of `PackageInstaller`."""

from __future__ import annotations

from pathlib import Path

import slicer

from .i18n import _
from .TorchImport import ownCodeFirst


class SlicerPackages:
    """A `PackageInstaller.Host` that asks in the application and installs into its Python."""

    def ask(self, question: str) -> bool:
        """Ask a person; returns whether to go on."""
        return slicer.util.confirmOkCancelDisplay(question, _("Attention Maps: Setup"))

    def hasTorchInstaller(self) -> bool:
        """Return whether the PyTorch extension is installed."""
        return hasattr(slicer.modules, "pytorchutils")

    def installTorch(self, versions: str) -> None:
        """Install torch of certain versions, such as ">=2.6", by the PyTorch extension."""
        from PyTorchUtils import PyTorchUtilsLogic

        with slicer.util.WaitCursor(), ownCodeFirst():  # it imports torch at its end
            PyTorchUtilsLogic().installTorch(
                askConfirmation=False, torchVersionRequirement=versions
            )

    def install(self, specifiers: list[str], constraints: Path) -> None:
        """Install packages by pip and wait for it."""
        try:
            from slicer.packaging import pip_ensure
        except ImportError:  # before Slicer 5.11
            with slicer.util.WaitCursor():
                slicer.util.pip_install([*specifiers, "--constraint", str(constraints)])
            return
        isLarge = any(specifier.startswith("torch") for specifier in specifiers)
        pip_ensure(
            specifiers,
            constraints=constraints,
            prompt_install=False,
            prompt_restart=False,
            requester=_("Attention Maps"),
            show_progress=isLarge,  # its dialog adds a message of its own to a failure
        )

    def offerRestart(self, names: list[str]) -> None:
        """Say that packages were replaced that had been loaded, and offer to restart."""
        message = _(
            "{names} had been loaded in another version. Restart 3D Slicer to use the new one. "
            "Restart now? What was not saved is lost."
        ).format(names=", ".join(names))
        if slicer.util.confirmYesNoDisplay(message, _("Attention Maps: Setup")):
            slicer.util.restart()
