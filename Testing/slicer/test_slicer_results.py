"""Maps and answers in the scene: names, folders, display, and after a round trip."""

import numpy as np
import pytest

from slicer_phantom import HOT
from slicer_places import (
    NAMES,
    PLACES,
    addTransforms,
    addVolume,
    inVoxels,
    mapOf,
    shear,
    spot,
    worldOfHottest,
)

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import slicer.util

import attention_maps as am
from SlicerAttentionMapsLib import (
    PlaceBridge,
    ResultNodes,
    SceneFile,
)
from SlicerAttentionMapsLib.SceneSetup import nodesByClass

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("viewedScene")]


def test_answer_is_one_segmentation_with_the_classes(scene, logic, network, scan):
    first = logic.explain(scan, network, layer="features", target="tumor", spec=NAMES)
    second = logic.explain(scan, network, layer="features", target="organ", spec=NAMES)
    nodes = nodesByClass(scene, "vtkMRMLSegmentationNode")
    assert len(nodes) == 1
    answer = nodes[0]
    assert first.GetNodeReference("AttentionMaps.Answer") is answer
    assert second.GetNodeReference("AttentionMaps.Answer") is answer
    assert answer.GetName() == "Scan | spots.pt"
    segmentation = answer.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 1  # 'organ' is predicted nowhere
    assert segmentation.GetNthSegment(0).GetName() == "tumor"
    mask = PlaceBridge.maskFromSegment(answer, segmentation.GetNthSegmentID(0))
    np.testing.assert_allclose(mask.grid.to_world((0, 0, 0)), PLACES["nested"].worldOf(HOT))
    assert mask.array.sum() == 1

    scene.RemoveNode(answer)
    logic.explain(scan, network, layer="features", target="organ", spec=NAMES)
    assert len(nodesByClass(scene, "vtkMRMLSegmentationNode")) == 1


@pytest.mark.parametrize("how", ["under a transform", "in its own coordinates"])
def test_a_scan_that_was_moved_gets_an_answer_where_it_is(scene, logic, network, how):
    scan = addVolume(scene, spot(), PLACES["identity"])
    before = logic.explain(scan, network)
    again = logic.explain(scan, network, method="layer_cam")
    if how == "under a transform":
        scan.SetAndObserveTransformNodeID(addTransforms(scene, [shear()]).GetID())
    else:
        scan.SetOrigin(10.0, 20.0, 30.0)
    after = logic.explain(scan, network)
    first, same, moved = (
        node.GetNodeReference(ResultNodes.ANSWER_ROLE) for node in (before, again, after)
    )
    assert first is same
    assert moved is not first
    assert moved.GetParentTransformNode() is scan.GetParentTransformNode()
    bounds = np.zeros((2, 6))
    first.GetRASBounds(bounds[0])
    moved.GetRASBounds(bounds[1])
    assert not np.allclose(*bounds)


def test_answer_whose_background_is_not_the_first_class(scene, logic, network, scan):
    spec = {**NAMES, "background": 2}
    logic.explain(scan, network, layer="features", target=0, spec=spec)
    segmentation = nodesByClass(scene, "vtkMRMLSegmentationNode")[0].GetSegmentation()
    assert [segmentation.GetNthSegment(0).GetName()] == ["nothing"]
    assert segmentation.GetNumberOfSegments() == 1


def test_colors_of_classes_differ():
    colors = np.array([ResultNodes.classColor(index) for index in range(30)])
    gaps = np.linalg.norm(colors[:, None] - colors[None], axis=-1) + 9 * np.eye(30)
    assert gaps.min() > 0.05
    assert ((colors >= 0) & (colors <= 1)).all()


def test_results_lie_in_the_study_of_the_scan(scene, logic, network, scan):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Patient")
    study = hierarchy.CreateStudyItem(patient, "Study")
    hierarchy.CreateItem(study, scan)
    overlay = logic.explain(scan, network, layer="features")
    answer = overlay.GetNodeReference("AttentionMaps.Answer")
    for node in (overlay, answer):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study


