"""Models with windows, and models that need consent, through a real worker process."""

import sys

import numpy as np
import pytest

from slicer_places import PLACES, addVolume, mapOf, saveNetwork, spot
from test_worker_session import ENVIRONMENT, ask, nodesOf, run

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import torch

import attention_maps as am
from attention_maps.resampling import mask_on_grid
from SlicerAttentionMapsLib import LoadOptions, PlaceBridge, Regions, ResultNodes, VolumeBridge
from SlicerAttentionMapsLib.WorkerSession import WorkerSession

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("viewedScene")]
HOT = (15, 3, 4)


@pytest.fixture(scope="module")
def kept():
    session = WorkerSession(sys.executable, ENVIRONMENT)
    yield session
    session.close()


@pytest.fixture
def session(kept):
    kept.choose([], "")
    yield kept
    kept.cancel()
    run(kept)


@pytest.fixture(scope="module")
def windowed(tmp_path_factory) -> str:
    """A network that sees a volume in windows of 8 x 8 x 8 voxels."""
    path = tmp_path_factory.mktemp("windowed") / "windows.pt"
    saveNetwork(path)
    path.with_suffix(".json").write_text('{"patch_size": [8, 8, 8], "label_values": [0, 5, 2]}')
    return str(path)


@pytest.fixture
def wide(scene):
    """A scan of several windows with two organs and a spot."""
    values = spot(HOT, (24, 8, 8))
    values[2:5, 2:5, 2:5] = 4.0
    return addVolume(scene, values, PLACES["nested"])


def boxAround(scene, ijk, mm: float):
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    roi.SetCenterWorld(*PLACES["nested"].worldOf(ijk))
    roi.SetSize(mm, mm, mm)
    return roi


