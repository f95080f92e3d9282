"""A question that fails leaves the scene exactly as it was."""

import pytest

from slicer_places import nodeIds

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import slicer
import vtk

import attention_maps as am
from SlicerAttentionMapsLib import ResultNodes
from SlicerAttentionMapsLib.SceneSetup import nodesByClass

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("viewedScene")]


def failing(name):
    """What goes wrong, as (arguments of `explain`, expected error, words)."""
    return {
        "no volume": ({"volumeNode": None}, am.ImageError, "choose a volume"),
        "no volumes": ({"volumeNode": []}, am.ImageError, "empty list"),
        "no model": ({"modelPath": "/nowhere/model.pt"}, FileNotFoundError, "does not exist"),
        "no layer": ({"layer": "featurs"}, am.LayerError, "closest: 'features'"),
        "no method": ({"method": "grand_cam"}, am.MethodError, "closest: grad_cam"),
        "no class": ({"target": 7}, am.TargetError, "from 0 to 2"),
        "no option": ({"samples": 3}, am.MethodError, "'samples'"),
        "cancelled": ({"progress": lambda fraction, text: False}, am.Cancelled, None),
        "two classes": ({"target": 1, "className": 2}, am.TargetError, "leave one"),
    }[name]


@pytest.mark.parametrize(
    "name",
    ["no volume", "no volumes", "no model", "no layer", "no method", "no class", "no option",
     "cancelled", "two classes"],
)  # fmt: skip
def test_failure_leaves_the_scene_as_it_was(scene, logic, network, scan, name):
    changes, error, words = failing(name)
    before = nodeIds(scene)
    arguments = {"volumeNode": scan, "modelPath": network, "layer": "features", **changes}
    with pytest.raises(error, match=words) as caught:
        logic.explain(**arguments)
    assert "\n" not in str(caught.value)
    assert nodeIds(scene) == before
    composites = nodesByClass(scene, "vtkMRMLSliceCompositeNode")
    assert {composite.GetForegroundVolumeID() for composite in composites} == {None}


def test_failing_places_leave_the_scene_as_it_was(scene, logic, network, scan):
    point = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Point")
    truth = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Truth")
    before = nodeIds(scene)
    for target in (point, (truth, "a"), scan):
        with pytest.raises(am.TargetError):
            logic.explain(scan, network, layer="features", target=target)
    point.AddControlPoint(vtk.vtkVector3d(1e4, 0.0, 0.0))
    with pytest.raises(am.TargetError, match="inside the network's answer"):
        logic.explain(scan, network, layer="features", target=point)
    assert nodeIds(scene) == before


def test_failure_while_nodes_are_made_removes_them(scene, logic, network, scan, monkeypatch):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    hierarchy.CreateItem(hierarchy.GetSceneItemID(), scan)
    items = hierarchy.GetNumberOfItems()
    before = nodeIds(scene)

    def full(*_):
        raise MemoryError

    monkeypatch.setattr(ResultNodes, "addAnswer", full)
    with pytest.raises(MemoryError):
        logic.explain(scan, network, layer="features", method=["hires_cam", "grad_cam"])
    assert nodeIds(scene) == before
    assert hierarchy.GetNumberOfItems() == items
