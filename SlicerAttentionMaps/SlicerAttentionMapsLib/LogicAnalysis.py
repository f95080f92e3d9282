"""What is measured on maps: regions, boxes, metrics against ground truth, plots, files."""

import logging

from . import MapAnalysis, MapPlots, MetricsTable
from .SceneTransaction import removeNewNodesOnError


class AnalysisActions:
    """Measuring actions of the logic."""

    def thresholdToSegmentation(self, mapNode, threshold: float | str = 0.5):
        """Add a segmentation of where a map is above a share of its maximum, or "otsu".

        segmentation = logic.thresholdToSegmentation(overlay, 0.5)
        """
        with removeNewNodesOnError(mapNode.GetScene()):
            return MapAnalysis.thresholdToSegmentation(mapNode, threshold)

    def boxAroundHottest(self, mapNode, threshold: float | str = 0.5):
        """Add a ROI around the strongest connected part of a map; its size is in mm.

        size = logic.boxAroundHottest(overlay).GetSize()
        """
        with removeNewNodesOnError(mapNode.GetScene()):
            return MapAnalysis.boxAroundHottest(mapNode, threshold)

    def evaluate(self, mapNode, segmentationNode, segmentIDs, metrics=None, threshold="otsu"):
        """Add a table that holds maps, layer by layer, against segments of ground truth.

        table = logic.evaluate(overlays, segmentation, ["Segment_1"])
        """
        with removeNewNodesOnError(segmentationNode.GetScene()):
            table = MapAnalysis.evaluate(
                mapNode, segmentationNode, segmentIDs, metrics=metrics, threshold=threshold
            )
        logging.info("%s: %d rows", table.GetName(), table.GetNumberOfRows())
        return table

    def plotMetrics(self, tableNode, metric: str | None = None, *, show: bool = True):
        """Plot a table of metrics: lines over layers where there are several, else bars.

            table = logic.evaluate(overlays, segmentation, ["Segment_1"])
            chart = logic.plotMetrics(table, "IoU")

        Args:
            tableNode: what `evaluate` returned.
            metric: title of its column; None for all.
            show: whether the application's layout shows it.

        Returns:
            The `vtkMRMLPlotChartNode`; it takes the place of the table's last one.
        """
        with removeNewNodesOnError(tableNode.GetScene()):
            chart = MapPlots.addChart(tableNode, metric)
        if show:
            MapPlots.showChart(chart)
        return chart

    def exportTable(self, tableNode, path) -> None:
        """Write a table of metrics to a .csv or .tsv file.

        table = logic.evaluate(overlay, segmentation, ["Segment_1"])
        logic.exportTable(table, "metrics.csv")
        """
        written = MetricsTable.exportTable(tableNode, path)
        logging.info("Saved %s", written)
