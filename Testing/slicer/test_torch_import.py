"""In the application torch comes first with its own C++ code, and leaves no trace of that."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

MODULE = Path(__file__).parents[2] / "SlicerAttentionMaps"
CODE = """
import os, sys, slicer
from SlicerAttentionMapsLib.TorchImport import importTorch

asked = []
change = sys.setdlopenflags
sys.setdlopenflags = lambda flags: asked.append(flags) or change(flags)
before = sys.getdlopenflags()
importTorch()
assert "torch" not in sys.modules and not asked  # no application
slicer.app = object()
importTorch()
importTorch()
assert sys.getdlopenflags() == before
if hasattr(os, "RTLD_DEEPBIND"):
    assert asked == [before | os.RTLD_DEEPBIND, before]
import torch
module = torch.jit.trace(torch.nn.Conv3d(1, 1, 3), torch.zeros(1, 1, 4, 4, 4))
module.save(sys.argv[1])
print(tuple(torch.jit.load(sys.argv[1])(torch.zeros(1, 1, 5, 5, 5)).shape))
"""


def test_torch_finds_its_own_code_first(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", CODE, str(tmp_path / "model.pt")]
    done = subprocess.run(command, cwd=MODULE, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "(1, 1, 3, 3, 3)"
