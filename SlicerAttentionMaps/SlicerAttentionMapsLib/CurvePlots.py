"""Curves of a trust report as plots: the map's, and those of the controls."""

import math
import re
from dataclasses import dataclass
from itertools import takewhile

from . import Attached, MapPlots, ResultNodes
from .EnginePath import ensureEngine
from .Tables import addNumbers
from .TrustTable import findingsOf

_CONTROLS = ("random", "edge map")
_GRAY = (0.55, 0.55, 0.55)
_LEADING_ON = ("by", "into", "of", "the")  # words that no title ends with
_NUMBER = re.compile(r" \d+")


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
    scene, curves = tableNode.GetScene(), _together(finding["curves"])
    name = f"{tableNode.GetName()} | {finding['label']}"
    values = scene.AddNewNodeByClass("vtkMRMLTableNode", f"{name} | plotted")
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", name)
    longest = max(len(curve.x) for curve in curves)
    for index, curve in enumerate(curves):
        along = f"{curve.alongLabel} of {curve.name}"
        for title, numbers in ((along, curve.x), (curve.name, curve.y)):
            addNumbers(values, title, numbers + [math.nan] * (longest - len(numbers)))
        series = _addSeries(values, curve.name, along, index)
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
        ResultNodes.putBeside(series, tableNode)
    chart.SetTitle(finding["label"])
    chart.SetXAxisTitle(_inCommon([curve.alongLabel for curve in curves]))
    chart.SetYAxisTitle(finding["curves"][0]["y_label"])
    chart.SetLegendVisibility(True)
    numbers = [y for curve in curves for y in curve.y]
    MapPlots.leaveRoom(chart, numbers, len(curves))
    MapPlots.own(tableNode, chart, values)
    return chart


@dataclass
class _Line:
    """One line of the plot.

    Attributes:
        name: in the legend.
        alongLabel: of the horizontal axis.
        x, y: points; NaN parts the curves of several controls.
    """

    name: str
    alongLabel: str
    x: list[float]
    y: list[float]


def _together(curves: list[dict]) -> list[_Line]:
    """Return the curves as lines; controls that differ in nothing but a number are one."""
    lines: dict[str, _Line] = {}
    for curve in curves:
        x, y = ([Attached.number(value) for value in curve[axis]] for axis in ("x", "y"))
        name = _NUMBER.sub("s", curve["name"]) if _isControl(curve["name"]) else curve["name"]
        known = lines.get(name)
        if known is None:
            lines[name] = _Line(name, curve["x_label"], x, y)
        else:
            known.x += [math.nan, *x]
            known.y += [math.nan, *y]
    return list(lines.values())


def _inCommon(labels: list[str]) -> str:
    """Return the words with which all labels begin; all labels where there are none."""
    columns = zip(*(label.split() for label in labels), strict=False)
    words = [column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)]
    while len(set(labels)) > 1 and words and words[-1] in _LEADING_ON:
        words.pop()
    return " ".join(words) or " / ".join(dict.fromkeys(labels))


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


def _isControl(name: str) -> bool:
    return name.startswith(_CONTROLS)


def _addSeries(values, name: str, along: str, index: int):
    node = values.GetScene().AddNewNodeByClass("vtkMRMLPlotSeriesNode", name)
    node.SetAndObserveTableNodeID(values.GetID())
    node.SetXColumnName(along)
    node.SetYColumnName(name)
    node.SetPlotType(node.PlotTypeScatter)
    node.SetMarkerStyle(node.MarkerStyleNone)
    isControl = _isControl(name)
    node.SetLineStyle(node.LineStyleDash if isControl else node.LineStyleSolid)
    node.SetLineWidth(1 if isControl else 3)
    node.SetColor(*(_GRAY if isControl else MapPlots.COLORS[index % len(MapPlots.COLORS)]))
    return node
