"""Cancel, crashes and bad input: one readable message each, and the next question works."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import attention_maps as am
from attention_maps.worker.client import WorkerClient
from attention_maps.worker.endings import describe_ending
from tiny_networks import picture
from worker_models import SLOW_SHAPE, is_gone, shared_files, soon, write_models

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="sends signals")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def client():
    before = shared_files()
    with WorkerClient() as found:
        yield found
    assert shared_files() <= before


@pytest.fixture(scope="module")
def slow_image():
    return am.Image(picture(3, shape=SLOW_SHAPE))


def until(client, request, words):
    """Wait until a request says that it is in the middle of something."""

    def is_there():
        client.poll()
        assert not request.done, request.error
        return words in request.message and request.fraction > 0

    assert soon(is_there, 60)


def check_works(client, paths):
    """The next question is answered."""
    client.load_model(paths["segmenter"])
    client.set_image(picture(3))
    assert client.wait(client.explain("grad_cam", "act2", 2))[0].has_evidence


@pytest.mark.parametrize(
    ("method", "words"),
    [("grad_cam", "Running the network"), ("grad_cam", "Following the answer back"),
     ("occlusion", "Occlusion")],
)  # fmt: skip
def test_cancel_stops_at_once_and_keeps_the_worker(client, paths, slow_image, method, words):
    client.load_model(paths["slow"])
    client.set_image(slow_image)
    errors = []
    request = client.explain(method, "first", 1, on_error=errors.append)
    until(client, request, words)
    worker = client.pid
    started = time.monotonic()
    client.cancel(request)
    with pytest.raises(am.Cancelled, match="nothing was written"):
        client.wait(request)
    assert time.monotonic() - started < 5
    assert request.fraction < 1
    assert request.maps == []
    assert len(errors) == 1
    check_works(client, paths)
    assert client.pid == worker  # it stopped by itself


def test_cancel_of_a_question_that_waits(client, paths, slow_image):
    client.load_model(paths["slow"])
    client.set_image(slow_image)
    first = client.explain("grad_cam", "again", 1)
    until(client, first, "Running")
    second = client.explain("grad_cam", "again", 0)
    client.cancel(second)
    with pytest.raises(am.Cancelled, match="before it began"):
        client.wait(second)
    assert not first.done
    client.cancel(first)
    with pytest.raises(am.Cancelled):
        client.wait(first)


@POSIX_ONLY
def test_a_worker_that_does_not_listen_is_killed_on_cancel(client, paths, slow_image):
    client.load_model(paths["slow"])
    client.set_image(slow_image)
    request = client.explain("grad_cam", "again", 1)
    until(client, request, "Running")
    worker = client.pid
    os.kill(worker, signal.SIGSTOP)  # as an operator that takes for ever
    started = time.monotonic()
    client.cancel(request)
    with pytest.raises(am.Cancelled, match="was ended"):
        client.wait(request)
    assert time.monotonic() - started < 5
    assert soon(lambda: is_gone(worker))
    check_works(client, paths)


def test_an_image_that_was_canceled_is_sent_again(client, paths, slow_image):
    client.load_model(paths["slow"])
    client.set_image(slow_image)
    first = client.explain("grad_cam", "again", 1)
    until(client, first, "Running")
    image = client.set_image(picture(3), image_id="picture")
    client.cancel(image)
    client.cancel(first)
    client.load_model(paths["segmenter"])
    client.set_image(picture(3), image_id="picture")
    assert client.wait(client.explain("grad_cam", "act2", 2))[0].has_evidence


@POSIX_ONLY
def test_a_patient_cancel_takes_nothing_back(client, paths, slow_image):
    client.load_model(paths["slow"])
    client.set_image(slow_image)
    request = client.explain("grad_cam", "again", 1)
    until(client, request, "Running")
    os.kill(client.pid, signal.SIGSTOP)
    client.cancel(request)
    client.cancel(request, math.inf)
    with pytest.raises(am.Cancelled, match="was ended"):
        client.wait(request, timeout=5)


@POSIX_ONLY
def test_what_was_asked_after_a_cancel_goes_to_the_next_worker(client, paths, slow_image):
    client.load_model(paths["slow"])
    client.set_image(slow_image)
    request = client.explain("grad_cam", "again", 1)
    until(client, request, "Running")
    worker = client.pid
    os.kill(worker, signal.SIGSTOP)
    client.cancel(request)
    client.load_model(paths["slow"])
    layers = client.layers(sized=False)
    with pytest.raises(am.Cancelled, match="was ended"):
        client.wait(request)
    assert "again" in [info.name for info in client.wait(layers)]
    assert client.pid != worker
    assert soon(lambda: is_gone(worker))


@POSIX_ONLY
def test_a_killed_worker_costs_one_message(client, paths, slow_image):
    client.load_model(paths["slow"])
    client.set_image(slow_image)
    errors = []
    running = client.explain("grad_cam", "again", 1, on_error=errors.append)
    waiting = client.answer(on_error=errors.append)
    until(client, running, "Running")
    os.kill(client.pid, signal.SIGKILL)
    with pytest.raises(am.WorkerError, match=r"memory runs out.*next question starts a new"):
        client.wait(running)
    with pytest.raises(am.Cancelled, match="ask again"):
        client.wait(waiting)
    assert [type(error) for error in errors] == [am.WorkerError, am.Cancelled]
    check_works(client, paths)


@POSIX_ONLY
def test_the_message_of_an_end_goes_to_a_question_that_is_still_wanted(client, paths, slow_image):
    client.load_model(paths["slow"])
    client.set_image(slow_image)
    unwanted = client.explain("grad_cam", "again", 1)
    until(client, unwanted, "Running")
    wanted = client.explain("grad_cam", "again", 0)
    os.kill(client.pid, signal.SIGSTOP)
    client.cancel(unwanted, math.inf)
    os.kill(client.pid, signal.SIGKILL)
    with pytest.raises(am.WorkerError, match="The next question starts a new worker"):
        client.wait(wanted)
    with pytest.raises(am.Cancelled):
        client.wait(unwanted)


@POSIX_ONLY
def test_a_new_worker_knows_model_and_image(client, paths):
    client.load_model(paths["segmenter"])
    client.set_image(picture(3), image_id="scan")
    first = client.wait(client.explain("grad_cam", "act2", 2))[0]
    os.kill(client.pid, signal.SIGKILL)
    assert soon(lambda: client.pid is None)
    client.set_image(picture(3), image_id="scan")
    again = client.wait(client.explain("grad_cam", "act2", 2))[0]
    np.testing.assert_array_equal(again.image.array, first.image.array)
    client.poll()
    os.kill(client.pid, signal.SIGSEGV)
    assert soon(lambda: client.pid is None)
    again = client.wait(client.explain("grad_cam", "act2", 2))[0]  # nothing set anew
    np.testing.assert_array_equal(again.image.array, first.image.array)


@POSIX_ONLY
def test_a_model_that_was_deleted_meanwhile(client, paths, tmp_path):
    copy = tmp_path / "copy.pt"
    copy.write_bytes(paths["segmenter"].read_bytes())
    client.load_model(copy)
    client.set_image(picture(3))
    client.wait(client.explain("grad_cam", "act2", 2))
    copy.unlink()
    client.wait(client.explain("grad_cam", "act2", 1))  # it is in memory
    os.kill(client.pid, signal.SIGKILL)
    assert soon(lambda: client.pid is None)
    with pytest.raises(FileNotFoundError, match=r"copy\.pt' does not exist"):
        client.wait(client.explain("grad_cam", "act2", 1))
    check_works(client, paths)


GRANDCHILD = """
import sys, time
from attention_maps.worker.client import WorkerClient
client = WorkerClient()
client.load_model(sys.argv[1])
import numpy as np
client.set_image(np.ones((1, 24, 24, 24), dtype="float32"))
request = client.explain("grad_cam", "again", 1)
while "Running" not in request.message:
    client.poll()
    time.sleep(0.01)
