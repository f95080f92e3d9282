"""What the Result section does, by the logic: lists, layers of views, colors, 3D, removal."""

import numpy as np
import pytest

from slicer_phantom import COLD, HOT, blob
from slicer_places import PLACES, addVolume, nodeIds, spot

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import attention_maps as am
from slicer_maps import addMap
from SlicerAttentionMapsLib import ColorTables, MapStyle, SceneFile, SliceViews
from SlicerAttentionMapsLib.Logic import SlicerAttentionMapsLogic
from SlicerAttentionMapsLib.SceneSetup import nodesByClass

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("viewedScene")]

VIRIDIS_LIKE = [(0.2, 0.0, 0.3, 1.0), (0.1, 0.6, 0.5, 1.0), (1.0, 0.9, 0.1, 1.0)]


@pytest.fixture
def maps(scan):
    return [
        addMap(scan, blob(HOT), layer="enc.1"),
        addMap(scan, blob(HOT) - 0.5 * blob(COLD), method_label="HiResCAM", signed=True),
        addMap(scan, 0 * blob(HOT), layer="enc.3"),
    ]


@pytest.fixture
def table(scene):
    """A color table of three colors."""
    node = scene.AddNewNodeByClass("vtkMRMLColorTableNode", "Three")
    node.SetTypeToUser()
    node.SetNumberOfColors(3)
    for entry, color in enumerate(VIRIDIS_LIKE):
        node.SetColor(entry, str(entry), *color)
    return node


def legends(scene) -> list[str]:
    nodes = nodesByClass(scene, "vtkMRMLColorLegendDisplayNode")
    return [node.GetTitleText() for node in nodes if node.GetVisibility()]


def composite(scene):
    return nodesByClass(scene, "vtkMRMLSliceCompositeNode")[0]


def test_maps_are_known_by_what_they_hold(scene, logic, maps, scan):
    assert logic.maps() == maps
    assert SlicerAttentionMapsLogic(scene).maps() == maps
    assert scan not in logic.maps()


def test_maps_lie_over_each_other_in_the_order_they_were_shown(scene, logic, maps, scan):
    first, second, third = maps
    logic.show(first, opacity=0.3)
    logic.show(second, opacity=0.7, alone=False)
    assert logic.shownMaps() == [first, second]
    view = composite(scene)
    assert view.GetBackgroundVolumeID() == scan.GetID()
    assert view.GetForegroundVolumeID() == first.GetID()
    assert view.GetNthLayerVolumeID(view.Layer_Last) == second.GetID()
    assert view.GetForegroundOpacity() == view.GetNthLayerOpacity(view.Layer_Last) == 0.7
    # The foreground's, others are not drawn: it says whose colors it explains.
    assert legends(scene) == ["tumor\nGrad-CAM\nenc.1"]
    logic.show(first, alone=False)
    assert logic.shownMaps() == [second, first]
    assert legends(scene) == ["tumor\nHiResCAM\nenc.1"]
    logic.setOpacity(0.2)
    assert logic.opacity() == view.GetNthLayerOpacity(view.Layer_Last) == 0.2
    logic.show(third)
    assert logic.shownMaps() == [third]
    assert view.GetNumberOfAdditionalLayers() == 0
    assert legends(scene) == ["Grad-CAM\nenc.3\nno evidence"]


def test_legend_says_whose_it_is_while_scales_differ(scene, logic, maps):
    first, second = maps[:2]
    logic.show(first)
    logic.show(second, alone=False)
    assert legends(scene) == ["tumor\nGrad-CAM\nenc.1"]
    logic.hide(second)
    assert legends(scene) == ["Grad-CAM\nenc.1"]
    other = addMap(first.GetNodeReference("AttentionMaps.Scan"), 3 * blob(HOT), layer="enc.2")
    logic.show(other, alone=False)
    assert legends(scene) == ["tumor\nGrad-CAM\nenc.1"]
    logic.setCommonScale([first, other])
    assert legends(scene) == ["Grad-CAM\nenc.1"]
    logic.setOwnScale([first, other])
    assert legends(scene) == ["tumor\nGrad-CAM\nenc.1"]


def test_hidden_map_uncovers_the_one_below_and_its_legend(scene, logic, maps, scan):
    for node in maps[:2]:
        logic.show(node, opacity=0.4, alone=False)
    logic.hide(maps[1])
    assert logic.shownMaps() == [maps[0]]
    assert legends(scene) == ["Grad-CAM\nenc.1"]
    logic.hide(maps[1])  # is not shown
    logic.hide(maps[0])
    assert logic.shownMaps() == legends(scene) == []
    assert composite(scene).GetBackgroundVolumeID() == scan.GetID()
    assert composite(scene).GetForegroundOpacity() == 0.4


