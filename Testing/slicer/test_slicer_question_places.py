"""Boxes and points that a person asks about."""

import numpy as np
import pytest

from slicer_places import PLACES, addVolume, spot

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import vtk

from attention_maps.errors import TargetError
from SlicerAttentionMapsLib import PlaceBridge, RoiBoxes, SliceViews

pytestmark = pytest.mark.slicer


def bounds(volume):
    found = np.zeros(6)
    volume.GetRASBounds(found)
    return found[::2], found[1::2]


def test_box_without_views_is_in_the_middle(scene, place):
    volume = addVolume(scene, spot(), place)
    low, high = bounds(volume)
    box = RoiBoxes.addBox(volume, "Box")
    np.testing.assert_allclose(box.GetCenterWorld(), (low + high) / 2, atol=1e-6)
    np.testing.assert_allclose(box.GetSize(), (high - low) / 3, atol=1e-6)
    assert box.GetDisplayNode().GetHandlesInteractive()
    assert PlaceBridge.maskFromRoi(box, volume).array.any()


def test_box_is_where_the_views_cut_each_other(viewedScene):
    volume = addVolume(viewedScene, spot(), PLACES["identity"])
    low, high = bounds(volume)
    cut = low + 0.3 * (high - low)
    for view in SliceViews.addStandardViews(viewedScene):
        view.JumpSliceByOffsetting(*cut)
    np.testing.assert_allclose(RoiBoxes.addBox(volume, "Box").GetCenterWorld(), cut, atol=1e-6)


def test_views_that_are_elsewhere_or_parallel_do_not_count(viewedScene):
    volume = addVolume(viewedScene, spot(), PLACES["identity"])
    low, high = bounds(volume)
    views = SliceViews.addStandardViews(viewedScene)
    views[0].SetSliceOffset(1000.0)
    box = RoiBoxes.addBox(volume, "Box")
    np.testing.assert_allclose(box.GetCenterWorld(), (low + high) / 2, atol=1e-6)
    views[0].SetOrientationToSagittal()
    views[0].SetSliceOffset(0.0)
    box.SetCenterWorld(0.0, 0.0, 0.0)
    RoiBoxes.fitBox(box, volume)
    np.testing.assert_allclose(box.GetCenterWorld(), (low + high) / 2, atol=1e-6)


def test_point_that_still_follows_the_mouse_is_none(scene):
    points = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Points")
    points.AddControlPointWorld(vtk.vtkVector3d(1.0, 2.0, 3.0))
    points.AddControlPointWorld(vtk.vtkVector3d(4.0, 5.0, 6.0))
    assert PlaceBridge.pointFromMarkup(points) == (4.0, 5.0, 6.0)
    points.SetNthControlPointPosition(1, 4.0, 5.0, 6.0, points.PositionPreview)
    assert PlaceBridge.pointFromMarkup(points) == (1.0, 2.0, 3.0)
    points.SetNthControlPointPosition(0, 1.0, 2.0, 3.0, points.PositionPreview)
    with pytest.raises(TargetError, match="place one in a slice view"):
        PlaceBridge.pointFromMarkup(points)


def test_box_of_the_logic_may_be_asked_about(scene, logic, network):
    volume = addVolume(scene, spot(), PLACES["nested"])
    box = logic.questionBox(volume, "Box")
    assert box.GetName() == "Box"
    overlay = logic.explain(volume, network, target=box)
    assert " in Box | " in overlay.GetName()
