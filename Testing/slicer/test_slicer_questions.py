"""Places become questions as plain data, about the class that is predicted there."""

import numpy as np
import pytest

from slicer_places import PLACES, addVolume, spot

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import vtk

import attention_maps as am
from SlicerAttentionMapsLib import MapTargets, VolumeBridge
from SlicerAttentionMapsLib.NetworkAnswer import NetworkAnswer, labelOfClass, presentClasses

pytestmark = pytest.mark.slicer
SHAPE = (6, 7, 5)
PLACE = PLACES["nested"]


def answerWith(labels, activation="softmax", background=0, classes=3) -> NetworkAnswer:
    names = tuple(f"class {index}" for index in range(classes))
    ranking = tuple(reversed(range(classes)))
    return NetworkAnswer(
        "segmentation", activation, names, background, ranking, labels, PLACE.world
    )


def labelsWith(entries: dict) -> np.ndarray:
    labels = np.zeros(SHAPE, dtype=np.uint16)
    for index, value in entries.items():
        labels[index] = value
    return labels


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


def test_counts_go_over_every_chunk():
    labels = np.zeros((300, 100, 90), dtype=np.uint8)
    labels[-1], labels[:2] = 2, 1
    assert presentClasses(answerWith(None), labels) == [1, 2]


def test_point_asks_about_the_class_under_it(scene):
    scan = addVolume(scene, spot((1, 2, 3), SHAPE), PLACE)
    point = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Point")
    answer = answerWith(labelsWith({(1, 2, 3): 1}))
    for voxel, name in (((1, 2, 3), 1), ((1, 2, 4), 2), ((40, 0, 0), 2)):
        point.RemoveAllControlPoints()
        point.AddControlPointWorld(vtk.vtkVector3d(*PLACE.worldOf(voxel)))
        asked = MapTargets.question(point, scan, lambda: answer)
        assert (asked["kind"], asked["name"]) == ("point", name)
        np.testing.assert_allclose(asked["ras"], PLACE.worldOf(voxel), atol=1e-6)
    asked = MapTargets.question(point, scan, lambda: answer, component=True, className="tumor")
    assert (asked["kind"], asked["name"]) == ("component", "tumor")
    assert MapTargets.engineTarget(asked) == am.ComponentTarget("tumor", ras=asked["ras"])


def test_region_asks_about_the_class_that_fills_most_of_it(scene):
    scan = addVolume(scene, spot((1, 2, 3), SHAPE), PLACE)
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[1:4, 2:5, 1:4] = 1
    truth = VolumeBridge.segmentationFromLabels(mask.T, scan, "Truth", [(1, "a", (1, 0, 0))])
    segment = (truth, truth.GetSegmentation().GetNthSegmentID(0))
    labels = labelsWith({(1, 2, 1): 1, (2, 2, 1): 1, (3, 2, 1): 2})
    labels[0] = 2  # outside of the region
    asked = MapTargets.question(segment, scan, lambda: answerWith(labels))
    assert (asked["kind"], asked["name"]) == ("region", 1)
    assert asked["mask"].array.sum() == mask.sum()
    assert asked["place"] == "a"
    assert isinstance(MapTargets.engineTarget(asked), am.RegionTarget)


def test_answer_is_asked_for_only_where_it_is_needed(scene):
    scan = addVolume(scene, spot((1, 2, 3), SHAPE), PLACE)
    point = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Point")
    point.AddControlPointWorld(vtk.vtkVector3d(*PLACE.worldOf((1, 2, 3))))

    def never():
        raise AssertionError

    for target in (None, "tumor", 2, am.TopTarget(2)):
        assert MapTargets.question(target, scan, never) is target
    asked = MapTargets.question([point, point], scan, never, className=1)
    assert [item["name"] for item in asked] == [1, 1]


def test_classes_left_open_come_from_the_answer(scene):
    scan = addVolume(scene, spot((1, 2, 3), SHAPE), PLACE)
    answer = answerWith(labelsWith({(1, 2, 3): 1}))  # ranking: 2, 1, 0

    def asked(**target):
        return MapTargets.question(target, scan, lambda: answer)

    here = tuple(PLACE.worldOf((1, 2, 3)))
    assert asked(kind="point", name=None, ras=here) == {"kind": "point", "name": 1, "ras": here}
    assert asked(kind="class", name=None) == {"kind": "class", "name": 2}
    for name, other, expected in (
        (None, None, (2, 1)),
        (None, "class 0", (2, "class 0")),
        ("class 2", None, ("class 2", 1)),
        ("2", None, ("2", 1)),
        (1, None, (1, 2)),
        ("class 1", "class 0", ("class 1", "class 0")),
    ):
        found = asked(kind="contrast", name=name, other=other)
        assert (found["name"], found["other"]) == expected
    assert MapTargets.engineTarget(found) == am.ContrastTarget("class 1", "class 0")
    mask = am.Image(np.ones((1, *SHAPE), dtype=np.float32), PLACE.world)
    assert asked(kind="region", name=None, mask=mask)["name"] == 1
    assert asked(kind="top", k=2) == {"kind": "top", "k": 2}
