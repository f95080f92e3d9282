"""What goes wrong costs one message and leaves the scene as it was; the next run works."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from slicer_places import PLACES, addVolume, mapOf, nodeIds, saveNetwork, spot

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import attention_maps as am
from attention_maps.errors import MissingPackageError
from SlicerAttentionMapsLib import Interpreters, Maps, SliceViews
from SlicerAttentionMapsLib.SceneSetup import nodesByClass
from SlicerAttentionMapsLib.WorkerSession import WorkerSession
from worker_models import is_gone, shared_files, soon, write_models

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("viewedScene")]
POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def slow(tmp_path_factory) -> str:
    """A network that takes seconds."""
    return str(write_models(tmp_path_factory.mktemp("slow"))["slow"])


@pytest.fixture(scope="module")
def kept():
    """One worker for all tests, or the one that follows it."""
    session = WorkerSession(sys.executable, ENVIRONMENT)
    yield session
    session.close()


@pytest.fixture
def head(scene):
    return addVolume(scene, np.ones((24, 24, 24), dtype=np.float32), PLACES["LPS"], "Head")


class Asked:
    """A question, and what was heard of it."""

    def __init__(self, session, *args, **kwargs) -> None:
        self.session = session
        self.errors: list = []
        self.done: list = []
        self.question = session.explain(
            *args, onError=self.errors.append, onDone=self.done.append, **kwargs
        )

    def until(self, ready) -> None:
        end = time.monotonic() + 60
        while not ready():
            assert time.monotonic() < end, self.session.log()
            self.session.poll(0.005)

    def end(self) -> None:
        """Wait for the end, whatever it is."""
        self.until(lambda: self.question.done)

    def hasBegun(self) -> None:
        """Wait until the network runs."""
        self.until(lambda: "Running the network" in self.question.message)

    def error(self) -> Exception:
        """Wait for the end; the only error."""
        self.end()
        for _ in range(50):
            self.session.poll(0.005)
        assert len(self.errors) == 1
        assert self.done == []
        assert not self.session.busy
        return self.errors[0]


def checkWorks(session, scene, network) -> None:
    scan = addVolume(scene, spot(), PLACES["nested"], "Other")
    session.choose([scan], network)
    asked = Asked(session, 2, layer="features")
    asked.end()
    assert asked.errors == []
    assert mapOf(asked.done[0][0]).max() > 0


def begun(session, node, slow) -> Asked:
    session.choose([node], slow)
    asked = Asked(session, 1, layer="again")
    asked.hasBegun()
    return asked


def test_cancel_leaves_the_scene_as_it_was(kept, scene, network, slow, head):
    before = nodeIds(scene)
    asked = begun(kept, head, slow)
    start = time.monotonic()
    kept.cancel()
    assert asked.question.canceling
    assert isinstance(asked.error(), am.Cancelled)
    assert time.monotonic() - start < 5
    assert nodeIds(scene) == before
    checkWorks(kept, scene, network)


def test_cancel_between_two_nodes_removes_the_first(kept, scene, network, scan):
    kept.choose([scan], network)
    before = nodeIds(scene)
    asked = Asked(kept, [1, 2], layer="features")
    asked.until(lambda: len(nodeIds(scene)) > len(before))
    asked.until(lambda: asked.question.work is not None)
    kept.cancel()
    assert isinstance(asked.error(), am.Cancelled)
    assert nodeIds(scene) == before


def test_the_map_is_seen_before_the_answer_and_goes_with_it(kept, scene, network, scan):
    kept.choose([scan], network)
    other = addVolume(scene, spot(), PLACES["nested"], "Seen before")
    SliceViews.layOver(other, scan, opacity=0.3)
    before, seen = nodeIds(scene), seenIn(scene)
    asked = Asked(kept, 2, layer="features")
    asked.until(lambda: seenIn(scene) != seen)
    assert asked.question.answer is None or not asked.question.done
    shown = scene.GetNodeByID(seenIn(scene)[0][1])
    assert mapOf(shown).max() > 0
    asked.question.answer = None  # as if it were still to come
    kept.cancel()
    assert isinstance(asked.error(), am.Cancelled)
    assert nodeIds(scene) == before
    assert seenIn(scene) == seen


def test_a_map_that_is_removed_before_the_answer(kept, scene, network, scan):
    kept.choose([scan], network)
    before, seen = nodeIds(scene), seenIn(scene)
    asked = Asked(kept, 2, layer="features")
    asked.until(lambda: seenIn(scene) != seen)
    Maps.remove(scene.GetNodeByID(seenIn(scene)[0][1]))
    assert "removed" in str(asked.error())
    assert nodeIds(scene) == before


def seenIn(scene) -> list:
    """Return background, foreground and its opacity of the slice views."""
    views = nodesByClass(scene, "vtkMRMLSliceCompositeNode")
    return [
        (view.GetBackgroundVolumeID(), view.GetForegroundVolumeID(), view.GetForegroundOpacity())
        for view in views
    ]


@POSIX_ONLY
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_killed_worker(kept, scene, network, slow, head, number):
    asked = begun(kept, head, slow)
    before = nodeIds(scene)
    os.kill(kept.client.pid, number)
    error = asked.error()
    assert isinstance(error, am.WorkerError)
    assert "next question starts a new worker" in str(error)
    assert nodeIds(scene) == before
    checkWorks(kept, scene, network)


@POSIX_ONLY
def test_a_worker_that_hangs_is_ended_by_cancel(kept, scene, network, slow, head):
    asked = begun(kept, head, slow)
    worker = kept.client.pid
    os.kill(worker, signal.SIGSTOP)
    start = time.monotonic()
    kept.cancel()
    asked.end()
    assert time.monotonic() - start < 5
    assert isinstance(asked.errors[0], am.Cancelled)
    assert soon(lambda: is_gone(worker))
    checkWorks(kept, scene, network)


def test_no_memory(kept, scene, network, head, tmp_path):
    import torch

    class Hungry(torch.nn.Module):
        def forward(self, x):
            return torch.zeros([10000000, 10000000])[:1, :2] + x.mean()

    path = tmp_path / "hungry.pt"
    torch.jit.script(Hungry()).save(str(path))
    kept.choose([head], str(path))
    before = nodeIds(scene)
    error = Asked(kept, 1, "saliency").error()
    assert "memory" in str(error)
    assert nodeIds(scene) == before
    checkWorks(kept, scene, network)


def test_a_model_that_is_deleted_under_way(kept, scene, network, slow, head, tmp_path):
    copy = shutil.copy(slow, tmp_path / "copy.pt")
    asked = begun(kept, head, str(copy))
    Path(copy).unlink()
    asked.end()
    assert asked.errors == []  # the worker has it in memory
    error = Asked(kept, 0, layer="again").error()
    assert isinstance(error, FileNotFoundError)
    assert "copy.pt' does not exist" in str(error)
    checkWorks(kept, scene, network)


def test_a_volume_that_is_deleted_under_way(kept, scene, network, slow, head):
    asked = begun(kept, head, slow)
    scene.RemoveNode(head)
    before = nodeIds(scene)
    error = asked.error()
    assert isinstance(error, am.ImageError)
    assert "'Head' was removed from the scene" in str(error)
    assert nodeIds(scene) == before
    checkWorks(kept, scene, network)


def test_a_scene_that_is_closed_under_way(kept, scene, network, slow, head):
    asked = begun(kept, head, slow)
    scene.Clear(False)
    assert "removed from the scene" in str(asked.error())
    checkWorks(kept, scene, network)


def test_a_volume_that_is_moved_under_way(kept, scene, network, slow, head):
    asked = begun(kept, head, slow)
    head.SetOrigin(1, 2, 3)
    before = nodeIds(scene)
    assert str(asked.error()) == (
        "'Head' was moved or changed since it was explained; explain it again."
    )
    assert nodeIds(scene) == before
    checkWorks(kept, scene, network)


@pytest.mark.parametrize(
    ("question", "error", "words"),
    [
        ({"layer": "enc.9"}, am.LayerError, "enc.9"),
        ({"method": "no_cam"}, am.MethodError, "no_cam"),
        ({"target": "liver"}, am.TargetError, "liver"),
        ({"target": object()}, am.TargetError, "Expected a class"),
        ({"options": {"wrong": 1}}, am.MethodError, "wrong"),
    ],
)
def test_questions_that_make_no_sense(kept, scene, network, scan, question, error, words):
    kept.choose([scan], network)
    before = nodeIds(scene)
    found = Asked(kept, **{"target": 1, "layer": "features", **question}).error()
    assert isinstance(found, error)
    assert words in str(found)
    assert nodeIds(scene) == before


def test_no_volume_and_no_model(kept, scene, network, scan):
    kept.choose([], network)
    assert "choose a volume" in str(Asked(kept, 1).error())
    kept.choose([scan], "")
    assert "choose a model" in str(Asked(kept, 1).error())
    kept.choose([scan], "/nowhere/model.pt")
    error = Asked(kept, 1).error()
    assert "does not exist" in str(error)
    assert kept.modelError == str(error)
    checkWorks(kept, scene, network)


def test_an_interpreter_that_is_missing(network, scan):
    session = WorkerSession("/nowhere/python")
    session.choose([scan], network)
    assert "'/nowhere/python' does not exist" in session.modelError
    error = Asked(session, 1).error()
    assert "Setup" in str(error)
    session.close()


def test_torch_that_is_missing(network, scan, tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n"
    )
    session = WorkerSession(sys.executable, {"PYTHONPATH": str(tmp_path)})
    session.choose([scan], network)
    error = Asked(session, 1).error()
    assert isinstance(error, MissingPackageError)
    assert "'torch'" in str(error)
    assert "Setup section" in str(error)
    assert session.modelError == str(error)
    session.close()


def test_close_ends_the_worker_and_its_question(slow, head):
    before = shared_files()
    session = WorkerSession(sys.executable, ENVIRONMENT)
    asked = begun(session, head, slow)
    worker = session.client.pid
    start = time.monotonic()
    session.close()
    assert time.monotonic() - start < 5
    assert isinstance(asked.errors[0], am.Cancelled)
    assert soon(lambda: is_gone(worker))
    assert shared_files() <= before
    session.close()
    assert not session.pending


def test_the_interpreter(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    monkeypatch.delenv("SLICER_HOME", raising=False)
    assert Interpreters.find() == sys.executable
    home = tmp_path / "Slicer"
    (home / "bin").mkdir(parents=True)
    own = home / "bin" / "PythonSlicer"
    own.write_text("")
    own.chmod(0o755)
    monkeypatch.setenv("SLICER_HOME", str(home))
    assert Interpreters.find() == str(own)
    assert Interpreters.find(str(own)) == str(own)
    assert Interpreters.changesFor(str(own)) == {}
    monkeypatch.setenv("PYTHONHOME", "/slicer/python")
    assert Interpreters.changesFor("/usr/bin/python3") == {"PYTHONHOME": None}
    monkeypatch.delenv("SLICER_HOME")
    monkeypatch.setattr(sys, "executable", "/opt/Slicer/bin/SlicerApp-real")
    with pytest.raises(am.WorkerError, match=r"PythonSlicer is not where.*Setup section"):
        Interpreters.find()


def test_networks_of_other_sizes_come_one_after_another(kept, scene, network, tmp_path):
    pooled = saveNetwork(tmp_path / "pooled.pt", pooled=True)
    for path in (pooled, network, pooled):
        scan = addVolume(scene, spot(), PLACES["identity"])
        kept.choose([scan], path)
        asked = Asked(kept, 1, layer="features")
        asked.end()
        assert asked.errors == []
        assert (kept.answer.labels is None) == (path == pooled)
