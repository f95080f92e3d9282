"""Several layers as one map: a sequence with names as its index."""

import numpy as np
import pytest

from slicer_phantom import COLD, HOT, blob
from slicer_places import PLACES, mapOf, nodeIds, worldOfHottest

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import attention_maps as am
from slicer_maps import addMap
from SlicerAttentionMapsLib import SceneFile
from SlicerAttentionMapsLib.SceneSetup import nodesByClass

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("viewedScene")]


@pytest.fixture
def stacked(scan, logic):
    maps = [
        addMap(scan, blob(HOT), layer="enc.1"),
        addMap(scan, 4e-9 * blob(COLD), layer="enc.2"),
        addMap(scan, 0 * blob(HOT), layer="dec.1"),
    ]
    for node in maps:
        logic.show(node, alone=False)
    return logic.layerSequence(maps)


def test_one_map_stays_and_its_layers_are_an_index_of_names(scene, logic, stacked):
    assert logic.maps() == [stacked] == logic.shownMaps()
    assert logic.layers(stacked) == ["enc.1", "enc.2", "dec.1"]
    sequence = nodesByClass(scene, "vtkMRMLSequenceNode")[0]
    assert sequence.GetIndexType() == sequence.TextIndex
    assert sequence.GetIndexName() == "layer"
    assert stacked.GetName() == "Scan | tumor | Grad-CAM [layer=enc.1]"


def test_every_layer_shows_its_own_voxels_name_and_range(scene, logic, stacked, scan):
    for layer, place, largest in (("enc.2", COLD, 4e-9), ("enc.1", HOT, 1.0)):
        logic.showLayer(stacked, layer)
        assert stacked.GetName().endswith(f"[layer={layer}]")
        np.testing.assert_allclose(worldOfHottest(stacked), PLACES["nested"].worldOf(place))
        assert stacked.GetDisplayNode().GetWindowLevelMax() == pytest.approx(largest)
        assert f"at {layer}," in logic.caption(stacked)
        legends = [
            n for n in nodesByClass(scene, "vtkMRMLColorLegendDisplayNode") if n.GetVisibility()
        ]
        assert [legend.GetTitleText() for legend in legends] == [f"Grad-CAM\n{layer}"]
        assert stacked.GetNodeReference("AttentionMaps.Scan") is scan
    logic.showLayer(stacked, 2)
    assert mapOf(stacked).max() == 0
    assert "No evidence" in logic.caption(stacked)
    with pytest.raises(am.LayerError, match=r"below 3, got 'enc\.9'"):
        logic.showLayer(stacked, "enc.9")


def test_what_a_person_chose_holds_for_all_layers(logic, stacked):
    logic.setHiddenFraction(stacked, 0.4)
    logic.setCommonScale([stacked])
    logic.setColorTable(stacked, "vtkMRMLColorTableNodeGrey")
    display = stacked.GetDisplayNode()
    for layer in ("enc.2", "enc.1"):
        logic.showLayer(stacked, layer)
        assert display.GetLowerThreshold() == pytest.approx(0.4)
        assert display.GetWindowLevelMax() == pytest.approx(1.0)
        assert display.GetColorNodeID() == "vtkMRMLColorTableNodeGrey"


def test_renamed_stack_keeps_the_layer_in_its_name(logic, stacked):
    logic.rename(stacked, "First try")
    assert stacked.GetName() == "First try [layer=enc.1]"
    logic.rename(stacked, "Second try [layer=enc.1]")
    logic.showLayer(stacked, 1)
    assert stacked.GetName() == "Second try [layer=enc.2]"


def test_removed_stack_leaves_nothing_behind(scene, logic, scan):
    before = nodeIds(scene)
    maps = [addMap(scan, (n + 1) * blob(HOT), layer=f"enc.{n}") for n in range(3)]
    stacked = logic.layerSequence(maps)
    logic.show(stacked)
    logic.remove(stacked)
    assert nodeIds(scene) - before <= sharedColors(scene)


def sharedColors(scene) -> set:
    return {node.GetID() for node in nodesByClass(scene, "vtkMRMLColorTableNode")}


def test_groups_are_maps_that_differ_in_their_layer_alone(logic, scan):
    first = addMap(scan, blob(HOT), layer="enc.1")
    other = addMap(scan, blob(HOT), layer="enc.1", method_label="HiResCAM", method="hires_cam")
    second = addMap(scan, blob(COLD), layer="enc.2")
    assert logic.groupLayers([first, other, second]) == [first, other]
    assert logic.layers(first) == ["enc.1", "enc.2"]
    assert logic.layers(other) == ["enc.1"]


def test_saved_stack_comes_back(logic, stacked, scene, tmp_path):
    from SlicerAttentionMapsLib.Logic import SlicerAttentionMapsLogic

    logic.showLayer(stacked, "enc.2")
    SceneFile.saveScene(scene, tmp_path / "scene.mrb")
    reloaded = SceneFile.loadScene(tmp_path / "scene.mrb")
    again = SlicerAttentionMapsLogic(reloaded.scene)
    (copy,) = again.maps()
    assert copy.GetName() == "Scan | tumor | Grad-CAM [layer=enc.2]"
    assert again.layers(copy) == ["enc.1", "enc.2", "dec.1"]
    assert again.shownMaps() == [copy]
    for layer, place in (("enc.1", HOT), ("enc.2", COLD)):
        again.showLayer(copy, layer)
        np.testing.assert_allclose(worldOfHottest(copy), PLACES["nested"].worldOf(place), atol=1e-4)