def test_scan_and_views_stay_as_they_were(scene, logic, network, scan):
    display = scan.GetScalarVolumeDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(1.5, 7.5)
    views = nodesByClass(scene, "vtkMRMLSliceNode")
    for offset, view in enumerate(views):
        view.SetSliceOffset(3.0 + offset)
    overlay = logic.explain(scan, network, layer="features", method="hires_cam", opacity=0.4)

    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (1.5, 7.5)
    assert [view.GetSliceOffset() for view in views] == pytest.approx([3.0, 4.0, 5.0])
    for composite in nodesByClass(scene, "vtkMRMLSliceCompositeNode"):
        assert composite.GetBackgroundVolumeID() == scan.GetID()
        assert composite.GetForegroundVolumeID() == overlay.GetID()
        assert composite.GetForegroundOpacity() == 0.4
    legends = nodesByClass(scene, "vtkMRMLColorLegendDisplayNode")
    assert [legend.GetTitleText() for legend in legends] == ["HiResCAM\nfeatures"]
    assert overlay.GetAttribute("AttentionMaps.Signed") == "yes"
    assert (
        overlay.GetDisplayNode().GetWindowLevelMin()
        == -overlay.GetDisplayNode().GetWindowLevelMax()
    )

    position = logic.jumpToMaximum(overlay)
    np.testing.assert_allclose(position, PLACES["nested"].worldOf(HOT), atol=1e-6)
    for view, axis in zip(views, (2, 1, 0), strict=True):
        assert abs(view.GetSliceOffset()) == pytest.approx(abs(position[axis]), abs=1e-4)


def test_one_legend_is_seen_at_a_time(scene, logic, network, scan):
    first, second = (
        logic.explain(scan, network, layer="features", method=method)
        for method in ("hires_cam", "grad_cam")
    )
    assert visibleLegends(scene) == ["Grad-CAM\nfeatures"]
    logic.show(first)
    assert visibleLegends(scene) == ["HiResCAM\nfeatures"]
    composite = nodesByClass(scene, "vtkMRMLSliceCompositeNode")[0]
    assert composite.GetForegroundVolumeID() == first.GetID() != second.GetID()


def visibleLegends(scene) -> list[str]:
    nodes = nodesByClass(scene, "vtkMRMLColorLegendDisplayNode")
    return [node.GetTitleText() for node in nodes if node.GetVisibility()]


def test_nothing_is_shown_where_it_is_not_asked_for(scene, logic, network, scan):
    logic.explain(scan, network, layer="features", show=False)
    composites = nodesByClass(scene, "vtkMRMLSliceCompositeNode")
    assert {composite.GetForegroundVolumeID() for composite in composites} == {None}


def test_common_scale(logic, network, scan):
    maps = logic.explain(scan, network, layer="features", method="hires_cam", target=[1, 2])
    largest = [float(np.abs(mapOf(node)).max()) for node in maps]
    assert largest[0] == 0  # class 1 is predicted nowhere
    strong = logic.explain(
        scan, network, layer="features", method="hires_cam", target=am.ContrastTarget(2, 1)
    )
    assert logic.setCommonScale([*maps, strong]) == pytest.approx(max(*largest, 10.0))
    for node in (maps[1], strong):
        assert node.GetDisplayNode().GetWindowLevelMax() == pytest.approx(20.0)
    assert maps[0].GetAttribute("AttentionMaps.Evidence") == "none"


@pytest.mark.parametrize("placeName", PLACES)
def test_scene_round_trip(scene, logic, network, placeName, tmp_path):
    place = PLACES[placeName]
    scan = addVolume(scene, spot(), place)
    overlay = logic.explain(scan, network, layer="features", target=2, spec=NAMES)
    SceneFile.saveScene(scene, tmp_path / "scene.mrb")
    reloaded = SceneFile.loadScene(tmp_path / "scene.mrb")
    SceneFile.compareScenes(scene, reloaded.scene)
    nodes = nodesByClass(reloaded.scene, "vtkMRMLScalarVolumeNode")
    copy = next(node for node in nodes if node.GetName() == overlay.GetName())

    assert ResultNodes.provenanceOf(copy) == ResultNodes.provenanceOf(overlay)
    np.testing.assert_allclose(worldOfHottest(copy), place.worldOf(HOT), atol=1e-4)
    answer = copy.GetNodeReference("AttentionMaps.Answer")
    assert answer.GetName() == "Scan | spots.pt"
    mask = PlaceBridge.maskFromSegment(answer, answer.GetSegmentation().GetNthSegmentID(0))
    np.testing.assert_allclose(mask.grid.to_world((0, 0, 0)), place.worldOf(HOT), atol=1e-4)
    copyOfScan = copy.GetNodeReference("AttentionMaps.Scan")
    again = logic.explain(copyOfScan, network, layer="features", target=2, spec=NAMES)
    assert inVoxels(worldOfHottest(again) - place.worldOf(HOT), place) < 1e-4
    assert mapOf(again).max() == pytest.approx(mapOf(overlay).max(), rel=1e-6)
