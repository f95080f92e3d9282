"""Maps held against ground truth."""

import qt
import slicer

from ..MetricsTable import rowsOf
from . import Phantom, Waiting
from .PanelTestCase import PanelTestCase


class CompareTests(PanelTestCase):
    """Compare, look at the table, plot, export."""

    def setUp(self) -> None:
        """Explain two layers, and choose the ground truth."""
        super().setUp()
        self.scan = self.loadScan()
        self.person.choose(self.ui.methodComboBox, "hires_cam")
        self.person.chooseLayers("first", "second")
        self.person.explain()
        self.assertIn("segmentation", self.ui.compareStatusLabel.text)
        self.ui.truthSelector.setCurrentNode(Phantom.addTruth(self.scan))
        Waiting.pause(0.1)

    def test_table(self) -> None:
        """All attention is in the tumors, for each layer, and none elsewhere."""
        rows = rowsOf(self._compare())
        self.assertEqual(len(rows), 4)
        for row in rows:
            name = dict(zip(("Map", "Segment"), row.texts, strict=False))["Segment"]
            energy = next(value for label, value in row.values.items() if "nergy" in label)
            self.assertAlmostEqual(energy, 1.0 if name == "Tumors" else 0.0, places=5)
        self.assertEqual(self.ui.metricsTableView.mrmlTableNode(), self._table())

    def test_oneSegment(self) -> None:
        """A segment whose box is not checked is left out."""
        item = self.ui.truthSegmentsList.item(1)
        item.setCheckState(qt.Qt.Unchecked)
        Waiting.pause(0.1)
        rows = rowsOf(self._compare())
        self.assertEqual({row.texts[1] for row in rows}, {"Tumors"})

    def test_plot(self) -> None:
        """Lines over layers."""
        self._compare()
        self.person.click(self.ui.plotButton)
        self.assertNoMessage()
        chart = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
        self.assertGreaterEqual(chart.GetNumberOfPlotSeriesNodes(), 1)
        plot = slicer.app.layoutManager().plotWidget(0)
        self.assertEqual(plot.mrmlPlotViewNode().GetPlotChartNodeID(), chart.GetID())
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def test_emptySegmentation(self) -> None:
        """There is nothing to compare with: the panel says so."""
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Empty")
        self.ui.truthSelector.setCurrentNode(empty)
        Waiting.pause(0.1)
        self.assertFalse(self.ui.compareButton.enabled)
        self.assertIn("no segments", self.ui.compareStatusLabel.text)

    def test_truthRemoved(self) -> None:
        """The ground truth goes while it is compared: one message, and the next run works."""
        self.ui.compareButton.click()
        slicer.mrmlScene.RemoveNode(self.ui.truthSelector.currentNode())
        self.person.settle()
        self.assertOneMessage("Truth", "removed")
        self.assertIsNone(self._table())
        self.ui.truthSelector.setCurrentNode(Phantom.addTruth(self.scan))
        Waiting.pause(0.1)
        self._compare()

    def _compare(self):
        self.person.click(self.ui.compareButton)
        Waiting.until(lambda: self._table() is not None, "there is a table", 30.0)
        self.person.settle()
        self.assertNoMessage()
        return self._table()

    def _table(self):
        return self.person.panel.sections.compare.table()
