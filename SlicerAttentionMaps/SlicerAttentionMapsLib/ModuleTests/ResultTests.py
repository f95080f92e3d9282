"""What is done with maps: list, display, the strongest region."""

import numpy as np
import qt
import slicer

from ..Display import legendOf
from . import Phantom, Waiting
from .PanelTestCase import PanelTestCase


class ResultTests(PanelTestCase):
    """Two maps of one scan, the second one on top."""

    def setUp(self) -> None:
        """Explain twice."""
        super().setUp()
        self.scan = self.loadScan()
        (self.first,) = self.person.explain()
        self.person.choose(self.ui.methodComboBox, "hires_cam")
        (self.second,) = self.person.explain()

    def test_list(self) -> None:
        """The newest map comes first; maps are shown, hidden, renamed, brought to the top."""
        tree = self.ui.mapsTree
        self.assertEqual(tree.topLevelItemCount, 2)
        self.assertEqual(tree.topLevelItem(0).text(0), self.second.GetName())
        self.assertEqual(self._shown(), [self.second])

        tree.topLevelItem(1).setCheckState(0, qt.Qt.Checked)
        Waiting.pause(0.1)
        self.assertEqual(self._shown(), [self.second, self.first])
        for index, mapNode in ((1, self.first), (0, self.second)):
            tree.setCurrentItem(tree.topLevelItem(index))
            Waiting.pause(0.1)
            self.assertEqual(self._shown()[-1], mapNode)
        tree.topLevelItem(0).setCheckState(0, qt.Qt.Unchecked)
        Waiting.pause(0.1)
        self.assertEqual(self._shown(), [self.first])
        tree.topLevelItem(1).setText(0, "my map")
        Waiting.pause(0.1)
        self.assertEqual(self.first.GetName(), "my map")
        self.assertNoMessage()

    def test_bringToTop(self) -> None:
        """A map that is not seen is laid over the others."""
        tree = self.ui.mapsTree
        tree.setCurrentItem(tree.topLevelItem(1))
        Waiting.pause(0.1)
        self.person.click(self.ui.topButton)
        self.assertEqual(self._shown()[-1], self.first)

    def test_remove(self) -> None:
        """Maps go with what belongs to them; the scan stays."""
        self.person.click(self.ui.removeMapButton)
        self.assertEqual(self.person.maps, [self.first])
        self.person.explain()
        self.person.click(self.ui.removeAllMapsButton)
        self.assertEqual(self.person.maps, [])
        self.assertTrue(slicer.mrmlScene.IsNodePresent(self.scan))
        for kind in ("vtkMRMLColorLegendDisplayNode", "vtkMRMLSequenceNode"):
            self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass(kind), 0)
        self.assertTrue(self.ui.resultBox.isHidden())
        self.assertNoMessage()

    def test_opacityAndThreshold(self) -> None:
        """Sliders act on the views at once."""
        self.ui.opacitySlider.setValue(0.8)
        self.ui.hiddenSlider.setValue(0.4)
        Waiting.pause(0.1)
        composite = slicer.app.layoutManager().sliceWidget("Green").sliceLogic()
        opacity = composite.GetSliceCompositeNode().GetForegroundOpacity()
        self.assertAlmostEqual(opacity, 0.8)
        self.assertIn("is not drawn", self.ui.scaleLabel.text)

    def test_colorsLegendAndSmoothness(self) -> None:
        """Color table, legend and interpolation of the map on top."""
        own = self.second.GetDisplayNode().GetColorNodeID()
        viridis = slicer.util.getNode("vtkMRMLColorTableNodeFileViridis.txt")
        self.ui.colorTableComboBox.setCurrentNode(viridis)
        Waiting.pause(0.1)
        self.assertNotEqual(self.second.GetDisplayNode().GetColorNodeID(), own)
        self.person.click(self.ui.ownColorsButton)
        self.assertFalse(self.ui.ownColorsButton.enabled)
        self.assertTrue(legendOf(self.second).GetVisibility())
        self.person.click(self.ui.legendCheckBox)
        self.assertFalse(legendOf(self.second).GetVisibility())
        self.person.click(self.ui.legendCheckBox)
        self.person.click(self.ui.smoothCheckBox)
        self.assertFalse(self.second.GetDisplayNode().GetInterpolate())
        self.assertNoMessage()

    def test_commonScale(self) -> None:
        """One color range for all maps, or each its own."""
        ranges = [self._range(node) for node in self.person.maps]
        self.person.click(self.ui.commonScaleCheckBox)
        self.assertEqual(*(max(self._range(node)) for node in self.person.maps))
        self.person.click(self.ui.commonScaleCheckBox)
        self.assertEqual([self._range(node) for node in self.person.maps], ranges)

    def test_threeDimensions(self) -> None:
        """A map as volume rendering."""
        self.person.click(self.ui.render3DCheckBox)
        Waiting.pause(0.2)
        logic = slicer.modules.volumerendering.logic()
        self.assertTrue(logic.GetFirstVolumeRenderingDisplayNode(self.second).GetVisibility())
        self.person.click(self.ui.render3DCheckBox)
        self.assertFalse(self.person.panel.logic.isShownIn3D(self.second))
        self.assertNoMessage()

    def test_jump(self) -> None:
        """The slice views cut through the largest value."""
        self.person.click(self.ui.jumpButton)
        ras = Phantom.worldOf(Phantom.HOT_IJK)
        for name in ("Red", "Yellow", "Green"):
            node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
            plane = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
            gap = plane[:3, 2] @ (ras - plane[:3, 3])
            self.assertAlmostEqual(gap, 0.0, delta=0.01)

    def test_region(self) -> None:
        """The strongest region as a segmentation, and a box around it."""
        self.ui.regionOtsuCheckBox.checked = False
        self.ui.regionShareSlider.setValue(0.9)
        Waiting.pause(0.1)
        self.person.click(self.ui.segmentButton)
        region = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[-1]
        segment = region.GetSegmentation().GetNthSegmentID(0)
        array = slicer.util.arrayFromSegmentBinaryLabelmap(region, segment, self.scan).T
        self.assertEqual([tuple(map(int, at)) for at in np.argwhere(array)], [Phantom.HOT_IJK])
        self.person.click(self.ui.boxButton)
        (box,) = slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")
        self.assertIn("mm", box.GetName())
        gap = np.subtract(box.GetCenterWorld(), Phantom.worldOf(Phantom.HOT_IJK))
        self.assertLess(float(np.linalg.norm(gap)), 0.01)
        self.assertNoMessage()

    def _shown(self) -> list:
        return self.person.panel.logic.shownMaps()

    def _range(self, node) -> tuple[float, float]:
        display = node.GetDisplayNode()
        return display.GetWindowLevelMin(), display.GetWindowLevelMax()
