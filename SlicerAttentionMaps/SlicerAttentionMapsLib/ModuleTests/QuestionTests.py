"""What can be asked about: classes, components, places, one class against another."""

import json
import logging

import numpy as np
import slicer

from ..CrosshairFollower import crosshairNode
from . import Phantom, Waiting
from .PanelTestCase import PanelTestCase


class QuestionTests(PanelTestCase):
    """Ask again, about a place.

    HiResCAM is zero wherever nothing was asked about, as the networks look at single voxels.
    """

    def setUp(self) -> None:
        """Choose the method whose maps tell what was asked."""
        super().setUp()
        self.scan = self.loadScan()
        self.person.choose(self.ui.methodComboBox, "hires_cam")

    def explainAt(self, ijk, *, voxels: int):
        """Explain, and expect the map at a place alone."""
        (mapNode,) = self.person.explain()
        self.assertNoMessage()
        array = slicer.util.arrayFromVolume(mapNode).T
        self.assertEqual(Phantom.hottestOf(mapNode), ijk)
        self.assertEqual(int(np.count_nonzero(array)), voxels)
        return mapNode

    def test_component(self) -> None:
        """The predicted part under a point that is clicked into a slice view."""
        self.person.choose(self.ui.whereComboBox, "component")
        self.assertFalse(self.ui.explainButton.enabled)
        self.person.placePoint(Phantom.worldOf(Phantom.OTHER_IJK))
        self.assertEqual(self.ui.pointSelector.currentNode().GetNumberOfControlPoints(), 1)
        mapNode = self.explainAt(tuple(np.subtract(Phantom.OTHER_IJK, 1)), voxels=27)
        self.assertIn("tumor", mapNode.GetName())

    def test_point(self) -> None:
        """The voxel under a point, then the one under another click."""
        self.person.choose(self.ui.whereComboBox, "point")
        for ijk, name in ((Phantom.ORGAN_IJK, "organ"), (Phantom.HOT_IJK, "tumor")):
            self.person.placePoint(Phantom.worldOf(ijk))
            self.assertEqual(self.ui.pointSelector.currentNode().GetNumberOfControlPoints(), 1)
            self.assertIn(name, self.explainAt(ijk, voxels=1).GetName())

    def test_pointOutside(self) -> None:
        """A point beside the scan costs one message."""
        self.person.choose(self.ui.whereComboBox, "point")
        self.person.placePoint(Phantom.worldOf(Phantom.HOT_IJK))
        self.ui.pointSelector.currentNode().SetNthControlPointPosition(0, 500.0, 0.0, 0.0)
        self.person.click(self.ui.explainButton)
        self.assertOneMessage("inside", "500.0")
        self.assertEqual(self.person.maps, [])
        self.person.choose(self.ui.whereComboBox, "class")
        self.assertExplains()

    def test_segment(self) -> None:
        """A class within a segment."""
        truth = Phantom.addTruth(self.scan)
        self.person.choose(self.ui.whereComboBox, "segment")
        self.person.choose(self.ui.classComboBox, "tumor")
        self.ui.segmentSelector.setCurrentNode(truth)
        Waiting.pause(0.1)
        self.assertEqual(self.ui.segmentSelector.currentSegmentID(), "Tumors")
        self.explainAt(Phantom.HOT_IJK, voxels=54)

    def test_box(self) -> None:
        """A class within a box."""
        self.person.choose(self.ui.whereComboBox, "roi")
        self.person.choose(self.ui.classComboBox, "tumor")
        self.person.click(self.ui.newRoiButton)
        box = self.ui.roiSelector.currentNode()
        box.SetCenterWorld(Phantom.worldOf(Phantom.HOT_IJK))
        box.SetSizeWorld(0.5, 0.5, 0.5)
        self.explainAt(Phantom.HOT_IJK, voxels=1)

    def test_contrast(self) -> None:
        """One class against another, and against the next where none is named."""
        self.person.choose(self.ui.whereComboBox, "contrast")
        self.person.choose(self.ui.classComboBox, "tumor")
        self.person.choose(self.ui.otherClassComboBox, "organ")
        (mapNode,) = self.person.explain()
        self.assertNoMessage()
        self.assertIn("tumor", mapNode.GetName())
        self.assertIn("organ", mapNode.GetName())
        self.person.choose(self.ui.otherClassComboBox, "tumor")
        self.assertFalse(self.ui.explainButton.enabled)
        self.assertIn("two different classes", self.ui.explainProblemLabel.text)
        self.person.choose(self.ui.otherClassComboBox, "")
        self.assertExplains()

    def test_live(self) -> None:
        """The map follows the crosshair, and goes with the switch."""
        crosshair = crosshairNode(slicer.mrmlScene)
        mode = crosshair.GetCrosshairMode()
        self.person.click(self.ui.liveCheckBox)
        self.assertNotEqual(crosshair.GetCrosshairMode(), 0)
        for ijk in (Phantom.HOT_IJK, Phantom.OTHER_IJK, Phantom.ORGAN_IJK):
            crosshair.SetCrosshairRAS(*Phantom.worldOf(ijk))
            Waiting.until(lambda at=ijk: self._liveMapIsAt(at), f"the map is at {ijk}", 20.0)
        self.assertEqual(self.person.maps, [])
        self.assertNoMessage()
        self.person.click(self.ui.liveCheckBox)
        self.person.settle()
        self.assertEqual(self.person.panel.logic.shownMaps(), [])
        self.assertEqual(crosshair.GetCrosshairMode(), mode)

    def test_liveIsQuick(self) -> None:
        """Many moves in a row: the newest is answered, and none is queued."""
        crosshair = crosshairNode(slicer.mrmlScene)
        self.person.click(self.ui.liveCheckBox)
        crosshair.SetCrosshairRAS(*Phantom.worldOf(Phantom.HOT_IJK))
        Waiting.until(lambda: self._liveMapIsAt(Phantom.HOT_IJK), "the first map is there")
        for k in range(3, 13):
            crosshair.SetCrosshairRAS(*Phantom.worldOf((17, 13, k)))
        last = (17, 13, 12)
        took = Waiting.until(lambda: self._liveMapIsAt(last), "the last map is there", 20.0)
        logging.info("Live: the newest of ten moves was answered after %.3f s", took)
        self.person.click(self.ui.liveCheckBox)

    def _liveMapIsAt(self, ijk) -> bool:
        maps = self.person.panel.logic.shownMaps()
        return bool(maps) and Phantom.hottestOf(maps[0]) == ijk


