"""From nodes to nodes through a real worker process: the values of one process, all or nothing."""

import sys
import time

import numpy as np
import pytest

from slicer_places import (
    NAMES,
    PLACES,
    addVolume,
    inVoxels,
    mapOf,
    nodeIds,
    saveNetwork,
    spot,
    worldOfHottest,
)  # fmt: skip

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import slicer.util
import vtk

import attention_maps as am
from attention_maps.resampling import mask_on_grid
from SlicerAttentionMapsLib import PlaceBridge, ResultNodes, VolumeBridge
from SlicerAttentionMapsLib.SceneSetup import nodesByClass
from SlicerAttentionMapsLib.WorkerSession import WorkerSession

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("viewedScene")]
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def kept():
    """One worker for all tests that do not end it."""
    session = WorkerSession(sys.executable, ENVIRONMENT)
    yield session
    session.close()


@pytest.fixture
def session(kept):
    kept.choose([], "")
    yield kept
    kept.cancel()
    run(kept)


def run(session, until=None, seconds: float = 60.0) -> None:
    """Poll as a timer does."""
    end = time.monotonic() + seconds
    while session.pending if until is None else not until():
        assert time.monotonic() < end, session.log()
        session.poll(0.005)


def ask(session, *args, **kwargs):
    """One question to its end; gives it."""
    question = session.explain(*args, **kwargs)
    run(session, lambda: question.done)
    return question


def nodesOf(session, *args, **kwargs) -> list:
    question = ask(session, *args, **kwargs)
    assert question.error is None, question.error
    return question.result


def plainProvenance(node) -> dict:
    return {
        key: value
        for key, value in ResultNodes.provenanceOf(node).items()
        if key not in ("seconds", "created")
    }


def test_maps_are_those_of_one_process_wherever_the_scan_is(scene, session, logic, network, place):
    scan = addVolume(scene, spot(), place)
    expected = logic.explain(scan, network, layer="features", target=1)
    session.choose([scan], network)
    overlay = nodesOf(session, 1, layer="features")[0]

    np.testing.assert_array_equal(mapOf(overlay), mapOf(expected))
    assert inVoxels(worldOfHottest(overlay) - worldOfHottest(expected), place) < 1e-6
    assert plainProvenance(overlay) == plainProvenance(expected)
    assert overlay.GetName() == f"{expected.GetName()} (2)"
    shown, other = overlay.GetDisplayNode(), expected.GetDisplayNode()
    for value in ("WindowLevelMin", "WindowLevelMax", "LowerThreshold", "UpperThreshold"):
        assert getattr(shown, f"Get{value}")() == getattr(other, f"Get{value}")()
    assert overlay.GetNodeReference(ResultNodes.SCAN_ROLE) is scan


def test_the_answer_is_a_segmentation_that_is_there_once(scene, session, logic, network):
    labels = np.zeros((6, 7, 8), dtype=np.int16)
    labels[1:4, 2:5, 3:7], labels[2, 3, 4] = 1, 2
    scan = addVolume(scene, np.array([0, 4, 8], dtype=np.int16)[labels], PLACES["nested"])
    session.choose([scan], network)
    first = nodesOf(session, 1, layer="features")[0]
    answer = first.GetNodeReference(ResultNodes.ANSWER_ROLE)
    np.testing.assert_array_equal(session.answer.labels, labels)
    assert session.answer.label_counts == tuple(np.bincount(labels.ravel()))
    assert session.answer.label_box == ((1, 3), (2, 4), (3, 6))
    segmentation = answer.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 2
    grid = am.Grid(labels.shape, VolumeBridge.worldAffine(scan))
    for index in (1, 2):
        segmentId = segmentation.GetNthSegmentID(index - 1)
        assert segmentation.GetSegment(segmentId).GetName() == f"class {index}"
        mask = mask_on_grid(PlaceBridge.maskFromSegment(answer, segmentId), grid)
        np.testing.assert_array_equal(mask, labels == index)

    second = nodesOf(session, 2, layer="features")[0]
    assert second.GetNodeReference(ResultNodes.ANSWER_ROLE) is answer
    inProcess = logic.explain(scan, network, layer="features", target=2)
    assert inProcess.GetNodeReference(ResultNodes.ANSWER_ROLE) is answer
    slicer.util.arrayFromVolume(scan)[:] = 0
    slicer.util.arrayFromVolumeModified(scan)
    assert session.answer is None
    third = nodesOf(session, 1, layer="features")[0]
    assert third.GetNodeReference(ResultNodes.ANSWER_ROLE) is not answer
    assert len(nodesByClass(scene, "vtkMRMLSegmentationNode")) == 2


