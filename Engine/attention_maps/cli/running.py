"""How every command runs: errors in one line, warnings in one line, exit codes."""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from attention_maps.errors import AttentionMapsError

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED, INTERRUPTED = 1, 130


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.capitalize()}: {' '.join(record.getMessage().split())}"


@contextmanager
def command(
    *, debug: bool, quiet: bool = False, interrupted: str = "nothing was written"
) -> Iterator[None]:
    """Run a command: what goes wrong becomes one line on stderr and an exit code.

    Args:
        debug: Show tracebacks, and warnings of other packages.
        quiet: Leave out the engine's warnings.
        interrupted: What is left where the user stops it.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    handler.setLevel(logging.ERROR if quiet else logging.WARNING)
    logger = logging.getLogger("attention_maps")
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.simplefilter("ignore")
            yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        _fail(f"Interrupted; {interrupted}.", debug, INTERRUPTED)
    except BrokenPipeError:
        raise
    except (AttentionMapsError, OSError) as error:
        _fail(_words(error), debug, FAILED)
    except MemoryError:
        _fail("Out of memory; a smaller image, patch or batch size needs less.", debug, FAILED)
    except Exception as error:
        if isinstance(error, typer.BadParameter | typer.Abort):
            raise
        text = f"{type(error).__name__}: {_words(error)} (--debug shows where; please report it)"
        _fail(f"Unexpected {text}", debug, FAILED)
    finally:
        logger.removeHandler(handler)


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: '{error.filename}'"
    return " ".join(str(error).split()) or type(error).__name__


def _fail(message: str, debug: bool, code: int) -> None:
    if debug:
        traceback.print_exc()
    typer.echo(message if code == INTERRUPTED else f"Error: {message}", err=True)
    raise typer.Exit(code)


def usage_error(message: str) -> typer.BadParameter:
    """What to raise where options do not fit together: exit code 2."""
    return typer.BadParameter(message)
