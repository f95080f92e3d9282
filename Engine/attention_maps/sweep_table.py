"""What a sweep found: rows of layers and methods, the best of them, tables and pictures."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attention_maps.concentration import FIGURES, Figure
from attention_maps.errors import MethodError
from attention_maps.registry import find_metric, methods

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from attention_maps.registry import Metric
    from attention_maps.result import AttentionMap


@dataclass(frozen=True)
class Sweep:
    """One question, asked of many layers by many methods.

    Args:
        rows: One per layer, method and structure: layer, method, size (of the layer's grid), label
            (name of the structure, empty without a mask), a value per metric (NaN where it is not
            defined), and the reason why some are not.
        layers: In execution order.
        methods: By name.
        labels: Names of the structures, empty without a mask.
        metrics: Names of the values in a row.
        provenance: What the maps have in common: model and its SHA-256, question, versions, ...
        maps: The maps, where they were kept.
    """

    rows: list[dict[str, Any]]
    layers: tuple[str, ...]
    methods: tuple[str, ...]
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    provenance: dict[str, Any]
    maps: list[AttentionMap] = field(default_factory=list, repr=False)

    def best(self, metric: str, label: str | None = None) -> dict[str, Any] | None:
        """The row with the best value, the first of equals; None where no value is defined.

        Args:
            metric: Name of a metric; it knows whether higher or lower is better.
            label: Name of a structure; None for any.

        Raises:
            MethodError: If the sweep has no such metric or structure.
        """
        rows = [row for row in self._rows_of(metric, label) if not math.isnan(row[metric])]
        if not rows:
            return None
        choose = min if direction(metric) == "lower" else max
        return choose(rows, key=lambda row: row[metric])

    def values(self, metric: str, label: str | None = None) -> list[list[float]]:
        """Values of one structure, a list per layer with one value per method.

        Args:
            metric: Name of a metric.
            label: Name of a structure; None for the first.

        Raises:
            MethodError: If the sweep has no such metric or structure.
        """
        label = label if label is not None or not self.labels else self.labels[0]
        found = {(row["layer"], row["method"]): row[metric] for row in self._rows_of(metric, label)}
        return [
            [found.get((layer, method), math.nan) for method in self.methods]
            for layer in self.layers
        ]

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the table, the best row of each metric, and the provenance.

        Args:
            path: .xlsx (a sheet each), .csv (the table; the others beside it) or .json.

        Returns:
            The path.
        """
        from attention_maps.report.provenance import provenance_rows
        from attention_maps.report.writing import write_tables

        tables = {"sweep": self.rows, "best": self.best_rows()}
        return write_tables(path, {**tables, "provenance": provenance_rows(self.provenance)})

    def best_rows(self) -> list[dict[str, Any]]:
        """Layer and method that are best by each metric, for each structure."""
        rows = []
        for label in self.labels or ("",):
            for metric in self.metrics:
                row = self.best(metric, label)
                rows.append(
                    {
                        "metric": metric, "label": label, "better": direction(metric),
                        "layer": row["layer"] if row else None,
                        "method": row["method"] if row else None,
                        "value": row[metric] if row else math.nan, "unit": described(metric).unit,
                    }
                )  # fmt: skip
        return rows

    def failures(self) -> list[dict[str, Any]]:
        """How many maps of a method could not be made, a row per method and reason."""
        pairs = {
            (row["layer"], row["method"]): row["reason"] for row in self.rows if not row["size"]
        }
        counts = Counter((method, reason) for (_, method), reason in pairs.items())
        return [
            {"method": method, "maps": count, "reason": reason}
            for (method, reason), count in counts.items()
        ]

    def heat_map(self, path: str | PathLike[str], metric: str, label: str | None = None) -> Path:
        """Draw the values of layers x methods as colors with numbers.

        Args:
            path: .png, .svg, .pdf or .jpg.
            metric: Name of a metric.
            label: Name of a structure; None for the first.

        Returns:
            The path.
        """
        from attention_maps.report.sweep_plots import draw_heat_map, save_plot

        return save_plot(draw_heat_map(self, metric, label), path)

    def plot(self, path: str | PathLike[str], metric: str, label: str | None = None) -> Path:
        """Draw the values over the layers, one line per method.

        Args:
            path: .png, .svg, .pdf or .jpg.
            metric: Name of a metric.
            label: Name of a structure; None for the first.

        Returns:
            The path.
        """
        from attention_maps.report.sweep_plots import draw_lines, save_plot

        return save_plot(draw_lines(self, metric, label), path)

    def to_dict(self) -> dict[str, Any]:
        """All but the maps, in what JSON knows: values that are not defined are null."""
        from attention_maps.report.writing import plain

        return {
            "rows": plain(self.rows),
            "layers": list(self.layers),
            "methods": list(self.methods),
            "labels": list(self.labels),
            "metrics": list(self.metrics),
            "provenance": plain(self.provenance),
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Sweep:
        """The sweep behind `to_dict`."""
        metrics = tuple(record["metrics"])
        rows = [
            {
                key: math.nan if key in metrics and value is None else value
                for key, value in row.items()
            }
            for row in record["rows"]
        ]
        return cls(
            rows, tuple(record["layers"]), tuple(record["methods"]), tuple(record["labels"]),
            metrics, record["provenance"],
        )  # fmt: skip

    def _rows_of(self, metric: str, label: str | None) -> list[dict[str, Any]]:
        if metric not in self.metrics:
            raise MethodError(
                f"Expected a metric of the sweep ({', '.join(self.metrics)}), got {metric!r}."
            )
        if label and label not in self.labels:
            raise MethodError(
                f"Expected a structure of the sweep ({', '.join(self.labels) or 'it had no mask'}),"
                f" got {label!r}."
            )
        return [row for row in self.rows if label in (None, row["label"])]


def described(metric: str) -> Metric | Figure:
    """What is known of a metric, or of a figure of the map alone."""
    return FIGURES[metric] if metric in FIGURES else find_metric(metric)


def direction(metric: str) -> str:
    """Which values are better, "higher" or "lower"."""
    return described(metric).better


def method_label(name: str) -> str:
    """Name of a method for people; that of one that is not registered here as it is."""
    known = methods().get(name)
    return known.label if known else name
