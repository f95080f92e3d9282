"""Provenance as a table of two columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST_LIST = 16


def provenance_rows(provenance: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Items and values, nested ones with dots: `model.sha256`; what is empty is left out.

    Args:
        provenance: As `AttentionMap.provenance`.
    """
    return [{"item": key, "value": value} for key, value in _flat(provenance, "")]


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if hasattr(value, "items"):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        if value:
            yield (
                name,
                ", ".join(_short(item) for item in value[:LONGEST_LIST])
                + (", ..." if len(value) > LONGEST_LIST else ""),
            )
    elif value is not None and value != "":
        yield name, value


def _short(value: Any) -> str:
    """One item of a list; rows of an affine in brackets."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_short(item) for item in value) + "]"
    return f"{value:.7g}" if isinstance(value, float) else str(value)
