"""What the module does without a widget: nodes in, nodes out, in their place."""

import json
import shutil

import numpy as np
import pytest

from slicer_phantom import HOT, SHAPE_IJK, blob
from slicer_places import (
    PLACES,
    Place,
    addTransforms,
    addVolume,
    centroid,
    rotation,
    saveNetwork,
    shear,
    spot,
)  # fmt: skip

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import slicer.util
import vtk

import attention_maps as am
from SlicerAttentionMapsLib import (
    PlaceBridge,
    ResultNodes,
    SceneFile,
    VolumeBridge,
)
from SlicerAttentionMapsLib.SceneSetup import nodesByClass

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("viewedScene")]
SPECS = {
    "as it is": None,
    "resampled": {"orientation": "LAS", "spacing": [1.2, 1.3, 1.1], "task": "segmentation"},
    "turned axes": {"orientation": "RPS", "axis_order": "kji", "task": "segmentation"},
}
NAMES = {"class_names": ["nothing", "organ", "tumor"], "task": "segmentation"}


def mapOf(node) -> np.ndarray:
    """A map's voxels, (I, J, K)."""
    return slicer.util.arrayFromVolume(node).T


def worldOfHottest(node) -> np.ndarray:
    """Where Slicer draws the largest absolute value."""
    ijk = np.unravel_index(np.argmax(np.abs(mapOf(node))), mapOf(node).shape)
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    world = [0.0] * 3
    node.TransformPointToWorld(matrix.MultiplyPoint([*map(float, ijk), 1.0])[:3], world)
    return np.array(world)


def inVoxels(gap: np.ndarray, place: Place) -> float:
    return float(np.linalg.norm(np.linalg.inv(place.world[:3, :3]) @ gap))


@pytest.mark.parametrize("specName", SPECS)
@pytest.mark.parametrize("placeName", PLACES)
def test_hottest_voxel_lies_on_the_phantoms_in_the_world(
    scene, logic, network, placeName, specName
):
    place = PLACES[placeName]
    scan = addVolume(scene, (10 * blob(HOT)).astype(np.float32), place)
    everywhere = am.RegionTarget(2, np.ones(SHAPE_IJK))
    overlay = logic.explain(
        scan, network, method="hires_cam", layer="features", target=everywhere, spec=SPECS[specName]
    )
    assert inVoxels(worldOfHottest(overlay) - place.worldOf(HOT), place) < 0.1
    # The map is a multiple of the phantom.
    gap = centroid(mapOf(overlay), 0.5) - centroid(blob(HOT), 0.5)
    assert np.abs(gap).max() < 0.1


@pytest.mark.parametrize("crop", [(0, 0, 0), (11, 4, 7), (0, 0, 11)])
def test_cropped_volume_shows_the_same_place(scene, logic, network, crop):
    place = PLACES["turned by its parent"]
    moved = place.affine.copy()
    moved[:3, 3] += moved[:3, :3] @ crop
    part = blob(HOT)[crop[0] :, crop[1] :, crop[2] :]
    scan = addVolume(
        scene, (10 * part).astype(np.float32), Place(moved, place.transforms), "Cropped"
    )
    overlay = logic.explain(
        scan, network, method="hires_cam", layer="features", target=2, spec=SPECS["resampled"]
    )
    assert inVoxels(worldOfHottest(overlay) - place.worldOf(HOT), place) < 0.1


def test_map_is_the_engines_own(scene, logic, network, scan):
    overlay = logic.explain(scan, network, layer="features", method="grad_cam", target=1)
    image = am.Image(spot()[None], PLACES["nested"].world)
    expected = am.explain(network, image, layer="features", method="grad_cam", target=1)

    np.testing.assert_array_equal(mapOf(overlay), expected.image.array[0])
    assert overlay.GetName() == "Scan | class 1 | Grad-CAM | features"
    provenance = json.loads(overlay.GetAttribute("AttentionMaps.Provenance"))
    assert provenance == ResultNodes.provenanceOf(overlay)
    assert provenance["score"] == expected.score
    assert provenance["model"]["sha256"] == expected.provenance["model"]["sha256"]
    np.testing.assert_allclose(provenance["image"]["affine"], PLACES["nested"].world)
    assert overlay.GetNodeReference("AttentionMaps.Scan") is scan