class Twice(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Conv3d(1, 2, 3, padding=1)
        self.head = torch.nn.Conv3d(2, 2, 1)

    def forward(self, x):
        return self.head(torch.relu(self.features(x)))


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("exported") / "twice.pt2"
    torch.export.save(torch.export.export(Twice().eval(), (torch.zeros(1, 1, 8, 8, 8),)), path)
    return str(path)


def test_consent_loads_what_was_refused(session, archive, scene):
    scan = addVolume(scene, spot((3, 3, 4), (8, 8, 8)), PLACES["LPS"])
    session.choose([scan], archive)
    run(session)
    assert session.model is None
    assert session.modelErrorKind == "ConsentError"
    assert "trust" in session.modelError
    assert isinstance(ask(session, 0).error, am.ConsentError)

    session.choose([scan], archive, options={"trust": True})
    assert session.modelErrorKind == ""
    run(session)
    assert session.modelError == ""
    assert session.model["kind"].startswith("torch.export")
    nodes = nodesOf(session, 1, "hires_cam", "features")
    expected = am.explain(
        am.load_model(archive, trust=True), VolumeBridge.imageFromVolumes([scan]),
        method="hires_cam", layer="features", target=1,
    )  # fmt: skip
    np.testing.assert_array_equal(mapOf(nodes[0]), expected.image.array[0])


def test_an_estimate_is_asked_once_and_gives_way(session, windowed, wide):
    session.choose([wide], windowed)
    assert not session.estimates.ask("auto")  # the model is being loaded
    run(session)
    assert session.estimates.of("auto") is None
    assert session.estimates.ask("auto")
    assert session.pending
    assert not session.busy
    run(session)
    found = session.estimates.of("auto")
    expected = am.Explainer(windowed, VolumeBridge.imageFromVolumes([wide])).estimate()
    assert found["windows"] == expected.windows == 4
    assert found["bytes"] == pytest.approx(expected.bytes, rel=0.01)
    assert found["line"].startswith("4 windows, below 0.1 GiB, ")
    assert not session.estimates.ask("auto")
    assert session.estimates.of("features") is None

    session.estimates.ask("features")
    assert nodesOf(session, 2, layer="features")
    assert session.estimates.of("features") is None
    run(session)
    assert session.estimates.ask("features")
    run(session)
    assert session.estimates.of("features")["windows"] == 4


def test_another_model_ends_an_estimate(session, windowed, wide, network):
    session.choose([wide], windowed)
    run(session)
    assert session.estimates.ask("auto")
    session.choose([wide], network)
    run(session)
    assert session.model["name"] == "spots.pt"
    assert session.estimates.of("auto") is None
    assert session.estimates.problemOf("auto") == ""
    session.choose([wide], windowed)
    run(session)
    assert session.estimates.ask("auto")
    run(session)
    assert session.estimates.of("auto")["windows"] == 4


def test_a_region_limits_the_run(scene, session, logic, windowed, wide):
    roi = boxAround(scene, (2, 3, 3), 3.0)
    session.choose([wide], windowed, region=roi)
    run(session)
    session.estimates.ask("features")
    run(session)
    assert session.estimates.of("features")["windows"] < 4
    limited = nodesOf(session, 1, "hires_cam", "features")[0]
    inProcess = logic.explain(wide, windowed, "features", "hires_cam", target=1, region=roi)
    np.testing.assert_array_equal(mapOf(limited), mapOf(inProcess))
    assert session.answer.labels[HOT] != 2  # its window was not run

    roi.SetCenterWorld(*PLACES["nested"].worldOf(HOT))
    assert session.answer is None
    moved = nodesOf(session, 2, "hires_cam", "features")[0]
    assert session.answer.labels[HOT] == 2
    assert moved.GetNodeReference(ResultNodes.ANSWER_ROLE) is not None

    session.choose([wide], windowed)
    whole = nodesOf(session, 1, "hires_cam", "features")[0]
    expected = logic.explain(wide, windowed, "features", "hires_cam", target=1)
    np.testing.assert_array_equal(mapOf(whole), mapOf(expected))
    roi.SetCenterWorld(1e4, 0, 0)
    session.choose([wide], windowed, region=roi)
    run(session)
    session.estimates.ask("auto")
    run(session)
    assert session.estimates.of("auto") is None
    assert "none inside" in session.estimates.problemOf("auto")
    assert not session.estimates.ask("auto")
    assert "none inside" in str(ask(session, 1).error)


def test_segments_have_the_labels_of_the_model(session, windowed, wide):
    session.choose([wide], windowed)
    overlay = nodesOf(session, 1, layer="features")[0]
    assert session.answer.label_values == (0, 5, 2)
    answer = overlay.GetNodeReference(ResultNodes.ANSWER_ROLE)
    segmentation = answer.GetSegmentation()
    values = np.asarray(session.answer.labels)
    grid = am.Grid(values.shape, VolumeBridge.worldAffine(wide))
    found = {}
    for number in range(segmentation.GetNumberOfSegments()):
        segmentId = segmentation.GetNthSegmentID(number)
        mask = mask_on_grid(PlaceBridge.maskFromSegment(answer, segmentId), grid)
        found[segmentation.GetSegment(segmentId).GetName()] = mask
    assert set(found) == {"class 1", "class 2"}
    np.testing.assert_array_equal(found["class 1"], values == 5)
    np.testing.assert_array_equal(found["class 2"], values == 2)


def test_a_segment_can_be_the_region(scene, logic, windowed, wide):
    mask = np.zeros((24, 8, 8), dtype=np.uint8)
    mask[14:17, 2:5, 3:6] = 1
    truth = VolumeBridge.segmentationFromLabels(mask.T, wide, "T", [(1, "a", (1, 0, 0))])
    region = (truth, truth.GetSegmentation().GetNthSegmentID(0))
    assert Regions.stateOf(region) == Regions.stateOf(region)
    whole = logic.estimate(wide, windowed)
    assert logic.estimate(wide, windowed, region=region).windows < whole.windows
    with pytest.raises(am.TargetError, match="Expected a ROI or"):
        logic.explain(wide, windowed, region=wide)
    with pytest.raises(TypeError, match="samples"):
        logic.session([wide], windowed, samples=3)


def test_options_of_a_model_are_told_from_those_of_a_method(wide, tmp_path):
    given = {
        "folds": (0, 1),
        "samples": 5,
        "previousStage": wide,
        "trust": False,
        "checkpoint": None,
    }
    ofModel, ofMethod = LoadOptions.split(given)
    assert ofModel == {"folds": (0, 1), "previous_stage": wide, "trust": False}
    assert ofMethod == {"samples": 5}
    image = LoadOptions.forEngine(ofModel)["previous_stage"]
    np.testing.assert_array_equal(image.array, VolumeBridge.imageFromVolumes([wide]).array)
    with pytest.raises(am.ModelError, match="a file as previousStage"):
        LoadOptions.forWorker(ofModel)
    path = tmp_path / "first.nii.gz"
    plain = LoadOptions.forWorker({"folds": (0,), "previous_stage": path})
    assert plain == {"folds": [0], "previous_stage": str(path)}
    before = LoadOptions.stateOf(plain)
    path.touch()
    assert LoadOptions.stateOf(plain) != before
