"""Lists with check boxes: what can be chosen, and what a choice means."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..i18n import _

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from attention_maps.registry import Method, Metric


@dataclass(frozen=True)
class CheckRow:
    """One row.

    Attributes:
        key: what is stored.
        label: for people.
        toolTip: more about it.
        checked: whether it is chosen.
    """

    key: str
    label: str
    toolTip: str = ""
    checked: bool = True


def chosen(rows: Iterable[CheckRow]) -> list[str]:
    """Return the keys of the checked rows."""
    return [row.key for row in rows if row.checked]


def stored(keys: list[str], usual: list[str]) -> str:
    """Return a choice as the scene keeps it; the usual one is empty, so that it may grow later."""
    if keys == usual:
        return "[]"
    return json.dumps(keys or [""])


def metricRows(metrics: Mapping[str, Metric], keys: list[str]) -> tuple[CheckRow, ...]:
    """Return all metrics of the registry; without a choice all of them are checked."""
    return tuple(
        CheckRow(name, withUnit(item), metricTip(item), not keys or name in keys)
        for name, item in metrics.items()
    )


def withUnit(metric: Metric) -> str:
    """Return a metric's name for people, with its unit where it has one."""
    return f"{metric.label} ({metric.unit})" if metric.unit else metric.label


def metricTip(metric: Metric) -> str:
    """Return what a metric is, which way is better, and where it comes from."""
    better = {"higher": _("Higher is better."), "lower": _("Lower is better.")}
    lines = (metric.description, better.get(metric.better, ""), metric.reference)
    return "\n".join(line for line in lines if line)


def usualMethods(methods: Mapping[str, Method]) -> list[str]:
    """Return the methods that one backward pass is enough for, at any layer of any network."""
    return [name for name, item in methods.items() if item.needs == "layer" and name != "cam"]


def methodRows(methods: Mapping[str, Method], keys: list[str]) -> tuple[CheckRow, ...]:
    """Return all methods that explain a layer; without a choice the quick ones are checked."""
    wanted = keys or usualMethods(methods)
    return tuple(
        CheckRow(name, item.label, _methodTip(item), name in wanted)
        for name, item in methods.items()
        if item.has_layer
    )


def testRows(tests: Mapping[str, object], keys: list[str]) -> tuple[CheckRow, ...]:
    """Return all tests of the registry; without a choice all of them are checked."""
    return tuple(
        CheckRow(name, item.label, item.description, not keys or name in keys)
        for name, item in tests.items()
    )


def _methodTip(method: Method) -> str:
    slow = _("Runs the network many times.") if method.needs != "layer" else ""
    return "\n".join(line for line in (method.description, slow, method.remark) if line)
