"""Classes of the network's answer by name or index."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import numpy as np

from attention_maps.errors import TargetError

if TYPE_CHECKING:
    from attention_maps.answer import Answer


def find_class(name: str | int, answer: Answer) -> int:
    """Index of a class by its name or index.

    A network with a single output channel has one class; label 1 means it, too.

    Raises:
        TargetError: If there is no such class, with the closest names.
    """
    names = answer.class_names
    if isinstance(name, str):
        if name in names:
            return names.index(name)
        folded = [item.casefold() for item in names]
        if name.casefold() in folded:
            return folded.index(name.casefold())
        if not name.lstrip("-").isdigit():
            close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
            known = f"closest: {', '.join(close)}" if close else f"it has {', '.join(names)}"
            raise TargetError(
                f"Class '{name}' is not known to this model"
                + (f" ({known})." if names else "; it names no classes, use an index.")
            )
        name = int(name)
    if isinstance(name, bool) or not isinstance(name, int | np.integer):
        raise TargetError(f"Expected the name or index of a class, got {name!r}.")
    if answer.classes == 1 and name == 1:
        return 0
    if not 0 <= name < answer.classes:
        raise TargetError(f"Expected a class index from 0 to {answer.classes - 1}, got {name}.")
    return int(name)
