"""What is measured on a map in the scene."""

import numpy as np
import pytest

from slicer_phantom import HOT, SHAPE_IJK, blob, obliqueAffine
from slicer_places import PLACES, Place, addVolume, nodeIds

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import attention_maps as am
from attention_maps.resampling import mask_on_grid
from SlicerAttentionMapsLib import PlaceBridge, VolumeBridge

pytestmark = pytest.mark.slicer


def addMap(scene, values_ijk, place: Place):
    return addVolume(scene, values_ijk.astype(np.float32), place, "Map")


def test_threshold_gives_segments_for_and_against(scene, logic):
    values = blob(HOT) - 0.8 * blob((6, 22, 5))
    mapNode = addMap(scene, values, PLACES["nested"])
    node = logic.thresholdToSegmentation(mapNode, 0.4)
    segmentation = node.GetSegmentation()
    for index, expected in enumerate((values > 0.4, values < -0.4)):
        mask = PlaceBridge.maskFromSegment(node, segmentation.GetNthSegmentID(index))
        grid = am.Grid(SHAPE_IJK, PLACES["nested"].world)
        np.testing.assert_array_equal(mask_on_grid(mask, grid), expected)
    otsu = logic.thresholdToSegmentation(mapNode, "otsu").GetSegmentation()
    assert otsu.GetNumberOfSegments() == 2


def test_box_holds_the_hottest_part_in_mm(scene, logic):
    values = np.zeros(SHAPE_IJK)
    values[4:9, 10:20, 6:8] = 1
    values[6, 15, 7] = -3  # the hottest speaks against, and stands alone
    values[15:20, 4:9, 3:10] = 2
    mapNode = addMap(scene, values, PLACES["turned by its parent"])
    roi = logic.boxAroundHottest(mapNode, 0.5)
    np.testing.assert_allclose(roi.GetSize(), (1.5, 1.0, 2.5), atol=1e-4)
    center = [0.0] * 3
    roi.GetCenterWorld(center)
    np.testing.assert_allclose(
        center, PLACES["turned by its parent"].worldOf((6, 15, 7)), atol=1e-4
    )
    assert roi.GetName() == "Hottest 1.5 x 1.0 x 2.5 mm"

    values[6, 15, 7] = 1
    roi = logic.boxAroundHottest(addMap(scene, values, PLACES["turned by its parent"]), 0.75)
    np.testing.assert_allclose(roi.GetSize(), (5 * 1.5, 5 * 1.0, 7 * 2.5), atol=1e-4)
    center = [0.0] * 3
    roi.GetCenterWorld(center)
    expected = PLACES["turned by its parent"].worldOf((17, 6, 6))
    np.testing.assert_allclose(center, expected, atol=1e-4)


@pytest.mark.parametrize("placeName", PLACES)
def test_box_holds_every_voxel_of_the_part(scene, logic, placeName):
    place = PLACES[placeName]
    values = blob(HOT) + 0.9 * blob((6, 22, 5))
    roi = logic.boxAroundHottest(addMap(scene, values, place), 0.5)
    part = blob(HOT) > 0.5
    voxels = np.argwhere(part)
    corners = (voxels[:, None] + 0.499 * (2 * np.array(list(np.ndindex(2, 2, 2))) - 1)).reshape(
        -1, 3
    )
    for corner in corners:
        assert roi.IsPointInROIWorld(list(place.worldOf(corner)))
    assert not roi.IsPointInROIWorld(list(place.worldOf((6, 22, 5))))


def test_evaluation_gives_the_engines_numbers(scene, logic):
    place = PLACES["nested"]
    values = blob(HOT)
    mapNode = addMap(scene, values, place)
    labels = np.zeros(SHAPE_IJK, np.uint8)
    labels[14:19, 7:12, 9:14] = 1
    labels[2:5, 2:5, 2:5] = 2
    truth = VolumeBridge.segmentationFromLabels(
        labels.T, mapNode, "Truth", [(1, "here", (1, 0, 0)), (2, "there", (0, 1, 0))]
    )
    segmentation = truth.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(index) for index in (0, 1)]
    table = logic.evaluate(mapNode, truth, ids)

    image = am.Image(values[None], place.world)
    assert table.GetNumberOfRows() == 2
    for row, value in enumerate((1, 2)):
        expected = am.evaluate(image, labels == value)
        assert table.GetCellText(row, 0) == "Map"
        assert table.GetCellText(row, 1) == ("here", "there")[row]
        for column, (name, number) in enumerate(expected.items(), start=5):
            assert table.GetColumnName(column) == am.metrics()[name].label
            stored = table.GetTable().GetColumn(column).GetValue(row)
            assert stored == pytest.approx(number, nan_ok=True, abs=1e-6)


def test_analysis_of_an_empty_map_adds_nothing(scene, logic):
    mapNode = addMap(scene, np.zeros(SHAPE_IJK), Place(obliqueAffine()))
    before = nodeIds(scene)
    for action in (logic.thresholdToSegmentation, logic.boxAroundHottest):
        with pytest.raises(am.ImageError, match="zero everywhere"):
            action(mapNode)
    assert logic.jumpToMaximum(mapNode) is None
    mapNode = addMap(scene, blob(HOT), Place(obliqueAffine()))
    before = nodeIds(scene)
    for threshold in (1.0, -0.1, "li", True, None):
        with pytest.raises(am.MethodError, match="'otsu' or a share"):
            logic.thresholdToSegmentation(mapNode, threshold)
    assert nodeIds(scene) == before