def test_several_questions_give_a_list_in_order(logic, network, scan):
    nodes = logic.explain(
        scan, network, layer="features", method=["grad_cam", "hires_cam"], target=[1, 2]
    )
    assert [node.GetName().split(" | ")[1:3] for node in nodes] == [
        ["class 1", "Grad-CAM"], ["class 1", "HiResCAM"],
        ["class 2", "Grad-CAM"], ["class 2", "HiResCAM"],
    ]  # fmt: skip


def test_options_go_on_to_the_method(logic, network, scan):
    calls = []
    overlay = logic.explain(
        scan, network, method="smooth_grad", target=1, samples=2,
        progress=lambda fraction, text: calls.append((fraction, text)),
    )  # fmt: skip
    assert ResultNodes.provenanceOf(overlay)["options"]["samples"] == 2
    assert calls[-1][0] == 1.0


def test_segments_rois_and_points_ask_what_the_engines_targets_ask(scene, logic, network, scan):
    place = PLACES["nested"]
    mask = np.zeros(SHAPE_IJK, dtype=np.uint8)
    mask[12:19, 6:12, 8:13] = 1
    truth = VolumeBridge.segmentationFromLabels(mask.T, scan, "Truth", [(1, "a", (1, 0, 0))])
    segment = (truth, truth.GetSegmentation().GetNthSegmentID(0))
    point = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Point")
    turn = addTransforms(scene, [shear(), rotation(50, 1)])
    point.SetAndObserveTransformNodeID(turn.GetID())
    point.AddControlPointWorld(vtk.vtkVector3d(*place.worldOf(HOT)))
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "ROI")
    roi.SetCenterWorld(*place.worldOf(HOT))
    roi.SetSize(9.0, 7.0, 11.0)
    inRoi = np.zeros(SHAPE_IJK, dtype=np.uint8)
    for ijk in np.ndindex(*SHAPE_IJK):
        inRoi[ijk] = roi.IsPointInROIWorld(list(place.worldOf(ijk)))
    ras = tuple(place.worldOf(HOT))
    pairs = [
        (segment, {"className": 1}, am.RegionTarget(1, mask)),
        (segment, {}, am.RegionTarget(2, mask)),
        (roi, {"className": "1"}, am.RegionTarget(1, inRoi)),
        (point, {"className": 1}, am.PointTarget(1, ras=ras)),
        (point, {}, am.PointTarget(2, ras=ras)),
        (point, {"component": True}, am.ComponentTarget(2, ras=ras)),
        (None, {"className": 2}, am.ClassTarget(2)),
        ([segment, point], {}, [am.RegionTarget(2, mask), am.PointTarget(2, ras=ras)]),
    ]  # fmt: skip
    session = am.Explainer(network, am.Image(spot()[None], place.world))
    for target, choice, expected in pairs:
        made = logic.explain(scan, network, layer="features", target=target, **choice)
        results = session.explain(layer="features", target=expected)
        for node, result in zip(
            made if isinstance(made, list) else [made],
            results if isinstance(results, list) else [results],
            strict=True,
        ):
            np.testing.assert_array_equal(mapOf(node), result.image.array[0])
            assert ResultNodes.provenanceOf(node)["score"] == result.score
            assert result.has_evidence


def test_second_question_runs_no_network(logic, network, scan, monkeypatch):
    logic.explain(scan, network, layer="features", target=1)
    runs = countRuns(monkeypatch)
    scan.SetName("Renamed")
    scan.GetDisplayNode().SetWindow(17)
    logic.explain(scan, network, layer="features", target=2, method="hires_cam")
    assert runs == []
    slicer.util.arrayFromVolume(scan)[:] += 1
    slicer.util.arrayFromVolumeModified(scan)
    logic.explain(scan, network, layer="features", target=2)
    assert len(runs) == 1


