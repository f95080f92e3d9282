"""Says in words why a file could not be written, and what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def toldInWords(what: str, advice: str) -> Iterator[None]:
    """Turn an error of the system into one that a person can do something about.

    Args:
        what: the file and where it was to be.
        advice: what to do where there is no permission.

    Raises:
        OSError: Of the same kind, with one readable message.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FORBIDDEN:
            raise type(error)(f"Cannot write {what}: no permission; {advice}.") from error
        reason = (error.strerror or str(error)).removesuffix(".")
        raise type(error)(f"Cannot write {what}: {reason}.") from error
