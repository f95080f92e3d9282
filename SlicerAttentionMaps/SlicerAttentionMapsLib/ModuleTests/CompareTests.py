"""Maps held against ground truth."""

import json
import math

import qt
import slicer

from .. import Tables
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
        self.assertEqual(self.ui.tableView.mrmlTableNode(), self._table())

    def test_closedBoxes(self) -> None:
        """What cannot be done is gray in a box that is opened, too."""
        self.ui.truthSelector.setCurrentNode(None)
        self.ui.spotsBox.collapsed = True
        Waiting.pause(0.1)
        self.person.panel.requestRefresh()
        Waiting.pause(0.1)
        self.ui.spotsBox.collapsed = False
        self.assertFalse(self.ui.structuresButton.enabled)
        self.assertTrue(self.ui.spotsButton.enabled)

    def test_narrow(self) -> None:
        """Whatever is chosen, the section fits into a narrow panel, and Tab goes downwards."""
        for kind in ("otsu", "share", "value", "quantile"):
            self.person.choose(self.ui.compareThresholdComboBox, kind)
            self.assertLess(self.ui.compareSection.minimumSizeHint.width(), 390, kind)
        tolerance = self.ui.metricOptionsWidget.findChild(qt.QDoubleSpinBox, "option_tolerance")
        self.assertEqual(tolerance.suffix, " mm")
        reached = self.ui.metricsList
        while reached != tolerance:
            self.assertNotEqual(reached, self.ui.compareButton)
            reached = reached.nextInFocusChain()

    def test_evidenceAgainst(self) -> None:
        """What speaks against the answer is measured where it is chosen; HiResCAM knows it."""
        self.person.choose(self.ui.compareSignComboBox, "negative")
        self.assertTrue(self._compare().GetName().endswith("(against)"))
        self.ui.spotsBox.collapsed = False
        for button in (self.ui.structuresButton, self.ui.spotsButton):
            self.assertTrue(self.person.measure(button).GetName().endswith("(against)"))

    def test_oneSegment(self) -> None:
        """A segment whose box is not checked is left out."""
        self.person.check(self.ui.truthSegmentsList, "Tumors")
        rows = rowsOf(self._compare())
        self.assertEqual({row.texts[1] for row in rows}, {"Tumors"})

    def test_chosenMetrics(self) -> None:
        """All metrics are offered with what they are; those that are checked are measured."""
        from attention_maps.registry import metrics

        self.assertEqual(self.ui.metricsList.count, len(metrics()))
        item = self.ui.metricsList.item(0)
        self.assertIn("better", item.toolTip())
        self.person.check(self.ui.metricsList, "Dice", "Pointing game", "Peak distance (mm)")
        self.ui.metricOptionsWidget.findChild(qt.QDoubleSpinBox, "option_tolerance").setValue(2.5)
        self.assertEqual(self.person.panel.parameters.metricOptions, '{"tolerance": 2.5}')
        rows = rowsOf(self._compare())
        self.assertEqual(list(rows[0].values), ["Dice", "Pointing game", "Peak distance"])
        self.assertEqual(self._table().GetColumnUnitLabel("Peak distance"), "mm")

    def test_threshold(self) -> None:
        """Every kind of threshold can be chosen, and the largest part alone."""
        self.person.check(self.ui.metricsList, "Precision", "Recall")
        self.person.choose(self.ui.compareThresholdComboBox, "quantile")
        self.ui.compareThresholdSpinBox.setValue(0.99)
        self.person.click(self.ui.compareLargestCheckBox)
        self.assertEqual(self.person.panel.parameters.compareThreshold, "quantile:0.99+largest")
        rows = [row for row in rowsOf(self._compare()) if row.texts[1] == "Tumors"]
        self.assertEqual({round(row.values["Precision"], 6) for row in rows}, {1.0})
        self.assertLess(max(row.values["Recall"] for row in rows), 0.51)  # one tumor of two
        self.person.choose(self.ui.compareThresholdComboBox, "otsu")
        self.assertTrue(self.ui.compareThresholdSpinBox.isHidden())

    def test_reasons(self) -> None:
        """What is no number says why."""
        segmentation = self.ui.truthSelector.currentNode().GetSegmentation()
        segmentation.AddEmptySegment("Nothing", "Nothing")
        Waiting.pause(0.2)
        rows = {row.texts[1]: row for row in rowsOf(self._compare())}
        self.assertTrue(all(map(math.isnan, rows["Nothing"].values.values())))
        self.assertIn("mask has no voxel", rows["Nothing"].remark)
        self.assertEqual(rows["Tumors"].remark, "")
        self.assertIn("mask has no voxel", self.ui.tablesComboBox.toolTip)

    def test_structures(self) -> None:
        """All attention is in the tumors, and the shares sum up to one."""
        table = self.person.measure(self.ui.structuresButton)
        rows = {row["Structure"]: row for row in Tables.rowsOf(table)}
        self.assertEqual(list(rows), ["Tumors", "Elsewhere", "outside all"])
        self.assertAlmostEqual(sum(row["Share"] for row in rows.values()), 1.0, places=6)
        self.assertAlmostEqual(rows["Tumors"]["Share"], 1.0, places=5)
        self.person.click(self.ui.plotButton)
        chart = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
        self.assertEqual(
            chart.GetNthPlotSeriesNode(0)
            .GetPlotTypeAsString(chart.GetNthPlotSeriesNode(0).GetPlotType())
            .lower(),
            "bar",
        )
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def test_hotSpots(self) -> None:
        """Both tumors are boxes of 3 x 3 x 3 voxels in one folder, the hottest first."""
        self.person.choose(self.ui.compareThresholdComboBox, "share")
        table = self.person.measure(self.ui.spotsButton)
        rows = Tables.rowsOf(table)
        self.assertEqual([row["In Tumors"] for row in rows], [1.0, 1.0])
        boxes = self.person.panel.logic.boxesOf(table)
        voxel = [float((Phantom.IJK_TO_RAS[:3, axis] ** 2).sum() ** 0.5) for axis in range(3)]
        for box, center in zip(boxes, (Phantom.HOT_IJK, Phantom.OTHER_IJK), strict=True):
            found = [0.0] * 3
            box.GetCenterWorld(found)
            for value, expected in zip(found, Phantom.worldOf(center), strict=True):
                self.assertAlmostEqual(value, expected, places=3)
            self.assertTrue(min(box.GetSize()) >= 2.9 * min(voxel))
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        folders = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(box)) for box in boxes}
        self.assertEqual(len(folders), 1)
        self.assertIn("hot spots", hierarchy.GetItemName(folders.pop()))
        self.ui.spotsMostSpinBox.setValue(1)
        self.assertEqual(self.person.measure(self.ui.spotsButton).GetNumberOfRows(), 1)

    def test_export(self) -> None:
        """Tables and a report page are written where a person says; the folder is remembered."""
        self._compare()
        self.person.answerNextPath(self.folder / "metrics.json")
        self.person.click(self.ui.exportTableButton)
        self.assertNoMessage()
        written = json.loads((self.folder / "metrics.json").read_text(encoding="utf-8"))
        self.assertEqual(len(written["metrics"]), 4)
        settings = slicer.app.userSettings()
        self.assertEqual(settings.value("AttentionMaps/ExportFolder"), str(self.folder))
        self.person.answerNextPath(self.folder / "page.html")
        self.person.click(self.ui.saveReportButton)
        self.person.settle()
        self.assertNoMessage()
        page = (self.folder / "page.html").read_text(encoding="utf-8")
        self.assertIn("Tumors", page)
        self.assertIn("data:image/", page)

    def test_plot(self) -> None:
        """Lines over layers."""
        self._compare()
        self.person.click(self.ui.plotButton)
        self.assertNoMessage()
        chart = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
        self.assertIn("over layers", chart.GetTitle())
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