def test_a_new_session_finds_the_answer_of_the_last_one(scene, kept, network, scan):
    kept.choose([scan], network)
    first = nodesOf(kept, 1, layer="features")[0]
    other = WorkerSession(sys.executable, ENVIRONMENT)
    other.choose([scan], network)
    second = nodesOf(other, 1, layer="features")[0]
    other.close()
    role = ResultNodes.ANSWER_ROLE
    assert first.GetNodeReference(role) is second.GetNodeReference(role)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64])
def test_voxels_of_any_type_arrive(scene, session, logic, network, dtype):
    values = np.random.default_rng(0).integers(0, 9, (5, 6, 7)).astype(dtype)
    scan = slicer.vtkMRMLScalarVolumeNode()
    scene.AddNode(scan)
    slicer.util.updateVolumeFromArray(scan, np.ascontiguousarray(values.T))
    session.choose([scan], network)
    overlay = nodesOf(session, 1, layer="features", method="hires_cam")[0]
    expected = logic.explain(scan, network, layer="features", method="hires_cam", target=1)
    np.testing.assert_array_equal(mapOf(overlay), mapOf(expected))


def test_channels_and_pictures(scene, session, logic, tmp_path):
    rng = np.random.default_rng(0)
    pair = [addVolume(scene, 4 * rng.random((5, 6, 7)), PLACES["LPS"], name) for name in "ab"]
    two = saveNetwork(tmp_path / "two.pt", channels=2)
    flat = saveNetwork(tmp_path / "flat.pt", dimensions=2)
    picture = addVolume(scene, 4 * rng.random((9, 8, 1)), PLACES["oblique, anisotropic"], "c")
    for nodes, path in ((pair, two), ([picture], flat), (pair[::-1], two)):
        session.choose(nodes, path)
        overlay = nodesOf(session, 1, layer="features", method="hires_cam")[0]
        expected = logic.explain(nodes, path, layer="features", method="hires_cam", target=1)
        np.testing.assert_array_equal(mapOf(overlay), mapOf(expected))


def test_every_place_asks_what_one_process_asks(scene, session, logic, scan, tmp_path):
    network = saveNetwork(tmp_path / "named.pt")
    spec = {**NAMES}
    mask = np.zeros(spot().shape, dtype=np.uint8)
    mask[2:9, 3:9, 2:9] = 1
    truth = VolumeBridge.segmentationFromLabels(mask.T, scan, "Truth", [(1, "a", (1, 0, 0))])
    point = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Point")
    hot = worldOfHottest(scan)
    point.AddControlPointWorld(vtk.vtkVector3d(*hot))
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    roi.SetXYZ(*hot)
    roi.SetSize(6, 6, 6)
    session.choose([scan], network, spec)
    questions = [
        ("tumor", {}),
        (None, {}),
        (point, {}),
        (point, {"component": True}),
        (point, {"className": "organ"}),
        (roi, {}),
        ((truth, truth.GetSegmentation().GetNthSegmentID(0)), {}),
        ({"kind": "contrast", "name": "tumor", "other": "organ"}, {}),
        (am.TopTarget(2), {}),
        ([1, point], {}),
    ]
    for target, more in questions:
        mine = nodesOf(session, target, "hires_cam", "features", **more)
        theirs = logic.explain(scan, network, "features", "hires_cam", target, spec=spec, **more)
        theirs = theirs if isinstance(theirs, list) else [theirs]
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(mapOf(one), mapOf(other))
            assert ResultNodes.provenanceOf(one)["target"] == ResultNodes.provenanceOf(other)[
                "target"
            ]  # fmt: skip


def test_the_second_question_runs_no_forward_pass(session, network, scan):
    session.choose([scan], network)
    messages = []
    nodesOf(session, 1, layer="features", onProgress=lambda _, text: messages.append(text))
    assert any("Running the network" in text for text in messages)
    messages.clear()
    nodesOf(session, 2, layer="features", onProgress=lambda _, text: messages.append(text))
    assert not any("Running the network" in text for text in messages)


def test_model_layers_and_answer_become_known(network, scan):
    states = []
    session = WorkerSession(
        sys.executable, ENVIRONMENT, lambda: states.append((session.modelLoading, session.busy))
    )
    assert not session.pending
    session.choose([scan], network)
    assert (session.modelLoading, session.pending, session.busy) == (True, True, False)
    run(session)
    assert session.model["line"] == "spots.pt: TorchScript, 3D"
    assert [info.name for info in session.layers if info.explainable] == ["features", "head"]
    assert session.answer is None
    answers = []
    session.askAnswer(answers.append)
    assert session.busy
    run(session)
    assert answers == [session.answer]
    assert session.answer.labels.shape == scan.GetImageData().GetDimensions()
    assert session.layers[0].shape[2:] == scan.GetImageData().GetDimensions()
    found = []
    session.environment(found.append)
    run(session, lambda: found)
    assert found[0]["devices"][0] == "cpu"
    assert "answer: done" in session.log()
    assert states
    session.close()


