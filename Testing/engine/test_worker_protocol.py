"""The lines between client and worker, and the arrays beside them."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

import attention_maps as am
from attention_maps.worker import arrays, measure_messages, messages
from attention_maps.worker.arrays import PREFIX, SharedFolder, places, sweep
from attention_maps.worker.codec import build, decode, encode, id_of
from worker_models import shared_files

IMAGE = messages.SharedImage(messages.SharedArray("/p", (1, 2, 3), "<f4"), ((1.0, 0.0),))
ALL = [
    messages.Hello(1),
    messages.LoadModel(2, "model.pt", {"name": "x", "spacing": [1, 2.5, 3]}, "cpu"),
    messages.LoadModel(2, "model.pt", "deepbet_bbox"),
    messages.SetImage(3, "scan", IMAGE),
    messages.SetImage(3, "scan", paths=("a.nii", "b.nii")),
    messages.Layers(4),
    messages.Answer(5),
    messages.Explain(6, ("a", "b"), "auto", [{"kind": "top"}], {"size": 3}, 2, True),
    measure_messages.Evaluate(7, IMAGE, "mask.nii.gz", ("dice",), 0.5, {"tolerance": 2.0}),
    measure_messages.Evidence(7, IMAGE, (measure_messages.NamedMask("tumour", IMAGE),)),
    measure_messages.HotSpots(7, "map.nii.gz", "otsu", 0.5, 3),
    measure_messages.Trust(7, "grad_cam", "l", {"kind": "top"}, ("deletion",), 3, {"steps": 4}),
    measure_messages.Sweep(7, ("a", "b"), ("grad_cam",), 1, (), ("iou",), 0.5),
    messages.Cancel(8, 6),
    messages.Shutdown(9),
    messages.Progress(6, 0.25, "Läuft"),
    messages.MapMade(6, IMAGE, (-1.0, 2.0), -1.5, "l", "m", "t", True, {"a": None}, IMAGE),
    messages.Done(6, {"dice": 0.5}, IMAGE),
    messages.Failed(6, "LayerError", "two\nlines"),
]


ALL_KINDS = messages.REQUESTS | measure_messages.MEASURES | messages.REPLIES


@pytest.mark.parametrize("message", ALL, ids=lambda item: type(item).__name__)
def test_messages_arrive_as_they_were_sent(message):
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line, ALL_KINDS) == message


BAD_LINES = [
    (b"", "Expected a JSON object on one line"),
    (b"hello", "Expected a JSON object on one line"),
    (b"\xff\xfe", "Expected a JSON object on one line"),
    (b"[" * 100000, "Expected a JSON object on one line"),
    (b"3", "Expected a JSON object, got"),
    (b"{}", "Expected a message of type hello, load_model"),
    (b'{"type": "destroy", "id": 3}', "got 'destroy'"),
    (b'{"type": ["hello"], "id": 3}', "Expected a message of type"),
    (b'{"type": "hello"}', "'hello' misses id; its fields: id"),
    (b'{"type": "hello", "id": "one"}', "Expected 'hello.id' to be a whole number, got 'one'"),
    (b'{"type": "hello", "id": true}', "Expected 'hello.id' to be a whole number, got True"),
    (b'{"type": "hello", "id": 1, "x": 2}', "'hello' has no field x"),
    (b'{"type": "explain", "id": 1, "live": 1}', "'explain.live' to be true or false, got 1"),
    (b'{"type": "explain", "id": 1, "layer": [1]}', "'explain.layer' to be a text or a list"),
    (b'{"type": "set_image", "id": 1, "image_id": "a", "image": {"array": 3}}',
     "Expected 'set_image.image.array' to be an object, got 3"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "words"), BAD_LINES, ids=range(len(BAD_LINES)))
def test_bad_lines_are_refused_with_what_is_wrong(line, words):
    with pytest.raises(am.WorkerError) as found:
        decode(line, messages.REQUESTS)
    assert words in str(found.value)
    assert len(str(found.value)) < 400


def test_the_number_of_a_bad_line_is_found_where_there_is_one():
    assert id_of(b'{"type": "destroy", "id": 3}') == 3
    assert id_of(b'{"id": "3"}') == 0
    assert id_of(b"nothing") == 0


def test_a_worker_that_gets_nonsense_lives_on(tmp_path):
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    lost = {"type": "set_image", "id": 70, "image_id": "a",
            "image": {"array": {"path": "/etc/passwd", "shape": [1], "dtype": "u1"}}}  # fmt: skip
    lines = [line for line, _ in BAD_LINES] + [
        json.dumps(lost).encode(),
        b'{"type":"hello","id":9}',
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "attention_maps.worker"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env,
    ) as process:  # fmt: skip
        process.stdin.write(b"\n".join(lines) + b"\n")
        process.stdin.flush()
        replies = [decode(process.stdout.readline(), messages.REPLIES) for _ in lines]
        process.stdin.close()
        assert process.wait(20) == 0
    failed = replies[: len(BAD_LINES)]
    assert [type(item) for item in failed] == [messages.Failed] * len(BAD_LINES)
    assert {item.error for item in failed} == {"WorkerError"}
    refused, hello = sorted(replies[len(BAD_LINES) :], key=lambda item: -item.id)
    assert "Expected a shared array of this client, got the file" in refused.message
    assert hello.result["pid"] == process.pid


@pytest.fixture
def folder():
    found = SharedFolder()
    yield found
    found.close()
    assert not any(path.exists() for path in found.folders)


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "u1", "?", "i8", "f2"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (1,), ()])
def test_arrays_come_out_as_they_went_in(folder, dtype, shape):
    array = (np.arange(24) % 5).astype(dtype)[: int(np.prod(shape))].reshape(shape)
    shared = folder.share(array)
    assert os.path.exists(shared.path)  # noqa: PTH110
    found = folder.fetch(build(messages.SharedArray, json.loads(json.dumps(vars(shared))), ""))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert not os.path.exists(shared.path)  # noqa: PTH110
    with pytest.raises(am.WorkerError, match="cannot be read"):
        folder.fetch(shared)


def test_what_is_received_is_the_shared_memory_itself(folder):
    array = np.asfortranarray(np.random.default_rng(0).random((3, 40, 50), dtype=np.float32))
    other_side = SharedFolder(folder.folders)
    found = other_side.fetch(folder.share(array))
    image = am.Image(found)
    assert not found.flags.owndata
    assert np.shares_memory(image.array, found)
    np.testing.assert_array_equal(image.array, array)


def test_only_the_user_can_read_what_is_shared(folder):
    assert {path.stat().st_mode & 0o777 for path in folder.folders} == {0o700}


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space is not taken in advance")
def test_where_memory_is_short_the_disk_is_used(folder, monkeypatch):
    taken = os.posix_fallocate

    def full(number, start, size):
        if os.fstat(number).st_dev == folder.folders[0].stat().st_dev:
            raise OSError(28, "No space left on device")
        taken(number, start, size)

    monkeypatch.setattr(arrays.os, "posix_fallocate", full)
    shared = folder.share(np.arange(6))
    assert shared.path.startswith(str(folder.folders[1]))
    np.testing.assert_array_equal(folder.fetch(shared), np.arange(6))
    folder.folders = folder.folders[:1]
    with pytest.raises(am.WorkerError, match=r"Found no space to share 0 MiB .*No space left"):
        folder.share(np.arange(6))
    assert [path.name for path in folder.folders[0].iterdir()] == ["lock"]
    folder.folders = [place / folder.folders[0].name for place in places()]


def test_folders_of_killed_clients_are_swept_and_others_kept(folder):
    orphans = [place / f"{PREFIX}1-dead" for place in places()]
    for orphan in orphans:
        orphan.mkdir(exist_ok=True)
        (orphan / "lock").touch()
        (orphan / "array").write_bytes(b"123")
    try:
        sweep()
        assert set(orphans) <= shared_files(1)  # they may be about to be locked
        old = time.time() - 3600
        for path in (*orphans, *folder.folders):
            os.utime(path, (old, old))
        sweep()
        assert not set(orphans) & shared_files(1)
        assert set(folder.folders) <= shared_files()
    finally:
        for orphan in orphans:
            SharedFolder([orphan]).close()