print(client.pid, flush=True)
time.sleep(60)
"""


@POSIX_ONLY
def test_no_worker_outlives_a_parent_that_is_killed(paths):
    code = textwrap.dedent(GRANDCHILD)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(paths["slow"])], stdout=subprocess.PIPE, text=True
    ) as parent:
        worker = int(parent.stdout.readline())
        assert not is_gone(worker)
        assert len(shared_files(parent.pid)) == 2
        parent.kill()
        assert soon(lambda: is_gone(worker), 5)
    assert shared_files(parent.pid) == set()


def test_no_worker_outlives_a_parent_that_forgets_to_close(paths):
    code = f"""
        from attention_maps.worker.client import WorkerClient
        client = WorkerClient()
        client.wait(client.load_model({str(paths["segmenter"])!r}))
        import os
        print(client.pid, os.getpid())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    worker, parent = map(int, done.stdout.split())
    assert soon(lambda: is_gone(worker), 5)
    assert done.stderr == ""
    assert shared_files(parent) == set()


def test_close_takes_less_than_a_second_in_the_middle_of_work(paths, slow_image):
    before = shared_files()
    client = WorkerClient()
    client.load_model(paths["slow"])
    client.set_image(slow_image)
    request = client.explain("grad_cam", "again", 1)
    until(client, request, "Running")
    worker = client.pid
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < 5
    assert soon(lambda: is_gone(worker), 1)
    assert isinstance(request.error, am.Cancelled)
    assert shared_files() <= before
    client.close()  # a second time does nothing


@POSIX_ONLY
def test_close_ends_a_worker_that_does_not_listen(paths):
    before = shared_files()
    client = WorkerClient()
    client.wait(client.load_model(paths["segmenter"]))
    worker = client.pid
    os.kill(worker, signal.SIGSTOP)
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < 5
    assert is_gone(worker)
    assert shared_files() <= before


