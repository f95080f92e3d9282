"""Arrays that two processes share: memory-mapped files, in memory where the system has such files.

Each client keeps one folder per place (/dev/shm, the folder of temporary files) that only its user
can read, with a lock that ends with the client. A file lives until its receiver has mapped it, so
that nothing is left when a process dies: what was on the way goes with the folder, which the other
side removes, and where both were killed the next client.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import ImageError, WorkerError
from attention_maps.worker.messages import SharedArray, SharedImage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

PREFIX = "attention-maps-worker-"
SECONDS_TO_LOCK = 60.0
SLAB = 16


def places() -> list[Path]:
    """Where files can be shared, the fastest first."""
    memory = Path("/dev/shm")
    usable = memory.is_dir() and os.access(memory, os.W_OK | os.X_OK)
    return [*([memory] if usable else []), Path(tempfile.gettempdir())]


class SharedFolder:
    """The files of one client and its worker.

    Args:
        folders: Where they lie, the fastest first; None to make new ones that `close` removes.
    """

    def __init__(self, folders: Iterable[Path] | None = None) -> None:
        self._closed = False
        if folders is None:
            sweep()
            name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
            self.folders = [place / name for place in places()]
            for folder in self.folders:
                folder.mkdir(mode=0o700)
            self._locks = [_locked(folder) for folder in self.folders]
        else:
            self.folders = list(folders)
            self._locks = []

    def share(self, array: ArrayLike, axes: Sequence[int] | None = None) -> SharedArray:
        """Copy an array to where another process can map it.

        Args:
            array: Any array.
            axes: Its axes as they shall lie in the file, the slowest first; None to keep the order
                in memory, which is the fastest to copy.

        Raises:
            ImageError: If it is empty or holds no numbers.
            WorkerError: If there is no space for it.
        """
        source = np.asarray(array)
        order = memory_order(source) if axes is None else tuple(axes)
        return self._share([source], source.shape, order)

    def share_channels(self, channels: Sequence[NDArray[Any]]) -> SharedArray:
        """Copy channels (*spatial) to where another process can map them as (C, *spatial)."""
        order = (0, *(axis + 1 for axis in memory_order(channels[0])))
        return self._share(channels, (len(channels), *channels[0].shape), order)

    def _share(
        self, parts: Sequence[NDArray[Any]], shape: tuple[int, ...], axes: tuple[int, ...]
    ) -> SharedArray:
        kinds = {part.dtype for part in parts}
        dtype = kinds.pop() if len(kinds) == 1 else np.result_type(*kinds)
        if dtype.kind not in "fiub" or 0 in shape:
            raise ImageError(
                "Expected an array of real numbers with at least one voxel, got dtype "
                f"{dtype} of shape {shape}."
            )
        problems = []
        for folder in self.folders:
            path = folder / secrets.token_hex(8)
            try:
                _write(path, parts, dtype, shape, axes)
            except OSError as error:
                path.unlink(missing_ok=True)
                problems.append(f"{folder.parent}: {error.strerror or error}")
                continue
            if self._closed:  # while it was written, in another thread
                self.close()
                raise WorkerError("The folder of shared arrays was closed.")
            return SharedArray(str(path), tuple(shape), dtype.str, axes)
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        raise WorkerError(
            f"Found no space to share {size / 2**20:.0f} MiB ({'; '.join(problems)}); "
            "free some, or set TMPDIR to a folder on a larger disk."
        )

    def share_image(
        self, array: ArrayLike, affine: ArrayLike | None, axes: Sequence[int] | None = None
    ) -> SharedImage:
        """Copy an image (C, *spatial), or its channels, to where another process can map it."""
        rows = None if affine is None else tuple(tuple(row) for row in np.asarray(affine).tolist())
        if isinstance(array, tuple):
            return SharedImage(self.share_channels(array), rows)
        return SharedImage(self.share(array, axes), rows)

    def fetch(self, shared: SharedArray) -> NDArray[Any]:
        """The shared array; its file is removed, its memory goes with the array.

        Raises:
            WorkerError: If it is not there, or lies elsewhere.
        """
        path = Path(shared.path)
        if path.parent not in self.folders:
            raise WorkerError(f"Expected a shared array of this client, got the file '{path}'.")
        try:
            dtype = np.dtype(shared.dtype)
            size = path.stat().st_size
            if size != dtype.itemsize * int(np.prod(shared.shape, dtype=np.int64)):
                raise ValueError(f"{size} bytes do not hold {shared.shape} of {dtype}")
            axes = shared.axes or tuple(range(len(shared.shape)))
            stored = _mapped(path, dtype, tuple(shared.shape[axis] for axis in axes))
            return stored.transpose(np.argsort(axes))
        except (OSError, TypeError, ValueError) as error:
            raise WorkerError(f"The shared array '{path}' cannot be read: {error}.") from None

    def close(self) -> None:
        """Remove all files that nobody has received; received arrays stay valid.

        A file that another thread is writing may keep its folder: that thread removes both then.
        """
        self._closed = True
        for lock in self._locks:
            lock.close()
        self._locks = []
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(seconds: float = SECONDS_TO_LOCK) -> None:
    """Remove folders whose client is gone, killed together with its worker.

    Args:
        seconds: Age below which a folder is left alone, as it may not be locked yet.
    """
    for place in places():
        for folder in place.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):  # another user's, or gone by now
                if time.time() - folder.stat().st_mtime > seconds and _is_abandoned(folder):
                    shutil.rmtree(folder, ignore_errors=True)


def memory_order(array: NDArray[Any]) -> tuple[int, ...]:
    """Axes of an array as they lie in memory, the slowest first; axes of one voxel come first."""

    def step(axis: int) -> tuple[bool, int]:
        return array.shape[axis] > 1, -abs(array.strides[axis])

    return tuple(sorted(range(array.ndim), key=step))


def copy_axes(source: NDArray[Any], target: NDArray[Any]) -> None:
    """Copy between arrays whose axes lie in another order in memory, slab by slab.

    A slab stays in the processor's cache: several times as fast as all at once.
    """
    if source.ndim == 0 or memory_order(source) == memory_order(target):
        np.copyto(target, source, casting="unsafe")
        return
    slowest = next(axis for axis in memory_order(source) if source.shape[axis] > 1)
    source, target = np.moveaxis(source, slowest, 0), np.moveaxis(target, slowest, 0)
    for start in range(0, len(source), SLAB):
        np.copyto(target[start : start + SLAB], source[start : start + SLAB], casting="unsafe")


def _write(
    path: Path,
    parts: Sequence[NDArray[Any]],
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    axes: tuple[int, ...],
) -> None:
    """One copy, whatever the order of the axes; space is taken first, else writing would crash."""
    size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    with path.open("xb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            if shutil.disk_usage(path.parent).free < size:
                raise OSError("not enough space")
            file.truncate(size)
    stored = tuple(shape[axis] for axis in axes)
    target = np.asarray(np.memmap(path, dtype, "r+", shape=stored or (1,))).reshape(stored)
    target = target.transpose(np.argsort(axes))
    if target.shape == parts[0].shape:
        copy_axes(parts[0], target)
        return
    for channel, part in zip(target, parts, strict=True):
        copy_axes(part, channel)


def _mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The array of a file that is removed."""
    if sys.platform == "win32":  # a mapped file cannot be removed there
        array = np.fromfile(path, dtype).reshape(shape)
    else:
        array = np.asarray(np.memmap(path, dtype, "r+", shape=shape or (1,))).reshape(shape)
    path.unlink()
    return array


def _locked(folder: Path) -> IO[bytes]:
    """An open file that tells that the folder is in use."""
    file = (folder / "lock").open("wb")
    if sys.platform != "win32":  # there an open file cannot be removed, which tells as much
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _is_abandoned(folder: Path) -> bool:
    lock = folder / "lock"
    if not lock.exists():
        return True
    if sys.platform == "win32":
        lock.unlink()  # raises where a client has it open
        return True
    import fcntl

    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where a client holds it
    return True
