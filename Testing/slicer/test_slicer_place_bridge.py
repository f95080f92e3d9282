"""Segments, ROIs and points keep their place in the world."""

import numpy as np
import pytest

from slicer_phantom import SHAPE_IJK, obliqueAffine
from slicer_places import PLACES, Place, addTransforms, addVolume, nodeIds, rotation, shear, spot

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import slicer.util
import vtk

from attention_maps import ImageError, TargetError
from attention_maps.resampling import mask_on_grid
from SlicerAttentionMapsLib import MapTargets, PlaceBridge, VolumeBridge

pytestmark = pytest.mark.slicer


def asymmetricMask() -> np.ndarray:
    mask = np.zeros(SHAPE_IJK, dtype=np.uint8)
    mask[14:19, 8:10, 10:13] = 1
    mask[3, 20:28, 5] = 1
    return mask


def onGridOf(image, volumeNode) -> np.ndarray:
    return mask_on_grid(image, VolumeBridge.imageFromVolumes(volumeNode).grid)


def test_segments_become_masks_in_their_place(scene, place):
    scan = addVolume(scene, spot(), place)
    mask = asymmetricMask()
    segments = [(1, "tumor", (1, 0, 0)), (2, "empty", (0, 1, 0))]
    node = VolumeBridge.segmentationFromLabels(mask.T, scan, "Truth", segments)
    segmentId = node.GetSegmentation().GetSegmentIdBySegmentName("tumor")
    image = PlaceBridge.maskFromSegment(node, segmentId)
    np.testing.assert_array_equal(onGridOf(image, scan), mask)

    empty = node.GetSegmentation().GetSegmentIdBySegmentName("empty")
    assert not PlaceBridge.maskFromSegment(node, empty).array.any()


@pytest.mark.parametrize(
    "transforms",
    [(), (rotation(30, 2),), (rotation(30, 2), shear())],
    ids=["none", "turn", "shear"],
)
def test_segments_of_another_grid_keep_their_place(scene, place, transforms):
    truthPlace = Place(obliqueAffine(), transforms)
    truth = addVolume(scene, spot(), truthPlace, "Other")
    mask = np.zeros(SHAPE_IJK, dtype=np.uint8)
    mask[6:20, 5:24, 3:15] = 1
    node = VolumeBridge.segmentationFromLabels(mask.T, truth, "Truth", [(1, "cube", (1, 0, 0))])
    shape = (40, 44, 36)
    scan = addVolume(scene, np.zeros(shape, np.float32), place)
    image = PlaceBridge.maskFromSegment(node, node.GetSegmentation().GetNthSegmentID(0))

    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    toTruth = np.linalg.inv(truthPlace.world) @ place.world
    there = voxels @ toTruth[:3, :3].T + toTruth[:3, 3]
    low, high = np.array([5.5, 4.5, 2.5]), np.array([19.5, 23.5, 14.5])
    inside = ((there > low) & (there < high)).all(axis=-1)
    # Centers on the very surface, within rounding, may fall on either side.
    clear = (np.minimum(np.abs(there - low), np.abs(there - high)) > 1e-3).all(axis=-1)
    np.testing.assert_array_equal(onGridOf(image, scan)[clear], inside[clear])


def test_segments_leave_no_node_and_name_what_is_missing(scene):
    scan = addVolume(scene, spot(), PLACES["oblique, anisotropic"])
    node = VolumeBridge.segmentationFromLabels(
        asymmetricMask().T, scan, "Truth", [(1, "tumor", (1, 0, 0))]
    )
    before = nodeIds(scene)
    segmentId = node.GetSegmentation().GetNthSegmentID(0)
    PlaceBridge.maskFromSegment(node, segmentId)
    with pytest.raises(TargetError, match=f"'nothing' is not in 'Truth'; it has {segmentId}"):
        PlaceBridge.maskFromSegment(node, "nothing")
    assert nodeIds(scene) == before


def test_roi_is_inside_where_slicer_says_so(scene, place):
    scan = addVolume(scene, spot(), place)
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "ROI")
    matrix = vtk.vtkMatrix4x4()
    toNode = rotation(35, 1)
    toNode[:3, 3] = np.linalg.inv(rotation(20, 0))[:3] @ [*place.worldOf((14, 10, 9)), 1.0]
    slicer.util.updateVTKMatrixFromArray(matrix, toNode)
    roi.SetAndObserveObjectToNodeMatrix(matrix)
    roi.SetSize(14.0, 9.0, 11.0)
    roi.SetAndObserveTransformNodeID(addTransforms(scene, [rotation(20, 0)]).GetID())
    image = PlaceBridge.maskFromRoi(roi, scan)

    expected = np.zeros(SHAPE_IJK, dtype=bool)
    for ijk in np.ndindex(*SHAPE_IJK):
        expected[ijk] = roi.IsPointInROIWorld(list(place.worldOf(ijk)))
    assert 20 < expected.sum() < expected.size / 2
    np.testing.assert_array_equal(onGridOf(image, scan), expected)


