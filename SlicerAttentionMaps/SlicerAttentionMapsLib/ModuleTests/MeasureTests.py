"""Layers against methods, and whether a map can be trusted."""

import slicer

from .. import Tables
from ..Maps import provenanceOf
from . import Phantom, Waiting
from .PanelTestCase import PanelTestCase, nodeNames


class MeasureTests(PanelTestCase):
    """Try layers and methods, show the best; test a map; cancel; save and open the scene."""

    def setUp(self) -> None:
        """Choose scan, network, question and ground truth."""
        super().setUp()
        self.scan = self.loadScan()
        self.ui.sweepBox.collapsed = self.ui.trustBox.collapsed = False
        self.ui.truthSelector.setCurrentNode(Phantom.addTruth(self.scan))
        Waiting.pause(0.1)

    def test_sweep(self) -> None:
        """A row per layer, method and segment; a heat map; the best one comes on the screen."""
        self._tryTwoMethods()
        table = self.person.measure(self.ui.sweepButton)
        rows = Tables.rowsOf(table)
        self.assertEqual({row["Method"] for row in rows}, {"Grad-CAM", "HiResCAM"})
        self.assertEqual({row["Segment"] for row in rows}, {"Tumors", "Elsewhere"})
        for row in rows:
            if row["Method"] == "HiResCAM":
                expected = 1.0 if row["Segment"] == "Tumors" else 0.0
                self.assertAlmostEqual(row["Energy inside"], expected, places=4)
        layers = list(dict.fromkeys(row["Layer"] for row in rows))
        self.assertEqual(self.ui.sweepGrid.rowCount, len(layers))
        self.assertEqual(self.ui.sweepGrid.columnCount, 2)
        self.person.choose(self.ui.sweepMetricComboBox, "energy_inside")
        self.person.choose(self.ui.sweepSegmentComboBox, "Tumors")
        Waiting.pause(0.2)
        self.assertEqual(self.ui.sweepGrid.item(0, 1).text(), "1")
        self.assertIn("Best:", self.ui.sweepBestLabel.text)
        best = self.person.panel.logic.best(table, "energy_inside", "Tumors")
        self.person.click(self.ui.showBestButton)
        self.person.settle()
        self.assertNoMessage()
        made = provenanceOf(self.person.maps[-1])
        self.assertEqual((made["layer"], made["method"]), (best["layer"], best["method"]))
        self.assertEqual(self.person.panel.logic.shownMaps(), self.person.maps)

    def test_sweepWithoutTruth(self) -> None:
        """Maps are measured by themselves; the chosen layers alone are tried."""
        self.ui.truthSelector.setCurrentNode(None)
        self._tryTwoMethods()
        self.person.chooseLayers("second")
        self.person.choose(self.ui.sweepLayersComboBox, "chosen")
        rows = Tables.rowsOf(self.person.measure(self.ui.sweepButton))
        self.assertEqual({row["Layer"] for row in rows}, {"second"})
        self.assertNotIn("Segment", rows[0])
        self.assertIn("Entropy", rows[0])
        self.person.click(self.ui.plotButton)
        self.assertNoMessage()
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def test_trust(self) -> None:
        """Findings with verdicts are listed, their curves plotted; another map has none."""
        self.person.choose(self.ui.methodComboBox, "hires_cam")
        self.person.chooseLayers("second")
        self.person.explain()
        self.person.check(self.ui.trustTestsList, "Deletion", "Cascading randomization")
        table = self.person.measure(self.ui.trustButton, 120.0)
        rows = Tables.rowsOf(table)
        self.assertEqual([row["Test"] for row in rows], ["Deletion", "Cascading randomization"])
        self.assertEqual(self.ui.findingsList.count, 2)
        item = self.ui.findingsList.item(0)
        self.assertIn(rows[0]["Finding"], item.text())
        self.assertFalse(item.icon().isNull())
        self.person.click(self.ui.trustCurvesButton)
        self.assertNoMessage()
        chart = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
        self.assertEqual(chart.GetTitle(), "Deletion")
        self.assertGreater(chart.GetNumberOfPlotSeriesNodes(), 1)
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.person.choose(self.ui.methodComboBox, "grad_cam")
        self.person.explain()
        self.assertTrue(self.ui.trustResultWidget.isHidden())

    def test_cancelAndRemove(self) -> None:
        """Nothing is left of what was canceled, or whose map went; the application works on."""
        self.person.explain()
        before = nodeNames()
        beat = Waiting.Heartbeat()
        self.ui.trustButton.click()
        Waiting.until(lambda: self.ui.compareProgressBar.value > 0, "it is on its way", 60.0)
        self.person.click(self.ui.compareCancelButton)
        took = Waiting.until(lambda: not self._measuring(), "it is canceled", 10.0)
        self.assertLess(took, 2.0)
        self.assertLess(beat.stop(), 1.0)
        self.person.settle()
        self.assertNoMessage()
        self.assertEqual(nodeNames(), before)
        self._tryTwoMethods()
        self.ui.sweepButton.click()
        slicer.mrmlScene.RemoveNode(self.scan)
        self.person.settle()
        self.assertOneMessage("Scan", "removed")
        self.assertEqual(self.person.panel.logic.tables(), [])

    def test_otherModel(self) -> None:
        """A map of another model says which one to choose."""
        self.person.explain()
        self.person.load(self.scan, "exported")
        self.assertFalse(self.ui.trustButton.enabled)
        self.assertIn("spots.pt", self.ui.trustButton.toolTip)
        self.person.load(self.scan, "spots")
        self.assertTrue(self.ui.trustButton.enabled)

    def test_savedScene(self) -> None:
        """Tables, boxes, findings and the heat map are there when the scene is opened again."""
        self.person.explain()
        self._tryTwoMethods()
        self.person.measure(self.ui.sweepButton)
        self.person.measure(self.ui.spotsButton)
        self.person.check(self.ui.trustTestsList, "Deletion")
        self.person.measure(self.ui.trustButton, 120.0)
        self.person.click(self.ui.trustCurvesButton)
        before = self._seen()
        path = str(self.folder / "measured.mrb")
        self.assertTrue(slicer.util.saveScene(path))
        slicer.mrmlScene.Clear()
        self.person.settle()
        self.assertEqual(self.ui.findingsList.count, 0)
        slicer.util.loadScene(path)
        self.person.settle()
        self.assertNoMessage()
        self.assertEqual(self._seen(), before)
        self.assertTrue(self.ui.trustButton.enabled, self.ui.trustButton.toolTip)
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def _seen(self) -> dict:
        logic, ui = self.person.panel.logic, self.ui
        spots = next(node for node in logic.tables() if Tables.kindOf(node) == Tables.SPOTS)
        found = [ui.findingsList.item(index).text() for index in range(ui.findingsList.count)]
        return {
            "tables": [(node.GetName(), _numbersOf(node)) for node in logic.tables()],
            "boxes": [box.GetName() for box in logic.boxesOf(spots)],
            "findings": found,
            "grid": (ui.sweepGrid.rowCount, ui.sweepGrid.columnCount),
            "charts": slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode"),
        }

    def _tryTwoMethods(self) -> None:
        self.person.check(self.ui.sweepMethodsList, "Grad-CAM", "HiResCAM")

    def _measuring(self) -> str:
        return self.person.panel.sections.compare.measure.kind


def _numbersOf(table) -> list[str]:
    """Return all numbers as far as a saved table keeps them."""
    rows = Tables.rowsOf(table)
    return [f"{value:.5g}" for row in rows for value in row.values() if not isinstance(value, str)]
