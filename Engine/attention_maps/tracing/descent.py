"""Which tensors of a forward pass the answer was computed from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch


class Descent:
    """Remembers, operator by operator, whose results went into whose; by memory, not by tensor.

    Views share their memory with what they look at, so that in-place operators need no special
    care. Where only a part of some memory is read on, all of it counts as read.
    """

    def __init__(self) -> None:
        self._parents: list[frozenset[int]] = []
        self._writer: dict[int, int] = {}

    def note(self, mutable: bool, given: Any, result: Any) -> None:
        """Take down one operator.

        Args:
            mutable: Whether it writes into what it was given.
            given: Its arguments, however nested.
            result: What it returned, however nested.
        """
        read = {_memory(tensor) for tensor in _tensors(given)}
        parents = frozenset(self._writer[at] for at in read if at in self._writer)
        written = {_memory(tensor) for tensor in _tensors(result)}
        fresh = written if mutable else written - read  # else a view, by which nothing is written
        if fresh:
            self._parents.append(parents)
            self._writer.update(dict.fromkeys(fresh, len(self._parents) - 1))

    def origin(self, tensor: torch.Tensor) -> int | None:
        """The operator that last wrote the tensor's memory, or None where there was none."""
        return self._writer.get(_memory(tensor))

    def ancestors(self, origin: int | None) -> set[int]:
        """An operator and all whose results went into it."""
        found: set[int] = set()
        open_ends = set() if origin is None else {origin}
        while open_ends:
            found |= open_ends
            open_ends = {p for end in open_ends for p in self._parents[end]} - found
        return found


def _memory(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for item in value:
            yield from _tensors(item)