def test_roi_outside_is_refused(scene):
    scan = addVolume(scene, spot(), PLACES["oblique, anisotropic"])
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Far")
    roi.SetCenter(900.0, 0.0, 0.0)
    roi.SetSize(5.0, 5.0, 5.0)
    with pytest.raises(TargetError, match="'Far' around at least one voxel of 'Scan'"):
        PlaceBridge.maskFromRoi(roi, scan)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("MarkupsROI", "ROI"), ("Segmentation", "segmentation"), ("ScalarVolume", "volume"),
     ("MarkupsFiducial", "node")],
)  # fmt: skip
def test_what_a_transform_bends_is_called_by_its_kind(scene, kind, words):
    bent = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "Bent")
    node = scene.AddNewNodeByClass(f"vtkMRML{kind}Node", "Place")
    node.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(ImageError, match=rf"'Place' .*, or take the {words} out of it\.$"):
        VolumeBridge.worldMatrix(node)


def test_an_empty_segment_is_refused_by_its_name(scene):
    scan = addVolume(scene, spot(), PLACES["LPS"])
    labels = asymmetricMask().T
    segments = [(1, "tumor", (1, 0, 0)), (2, "nothing", (0, 1, 0))]
    node = VolumeBridge.segmentationFromLabels(labels, scan, "Truth", segments)
    node.GetSegmentation().AddEmptySegment("new", "untouched")
    for name in ("nothing", "untouched"):
        segmentId = node.GetSegmentation().GetSegmentIdBySegmentName(name)
        with pytest.raises(TargetError, match=f"^Segment '{name}' has no voxels; draw it"):
            MapTargets.question((node, segmentId), scan)
    tumor = node.GetSegmentation().GetSegmentIdBySegmentName("tumor")
    assert MapTargets.question((node, tumor), scan)["place"] == "tumor"


def test_a_number_too_large_for_float32_is_no_infinity(scene):
    values = spot().astype(np.float64)
    values[3, 3, 3] = 1e300
    with pytest.raises(ImageError, match=r"up to 3.4e\+38, got one that is too large for float32"):
        VolumeBridge.imageFromVolumes(addVolume(scene, values, PLACES["LPS"]))
    values[3, 3, 3] = -np.inf  # is what it is
    image = VolumeBridge.imageFromVolumes(addVolume(scene, values, PLACES["LPS"]))
    assert np.isinf(image.array).sum() == 1


def test_points_are_world_positions(scene):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Point")
    with pytest.raises(TargetError, match="place one"):
        PlaceBridge.pointFromMarkup(node)
    node.AddControlPoint(vtk.vtkVector3d(50.0, 50.0, 50.0))
    node.AddControlPoint(vtk.vtkVector3d(1.0, 2.0, 3.0))
    node.SetAndObserveTransformNodeID(addTransforms(scene, [shear(), rotation(20, 2)]).GetID())
    expected = (rotation(20, 2) @ shear() @ [1.0, 2.0, 3.0, 1.0])[:3]
    np.testing.assert_allclose(PlaceBridge.pointFromMarkup(node), expected, atol=1e-9)


def test_labels_become_segments_with_names_colors_and_a_reference(scene, place):
    scan = addVolume(scene, spot(), place)
    labels = asymmetricMask().astype(np.uint16)
    labels[2, 2, 2] = 300
    segments = [(1, "tumor", (1.0, 0.5, 0.0)), (300, "vessel", (0.0, 0.5, 1.0))]
    node = VolumeBridge.segmentationFromLabels(labels.T, scan, "Answer", segments)

    segmentation = node.GetSegmentation()
    assert segmentation.GetNumberOfLayers() == 1
    for index, (value, name, color) in enumerate(segments):
        segment = segmentation.GetNthSegment(index)
        assert (segment.GetName(), segment.GetColor()) == (name, color)
        mask = PlaceBridge.maskFromSegment(node, segmentation.GetNthSegmentID(index))
        np.testing.assert_array_equal(onGridOf(mask, scan), labels == value)
    assert node.GetTransformNodeID() == scan.GetTransformNodeID()
    reference = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert node.GetNodeReference(reference) is scan
