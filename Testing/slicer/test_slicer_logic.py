"""What the module does without a widget: nodes in, nodes out, in their place."""

import json
import shutil

import numpy as np
import pytest

from slicer_phantom import HOT, SHAPE_IJK, blob, obliqueAffine
from slicer_places import (
    PLACES,
    Place,
    addTransforms,
    addVolume,
    centroid,
    nodeIds,
    rotation,
    saveNetwork,
    shear,
    spot,
)  # fmt: skip

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import slicer.util
import vtk

import attention_maps as am
from attention_maps.resampling import mask_on_grid
from SlicerAttentionMapsLib import ResultNodes, SceneFile, SceneSetup, SliceViews, VolumeBridge
from SlicerAttentionMapsLib.Logic import SlicerAttentionMapsLogic
from SlicerAttentionMapsLib.SceneSetup import nodesByClass

pytestmark = pytest.mark.slicer
SPECS = {
    "as it is": None,
    "resampled": {"orientation": "LAS", "spacing": [1.2, 1.3, 1.1], "task": "segmentation"},
    "turned axes": {"orientation": "RPS", "axis_order": "kji", "task": "segmentation"},
}
NAMES = {"class_names": ["nothing", "organ", "tumor"], "task": "segmentation"}


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> str:
    return saveNetwork(tmp_path_factory.mktemp("network") / "spots.pt")


@pytest.fixture
def context():
    return SceneSetup.createContext()


@pytest.fixture
def scene(context):
    SliceViews.addStandardViews(context.scene)
    return context.scene


@pytest.fixture
def logic() -> SlicerAttentionMapsLogic:
    return SlicerAttentionMapsLogic()


@pytest.fixture
def scan(scene):
    return addVolume(scene, spot(), PLACES["nested"])


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
    mask = VolumeBridge.maskFromSegment(answer, segmentation.GetNthSegmentID(0))
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
    assert len(nodesByClass(scene, "vtkMRMLColorLegendDisplayNode")) == 1
    assert overlay.GetAttribute("AttentionMaps.Signed") == "yes"
    assert (
        overlay.GetDisplayNode().GetWindowLevelMin()
        == -overlay.GetDisplayNode().GetWindowLevelMax()
    )

    position = logic.jumpToMaximum(overlay)
    np.testing.assert_allclose(position, PLACES["nested"].worldOf(HOT), atol=1e-6)
    for view, axis in zip(views, (2, 1, 0), strict=True):
        assert abs(view.GetSliceOffset()) == pytest.approx(abs(position[axis]), abs=1e-4)


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

    picture = np.zeros((20, 14, 1), np.float32)
    picture[12, 4, 0] = 10
    node = addVolume(scene, picture, place, "Picture")
    flat = saveNetwork(tmp_path / "flat.pt", dimensions=2)
    overlay = logic.explain(node, flat, layer="features", method="hires_cam", target=2)
    assert np.argwhere(mapOf(overlay)).tolist() == [[12, 4, 0]]
    np.testing.assert_allclose(worldOfHottest(overlay), place.worldOf((12, 4, 0)), atol=1e-6)


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


def addMap(scene, values_ijk, place: Place):
    return addVolume(scene, values_ijk.astype(np.float32), place, "Map")


def test_threshold_gives_segments_for_and_against(scene, logic):
    values = blob(HOT) - 0.8 * blob((6, 22, 5))
    mapNode = addMap(scene, values, PLACES["nested"])
    node = logic.thresholdToSegmentation(mapNode, 0.4)
    segmentation = node.GetSegmentation()
    for index, expected in enumerate((values > 0.4, values < -0.4)):
        mask = VolumeBridge.maskFromSegment(node, segmentation.GetNthSegmentID(index))
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
    assert roi.GetName() == "Map | 1.5 x 1.0 x 2.5 mm"

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
        for column, (name, number) in enumerate(expected.items(), start=2):
            assert table.GetColumnName(column) == am.metrics()[name].label
            stored = table.GetTable().GetColumn(column).GetValue(row)
            assert stored == pytest.approx(number, nan_ok=True, abs=1e-6)


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
    mask = VolumeBridge.maskFromSegment(answer, answer.GetSegmentation().GetNthSegmentID(0))
    np.testing.assert_allclose(mask.grid.to_world((0, 0, 0)), place.worldOf(HOT), atol=1e-4)
    copyOfScan = copy.GetNodeReference("AttentionMaps.Scan")
    again = logic.explain(copyOfScan, network, layer="features", target=2, spec=NAMES)
    assert inVoxels(worldOfHottest(again) - place.worldOf(HOT), place) < 1e-4
    assert mapOf(again).max() == pytest.approx(mapOf(overlay).max(), rel=1e-6)
