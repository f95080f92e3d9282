"""What the module does without a widget: nodes in, nodes out, in their place."""

import inspect
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from slicer_phantom import HOT, SHAPE_IJK, blob
from slicer_places import (
    PLACES,
    Place,
    addSequence,
    addTransforms,
    addVolume,
    centroid,
    inVoxels,
    mapOf,
    rotation,
    saveNetwork,
    shear,
    spot,
    worldOfHottest,
)  # fmt: skip

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import slicer.util
import vtk

import attention_maps as am
from SlicerAttentionMapsLib import ResultNodes, VolumeBridge
from SlicerAttentionMapsLib.Logic import SlicerAttentionMapsLogic
from SlicerAttentionMapsLib.SceneSetup import nodesByClass

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("viewedScene")]
SPECS = {
    "as it is": None,
    "resampled": {"orientation": "LAS", "spacing": [1.2, 1.3, 1.1], "task": "segmentation"},
    "turned axes": {"orientation": "RPS", "axis_order": "kji", "task": "segmentation"},
}


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


def test_frames_of_a_sequence_are_asked_one_by_one(scene, logic, network):
    place, centers = PLACES["oblique, anisotropic"], [HOT, (3, 20, 6)]
    node, choose = addSequence(scene, [spot(center) for center in centers], place)
    for frame in (0, 1, 0):
        choose(frame)
        overlay = logic.explain(node, network, layer="features", target=2)
        np.testing.assert_allclose(
            worldOfHottest(overlay), place.worldOf(centers[frame]), atol=1e-6
        )


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


def test_snippets_of_the_docstrings_run(scene, logic, scan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saveNetwork("model.pt", channels=2)
    spec = {"class_names": ["nothing", "organ", "tumor"]}
    explain = logic.explain
    t1, t2 = (addVolume(scene, spot(), PLACES["nested"], name) for name in ("T1", "T2"))
    truth = VolumeBridge.segmentationFromLabels(
        (spot() > 5).T, scan, "Truth", [(1, "here", (1, 0, 0))]
    )
    point = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Point")
    point.AddControlPointWorld(vtk.vtkVector3d(*PLACES["nested"].worldOf(HOT)))
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "ROI")
    roi.SetCenterWorld(*PLACES["nested"].worldOf(HOT))
    roi.SetSize(9.0, 9.0, 9.0)
    names = {"logic": logic, "t2": t2, "pointNode": point, "roiNode": roi}
    names |= {"t1": t1, "segmentation": truth}
    snippets = 0
    for name, method in inspect.getmembers(SlicerAttentionMapsLogic, inspect.isfunction):
        lines = [line.strip() for line in (inspect.getdoc(method) or "").splitlines()]
        for line in (line for line in lines if "logic." in line):
            channels = 2 if "[t1, t2]" in line or "rust(" in line else 1
            saveNetwork("model.pt", channels=2)
            Path("model.json").write_text(json.dumps(spec))
            both = {"method": ["hires_cam", "grad_cam"], "target": 2}
            overlays = explain([t1, t2], "model.pt", layer="features", **both)
            names |= {"overlays": overlays, "overlay": overlays[0]}
            saveNetwork("model.pt", channels=channels)
            if "saveSpecification" in line:
                Path("model.json").unlink()
            segmentId = truth.GetSegmentation().GetNthSegmentID(0)
            code = line.replace("Segment_1", segmentId).replace("up1", "features")
            exec(code, names)
            snippets += 1
        assert name.startswith("_") or any("logic." in line for line in lines), name
    assert snippets >= 10
