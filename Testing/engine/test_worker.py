"""Results through the worker are those of one process; what it keeps is not done again."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import attention_maps as am
from attention_maps.worker.client import WorkerClient
from tiny_networks import picture
from worker_models import write_models

AFFINE = np.array([[0, -2, 0, 10.0], [1.5, 0, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def client():
    threads = str(torch.get_num_threads())  # sums of several threads are rounded otherwise
    with WorkerClient(environment={"OMP_NUM_THREADS": threads}) as found:
        yield found


@pytest.fixture
def image():
    return am.Image(picture(3), AFFINE)


def ask(client, path, image, *args, **kwargs):
    """All three requests on the way at once; the result of the last one."""
    client.load_model(path)
    client.set_image(image)
    return client.wait(client.explain(*args, **kwargs))


def check_same(found, expected):
    """Bit by bit, wherever the numbers come from."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for kind in ("raw", "image"):
            mine, theirs = getattr(one, kind), getattr(other, kind)
            np.testing.assert_array_equal(mine.array, theirs.array)
            np.testing.assert_array_equal(mine.affine, theirs.affine)
            assert mine.array.dtype == np.float32
        for name in ("score", "layer", "method", "target", "signed", "has_evidence"):
            assert getattr(one, name) == getattr(other, name), name
        changing = {"seconds", "created"}
        mine = {k: v for k, v in one.provenance.items() if k not in changing}
        assert mine == {k: v for k, v in other.provenance.items() if k not in changing}


def test_the_client_comes_without_torch():
    code = "import sys, attention_maps.worker.client; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_hello_tells_what_it_runs_on(client):
    found = client.wait(client.hello())
    assert found["torch"] == torch.__version__
    assert found["attention_maps"] == am.__version__
    assert found["pid"] == client.pid
    assert found["devices"][0] == "cpu"
    assert found["problem"] == ""


@pytest.mark.parametrize("name", ["segmenter", "classifier"])
def test_all_methods_equal_those_of_one_process(client, paths, image, name):
    methods = [item for item in am.methods() if item != "cam"]
    options = {"samples": 4, "steps": 4, "max_steps": 4}
    found = ask(client, paths[name], image, methods, ["act2", "act1"], 1, options=options)
    expected = am.explain(paths[name], image, methods, ["act2", "act1"], 1, **options)
    check_same(found, expected)


def test_every_target_equals_that_of_one_process(client, paths, image):
    here = am.Grid(image.array.shape[1:], AFFINE)
    labels = am.Explainer(paths["segmenter"], image).prediction.array[0]
    inside = np.argwhere(labels == 2)[0]
    point = here.to_world(inside)
    mask = np.zeros(labels.shape, dtype=bool)
    mask[2:5, 3:7, 1:4] = True
    placed = am.Image(mask[None, ::-1].astype(np.float32), AFFINE @ np.diag([1, 1, 1, 1.0]))
    pairs = [
        (None, None),
        (2, 2),
        ("0", "0"),
        ({"kind": "class", "name": 2}, am.ClassTarget(2)),
        ({"kind": "region", "name": 1, "mask": mask}, am.RegionTarget(1, mask)),
        ({"kind": "region", "name": 1, "mask": placed}, am.RegionTarget(1, placed)),
        (
            {"kind": "region", "name": 1, "mask": mask, "place": "a box"},
            am.RegionTarget(1, mask, "a box"),
        ),
        ({"kind": "point", "name": 0, "ras": point}, am.PointTarget(0, ras=point)),
        ({"kind": "component", "name": 2, "ras": tuple(point)}, am.ComponentTarget(2, ras=point)),
        ({"kind": "contrast", "name": 2, "other": 0}, am.ContrastTarget(2, 0)),
        ({"kind": "top", "k": 2}, am.TopTarget(2)),
    ]
    packed, plain = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found = ask(client, paths["segmenter"], image, "hires_cam", "act2", packed)
    check_same(found, am.explain(paths["segmenter"], image, "hires_cam", "act2", plain))