class UnderTransformTests(PanelTestCase):
    """Volumes that are moved by a transform."""

    def test_pointUnderTransform(self) -> None:
        """A point in the world is asked about where the transform puts the voxel."""
        scan = self.loadScan()
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Moved")
        matrix = slicer.util.vtkMatrixFromArray(np.array(
            [[0, -1, 0, 30.0], [1, 0, 0, -5.0], [0, 0, 1, 12.0], [0, 0, 0, 1.0]]
        ))  # fmt: skip
        transform.SetMatrixTransformToParent(matrix)
        scan.SetAndObserveTransformNodeID(transform.GetID())
        slicer.util.setSliceViewerLayers(background=scan, fit=True)
        self.person.choose(self.ui.methodComboBox, "hires_cam")
        self.person.choose(self.ui.whereComboBox, "point")
        world = matrix.MultiplyPoint([*Phantom.worldOf(Phantom.HOT_IJK), 1.0])[:3]
        self.person.placePoint(world)
        (mapNode,) = self.person.explain()
        self.assertNoMessage()
        self.assertEqual(Phantom.hottestOf(mapNode), Phantom.HOT_IJK)
        self.assertEqual(mapNode.GetTransformNodeID(), transform.GetID())
        self.assertEqual(json.loads(self.person.panel.parameters.layers), ["auto"])
