"""What was found of a cohort: rows, means, errors; tables, plots and a page of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_maps.errors import ImageError, MethodError
from attention_maps.image_io.files import suffix_of, written_whole
from attention_maps.report.tables import mean_rows, metrics_in
from attention_maps.report.writing import SUFFIXES, write_tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike


@dataclass(frozen=True)
class Cohort:
    """What was found of many cases.

    Args:
        rows: One per case, map and structure: case, target, layer, method, label, score, the
            metrics, threshold, and the reason why some are not defined.
        errors: Why a case could not be evaluated, by its name.
        provenance: Rows of item and value, with case, target, layer and method.
        continued: Names of the cases that were done already.
        files: What was written.
        pictures: Of maps, by case, target, layer and method.
    """

    rows: list[dict[str, Any]]
    errors: dict[str, str]
    provenance: list[dict[str, Any]] = field(repr=False)
    continued: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    pictures: Mapping[tuple[str, ...], Any] = field(default_factory=dict, repr=False)

    @property
    def means(self) -> list[dict[str, Any]]:
        """Mean, SD, median, range and number per question, layer, method, label and metric."""
        return mean_rows(self.rows)

    def save(self, path: str | PathLike[str], title: str = "") -> Path:
        """Write the report.

        Args:
            path: .html for a page; .xlsx, .csv or .json for the tables.
            title: Of the page.

        Returns:
            The path.

        Raises:
            ImageError: If the name ends in something else.
        """
        path = Path(path)
        if suffix_of(path) in (".html", ".htm"):
            return self._write_page(path, title)
        if suffix_of(path) not in SUFFIXES:
            raise ImageError(
                f"Expected a report's name that ends in .html, {', '.join(SUFFIXES)}, got "
                f"'{path.name}'."
            )
        errors = [{"case": name, "error": text} for name, text in self.errors.items()]
        tables = {"scores": self.rows, "means": self.means, "errors": errors}
        return write_tables(path, {**tables, "provenance": self.provenance})

    def plot(self, path: str | PathLike[str], metric: str) -> Path:
        """Draw how the cases are spread: a point per case, a box around the middle half.

        Args:
            path: .png, .svg, .pdf or .jpg.
            metric: Name of a metric.

        Returns:
            The path.

        Raises:
            MethodError: If no case has a value of it.
        """
        from attention_maps.report.plots import save_plot
        from attention_maps.report.trust_plots import draw_distribution

        figure = draw_distribution(self.rows, metric)
        if figure is None:
            known = ", ".join(metrics_in(self.rows)) or "none"
            raise MethodError(f"Expected a metric that has values ({known}), got {metric!r}.")
        return save_plot(figure, path)

    def _write_page(self, path: Path, title: str) -> Path:
        from attention_maps.cohort_records import pictures_from_dict
        from attention_maps.report.cohort_view import cohort_view
        from attention_maps.report.page import render

        def picture(row: Mapping[str, Any]) -> Any:
            record = self.pictures.get(key_of(row))
            if record is None:
                return None
            drawn = pictures_from_dict(record)
            return drawn, drawn.caption

        view = cohort_view(self.rows, self.errors, self._common(), picture)
        count = len({row["case"] for row in self.rows}) + len(self.errors)
        text = render(title or f"Attention maps of {count} cases", [], view, metrics_in(self.rows))
        with written_whole(path) as part:
            part.write_text(text, encoding="utf-8")
        return path

    def _common(self) -> dict[str, Any]:
        """What the provenance of all maps has in common."""
        keys = {(row["case"], row["target"], row["layer"], row["method"]) for row in self.rows}
        found: dict[str, list[Any]] = {}
        for row in self.provenance:
            found.setdefault(row["item"], []).append(row["value"])
        return {
            item: values[0]
            for item, values in found.items()
            if len(values) == len(keys) and all(value == values[0] for value in values)
        }


def key_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What tells the map of a row from others."""
    return tuple(str(row[key]) for key in ("case", "target", "layer", "method"))
