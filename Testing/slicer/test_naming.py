"""What is made again is numbered as people do it."""

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

from slicer_places import PLACES, addVolume, spot
from SlicerAttentionMapsLib import Maps
from SlicerAttentionMapsLib.Naming import uniqueName

pytestmark = pytest.mark.slicer


def test_numbers_begin_with_two(scene):
    name = "T1 | brain | Grad-CAM | up1"
    names = []
    for _ in range(3):
        names.append(uniqueName(scene, name))
        scene.AddNewNodeByClass("vtkMRMLTableNode", names[-1])
    assert names == [name, f"{name} (2)", f"{name} (3)"]
    scene.RemoveNode(scene.GetFirstNodeByName(f"{name} (2)"))
    assert uniqueName(scene, name) == f"{name} (2)"


def test_everything_that_is_made_twice(viewedScene, logic, network):
    scan = addVolume(viewedScene, spot(), PLACES["nested"], "T1")
    maps = [logic.explain(scan, network, layer="features", target=2) for _ in range(2)]
    assert [node.GetName() for node in maps] == [
        "T1 | class 2 | Grad-CAM | features",
        "T1 | class 2 | Grad-CAM | features (2)",
    ]
    for act in (logic.thresholdToSegmentation, logic.boxAroundHottest):
        names = [act(maps[0], 0.5).GetName() for _ in range(2)]
        assert names[1] == f"{names[0]} (2)"
    truth = logic.thresholdToSegmentation(maps[0], 0.5)
    segment = truth.GetSegmentation().GetNthSegmentID(0)
    names = [logic.evaluate(maps[0], truth, [segment]).GetName() for _ in range(2)]
    assert names[1] == f"{names[0]} (2)"


def test_stacks_of_layers(viewedScene, logic, network):
    scan = addVolume(viewedScene, spot(), PLACES["nested"], "T1")
    stacks = []
    for _ in range(2):
        layers = ["features", "head"]
        maps = [logic.explain(scan, network, layer=layer, target=2) for layer in layers]
        stacks.append(logic.layerSequence(maps))
    assert [node.GetName() for node in stacks] == [
        "T1 | class 2 | Grad-CAM [layer=features]",
        "T1 | class 2 | Grad-CAM (2) [layer=features]",
    ]
    assert Maps.mapsOf(viewedScene) == stacks