def test_a_mask_may_be_a_file(client, paths, image, tmp_path):
    mask = np.zeros((1, *image.grid.shape))
    mask[0, 1:4, 2:5, 3:6] = 1
    path = am.write_image(am.Image(mask, AFFINE), tmp_path / "mask.nii.gz")
    target = {"kind": "region", "name": 1, "mask": path}
    found = ask(client, paths["segmenter"], image, "grad_cam", "act2", target)
    expected = am.RegionTarget(1, am.Image(mask, AFFINE))
    np.testing.assert_array_equal(
        found[0].image.array,
        am.explain(paths["segmenter"], image, "grad_cam", "act2", expected).image.array,
    )


@pytest.mark.parametrize("dtype", ["float64", "int16", "uint8", "bool", ">i2"])
def test_arrays_of_any_type_and_order_arrive(client, paths, dtype):
    array = (picture(3) * 50).astype(dtype)
    turned = np.asfortranarray(array)[:, :, ::-1]
    client.load_model(paths["segmenter"])
    client.set_image(turned, AFFINE)
    found = client.wait(client.explain("grad_cam", "act2", 2))
    expected = am.explain(paths["segmenter"], am.Image(turned, AFFINE), "grad_cam", "act2", 2)
    check_same(found, [expected])


def test_an_image_may_be_files(client, paths, image, tmp_path):
    path = am.write_image(image, tmp_path / "scan.nii.gz")
    for source in (path, [path], str(path)):
        found = ask(client, paths["segmenter"], source, "grad_cam", "act2", 2)
        check_same(found, [am.explain(paths["segmenter"], path, "grad_cam", "act2", 2)])


def test_the_answer_of_a_segmentation(client, paths, image):
    client.load_model(paths["segmenter"], {"class_names": ["rest", "left", "right"]})
    client.set_image(image)
    found = client.wait(client.answer())
    session = am.Explainer(paths["segmenter"], image)
    labels = session.prediction.array[0]
    np.testing.assert_array_equal(found.labels, labels)
    assert found.labels.dtype == np.uint8
    np.testing.assert_array_equal(found.affine, AFFINE)
    assert found.classes == ("rest", "left", "right")
    assert found.voxels == tuple(int((labels == index).sum()) for index in range(3))
    assert found.volumes_ml == pytest.approx([n * 1.5 * 2 * 3 / 1000 for n in found.voxels])
    assert list(found.ranking) == session.answer().ranking()
    assert (found.task, found.background) == ("segmentation", 0)


def test_the_answer_of_a_classification(client, paths, image):
    client.load_model(paths["classifier"])
    client.set_image(image)
    found = client.wait(client.answer())
    expected = am.Explainer(paths["classifier"], image).prediction
    np.testing.assert_array_equal(np.float32(found.probabilities), expected)
    assert list(found.ranking) == np.argsort(-expected).tolist()
    assert found.labels is None


def test_layers_are_those_of_one_process(client, paths, image):
    client.load_model(paths["segmenter"])
    client.set_image(image)
    assert client.wait(client.layers()) == am.load_model(paths["segmenter"]).layers(image)


def test_metrics_are_those_of_one_process(client, paths, image):
    found = ask(client, paths["segmenter"], image, "grad_cam", "act2", 2)[0]
    mask = am.Image((picture(3, seed=4) > 0.3).astype(np.float32), AFFINE)
    expected = am.evaluate(found.image, mask, threshold=0.4)
    assert client.wait(client.evaluate(found, mask, threshold=0.4)) == expected
    one = client.wait(client.evaluate(found, mask, "dice", 0.4))
    assert one == {"dice": expected["dice"]}


