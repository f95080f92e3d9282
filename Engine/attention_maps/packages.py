"""Packages that are imported when they are first needed: 3D Slicer does not bring them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from attention_maps.errors import MissingPackageError


def needed(module: str, what: str, package: str = "") -> Any:
    """Import a module of a package that may be missing.

    Args:
        module: Dotted name.
        what: What needs it, as in "An Excel file".
        package: Its name for pip, where that is not the first part of the module's name.

    Raises:
        MissingPackageError: If it cannot be imported.
    """
    package = package or module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"{what} needs the package {package}; install it with `pip install {package}`."
        ) from error
