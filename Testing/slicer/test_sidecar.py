"""The specification beside a model file."""

import errno
import json
import os
from pathlib import Path

import pytest

from attention_maps.spec import ModelSpec
from attention_maps.spec_sources import find_sidecar
from SlicerAttentionMapsLib import Sidecar


def test_it_is_where_the_engine_looks_for_it(tmp_path):
    model = tmp_path / "net.pt"
    model.touch()
    written = Sidecar.write(model, {"spacing": [1, 2, 3], "name": "Größe"})
    assert written == find_sidecar(model) == Sidecar.sidecarOf(model)
    assert ModelSpec.read(written) == ModelSpec(spacing=(1, 2, 3), name="Größe")
    assert Sidecar.read(written) == {"format_version": 1, "spacing": [1, 2, 3], "name": "Größe"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.json", "net.pt"]


def test_it_is_replaced_only_when_asked(tmp_path):
    Sidecar.write(tmp_path / "net.pt", {"name": "old"})
    with pytest.raises(FileExistsError, match="overwrite=True"):
        Sidecar.write(tmp_path / "net.pt", {"name": "new"})
    assert Sidecar.read(tmp_path / "net.json")["name"] == "old"
    Sidecar.write(tmp_path / "net.pt", {"name": "new"}, overwrite=True)
    assert Sidecar.read(tmp_path / "net.json")["name"] == "new"


def test_what_has_none(tmp_path):
    assert Sidecar.sidecarOf(tmp_path) is None
    assert Sidecar.sidecarOf(tmp_path / "net.json") is None
    assert Sidecar.sidecarOf("") is None
    with pytest.raises(ValueError, match="model file"):
        Sidecar.write(tmp_path, {})


@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_what_cannot_be_read_is_empty(tmp_path, text):
    path = tmp_path / "net.json"
    path.write_text(text, encoding="latin-1")
    assert Sidecar.read(path) == {}
    assert Sidecar.read(tmp_path / "none.json") == {}


def test_a_failure_leaves_what_was_there(tmp_path):
    Sidecar.write(tmp_path / "net.pt", {"name": "old"})
    with pytest.raises(TypeError):
        Sidecar.write(tmp_path / "net.pt", {"name": object()}, overwrite=True)
    assert json.loads((tmp_path / "net.json").read_text())["name"] == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["net.json"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.EROFS])
def test_a_protected_folder_is_told_in_words(tmp_path, monkeypatch, number):
    def refuse(self, *_, **__):
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(OSError) as caught:  # noqa: PT011
        Sidecar.write(tmp_path / "model.pt", {"name": "new"})
    assert isinstance(caught.value, type(OSError(number, "")))
    assert str(caught.value) == (
        "Cannot write 'model.json' beside the model: no permission; copy the model to a folder of "
        "your own."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told_in_words(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^Cannot write 'net.json' .*: No such file"):
        Sidecar.write(tmp_path / "none" / "net.pt", {"name": "new"})
