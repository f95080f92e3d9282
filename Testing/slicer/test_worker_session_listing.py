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
from worker_models import is_gone, soon

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("viewedScene")]
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


class Stuck(torch.nn.Module):
    """Takes most of a minute in one operator that nobody can end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv3d(1, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ones = torch.ones(12000, 12000)
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
    worker = session._client.pid
    session.choose([scan], network)
    assert (session.modelLoading, session.layersLoading) == (True, False)
    assert run(session, lambda: session._client.pid != worker) < 1
    assert soon(lambda: is_gone(worker), 1)
    run(session, lambda: session.layers is not None)
    assert session.modelError == ""
    assert session.model["name"] == "spots.pt"
    assert [info.name for info in session.layers if info.explainable] == ["features", "head"]
    question = session.explain(1, layer="features")
    run(session, lambda: question.done)
    assert question.error is None


def test_no_model_ends_it_too(session, scan):
    session.choose([scan], "")
    assert run(session, lambda: not session.pending) < 1
    assert session._client.pid is None


def test_cancel_ends_the_list_that_a_question_waits_for(session, scan, network):
    worker = session._client.pid
    question = session.explain(1)
    assert question.message == "Waiting for the list of layers"
    session.cancel()
    assert run(session, lambda: question.done and not session.busy) < 1
    assert isinstance(question.error, am.Cancelled)
    assert run(session, lambda: not session.pending) < 1
    assert soon(lambda: is_gone(worker), 1)
    for _ in range(50):
        session.poll(0.005)
    assert not session.layersLoading
    assert session._client.pid is None  # nobody has asked for another one
    session.choose([scan], network)
    question = session.explain(1, layer="features")
    run(session, lambda: question.done)
    assert question.error is None


def test_a_question_right_after_a_cancel_does_not_wait_either(session):
    worker = session._client.pid
    session.explain(1)
    session.cancel()
    session.explain(1)
    assert run(session, lambda: session._client.pid != worker) < 1


def test_a_question_goes_on_when_another_model_is_chosen(session, scan, network, tmp_path):
    other = shutil.copy(network, tmp_path / "other.pt")
    session.choose([scan], network)
    question = session.explain(1, layer="features")
    session.choose([scan], str(other))
    run(session, lambda: question.done)
    assert question.error is None
    run(session, lambda: session.layers is not None)
    assert session.model["name"] == "other.pt"
