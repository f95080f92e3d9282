"""The documentation tells the truth: its snippets run, its tables are those of the code."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

import attention_maps as am
from attention_maps import registry
from attention_maps.models import KINDS
from documents import make_files, snippets
from readme_table import methods_table, table_in_readme


@pytest.fixture
def model_and_scan(tmp_path, monkeypatch):
    """The files that the README speaks of, in the present folder."""
    monkeypatch.chdir(tmp_path)
    return make_files(tmp_path)


def test_readme_python_runs(model_and_scan):
    namespace = {"net": model_and_scan, "image": "t1.nii.gz"}
    for code in snippets("README.md", "python"):
        exec(code, namespace)
    assert namespace["why_here"].target.startswith("tumour at")
    assert len(namespace["maps"]) == 2 * 3  # methods x layers
    assert json.loads(Path("map.json").read_text())["method"] == "hires_cam"
    assert am.read_image("map.nii.gz").grid.same_as(am.read_image("t1.nii.gz").grid)


def test_methods_table_is_the_registers():
    assert table_in_readme() == methods_table(), "run python Testing/engine/readme_table.py"


def test_own_method_kind_and_metric(model_and_scan, monkeypatch):
    am.methods(), am.metrics()  # all of them are registered before the registers are copied
    for name in ("_METHODS", "_METRICS"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    monkeypatch.setattr("attention_maps.models.base.KINDS", KINDS)
    before = dict(KINDS)
    try:
        for code in snippets("CONTRIBUTING.md", "python"):
            exec(code, {})
        Path("model.pt.gz").write_bytes(gzip.compress(Path("model.pt").read_bytes()))
        image = am.read_image("t1.nii.gz")
        options = {"method": "gradient_norm_cam", "layer": "1", "target": 1}
        result = am.explain("model.pt.gz", image, power=2.0, **options)
        square = am.explain("model.pt.gz", image, **options).raw.array ** 2
        np.testing.assert_allclose(result.raw.array, square, rtol=1e-5)
        whole = np.ones((1, 32, 32, 32))
        scores = am.evaluate(result, whole, metrics=["attended_volume"], threshold=0.0)
        attended = int((result.image.array > 0).sum())
        assert scores["attended_volume"] == pytest.approx(attended * 64 / 1000)
    finally:
        KINDS.clear()
        KINDS.update(before)
