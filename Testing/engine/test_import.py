"""`import attention_maps` is cheap and brings nothing heavy along."""

from __future__ import annotations

import json
import subprocess
import sys

MEASURE = """
import json, sys
import attention_maps
{}
print(json.dumps(sorted(sys.modules)))
"""


def modules_after_import(then: str = "") -> list[str]:
    """Import the engine in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(then)], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def test_import_leaves_heavy_packages_out() -> None:
    heavy = {"torch", "numpy", "SimpleITK", "nibabel", "matplotlib", "slicer", "qt", "vtk"}
    assert heavy.isdisjoint(modules_after_import())


def test_listing_methods_with_their_options_leaves_torch_out() -> None:
    use = "assert attention_maps.methods()['smooth_grad'].options['samples'].default == 25"
    found = modules_after_import(use)
    assert "attention_maps.algorithms.gradient" in found
    assert "torch" not in found
