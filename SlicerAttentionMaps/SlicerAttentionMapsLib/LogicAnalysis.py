"""What is measured on maps: regions, boxes, metrics against ground truth, plots, files."""

import logging

from . import (
    CurvePlots,
    HotSpotNodes,
    MapAnalysis,
    MapPlots,
    ReportCases,
    StructureTable,
    Tables,
)
from .EnginePath import ensureEngine
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

    def evaluate(
        self, mapNode, segmentationNode, segmentIDs, metrics=None, threshold="otsu", **options
    ):
        """Add a table that holds maps, layer by layer, against segments of ground truth.

            table = logic.evaluate(overlays, segmentation, ["Segment_1"])
            table = logic.evaluate(overlay, segmentation, ["Segment_1"], ["dice"], "quantile:0.95")

        Args:
            mapNode: a map, or several.
            segmentationNode: holds the ground truth.
            segmentIDs: of a segment, or of several.
            metrics: names of metrics; None for all.
            threshold: "otsu", a share of the largest value, "value:0.3" or "quantile:0.95", with
                "+largest" after it for the largest connected part alone.
            options: of the metrics, such as tolerance in mm; and `sign`, as in `structures`.

        Returns:
            The `vtkMRMLTableNode`; where a metric is no number, "Remarks" says why.
        """
        with removeNewNodesOnError(segmentationNode.GetScene()):
            table = MapAnalysis.evaluate(
                mapNode, segmentationNode, segmentIDs, metrics=metrics, threshold=threshold,
                options=options,
            )  # fmt: skip
        logging.info("%s: %d rows", table.GetName(), table.GetNumberOfRows())
        return table

    def structures(self, mapNode, segmentationNode, segmentIDs=None, *, sign="positive"):
        """Add a table of the attention's share in every segment, and outside of all of them.

            table = logic.structures(overlay, segmentation)

        Args:
            mapNode: the map, at the layer that it shows.
            segmentationNode: holds the structures.
            segmentIDs: of those that count; None for all.
            sign: what counts of a signed map: "positive" is what speaks for the answer, "negative"
                what speaks against it, "absolute" both.
        """
        ensureEngine()
        from attention_maps.structures import evidence_table

        masks = StructureTable.masksOf(segmentationNode, segmentIDs)
        found = evidence_table(StructureTable.imageOf(mapNode), masks, sign=sign)
        with removeNewNodesOnError(mapNode.GetScene()):
            return StructureTable.addTable(found, mapNode, sign)

    def hotSpots(
        self, mapNode, threshold="otsu", *, minimumMl: float = 0.0, most: int | None = None,
        segmentationNode=None, segmentIDs=None, sign="positive",
    ):  # fmt: skip
        """Add a table of a map's hot spots, and a box (ROI) around each of them in one folder.

            table = logic.hotSpots(overlay, "quantile:0.98", minimumMl=0.01, most=5)
            boxes = logic.boxesOf(table)

        Args:
            mapNode: the map, at the layer that it shows.
            threshold: where a spot ends, as in `evaluate`.
            minimumMl: smaller ones are left out.
            most: how many at most; None for all.
            segmentationNode: tells how much of each spot lies in which segment.
            segmentIDs: of those that count; None for all.
            sign: as in `structures`; numbers of what speaks against the answer are turned positive.
        """
        ensureEngine()
        from attention_maps.spots import hot_spots

        masks = None
        if segmentationNode is not None:
            masks = StructureTable.masksOf(segmentationNode, segmentIDs)
        spots = hot_spots(
            StructureTable.imageOf(mapNode), threshold, minimum_ml=minimumMl, most=most,
            segments=masks, sign=sign,
        )  # fmt: skip
        with removeNewNodesOnError(mapNode.GetScene()):
            return HotSpotNodes.addSpots(spots, mapNode, sign)

    def boxesOf(self, tableNode) -> list:
        """Return the boxes (`vtkMRMLMarkupsROINode`) of a table of hot spots.

        sizes = [box.GetSize() for box in logic.boxesOf(logic.hotSpots(overlay))]
        """
        return HotSpotNodes.boxesOf(tableNode)

    def tables(self) -> list:
        """Return the tables that were made of maps, the oldest first; of a reloaded scene, too.

        names = [node.GetName() for node in logic.tables()]
        """
        return Tables.tablesOf(self.scene)

    def plotTable(self, tableNode, column: str | None = None, *, show: bool = True):
        """Plot a table: lines over layers where there are several, else bars; curves of tests.

            table = logic.evaluate(overlays, segmentation, ["Segment_1"])
            chart = logic.plotTable(table, "IoU")

        Args:
            tableNode: a table of this module.
            column: title of its column; of a trust report the name of a test; None for the usual.
            show: whether the application's layout shows it.

        Returns:
            The `vtkMRMLPlotChartNode`; it takes the place of the table's last one.
        """
        isTrust = Tables.kindOf(tableNode) == Tables.TRUST
        with removeNewNodesOnError(tableNode.GetScene()):
            chart = (CurvePlots if isTrust else MapPlots).addChart(tableNode, column)
        if show:
            MapPlots.showChart(chart)
        return chart

    def exportTable(self, tableNode, path) -> None:
        """Write a table to a .csv, .tsv, .xlsx or .json file.

        table = logic.evaluate(overlay, segmentation, ["Segment_1"])
        logic.exportTable(table, "metrics.csv")
        """
        written = Tables.exportTable(tableNode, path)
        logging.info("Saved %s", written)

    def saveReport(
        self, path, mapNodes=None, segmentationNode=None, segmentIDs=None, *, title=None
    ) -> None:
        """Write maps, and what was measured of them last, as a page, Excel, CSV or JSON file.

            logic.saveReport("T1.html", [overlay], segmentation)

        Args:
            path: ends in .html (one page to keep or send), .xlsx, .csv or .json.
            mapNodes: the maps, each at the layer that it shows; None for all.
            segmentationNode: ground truth that is drawn into the pictures.
            segmentIDs: of its segments that count; None for all.
            title: of the page.
        """
        ensureEngine()
        from attention_maps.report.write import write_report
        from attention_maps.worker.reporting import report_case

        kept = ReportCases.cases(mapNodes or self.maps(), segmentationNode, segmentIDs)
        write_report(path, [report_case(case) for case in kept], title=title)
        logging.info("Saved %s", path)