def test_received_arrays_stay_valid_after_close(paths):
    with WorkerClient() as client:
        client.load_model(paths["segmenter"])
        client.set_image(picture(3))
        made = client.wait(client.explain("hires_cam", "act2", 2))[0]
        before = made.image.array.copy()
    np.testing.assert_array_equal(made.image.array, before)


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda c, p: c.load_model(p["slow"].with_name("none.pt")), FileNotFoundError, "not exist"),
        (lambda c, p: c.load_model(__file__), am.ModelError, "Expected a TorchScript file"),
        (lambda c, p: c.load_model(p["slow"], {"spacing": "x"}), am.SpecError, "spacing"),
        (lambda c, p: c.load_model(p["slow"], device="tpu"), am.ModelError, "such as 'auto'"),
        (lambda c, p: c.set_image("none.nii.gz"), FileNotFoundError, "none.nii.gz"),
        (lambda c, p: c.set_image(np.ones((2, 3))), am.ImageError, "needs array"),
        (lambda c, p: c.set_image(np.ones((1, 0, 3, 4))), am.ImageError, "at least one voxel"),
        (lambda c, p: c.set_image(np.full((1, 4, 3), 1e300)), am.ImageError, "large for float32"),
        (lambda c, p: c.set_image(np.array(["a"])), am.ImageError, "real numbers"),
        (lambda c, p: c.set_image(picture(3), np.zeros((4, 4))), am.ImageError, "affine"),
        (lambda c, p: c.explain("grad_kam"), am.MethodError, "closest: grad_cam"),
        (lambda c, p: c.explain(layer="none"), am.LayerError, "Layer 'none' is not in"),
        (lambda c, p: c.explain(target="liver"), am.TargetError, "liver"),
        (lambda c, p: c.explain(target={"kind": "voxel"}), am.TargetError, "'kind' is class"),
        (lambda c, p: c.explain(target={"kind": "point", "name": 1}), am.TargetError, "name and r"),
        (lambda c, p: c.explain(options={"size": 3}), am.MethodError, "Option 'size'"),
        (lambda c, p: c.explain(options={"size": {1, 2}}), am.WorkerError, "plain texts"),
        (lambda c, p: c.explain(batch_size="many"), am.WorkerError, "batch_size' to be a whole"),
        (lambda c, p: c.evaluate("none.nii", "none.nii"), FileNotFoundError, "none.nii"),
        (lambda c, p: c.evaluate(3, 4), TypeError, "Expected an Image or a path, got int"),
    ],
)  # fmt: skip
def test_bad_input_is_answered_as_in_one_process(kept, paths, ask, error, words):
    kept.load_model(paths["segmenter"])
    kept.set_image(picture(3))
    with pytest.raises(error, match=words):
        kept.wait(ask(kept, paths))
    worker = kept.pid
    check_works(kept, paths)
    assert kept.pid == worker


@pytest.fixture(scope="module")
def kept():
    with WorkerClient() as found:
        yield found


def test_questions_without_model_or_image(client, paths):
    with pytest.raises(am.ModelError, match="a model to be loaded first"):
        client.wait(client.explain())
    client.load_model(paths["segmenter"])
    with pytest.raises(am.ImageError, match="an image to be set first"):
        client.wait(client.answer())


def test_an_interpreter_that_does_not_exist():
    client = WorkerClient("/none/python")
    before = shared_files()
    with pytest.raises(am.WorkerError, match=r"could not be started.*'/none/python'"):
        client.hello()
    assert shared_files() <= before


def test_an_interpreter_that_cannot_run_the_worker(tmp_path):
    with WorkerClient(environment={"PYTHONHOME": str(tmp_path)}) as client:
        with pytest.raises(am.WorkerError, match=r"ended by itself \(exit code 1\): .+") as found:
            client.wait(client.hello())
        assert found.value.log


def test_without_torch_the_worker_says_so(tmp_path, paths):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('no torch', name='torch')\n")
    with WorkerClient(environment={"PYTHONPATH": str(tmp_path)}) as client:
        assert "cannot be loaded" in client.wait(client.hello())["problem"]
        with pytest.raises(am.MissingPackageError, match="misses the Python package 'torch'"):
            client.wait(client.load_model(paths["segmenter"]))


@pytest.mark.parametrize(
    ("code", "ran_out", "words"),
    [
        (-9, True, "Memory ran out and the system ended the worker; choose a later layer"),
        (137, False, r"was killed \(signal 9\); systems do so when memory runs out"),
        (-11, False, r"crashed \(invalid memory access\)"),
        (-6, False, "was aborted"),
        (-40, False, "ended with"),
        (3, False, r"ended by itself \(exit code 3\): ImportError: no such thing"),
        (0xC0000005, False, r"crashed \(invalid memory access\)"),
    ],
)
def test_each_ending_is_described(code, ran_out, words):
    text = describe_ending(code, ("Traceback", "ImportError: no such thing", ""), ran_out)
    assert text.startswith(("The worker", "Memory"))
    assert text.endswith("The next question starts a new worker.")
    with pytest.raises(am.WorkerError, match=words):
        raise am.WorkerError(text)


def test_no_file_is_left_in_the_current_folder(client, paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_works(client, paths)
    assert list(Path.cwd().iterdir()) == []