def test_maps_of_another_scan_are_not_mixed(scene, logic, maps):
    other = addMap(addVolume(scene, spot(), PLACES["LPS"], "CT"), blob(COLD))
    logic.show(maps[0])
    logic.show(other, alone=False)
    assert logic.shownMaps() == [other]
    scene.RemoveNode(other.GetNodeReference("AttentionMaps.Scan"))
    with pytest.raises(am.ImageError, match="load it and explain it again"):
        logic.show(other)
    assert logic.shownMaps() == [other]


def test_legend_is_shown_or_not(scene, logic, maps):
    logic.show(maps[0], legend=False)
    assert legends(scene) == []
    logic.showLegend(maps[1])
    assert legends(scene) == ["HiResCAM\nenc.1"]
    logic.showLegend(maps[1], False)
    assert legends(scene) == []


def test_hidden_fraction_cuts_weak_values_of_both_signs(scene, logic, maps):
    positive, signed, empty = maps
    for node in maps:
        logic.setHiddenFraction(node, 0.25)
    assert positive.GetDisplayNode().GetLowerThreshold() == pytest.approx(0.25)
    rgba = ColorTables.colorsOf(signed.GetDisplayNode().GetColorNode())
    share = np.abs(np.linspace(-1, 1, 256))
    np.testing.assert_array_equal(rgba[:, 3], (share >= 0.25).astype(float))
    assert empty.GetDisplayNode().GetLowerThreshold() == 1.0  # nothing is drawn
    with pytest.raises(ValueError, match="hiddenFraction"):
        logic.setHiddenFraction(positive, 1.0)


def test_a_moved_slider_leaves_no_tables_behind(scene, logic, maps):
    signed = maps[1]
    count = scene.GetNumberOfNodesByClass("vtkMRMLColorTableNode")
    for fraction in (0.2, 0.3, 0.4, 0.5):
        logic.setHiddenFraction(signed, fraction)
    assert scene.GetNumberOfNodesByClass("vtkMRMLColorTableNode") == count


def test_chosen_colors_are_those_of_the_table(scene, logic, maps, table):
    positive, signed, _ = maps
    logic.setColorTable(positive, table)
    assert positive.GetDisplayNode().GetColorNode() is table
    logic.setColorTable(signed, table.GetID())
    rgba = ColorTables.colorsOf(signed.GetDisplayNode().GetColorNode())
    np.testing.assert_allclose(rgba[[0, 255]], VIRIDIS_LIKE[::2], atol=1 / 255)
    assert rgba[127, 3] == 0  # zero is hidden
    assert MapStyle.colorTableOf(signed) is table
    logic.setHiddenFraction(signed, 0.3)
    assert MapStyle.colorTableOf(signed) is table
    for node, name in ((positive, "Inferno"), (signed, "DivergingBlueRed")):
        logic.setColorTable(node)
        assert MapStyle.colorTableOf(node).GetName() == name
        assert MapStyle.hasOwnColors(node)
    logic.setColorTable(positive, table)
    scene.RemoveNode(table)
    logic.setHiddenFraction(positive, 0.1)
    assert positive.GetDisplayNode().GetColorNode().GetName() == "Inferno"


def test_common_scale_keeps_what_was_chosen(scan, logic, maps):
    strong = addMap(scan, 8 * blob(COLD))
    logic.setHiddenFraction(maps[0], 0.3)
    assert logic.setCommonScale([*maps, strong]) == 8.0
    for node in (maps[0], strong):
        assert node.GetDisplayNode().GetWindowLevelMax() == pytest.approx(8.0)
    assert maps[0].GetDisplayNode().GetLowerThreshold() == pytest.approx(0.3 * 8)
    assert maps[1].GetDisplayNode().GetWindowLevelMin() == pytest.approx(-8.0)
    logic.setOwnScale(maps)
    assert maps[0].GetDisplayNode().GetWindowLevelMax() == pytest.approx(1.0)
    assert maps[0].GetDisplayNode().GetLowerThreshold() == pytest.approx(0.3)
    assert logic.setCommonScale([maps[2]]) == 0.0


def test_smooth_or_native_voxels(logic, maps):
    display = maps[0].GetDisplayNode()
    assert display.GetInterpolate()
    logic.setSmooth(maps[0], False)
    logic.setHiddenFraction(maps[0], 0.2)
    assert not display.GetInterpolate()
    logic.setSmooth(maps[0])
    assert display.GetInterpolate()


