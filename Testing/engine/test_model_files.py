"""Files that are no TorchScript: refused with what came and what to do, nothing executed."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest
import torch

import attention_maps as am
from attention_maps.errors import ModelError, SpecError
from networks import TinyClassifier, TinyUNet, as_torchscript, seeded, seeded_input


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, marker) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"echo executed > '{self.marker}'",)


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "executed.txt"


@pytest.fixture
def script_bytes():
    buffer = io.BytesIO()
    script = as_torchscript(seeded(TinyClassifier), seeded_input((1, 1, 16, 16)), "traced")
    torch.jit.save(script, buffer)
    return buffer.getvalue()


def refused(path, *parts):
    with pytest.raises(ModelError) as caught:
        am.load_model(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    for part in parts:
        assert part in message
    return message


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "old format"])
@pytest.mark.parametrize("suffix", [".pt", ".ts", ".pth", ".pkl"])
def test_pickles_are_never_loaded(tmp_path, marker, legacy, suffix):
    path = tmp_path / f"model{suffix}"
    torch.save({"weights": Trap(marker)}, path, _use_new_zipfile_serialization=not legacy)
    refused(path, "execute the code", "torch.jit.trace", "system")
    assert not marker.exists()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_plain_pickles_are_never_loaded(tmp_path, marker, protocol):
    path = tmp_path / "model.ts"
    path.write_bytes(pickle.dumps([Trap(marker)], protocol=protocol))
    refused(path, "execute the code")
    assert not marker.exists()


def test_torchscript_with_a_trap_among_its_files(tmp_path, marker, script_bytes):
    """Its own reader of pickled constants knows no functions."""
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(io.BytesIO(script_bytes)) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            bad = name.endswith(("/data.pkl", "/constants.pkl"))
            target.writestr(name, pickle.dumps(Trap(marker), 2) if bad else source.read(name))
    refused(path, "cannot load it")
    assert not marker.exists()


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "old format"])
def test_whole_modules(tmp_path, legacy):
    path = tmp_path / "model.pt"
    torch.save(seeded(TinyUNet), path, _use_new_zipfile_serialization=not legacy)
    refused(path, "pickled Python object", "networks.TinyUNet", "torch.jit.trace")


def test_whole_modules_of_pytorch_itself(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1)), path)
    refused(path, "pickled Python object", "torch.nn.modules")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "old format"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["state dict", "checkpoint"])
def test_state_dicts(tmp_path, legacy, wrapped):
    path = tmp_path / "weights.pth"
    state = seeded(TinyUNet).state_dict()
    content = {"epoch": 3, "state_dict": state, "loss": np.float64(0.5)} if wrapped else state
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    refused(path, "weights only", "load_state_dict", "torch.jit.trace")


def test_fastai_exports(tmp_path, monkeypatch):
    learner = types.ModuleType("fastai.learner")
    learner.Learner = type("Learner", (), {"__module__": "fastai.learner"})
    monkeypatch.setitem(sys.modules, "fastai", types.ModuleType("fastai"))
    monkeypatch.setitem(sys.modules, "fastai.learner", learner)
    for legacy in (False, True):
        path = tmp_path / f"export{legacy}.pkl"
        torch.save(learner.Learner(), path, _use_new_zipfile_serialization=not legacy)
        refused(path, "fastai", "learn.model")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_exported_programs(tmp_path):
    path = tmp_path / "model.pt2"
    program = torch.export.export(seeded(TinyClassifier), (seeded_input((1, 1, 16, 16)),))
    torch.export.save(program, path)
    refused(path, "torch.export", "trust=True")
    path.rename(tmp_path / "model.pt")
    refused(tmp_path / "model.pt", "torch.export")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files(tmp_path, script_bytes, share):
    path = tmp_path / "model.pt"
    path.write_bytes(script_bytes[: int(len(script_bytes) * share)])
    refused(path, "damaged, cut short")


def test_damaged_files(tmp_path, script_bytes):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(io.BytesIO(script_bytes)) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            text = source.read(name)
            target.writestr(name, text.replace(b"forward", b"f rward"))
    refused(path, "cannot load it")


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("model.pt", b"", "is empty"),
        ("model.ts", b"This is no model.\n", "damaged, cut short, or another format"),
        ("model.onnx", b"\x08\x07\x12\x07pytorch", "ONNX"),
        ("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(64), "Keras or HDF5"),
        ("model.safetensors", b"\x02\x00\x00\x00\x00\x00\x00\x00{}", "safetensors weights"),
        ("model.pb", b"\x08\x01", "TensorFlow"),
        ("model.tflite", b"\x1c\x00\x00\x00TFL3", "TensorFlow Lite"),
        ("model.json", b"{}", "the model beside it"),
        ("model.pt", bytes(range(256)) * 40, "damaged, cut short"),
        ("model.pt", b"\x80", "Expected"),
        ("model.pt", b"\x80\x02\x8a\x0alFc\x9cF\xf9 j\xa8P\x19.\x80\x02M", "Expected"),
        ("model.pt", b"PK\x03\x04" + bytes(40), "damaged, cut short"),
    ],
)
def test_other_formats(tmp_path, name, content, part):
    path = tmp_path / name
    path.write_bytes(content)
    refused(path, part)


@pytest.mark.parametrize("names", [["report.txt"], ["folder/report.txt", "folder/a.png"], []])
def test_other_archives(tmp_path, names):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "text")
    refused(path, "zip archive" if names else "Expected a TorchScript file")


def test_folders(tmp_path):
    refused(tmp_path, "the folder", "torch.jit.trace")


@pytest.mark.parametrize("path", ["no/such/model.pt", "model.pt", ""])
def test_missing_files(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((FileNotFoundError, ModelError), match="Expected a model file"):
        am.load_model(path)


@pytest.mark.parametrize("source", [None, 3, {"a": 1}, [torch.nn.ReLU()], lambda x: x])
def test_other_objects(source):
    with pytest.raises(ModelError, match=f"got {type(source).__name__}"):
        am.load_model(source)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "model.json"),
        (b"\xff\xfe", "model.json"),
        (b"[1, 2]", "model.json"),
        (json.dumps({"no_such_key": 1}).encode(), "no_such_key"),
        (json.dumps({"spacing": [1, -1, 1]}).encode(), "spacing"),
    ],
)
def test_sidecars_that_are_not_valid(tmp_path, script_bytes, content, message):
    (tmp_path / "model.pt").write_bytes(script_bytes)
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(SpecError, match=message):
        am.load_model(tmp_path / "model.pt")


def test_a_good_file_with_its_sidecar(tmp_path, script_bytes):
    (tmp_path / "model.pt").write_bytes(script_bytes)
    (tmp_path / "model.json").write_text(json.dumps({"class_names": ["a", "b", "c"]}))
    model = am.load_model(tmp_path / "model.pt")
    assert tuple(model.spec.class_names) == ("a", "b", "c")
    assert model.path == tmp_path / "model.pt"
    assert model.network.kind == "TorchScript"


@pytest.mark.parametrize("name", ["model.pt", "model.ts", "model.pth", "mödel v2.jit", "model"])
def test_torchscript_under_any_name(tmp_path, script_bytes, name):
    (tmp_path / name).write_bytes(script_bytes)
    inputs = seeded_input((1, 1, 16, 16))
    expected = seeded(TinyClassifier)(inputs)
    torch.testing.assert_close(am.load_model(str(tmp_path / name)).run(inputs).logits, expected)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu9", "Expected a device such as"),
        ("cuda:99", "not available"),
        ("meta", "not available"),
        (3.5, "Expected a device such as"),
    ],
)
def test_devices(tmp_path, script_bytes, device, message):
    (tmp_path / "model.pt").write_bytes(script_bytes)
    with pytest.raises(ModelError, match=message):
        am.load_model(tmp_path / "model.pt", device=device)