def test_moved_volume_and_new_model_file_are_asked_anew(
    logic, network, scan, tmp_path, monkeypatch
):
    path = tmp_path / "model.pt"
    shutil.copy(network, path)
    logic.explain(scan, str(path), layer="features", target=1)
    runs = countRuns(monkeypatch)
    scan.GetParentTransformNode().SetAndObserveTransformNodeID(None)
    moved = logic.explain(scan, path, layer="features", target=1)
    assert len(runs) == 1
    assert moved.GetTransformNodeID() == scan.GetTransformNodeID()
    saveNetwork(path, classes=2)
    assert ResultNodes.provenanceOf(logic.explain(scan, path, layer="features", target=1))
    assert len(runs) > 1
    logic.forget()
    runs.clear()
    logic.explain(scan, path, layer="features", target=1)
    assert runs


def countRuns(monkeypatch) -> list:
    from attention_maps.model import LoadedModel

    runs, run = [], LoadedModel.run
    monkeypatch.setattr(
        LoadedModel, "run", lambda *args, **named: runs.append(args) or run(*args, **named)
    )
    return runs


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


def test_channels_and_pictures(scene, logic, tmp_path):
    place = PLACES["oblique, anisotropic"]
    nodes = [addVolume(scene, factor * spot(), place, f"T{factor}") for factor in (1, 2)]
    network = saveNetwork(tmp_path / "two.pt", channels=2)
    overlay = logic.explain(nodes, network, layer="features", method="hires_cam", target=1)
    assert overlay.GetName().startswith("T1 | ")
    predicted = 3 * spot() > 2
    predicted &= 3 * spot() <= 6
    assert ResultNodes.provenanceOf(overlay)["voxels"] == predicted.sum()


def test_places_in_a_picture(scene, logic, tmp_path):
    place = PLACES["turned by its parent"]
    picture = np.zeros((20, 14, 1), np.float32)
    picture[12, 4, 0] = 10
    node = addVolume(scene, picture, place, "Picture")
    flat = saveNetwork(tmp_path / "flat.pt", dimensions=2)
    overlay = logic.explain(node, flat, layer="features", method="hires_cam", target=2)
    assert np.argwhere(mapOf(overlay)).tolist() == [[12, 4, 0]]
    np.testing.assert_allclose(worldOfHottest(overlay), place.worldOf((12, 4, 0)), atol=1e-6)

    answer = overlay.GetNodeReference("AttentionMaps.Answer")
    segment = (answer, answer.GetSegmentation().GetNthSegmentID(0))
    point = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Point")
    point.AddControlPointWorld(vtk.vtkVector3d(*place.worldOf((12, 4, 0))))
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "ROI")
    roi.SetCenterWorld(*place.worldOf((12, 4, 0)))
    roi.SetSize(1.0, 1.0, 1.0)
    for target in (segment, point, roi):
        asked = logic.explain(node, flat, layer="features", method="hires_cam", target=target)
        np.testing.assert_array_equal(mapOf(asked), mapOf(overlay))


def test_classification_network(scene, logic, tmp_path, scan):
    network = saveNetwork(tmp_path / "pooled.pt", pooled=True)
    overlay = logic.explain(scan, network, layer="features", method="hires_cam", target=2)
    # Class 2 is twice the mean, so that every voxel counts twice its share.
    np.testing.assert_allclose(mapOf(overlay), 2 * spot() / spot().size, rtol=1e-5)
    assert overlay.GetNodeReference("AttentionMaps.Answer") is None
    assert nodesByClass(scene, "vtkMRMLSegmentationNode") == []

    point = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Point")
    point.AddControlPointWorld(vtk.vtkVector3d(*PLACES["nested"].worldOf(HOT)))
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "ROI")
    roi.SetCenterWorld(*PLACES["nested"].worldOf(HOT))
    roi.SetSize(9.0, 9.0, 9.0)
    for target in (point, roi):
        with pytest.raises(am.TargetError, match="one answer for the whole image"):
            logic.explain(scan, network, layer="features", target=target)


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