def test_live_maps_show_in_one_node(scene, session, logic, network, scan):
    session.choose([scan], network)
    nodes, place = [], PLACES["nested"]
    for voxel in ((5, 6, 7), (6, 6, 7), (7, 6, 7)):
        point = tuple(place.worldOf(voxel))
        session.live(point, "hires_cam", "features", None, nodes.append, className=1)
        run(session)
    assert len(nodes) == 3
    assert len({node.GetID() for node in nodes}) == 1
    point = am.PointTarget(1, ras=place.worldOf((7, 6, 7)))
    expected = logic.explain(scan, network, "features", "hires_cam", point)
    np.testing.assert_array_equal(mapOf(nodes[0]), mapOf(expected))
    assert nodes[0].GetDisplayNode().GetWindowLevelMax() == pytest.approx(
        np.abs(mapOf(expected)).max()
    )
    for composite in nodesByClass(scene, "vtkMRMLSliceCompositeNode"):
        assert composite.GetBackgroundVolumeID() == scan.GetID()


def test_of_many_live_questions_the_last_one_is_shown(session, network, scan):
    session.choose([scan], network)
    nodes, place, errors = [], PLACES["nested"], []
    for step in range(30):
        point = tuple(place.worldOf((3 + step % 10, 6, 7)))
        session.live(point, "hires_cam", "features", None, nodes.append, onError=errors.append)
        session.poll(0.001)
    run(session)
    assert errors == []
    assert 0 < len(nodes) <= 30
    hottest = np.unravel_index(np.argmax(np.abs(mapOf(nodes[-1]))), mapOf(nodes[-1]).shape)
    assert hottest == (12, 6, 7)
    session.live((1e4, 0, 0), "hires_cam", "features", None, nodes.append, onError=errors.append)
    run(session)
    assert isinstance(errors[0], am.TargetError)


def test_nothing_stays_of_a_question_that_fails_here(scene, session, network, scan, monkeypatch):
    session.choose([scan], network)
    nodesOf(session, 1, layer="features")
    before = nodeIds(scene)

    def refuse(*_, **__):
        raise ValueError("no legend")

    monkeypatch.setattr(f"{ResultNodes.__package__}.Maps.showLegend", refuse)
    question = ask(session, [1, 2], layer="features", method=["grad_cam", "hires_cam"])
    assert str(question.error) == "no legend"
    assert nodeIds(scene) == before
    monkeypatch.undo()
    assert len(nodesOf(session, [1, 2], layer="features")) == 2


def test_another_model_chosen_under_way_changes_nothing(session, logic, network, scan, tmp_path):
    other = saveNetwork(tmp_path / "other.pt")
    session.choose([scan], network)
    run(session)
    question = session.explain(1, layer="features")
    session.choose([scan], other)
    run(session, lambda: question.done)
    assert question.error is None
    answer = question.result[0].GetNodeReference(ResultNodes.ANSWER_ROLE)
    assert answer.GetName().endswith("spots.pt")
    run(session)
    assert session.model["name"] == "other.pt"
    assert session.answer is None


def test_listeners_that_fail_or_show_a_dialog(session, network, scan, caplog):
    session.choose([scan], network)

    def showDialog(node) -> None:
        for _ in range(5):
            session.poll()
        raise ValueError("a listener's own")

    nodes = nodesOf(session, [1, 2], layer="features", onMap=showDialog)
    assert len(nodes) == 2
    assert "a listener of a question failed" in caplog.text
    assert all(node.GetScene() is not None for node in nodes)


def test_the_live_map_goes_where_the_scan_went(scene, session, network, scan):
    session.choose([scan], network)
    nodes = []
    for step in range(2):
        if step:
            values = np.zeros((9, 8, 7), dtype=np.float32)
            slicer.util.updateVolumeFromArray(scan, np.ascontiguousarray(values.T))
            scan.SetOrigin(40, -30, 20)
            scan.SetAndObserveTransformNodeID(None)
            session.choose([scan], network)
        point = tuple((VolumeBridge.worldAffine(scan) @ [4, 5, 3, 1])[:3])
        session.live(point, "hires_cam", "features", None, nodes.append, className=0)
        run(session)
    assert nodes[0] is nodes[1]
    np.testing.assert_array_equal(
        VolumeBridge.worldAffine(nodes[1]), VolumeBridge.worldAffine(scan)
    )
    assert mapOf(nodes[1]).shape == (9, 8, 7)


def test_no_map_comes_after_live_has_ended(scene, session, network, scan):
    session.choose([scan], network)
    run(session)
    nodes = []
    for _ in range(5):
        session.live((0.0, 0.0, 0.0), "hires_cam", "features", None, nodes.append, className=1)
        session._live.poll()
    session.stopLive()
    before = nodeIds(scene)
    run(session)
    assert nodes == []
    assert nodeIds(scene) == before