def test_rendering_in_3d_has_the_maps_colors_and_hides_weak_values(logic, maps):
    _, signed, _ = maps
    logic.setHiddenFraction(signed, 0.2)
    logic.showIn3D(signed)
    assert logic.isShownIn3D(signed)
    node = signed.GetNthDisplayNode(1).GetVolumePropertyNode()
    opacity, color = node.GetScalarOpacity(), node.GetColor()
    for value in (-0.2, -0.1, 0.0, 0.1, 0.2):
        assert opacity.GetValue(value) == 0
    assert opacity.GetValue(1.0) == opacity.GetValue(-1.0) > opacity.GetValue(0.6) > 0.2
    table = ColorTables.sampledColors(MapStyle.colorTableOf(signed))
    for entry in (0, 64, 255):
        value = -1 + 2 * entry / 255
        np.testing.assert_allclose(color.GetColor(value), table[entry, :3], atol=1e-6)

    logic.setHiddenFraction(signed, 0.5)
    assert node.GetScalarOpacity().GetValue(0.45) == 0
    logic.setSmooth(signed, False)
    assert node.GetVolumeProperty().GetInterpolationType() == 0
    logic.showIn3D(signed, False)
    assert not logic.isShownIn3D(signed)
    assert signed.GetScalarVolumeDisplayNode() is signed.GetDisplayNode()


def test_rendering_of_a_positive_or_an_empty_map(logic, maps):
    positive, _, empty = maps
    for node, highest in ((positive, 0.6), (empty, 0.0)):
        logic.showIn3D(node)
        opacity = node.GetNthDisplayNode(1).GetVolumePropertyNode().GetScalarOpacity()
        assert opacity.GetValue(0.05) == 0
        assert opacity.GetValue(1.0) == pytest.approx(highest)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_removed_map_takes_all_of_its_nodes_along(scene, logic, scan, index):
    before = nodeIds(scene)
    kept = addMap(scan, 2 * blob(HOT))
    logic.show(kept)
    between = nodeIds(scene)
    values = (blob(HOT), blob(HOT) - 2 * blob(COLD), 0 * blob(HOT))[index]
    removed = addMap(scan, values, signed=index == 1)
    logic.show(removed, alone=False)
    logic.showIn3D(removed)
    logic.remove(removed)
    fileTables = {"vtkMRMLColorTableNodeFileDivergingBlueRed.txt"}
    assert nodeIds(scene) - fileTables == between - fileTables
    assert logic.maps() == logic.shownMaps() == [kept]
    assert legends(scene) == ["Grad-CAM\nenc.1"]
    logic.removeAll()
    assert logic.maps() == []
    left = nodeIds(scene) - before - fileTables
    assert left <= {"vtkMRMLColorTableNodeFileInferno.txt"}


def test_captions_say_what_is_seen(logic, maps):
    assert logic.caption(maps[0]) == "tumor: Grad-CAM at enc.1, score 12.5."
    assert logic.caption(maps[2]).endswith("score 12.5. No evidence: the map is zero.")


def test_renaming(logic, maps):
    logic.rename(maps[0], "  First try ")
    assert maps[0].GetName() == "First try"
    with pytest.raises(ValueError, match="name for the map"):
        logic.rename(maps[0], "  ")
    assert maps[0].GetName() == "First try"


def test_reloaded_stack_has_one_opacity(scene, logic, maps, tmp_path):
    for node in maps[:2]:
        logic.show(node, opacity=0.3, alone=False)
    SceneFile.saveScene(scene, tmp_path / "scene.mrb")
    again = SlicerAttentionMapsLogic(SceneFile.loadScene(tmp_path / "scene.mrb").scene)
    assert [node.GetName() for node in again.shownMaps()] == [n.GetName() for n in maps[:2]]
    SliceViews.evenOpacity(again.scene)
    view = composite(again.scene)
    assert view.GetNthLayerOpacity(view.Layer_Last) == pytest.approx(0.3)


def test_reloaded_scene_shows_the_same(scene, logic, maps, tmp_path, table):
    positive, signed, _ = maps
    logic.setHiddenFraction(positive, 0.35)
    logic.setSmooth(positive, False)
    logic.setColorTable(signed, table)
    logic.setCommonScale(maps[:2])
    logic.show(positive, opacity=0.6)
    logic.showIn3D(signed)
    logic.rename(positive, "First try")
    SceneFile.saveScene(scene, tmp_path / "scene.mrb")
    again = SlicerAttentionMapsLogic(SceneFile.loadScene(tmp_path / "scene.mrb").scene)

    copies = {node.GetName(): node for node in again.maps()}
    assert list(copies) == [node.GetName() for node in maps]
    first, second = list(copies.values())[:2]
    assert [node.GetName() for node in again.shownMaps()] == ["First try"]
    assert again.opacity() == pytest.approx(0.6)
    assert legends(again.scene) == ["Grad-CAM\nenc.1"]
    assert again.caption(first) == logic.caption(positive)
    assert not first.GetDisplayNode().GetInterpolate()
    assert MapStyle.styleOf(first) == MapStyle.styleOf(positive)
    assert MapStyle.colorTableOf(second).GetName() == "Three"
    assert again.isShownIn3D(second)
    assert not again.isShownIn3D(first)
    again.setHiddenFraction(second, 0.2)
    opacity = second.GetNthDisplayNode(1).GetVolumePropertyNode().GetScalarOpacity()
    assert opacity.GetValue(0.19) == 0 < opacity.GetValue(0.3)
    again.remove(second)
    assert len(again.maps()) == 2
