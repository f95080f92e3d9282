"""Which options belong to metrics, where methods are given options at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attention_maps.registry import find_metric, metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def part_options(
    names: Sequence[str] | None, options: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the metrics, and those that are left for the methods.

    Args:
        names: Names of metrics; None for all.
        options: As given.
    """
    known = metrics().values() if names is None else [find_metric(name) for name in names]
    own = {option for item in known for option in item.options}
    mine = {key: value for key, value in options.items() if key in own}
    return mine, {key: value for key, value in options.items() if key not in own}