def test_the_model_is_described_in_one_line(client, paths):
    spec = {
        "name": "brain", "channels": ["T1"], "spacing": [1, 1, 2.5], "orientation": "RAS",
        "class_names": ["rest", "left", "right"], "task": "segmentation", "layer": "act2",
    }  # fmt: skip
    found = client.wait(client.load_model(paths["segmenter"], spec))
    assert found["line"] == (
        "brain: TorchScript, 3D, segmentation, 1 channel (T1), 1 x 1 x 2.5 mm, RAS, "
        "classes: rest, left, right"
    )
    assert found["spec"]["layer"] == "act2"
    assert found["device"] == "cpu"


def messages_of(client, request):
    """What a request reports while it runs."""
    seen = []
    request._callbacks["on_progress"] = lambda fraction, text: seen.append((fraction, text))
    client.wait(request)
    return seen


def test_a_second_question_needs_no_forward_pass(client, paths, image):
    def question(target):
        return [text for _, text in messages_of(client, client.explain("grad_cam", "act2", target))]

    client.load_model(paths["segmenter"], device="cpu")
    client.set_image(image, image_id="patient")
    assert "Running the network" in question(1)
    assert "Running the network" not in question(2)
    client.load_model(paths["segmenter"], device="cpu")  # the same again
    client.set_image(image, image_id="patient")
    assert "Running the network" not in question(0)
    assert messages_of(client, client.answer()) == []
    client.set_image(am.Image(image.array * 2, AFFINE), image_id="another")
    assert "Running the network" in question(2)
    paths["segmenter"].touch()  # it may be another model now
    client.load_model(paths["segmenter"], device="cpu")
    assert "Running the network" in question(2)


def test_maps_come_one_after_another(client, paths, image):
    client.load_model(paths["segmenter"])
    client.set_image(image)
    seen = []
    request = client.explain(
        ["hires_cam", "occlusion"], "act2", [1, 2],
        on_map=lambda made: seen.append((made.target, made.method)),
        on_progress=lambda fraction, text: seen.append(text.partition(":")[0]),
        on_done=lambda maps: seen.append(len(maps)),
    )  # fmt: skip
    client.wait(request)
    maps = [item for item in seen if isinstance(item, tuple)]
    assert maps == [
        ("class 1", "hires_cam"), ("class 1", "occlusion"),
        ("class 2", "hires_cam"), ("class 2", "occlusion"),
    ]  # fmt: skip
    assert seen.index(maps[0]) < seen.index("Occlusion") < seen.index(maps[2])
    assert seen[-1] == 4


NOISE = """
import os, threading, time

def talk():
    while True:
        os.write(1, b"{ not a message\\n")
        print("neither is this")
        time.sleep(0.002)

print("started by the sitecustomize of a tester")
threading.Thread(target=talk, daemon=True).start()
"""


def test_what_others_print_breaks_nothing(paths, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(NOISE)
    with WorkerClient(environment={"PYTHONPATH": str(tmp_path)}) as client:
        found = ask(client, paths["noisy"], am.Image(picture(2)), "occlusion", "conv", 1)
        assert any("{ not a message" in line for line in client._process.log())
    expected = am.explain(paths["noisy"], picture(2), "occlusion", "conv", 1)
    np.testing.assert_allclose(found[0].image.array, expected.image.array, rtol=1e-4, atol=1e-6)


def test_two_hundred_megabytes_pass(client, paths):
    image = am.Image(np.zeros((1, 384, 384, 360), dtype=np.float32))
    image.array[0, 100:200, 50:150, 10:300] = 1.0
    made = ask(client, paths["coarse"], image, "grad_cam", "conv", 1)[0]
    expected = am.explain(paths["coarse"], image, "grad_cam", "conv", 1)
    assert made.image.array.nbytes > 200e6
    np.testing.assert_array_equal(made.image.array, expected.image.array)
    assert not made.image.array.flags.owndata  # the shared memory itself, not a copy of it
    made.image.array[0, 0, 0, 0] = 7.0
