"""Zip archives that hold a model's folder."""

from __future__ import annotations

import shutil
import tempfile
import weakref
import zipfile
from pathlib import Path

from attention_maps.errors import ModelError

LARGEST_UNPACKED = 64 * 2**30


class _Unpacked:
    """A folder of temporary files that goes with the program."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="attention-maps-model-"))
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.folder, True)


_UNPACKED: dict[tuple[str, int, int], _Unpacked] = {}


def unpacked(path: Path) -> Path:
    """A folder with what a zip archive holds; unpacked once, removed at the program's end.

    Raises:
        ModelError: If it is too large, or a name in it leads outside.
    """
    state = path.stat()
    key = (str(path.resolve()), state.st_mtime_ns, state.st_size)
    if key in _UNPACKED:
        return _UNPACKED[key].folder
    made = _Unpacked()
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
            if size > LARGEST_UNPACKED:
                raise ModelError(
                    f"'{path}' unpacks to {size / 2**30:.0f} GiB; unpack it yourself and name the "
                    "folder."
                )
            for item in archive.infolist():
                target = (made.folder / item.filename).resolve()
                if not target.is_relative_to(made.folder.resolve()):
                    raise ModelError(f"'{path}' holds '{item.filename}', which leads outside.")
                archive.extract(item, made.folder)
    except (zipfile.BadZipFile, OSError) as error:
        raise ModelError(f"The archive '{path}' cannot be unpacked: {error}.") from error
    _UNPACKED[key] = made
    return made.folder
