"""What is printed: tables and JSON on stdout, the progress bar on stderr."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attention_maps.types import ProgressCallback

Column = tuple[str, Literal["left", "right"]]
PIPE_WIDTH = 240  # columns where stdout is no terminal: a line of a table stays one line


def print_json(value: Any) -> None:
    """Print JSON on stdout; numbers that JSON does not know (NaN, infinity) are null."""
    typer.echo(json.dumps(_plain(value), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    caption: str = "",
) -> None:
    """Print a table on stdout.

    Args:
        columns: Heading and justification ("left", "right") of each.
        rows: Texts, without markup.
        title: Above the table.
        caption: Below the table.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, caption=caption or None, box=box.SIMPLE_HEAD, pad_edge=False)
    table.title_justify = table.caption_justify = "left"
    for number, (heading, justify) in enumerate(columns):
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    _console().print(table)


def print_text(text: str) -> None:
    """Print a line on stdout, without markup."""
    from rich.text import Text

    _console().print(Text(text), soft_wrap=True)


def note(text: str, quiet: bool) -> None:
    """Print a line on stderr that scripts need not read."""
    if not quiet:
        typer.echo(text, err=True)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[ProgressCallback | None]:
    """A bar on stderr while the block runs, and the callback that moves it.

    None where stderr is no terminal or the user wants none: the engine then reports nothing.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Starting", total=1.0)

        def report(fraction: float, message: str) -> bool:
            bar.update(task, completed=fraction, description=message)
            return True

        yield report


def _console() -> Any:
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)
