"""Curves of a trust report as plots: the map's, and those of the controls."""

import math

from . import Attached, MapPlots, ResultNodes
from .EnginePath import ensureEngine
from .Tables import addNumbers
from .TrustTable import findingsOf

_CONTROLS = ("random", "edge map")
_GRAY = (0.55, 0.55, 0.55)


def addChart(tableNode, test: str | None = None):
    """Add a chart of the curves of one test.

    Args:
        tableNode: the table of a trust report.
        test: name of the test; None for the first that has curves.

    Returns:
        The `vtkMRMLPlotChartNode`; it takes the place of the table's last one.

    Raises:
        MethodError: If there are no curves.
    """
    finding = _findingWithCurves(tableNode, test)
    MapPlots.removeChart(tableNode)
    scene, curves = tableNode.GetScene(), finding["curves"]
    name = f"{tableNode.GetName()} | {finding['label']}"
    values = scene.AddNewNodeByClass("vtkMRMLTableNode", f"{name} | plotted")
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", name)
    longest = max(len(curve["x"]) for curve in curves)
    for index, curve in enumerate(curves):
        along = f"{curve['x_label']} of {curve['name']}"
        for title, key in ((along, "x"), (curve["name"], "y")):
            numbers = [Attached.number(value) for value in curve[key]]
            addNumbers(values, title, numbers + [math.nan] * (longest - len(numbers)))
        series = _addSeries(values, curve, along, index)
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
        ResultNodes.putBeside(series, tableNode)
    chart.SetTitle(finding["label"])
    chart.SetXAxisTitle(curves[0]["x_label"])
    chart.SetYAxisTitle(curves[0]["y_label"])
    chart.SetLegendVisibility(True)
    MapPlots.own(tableNode, chart, values)
    return chart


def plottable(tableNode) -> dict[str, str]:
    """Return the tests that have curves: label by name."""
    return {item["test"]: item["label"] for item in findingsOf(tableNode) if item["curves"]}


def _findingWithCurves(tableNode, test: str | None) -> dict:
    for finding in findingsOf(tableNode):
        if finding["curves"] and test in (None, finding["test"]):
            return finding
    what = "No test" if test is None else f"The test '{test}'"
    ensureEngine()
    from attention_maps.errors import MethodError

    raise MethodError(f"{what} in '{tableNode.GetName()}' has curves to plot.")


def _addSeries(values, curve: dict, along: str, index: int):
    node = values.GetScene().AddNewNodeByClass("vtkMRMLPlotSeriesNode", curve["name"])
    node.SetAndObserveTableNodeID(values.GetID())
    node.SetXColumnName(along)
    node.SetYColumnName(curve["name"])
    node.SetPlotType(node.PlotTypeScatter)
    node.SetMarkerStyle(node.MarkerStyleNone)
    isControl = curve["name"].startswith(_CONTROLS)
    node.SetLineStyle(node.LineStyleDash if isControl else node.LineStyleSolid)
    node.SetLineWidth(1 if isControl else 3)
    node.SetColor(*(_GRAY if isControl else MapPlots.COLORS[index % len(MapPlots.COLORS)]))
    return node
