"""Places become questions as plain data; what is predicted there the engine finds out."""

import numpy as np
import pytest

from slicer_places import PLACES, addVolume, spot

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import vtk

import attention_maps as am
from SlicerAttentionMapsLib import MapTargets, VolumeBridge
from SlicerAttentionMapsLib.NetworkAnswer import (
    NetworkAnswer,
    labelOfClass,
    predictedClasses,
    presentClasses,
)

pytestmark = pytest.mark.slicer
SHAPE = (6, 7, 5)
PLACE = PLACES["nested"]


def answerWith(labels, activation="softmax", background=0, classes=3) -> NetworkAnswer:
    names = tuple(f"class {index}" for index in range(classes))
    ranking = tuple(reversed(range(classes)))
    return NetworkAnswer(
        "segmentation", activation, names, background, ranking, labels, PLACE.world
    )


@pytest.mark.parametrize(
    ("activation", "background", "classes", "labels", "expected"),
    [
        ("softmax", 0, 3, [0, 0, 0, 2, 2, 1], [2, 1]),
        ("softmax", 2, 3, [0, 0, 2, 2, 2, 1], [0, 1]),
        ("softmax", None, 2, [0, 0, 1], [0, 1]),
        ("sigmoid", None, 3, [0, 0, 0, 3, 3, 1], [2, 0]),
        ("sigmoid", None, 1, [0, 1, 1], [0]),
        ("softmax", 0, 3, [0, 0], []),
        ("softmax", 0, 3, [], []),
    ],
)
def test_classes_of_labels(activation, background, classes, labels, expected):
    answer = answerWith(None, activation, background, classes)
    assert presentClasses(answer, np.array(labels, dtype=np.uint16)) == expected
    assert labelOfClass(answer, 0) == (0 if activation == "softmax" else 1)


def test_labels_are_the_models_own_where_it_says_so():
    """Regions of nnU-Net, and the labels 1, 2, 4 of BraTS."""
    names, labels = ("whole", "core"), np.array([0, 0, 4, 2, 2, 4, 4], dtype=np.uint8)
    answer = NetworkAnswer(
        "segmentation", "sigmoid", names, None, (0, 1), labels, PLACE.world, label_values=(2, 4)
    )
    assert [labelOfClass(answer, index) for index in range(2)] == [2, 4]
    assert presentClasses(answer, labels) == [1, 0]
    assert presentClasses(answer, np.array([2])) == [0]
    assert predictedClasses(answer) == [1, 0]


def test_counts_go_over_every_chunk():
    labels = np.zeros((300, 100, 90), dtype=np.uint8)
    labels[-1], labels[:2] = 2, 1
    assert presentClasses(answerWith(None), labels) == [1, 2]


def test_point_is_asked_about_where_it_is_in_the_world(scene):
    scan = addVolume(scene, spot((1, 2, 3), SHAPE), PLACE)
    point = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Point")
    point.AddControlPointWorld(vtk.vtkVector3d(*PLACE.worldOf((1, 2, 4))))
    asked = MapTargets.question(point, scan)
    assert (asked["kind"], asked["name"]) == ("point", None)
    np.testing.assert_allclose(asked["ras"], PLACE.worldOf((1, 2, 4)), atol=1e-6)
    assert MapTargets.engineTarget(asked) == am.PointTarget(None, ras=asked["ras"])
    asked = MapTargets.question(point, scan, component=True, className="tumor")
    assert (asked["kind"], asked["name"]) == ("component", "tumor")
    assert MapTargets.engineTarget(asked) == am.ComponentTarget("tumor", ras=asked["ras"])


def test_segment_is_a_region_with_its_name(scene):
    scan = addVolume(scene, spot((1, 2, 3), SHAPE), PLACE)
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[1:4, 2:5, 1:4] = 1
    truth = VolumeBridge.segmentationFromLabels(mask.T, scan, "Truth", [(1, "a", (1, 0, 0))])
    segment = (truth, truth.GetSegmentation().GetNthSegmentID(0))
    asked = MapTargets.question(segment, scan)
    assert (asked["kind"], asked["name"], asked["place"]) == ("region", None, "a")
    assert asked["mask"].array.sum() == mask.sum()
    assert isinstance(MapTargets.engineTarget(asked), am.RegionTarget)


def test_what_is_the_engines_stays_as_it_is(scene):
    scan = addVolume(scene, spot((1, 2, 3), SHAPE), PLACE)
    contrast = {"kind": "contrast", "name": None, "other": "class 0"}
    for target in (None, "tumor", 2, am.TopTarget(2), contrast, {"kind": "top", "k": 2}):
        assert MapTargets.question(target, scan) is target
    assert MapTargets.question({"kind": "class", "name": None}, scan) is None
    assert MapTargets.engineTarget(contrast) == am.ContrastTarget(None, "class 0")
    point = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Point")
    point.AddControlPointWorld(vtk.vtkVector3d(*PLACE.worldOf((1, 2, 3))))
    asked = MapTargets.question([point, point], scan, className=1)
    assert [item["name"] for item in asked] == [1, 1]
