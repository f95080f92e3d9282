"""Where the sample data of demonstration and tests are: fetched on demand, never shipped."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "ATTENTION_MAPS_SAMPLE_DATA"


def root() -> Path:
    """The folder of the sample data; it need not exist.

    The environment variable ATTENTION_MAPS_SAMPLE_DATA, else share/attention-maps/sample_data in
    the Python environment.
    """
    given = os.environ.get(VARIABLE)
    return Path(given) if given else Path(sys.prefix, "share", "attention-maps", "sample_data")


def find(name: str) -> Path:
    """A sample file by its name, such as T1.nii.gz, in any folder below `root`.

    Raises:
        FileNotFoundError: If it is not there, with what to do.
    """
    folder = root()
    found = sorted(path for path in folder.rglob(name) if path.is_file())
    if not found:
        raise FileNotFoundError(
            f"Expected the sample file {name} below {folder}, found none; `make data` fetches it, "
            f"or set {VARIABLE} to the folder that has it."
        )
    return found[0]
