"""Tables of metrics as plots: lines over layers, or bars of each map."""

from dataclasses import dataclass, replace
from math import isfinite, isnan, nan

import slicer

from . import ResultNodes
from .MetricsTable import TEXT_COLUMNS, Row, addNumbers, addTexts, rowsOf
from .SceneTransaction import removeFromHierarchy

_LAYER = TEXT_COLUMNS.index("Layer")
_CHART_ROLE = "AttentionMaps.Chart"
# The legend hangs from the top right corner, one line of this share of the height per series.
_ROOM_OF_LEGEND = 0.09
_MOST_ROOM = 8
# Color-blind safe (Okabe and Ito, 2008).
_COLORS = (
    (0.0, 0.447, 0.698), (0.902, 0.624, 0.0), (0.0, 0.62, 0.451), (0.8, 0.475, 0.655),
    (0.337, 0.706, 0.914), (0.835, 0.369, 0.0), (0.941, 0.894, 0.259),
)  # fmt: skip


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


def plotData(rows: list[Row], metric: str | None = None) -> PlotData:
    """Decide what a table shows best.

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


def addChart(tableNode, metric: str | None = None):
    """Add a chart of a table of metrics, with its series and the table that they draw.

    Returns:
        The `vtkMRMLPlotChartNode`.
    """
    removeChart(tableNode)
    data = plotData(rowsOf(tableNode), metric)
    scene = tableNode.GetScene()
    values = scene.AddNewNodeByClass("vtkMRMLTableNode", f"{tableNode.GetName()} | plotted")
    addTexts(values, data.axis, list(data.categories))
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", f"{tableNode.GetName()} | plot")
    for index, (name, numbers) in enumerate(data.series.items()):
        addNumbers(values, name, list(numbers))
        seriesNode = _addSeries(values, name, data, index)
        chart.AddAndObservePlotSeriesNodeID(seriesNode.GetID())
        ResultNodes.putBeside(seriesNode, tableNode)
    chart.SetTitle(data.title)
    numbered = "   ".join(f"{index} {name}" for index, name in enumerate(data.categories))
    chart.SetXAxisTitle(f"{data.axis}: {numbered}")
    chart.SetYAxisTitle(data.unit)
    chart.SetLegendVisibility(True)
    _setRanges(chart, data)
    tableNode.SetNodeReferenceID(_CHART_ROLE, chart.GetID())
    for node in (values, chart):
        ResultNodes.putBeside(node, tableNode)
    return chart


def _setRanges(chart, data: PlotData) -> None:
    """Leave room for the first and last category, and above all numbers for the legend."""
    numbers = [value for series in data.series.values() for value in series if isfinite(value)]
    lowest, highest = min([0.0, *numbers]), max([0.0, *numbers])
    room = _ROOM_OF_LEGEND * min(len(data.series) + 1, _MOST_ROOM) * (highest - lowest or 1.0)
    chart.SetXAxisRangeAuto(False)
    chart.SetXAxisRange(-0.5, len(data.categories) - 0.5)
    chart.SetYAxisRangeAuto(False)
    chart.SetYAxisRange(lowest, highest + room)


def showChart(chart) -> None:
    """Show a chart in the application's layout; elsewhere nothing."""
    plots = getattr(getattr(slicer, "modules", None), "plots", None)
    if plots is not None:
        plots.logic().ShowChartInLayout(chart)


def removeChart(tableNode) -> None:
    """Remove what was drawn of a table before: one table has one plot."""
    scene = tableNode.GetScene()
    chart = tableNode.GetNodeReference(_CHART_ROLE)
    if chart is None:
        return
    series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    tables = dict.fromkeys(node.GetTableNode() for node in series)
    for node in (chart, *series, *tables):
        if node is not None:
            removeFromHierarchy(node)
            scene.RemoveNode(node)


def _addSeries(values, name: str, data: PlotData, index: int):
    scene = values.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", name)
    node.SetAndObserveTableNodeID(values.GetID())
    node.SetYColumnName(name)
    node.SetLabelColumnName(data.axis)
    node.SetPlotType(node.PlotTypeLine if data.lines else node.PlotTypeBar)
    node.SetMarkerStyle(node.MarkerStyleCircle)
    node.SetLineWidth(2)
    node.SetMarkerSize(9)
    node.SetColor(*_COLORS[index % len(_COLORS)])
    return node
