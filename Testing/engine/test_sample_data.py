"""Sample files are found by name, wherever they lie below the root."""

import sys
from pathlib import Path

import pytest

from attention_maps import sample_data


def test_file_below_the_given_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_MAPS_SAMPLE_DATA", str(tmp_path))
    file = tmp_path / "a" / "b" / "T1.nii.gz"
    file.parent.mkdir(parents=True)
    file.touch()
    assert sample_data.root() == tmp_path
    assert sample_data.find("T1.nii.gz") == file


def test_missing_file_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_MAPS_SAMPLE_DATA", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match=r"T1.nii.gz.*make data.*ATTENTION_MAPS_SAMPLE"):
        sample_data.find("T1.nii.gz")


def test_root_is_in_the_environment_by_default(monkeypatch):
    monkeypatch.delenv("ATTENTION_MAPS_SAMPLE_DATA", raising=False)
    assert sample_data.root() == Path(sys.prefix) / "share" / "attention-maps" / "sample_data"
