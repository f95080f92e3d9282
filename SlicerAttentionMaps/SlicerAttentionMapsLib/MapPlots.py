"""Tables as plots: lines over layers, bars, and curves."""

from math import isfinite

import slicer

from . import ResultNodes
from .PlotData import PlotData, plotOf
from .SceneTransaction import removeFromHierarchy
from .Tables import addNumbers, addTexts

_CHART_ROLE = "AttentionMaps.Chart"
# The legend hangs from the top right corner, one line of this share of the height per series.
_LINE_OF_LEGEND = 0.06
_MOST_OF_HEIGHT = 0.52
_MOST_NAMED = 12
# Color-blind safe (Okabe and Ito, 2008).
COLORS = (
    (0.0, 0.447, 0.698), (0.902, 0.624, 0.0), (0.0, 0.62, 0.451), (0.8, 0.475, 0.655),
    (0.337, 0.706, 0.914), (0.835, 0.369, 0.0), (0.941, 0.894, 0.259), (0.0, 0.0, 0.0),
)  # fmt: skip


def addChart(tableNode, column: str | None = None):
    """Add a chart of a table, with its series and the table that they draw.

    Args:
        tableNode: a table of this module.
        column: title of the column to draw; see `plotOf`.

    Returns:
        The `vtkMRMLPlotChartNode`; it takes the place of the table's last one.
    """
    data = plotOf(tableNode, column)
    removeChart(tableNode)
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
    chart.SetXAxisTitle(f"{data.axis}: {_numbered(data.categories)}")
    chart.SetYAxisTitle(data.unit)
    chart.SetLegendVisibility(True)
    _setRanges(chart, data)
    own(tableNode, chart, values)
    return chart


def _numbered(categories: tuple[str, ...]) -> str:
    """Return '0 enc.1   1 enc.2'; of many the first and the last, as the table lists them."""
    named = [f"{index} {name}" for index, name in enumerate(categories)]
    return "   ".join(named if len(named) <= _MOST_NAMED else [named[0], "...", named[-1]])


def own(tableNode, chart, values) -> None:
    """Note that a chart, and the table with what it draws, are the plot of a table."""
    tableNode.SetNodeReferenceID(_CHART_ROLE, chart.GetID())
    for node in (values, chart):
        ResultNodes.putBeside(node, tableNode)


def _setRanges(chart, data: PlotData) -> None:
    """Leave room for the first and last category, and for the legend."""
    numbers = [value for series in data.series.values() for value in series]
    chart.SetXAxisRangeAuto(False)
    chart.SetXAxisRange(-0.5, len(data.categories) - 0.5)
    leaveRoom(chart, numbers, len(data.series))


def leaveRoom(chart, numbers: list[float], count: int) -> None:
    """Leave room above all numbers for the legend of so many series."""
    known = [value for value in numbers if isfinite(value)]
    lowest, highest = min([0.0, *known]), max([0.0, *known])
    share = min(_LINE_OF_LEGEND * (count + 0.5), _MOST_OF_HEIGHT)
    room = share / (1 - share) * (highest - lowest or 1.0)
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
    again = index >= len(COLORS)  # the colors begin anew
    node.SetLineStyle(node.LineStyleDash if again else node.LineStyleSolid)
    node.SetLineWidth(2)
    node.SetMarkerSize(9)
    node.SetColor(*COLORS[index % len(COLORS)])
    return node
