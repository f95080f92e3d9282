"""What is said when something went wrong: one message per error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..i18n import _
from .Control import Control

if TYPE_CHECKING:
    from .Control import Controls

_MOST = 3


def isCancel(error: BaseException | str) -> bool:
    """Return whether a person wanted it so: no error."""
    return _isA(error, "Cancelled")


def isMissingPackage(error: BaseException | str) -> bool:
    """Return whether a Python package is missing."""
    return _isA(error, "MissingPackageError")


def isExpected(error: BaseException | str) -> bool:
    """Return whether the message alone helps: a person can do something about it."""
    return isinstance(error, str | OSError) or _isA(error, "AttentionMapsError")


def textOf(error: BaseException | str) -> str:
    """Return what is read in the panel."""
    text = str(error).strip()
    if isExpected(error):
        return text or type(error).__name__
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return _("Something went wrong that should not ({error}). The error log tells more.").format(
        error=said
    )


def withMessage(messages: tuple[str, ...], text: str) -> tuple[str, ...]:
    """Return the messages with one more, the last one first; none stands there twice."""
    return (text, *(other for other in messages if other != text))[:_MOST]


def controls(messages: tuple[str, ...]) -> Controls:
    """Return what the message area shows."""
    return {
        "messageFrame": Control(visible=bool(messages)),
        "messageLabel": Control(text="\n\n".join(messages)),
    }


def _isA(error: BaseException | str, name: str) -> bool:
    """Return whether a class of that name is among an error's; the engine need not be imported."""
    return any(kind.__name__ == name for kind in type(error).__mro__)
