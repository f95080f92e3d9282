"""A list of layers that takes long keeps nobody waiting: not another model, not a cancel."""

import shutil
import sys
import time

import numpy as np
import pytest

from slicer_places import PLACES, addVolume

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import torch

import attention_maps as am
from SlicerAttentionMapsLib.WorkerSession import WorkerSession

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("viewedScene")]
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


class Stuck(torch.nn.Module):
    """Takes minutes in one operator that nobody can end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv3d(1, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ones = torch.ones(20000, 20000)
        return self.conv(x) + torch.mm(ones, ones)[0, 0] * 1e-9


@pytest.fixture(scope="module")
def stuck(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("stuck") / "stuck.pt"
    torch.jit.script(Stuck().eval()).save(str(path))
    return str(path)


@pytest.fixture
def session(scene, stuck):
    """One whose worker is in the middle of listing the layers."""
    head = addVolume(scene, np.ones((6, 6, 6), dtype=np.float32), PLACES["LPS"], "Head")
    session = WorkerSession(sys.executable, ENVIRONMENT)
    session.choose([head], stuck)
    run(session, lambda: session.layersLoading)
    began = time.monotonic() + 1.5  # until it is in that one operator
    run(session, lambda: time.monotonic() > began)
    assert session.layersLoading
    yield session
    session.close()


def run(session, until, seconds: float = 30.0) -> float:
    """Poll as a timer does; gives how long it took."""
    start = time.monotonic()
    while not until():
        assert time.monotonic() - start < seconds, session.log()
        session.poll(0.005)
    return time.monotonic() - start


def test_another_model_is_loaded_at_once(session, scan, network):
    session.choose([scan], network)
    assert (session.modelLoading, session.layersLoading) == (True, False)
    run(session, lambda: session.layers is not None)
    assert session.modelError == ""
    assert session.model["name"] == "spots.pt"
    assert [info.name for info in session.layers if info.explainable] == ["features", "head"]
    question = session.explain(1, layer="features")
    run(session, lambda: question.done)
    assert question.error is None


def test_no_model_ends_it_too(session, scan):
    session.choose([scan], "")
    run(session, lambda: not session.pending)
    assert not session.layersLoading


def test_cancel_ends_the_list_that_a_question_waits_for(session, scan, network):
    question = session.explain(1)
    assert question.message == "Waiting for the list of layers"
    session.cancel()
    run(session, lambda: question.done and not session.busy)
    assert isinstance(question.error, am.Cancelled)
    run(session, lambda: not session.pending)
    for _ in range(50):
        session.poll(0.005)
    assert not session.layersLoading  # nobody has asked for it again
    session.choose([scan], network)
    question = session.explain(1, layer="features")
    run(session, lambda: question.done)
    assert question.error is None


def test_a_question_right_after_a_cancel_does_not_wait_either(session):
    first = session.explain(1)
    session.cancel()
    second = session.explain(1)
    run(session, lambda: first.done)
    assert isinstance(first.error, am.Cancelled)
    assert not second.done


def test_a_question_goes_on_when_another_model_is_chosen(session, scan, network, tmp_path):
    other = shutil.copy(network, tmp_path / "other.pt")
    session.choose([scan], network)
    question = session.explain(1, layer="features")
    session.choose([scan], str(other))
    run(session, lambda: question.done)
    assert question.error is None
    run(session, lambda: session.layers is not None)
    assert session.model["name"] == "other.pt"
