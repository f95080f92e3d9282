"""What measuring imports, and how much memory it takes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SHAPE = (128, 128, 96)
LARGEST_GROWTH = 28  # bytes per voxel, beside 4 of the map and 4 of the mask

MEASURE = """
import json, resource, sys
import attention_maps as am
am.metrics(), am.evaluate, am.hot_spots, am.evidence_table
at_first = {name for name in sys.modules if "." not in name}
import SimpleITK, numpy as np
import scipy.ndimage, scipy.spatial
generator = np.random.default_rng(0)
"""
USE = """
values = am.Image(generator.random((1, 20, 20, 20), dtype=np.float32))
labels = np.zeros((20, 20, 20))
labels[3:9, 3:9, 3:9] = 1
am.evaluate(values, labels)
am.evaluate(values, labels, threshold="otsu+largest", labels="all")
am.hot_spots(values, 0.9, segments=labels)
am.evidence_table(values, labels)
used = {name for name in sys.modules if "." not in name}
print(json.dumps([sorted(at_first), sorted(used)]))
"""
PEAK = f"""
values = am.Image(generator.random((1, *{SHAPE}), dtype=np.float32))
mask = np.zeros((1, *{SHAPE}), np.float32)
mask[0, 40:90, 50:70, 30:60] = 1
mask = am.Image(mask)
am.evaluate(am.Image(values.array[:, :8, :8, :8]), mask.array[0, :8, :8, :8] + 1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
scores = am.evaluate(values, mask)
assert not scores.reasons
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def run(code: str) -> str:
    command = [sys.executable, "-c", MEASURE + code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_measuring_takes_numpy_scipy_and_simpleitk_alone():
    """3D Slicer has these, and its application measures in its own process."""
    at_first, used = json.loads(run(USE))
    heavy = {"torch", "pandas", "skimage", "sklearn", "openpyxl", "jinja2", "matplotlib", "monai"}
    assert heavy.isdisjoint(used)
    assert {"scipy", "SimpleITK", *heavy}.isdisjoint(at_first)


@pytest.mark.skipif(sys.platform == "win32", reason="its Python does not know the peak")
def test_memory_of_all_metrics():
    """Of noise, whose region is all surface."""
    growth = int(run(PEAK)) * (1 if sys.platform == "darwin" else 1024)
    voxels = SHAPE[0] * SHAPE[1] * SHAPE[2]
    assert growth < LARGEST_GROWTH * voxels
