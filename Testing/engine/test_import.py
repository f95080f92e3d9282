"""`import attention_maps` is cheap and brings nothing heavy along."""

from __future__ import annotations

import json
import subprocess
import sys

MEASURE = """
import json, sys, time
start = time.perf_counter()
import attention_maps
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "modules": sorted(sys.modules)}))
"""


def fresh_import() -> dict:
    """Import the engine in a process of its own: {"seconds": float, "modules": [str]}."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def test_import_leaves_heavy_packages_out() -> None:
    heavy = {"torch", "numpy", "SimpleITK", "nibabel", "matplotlib", "slicer", "qt", "vtk"}
    assert heavy.isdisjoint(fresh_import()["modules"])


def test_import_is_fast() -> None:
    # 0.2 s is promised on an idle machine; the bound leaves room for a busy one.
    assert min(fresh_import()["seconds"] for _ in range(5)) < 1.0
