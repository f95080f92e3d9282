"""From a scan and a network to a map over the scan."""

import logging

import slicer

from . import Networks, Phantom, Waiting
from .PanelTestCase import PanelTestCase, nodeNames


class ExplainTests(PanelTestCase):
    """Load, choose, explain, cancel."""

    def test_firstMap(self) -> None:
        """The map lies over the scan, where it should, and everything has its name."""
        scan = self.loadScan()
        display = scan.GetDisplayNode()
        display.AutoWindowLevelOff()
        display.SetWindowLevel(7.0, 3.0)
        red = slicer.app.layoutManager().sliceWidget("Red").sliceLogic()
        offset = red.GetSliceOffset()

        self.person.choose(self.ui.classComboBox, "tumor")
        (mapNode,) = self.person.explain()

        self.assertNoMessage()
        self.assertEqual(mapNode.GetName(), "Scan | tumor | Grad-CAM | second")
        self.assertEqual(Phantom.hottestOf(mapNode), Phantom.HOT_IJK)
        composite = red.GetSliceCompositeNode()
        self.assertEqual(composite.GetBackgroundVolumeID(), scan.GetID())
        self.assertEqual(composite.GetForegroundVolumeID(), mapNode.GetID())
        self.assertAlmostEqual(composite.GetForegroundOpacity(), 0.5)
        self.assertEqual((display.GetWindow(), display.GetLevel()), (7.0, 3.0))
        self.assertEqual(red.GetSliceOffset(), offset)
        self.assertIn("tumor: score", self.ui.captionLabel.text)
        self.assertFalse(self.ui.captionLabel.isHidden())
        self.assertEqual(self.ui.mapsTree.topLevelItemCount, 1)

    def test_answer(self) -> None:
        """The network's answer is a segmentation with the classes that it found."""
        scan = self.loadScan()
        self.person.explain()
        answer = slicer.util.getNode("Scan | spots.pt")
        segmentation = answer.GetSegmentation()
        names = [segmentation.GetNthSegment(n).GetName()
                 for n in range(segmentation.GetNumberOfSegments())]  # fmt: skip
        self.assertEqual(sorted(names), ["organ", "tumor"])
        segment = segmentation.GetSegmentIdBySegmentName("tumor")
        array = slicer.util.arrayFromSegmentBinaryLabelmap(answer, segment, scan).T
        self.assertEqual(int(array.sum()), 2 * 27)
        self.assertTrue(array[Phantom.HOT_IJK] and array[Phantom.OTHER_IJK])
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        for node in (answer, *self.person.maps):
            item = hierarchy.GetItemByDataNode(node)
            place = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(scan))
            self.assertEqual(hierarchy.GetItemParent(item), place)

    def test_classesOnceTheNetworkHasRun(self) -> None:
        """Classes come with their volumes, the largest first."""
        self.loadScan()
        self.person.click(self.ui.runNetworkButton)
        self.person.settle()
        self.assertNoMessage()
        texts = [self.ui.classComboBox.itemText(n) for n in range(self.ui.classComboBox.count)]
        self.assertTrue(any("tumor" in text and "ml" in text for text in texts), texts)
        self.assertEqual(self.person.maps, [])

    def test_classification(self) -> None:
        """A network that classifies is asked about the whole image."""
        self.loadScan("pooled")
        (mapNode,) = self.person.explain()
        self.assertIn("tumor", mapNode.GetName())
        self.assertEqual(Phantom.hottestOf(mapNode), Phantom.HOT_IJK)
        item = self.ui.whereComboBox.findData("point")
        self.assertFalse(self.ui.whereComboBox.model().item(item).isEnabled())

    def test_channels(self) -> None:
        """Volumes are guessed from the names of the channels, and can be corrected."""
        second, first = Phantom.addScan("brain T2"), Phantom.addScan("brain T1")
        self.ui.modelPathEdit.setCurrentPath(str(Networks.path("two")))
        self.person.settle()
        volumes = list(self.person.panel.parameters.volumes)
        self.assertEqual(volumes, [first, second])
        self.assertExplains()

    def test_cancel(self) -> None:
        """It ends within a second, the scene is as before, and the next run works."""
        self.loadScan("slow")
        self._chooseSlowMethod()
        before = nodeNames()
        self.person.startExplaining()
        self._waitForProgress()
        self.person.click(self.ui.cancelButton)
        took = Waiting.until(lambda: not self.person.isRunning, "it is canceled", 10.0)
        logging.info("Cancel to idle: %.3f s", took)
        self.assertLess(took, 5.0)
        self.person.settle()
        self.assertNoMessage()
        self.assertEqual(nodeNames(), before)
        self.person.choose(self.ui.methodComboBox, "grad_cam")
        self.assertExplains()

    def test_applicationStaysUsable(self) -> None:
        """The application comes to its timers while the worker works."""
        self.loadScan("slow")
        self._chooseSlowMethod()
        self.person.startExplaining()
        self._waitForProgress()
        heartbeat = Waiting.Heartbeat()
        Waiting.pause(4.0)
        longest = heartbeat.stop()
        self.person.click(self.ui.cancelButton)
        logging.info("Longest stall during an explanation: %.0f ms", 1000 * longest)
        self.assertLess(longest, 2.0)

    def test_log(self) -> None:
        """What was done can be read and copied."""
        self.loadScan()
        self.person.explain()
        self.ui.logBox.collapsed = False
        Waiting.pause(0.1)
        self.assertIn("Explaining 'spots.pt' on 'Scan'", self.ui.logText.plainText)
        self.person.click(self.ui.copyLogButton)
        self.assertIn("Explaining 'spots.pt'", slicer.app.clipboard().text())
        self.ui.logBox.collapsed = True

    def _chooseSlowMethod(self) -> None:
        self.person.choose(self.ui.methodComboBox, "occlusion")
        self.person.setOption("size", 2)
        self.person.setOption("stride", 1)

    def _waitForProgress(self) -> None:
        Waiting.until(lambda: "Occlusion" in self.ui.explainMessageLabel.text, "it has begun")
        self.assertFalse(self.ui.explainProgressBar.isHidden())
