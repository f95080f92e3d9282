"""What every format shares: suffixes, the reason a reader gives, files that appear whole."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NIFTI = (".nii", ".nii.gz")
ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
DICOM = (".dcm", ".ima")


def suffix_of(path: Path) -> str:
    """Return the suffix in lower case; '.nii.gz' is one.

    >>> suffix_of(Path("Case.1.NII.GZ"))
    '.nii.gz'
    """
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def reason_of(error: BaseException) -> str:
    """Return in one line why a reader or writer failed.

    ITK wraps the cause in several lines: its file and line, then the message; NRRD's reader adds
    a stack whose last line is the cause.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    stack = [line for line in lines if line.startswith("[nrrd]")]
    message = [line for line in lines if re.search(r"(ITK|sitk::) ?ERROR:", line)]
    reason = (stack or message or [" ".join(lines) or type(error).__name__])[-1]
    reason = re.sub(r"^\[nrrd\] |^.*(ITK |sitk::)ERROR: (\w+\(\w+\): )?", "", reason)
    return reason.rstrip(" .?!")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder that becomes `path` when the block succeeds.

    Raises:
        FileNotFoundError: If the folder does not exist.
        PermissionError: If the folder or an existing file may not be written.
        OSError: If writing fails; nothing is left behind.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(
            f"Expected an existing folder for '{path.name}', but there is no '{folder}'; "
            "create it first."
        )
    if path.is_dir():
        raise IsADirectoryError(f"Expected a file to write, got the folder '{path}'; add a name.")
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise PermissionError(
            f"Cannot write '{path}': no permission for the folder or the existing file; "
            "choose another place."
        )
    temporary = folder / f".{secrets.token_hex(8)}{suffix_of(path)}"
    try:
        yield temporary
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        raise OSError(f"Could not write '{path}': {reason_of(error)}") from error
    finally:
        temporary.unlink(missing_ok=True)
