"""What a table shows best as a plot: lines over layers, or bars."""

from dataclasses import dataclass, replace
from math import isnan, nan

from . import Tables
from .EnginePath import ensureEngine
from .MetricsTable import TEXT_COLUMNS, Row, rowsOf

_LAYER = TEXT_COLUMNS.index("Layer")


@dataclass(frozen=True)
class PlotData:
    """What is drawn.

    Attributes:
        lines: lines over `categories`; else bars.
        title: of the plot.
        axis: what the categories are.
        categories: along the horizontal axis, which Slicer numbers from 0.
        series: numbers by name of the series, one per category, NaN where there is none.
        unit: of the vertical axis.
    """

    lines: bool
    title: str
    axis: str
    categories: tuple[str, ...]
    series: dict[str, tuple[float, ...]]
    unit: str


def plotOf(tableNode, column: str | None = None) -> PlotData:
    """Decide what a table shows best.

    Args:
        tableNode: a table of this module.
        column: title of the column to draw; None for all metrics without a unit, and of other
            tables for the usual one.

    Raises:
        MethodError: If there is nothing to draw.
    """
    ensureEngine()
    from attention_maps.errors import MethodError

    kind, titles = Tables.kindOf(tableNode), Tables.numberTitles(tableNode)
    if not titles or not tableNode.GetNumberOfRows():
        raise MethodError(f"There are no numbers in '{tableNode.GetName()}' to plot.")
    if column is not None and column not in titles:
        raise MethodError(
            f"Expected a column with numbers of '{tableNode.GetName()}' "
            f"({', '.join(titles)}), got '{column}'."
        )
    if kind == Tables.METRICS:
        rows = rowsOf(tableNode)
        data = metricsData(rows if column else _withoutUnits(tableNode, rows), column)
        return _withUnit(data, tableNode, column)
    rows, column = Tables.rowsOf(tableNode), column or _usual(titles)
    data = (_sweepData if kind == Tables.SWEEP else _barsData)(rows, column)
    return _withUnit(data, tableNode, column)


def _withUnit(data: PlotData, tableNode, column: str | None) -> PlotData:
    """Name the unit of a column beside its axis."""
    unit = tableNode.GetColumnUnitLabel(column) if column else ""
    return replace(data, unit=f"{data.unit} ({unit})") if unit else data


def _withoutUnits(tableNode, rows: list[Row]) -> list[Row]:
    """Return rows with those metrics alone that one axis suits; all where none is left."""
    plain = [column.title for column in Tables.columnsOf(tableNode) if not column.unit]
    kept = [
        replace(row, values={k: v for k, v in row.values.items() if k in plain}) for row in rows
    ]
    return kept if kept[0].values else rows


def _usual(titles: tuple[str, ...]) -> str:
    return "Share" if "Share" in titles else titles[0]


def _barsData(rows: list[dict], column: str) -> PlotData:
    """Bars of one column, one per row."""
    first = next(iter(rows[0]))
    names = tuple(_nameOf(row[first]) for row in rows)
    numbers = tuple(row[column] for row in rows)
    return PlotData(False, column, first, names, {column: numbers}, column)


def _nameOf(value) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _sweepData(rows: list[dict], column: str) -> PlotData:
    """Lines over layers, one per method and segment."""
    texts = [(row["Method"], row.get("Segment", "")) for row in rows]
    layers = tuple(dict.fromkeys(row["Layer"] for row in rows))
    lines = list(dict.fromkeys(texts))
    found = {(*text, row["Layer"]): row[column] for text, row in zip(texts, rows, strict=True)}
    series = {
        name: tuple(found.get((*line, layer), nan) for layer in layers)
        for name, line in zip(_shortest(lines), lines, strict=True)
    }
    series = {name: line for name, line in series.items() if not all(map(isnan, line))}
    return PlotData(len(layers) > 1, f"{column} over layers", "Layer", layers, series, column)


def metricsData(rows: list[Row], metric: str | None = None) -> PlotData:
    """Decide what a table of metrics shows best.

    Args:
        rows: of the table.
        metric: label of the metric to draw; None for all.

    Returns:
        Lines over layers, one per question, method, segment and metric, where one of them was held
        against a segment at several layers; else bars over metrics, one series per row. What is
        nowhere a number is left out.
    """
    labels = (metric,) if metric else tuple(rows[0].values)
    layersOf: dict[tuple, set[str]] = {}
    for row in rows:
        layersOf.setdefault(_questionOf(row), set()).add(row.texts[_LAYER])
    lines = any(len(layers) > 1 for layers in layersOf.values())
    data = _overLayers(rows, labels) if lines else _overMetrics(rows, labels)
    series = {
        name: numbers for name, numbers in data.series.items() if not all(map(isnan, numbers))
    }
    return replace(data, series=series)


def _questionOf(row: Row) -> tuple[str, ...]:
    _, segment, question, method, _ = row.texts
    return question, method, segment


def _overMetrics(rows: list[Row], labels: tuple[str, ...]) -> PlotData:
    names = _shortest([row.texts[:2] for row in rows])
    series = {
        name: tuple(row.values[label] for label in labels)
        for name, row in zip(names, rows, strict=True)
    }
    return PlotData(False, "Maps and ground truth", "Metric", labels, series, "value")


def _overLayers(rows: list[Row], labels: tuple[str, ...]) -> PlotData:
    layers = _layersInOrder(rows)
    found = {
        (*_questionOf(row), label, row.texts[_LAYER]): row.values[label]
        for row in rows
        for label in labels
    }
    lines = list(dict.fromkeys(key[:-1] for key in found))
    series = {
        name: tuple(found.get((*line, layer), nan) for layer in layers)
        for name, line in zip(_shortest(lines), lines, strict=True)
    }
    what = labels[0] if len(labels) == 1 else "Metrics"
    return PlotData(True, f"{what} over layers", "Layer", layers, series, what)


def _layersInOrder(rows: list[Row]) -> tuple[str, ...]:
    """Return the layers in the network's order, which questions asked at most of them tell."""
    asked: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        asked.setdefault(_questionOf(row), []).append(row.texts[_LAYER])
    ordered = sorted(asked.values(), key=len, reverse=True)
    return tuple(dict.fromkeys(layer for layers in ordered for layer in layers))


def _shortest(parts: list[tuple[str, ...]]) -> list[str]:
    """Return names made of those parts alone that tell the items apart; the first of them if one.

    Where two names are the same all the same, they are numbered.
    """
    columns = list(zip(*parts, strict=True))
    telling = [index for index, column in enumerate(columns) if len(set(column)) > 1] or [0]
    names: list[str] = []
    for part in parts:
        name = " | ".join(part[index] for index in telling)
        names.append(name if name not in names else f"{name} ({len(names) + 1})")
    return names
