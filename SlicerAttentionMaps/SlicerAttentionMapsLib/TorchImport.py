"""Imports PyTorch into the application, whose libraries are built by another compiler."""

import os
import sys
from contextlib import contextmanager

import slicer


def importTorch() -> None:
    """Import torch so that it finds its own C++ code before that of the application.

    Once torch is imported nothing can be changed any more.
    """
    inApplication = getattr(slicer, "app", None) is not None
    if not inApplication or "torch" in sys.modules:
        return
    with ownCodeFirst():
        import torch  # noqa: F401


@contextmanager
def ownCodeFirst():
    """Let what is imported meanwhile find its own C++ code first, where that can be asked for.

    Both torch and the application bring parts of the C++ standard library. Without this, torch may
    call those of the application when it loads a TorchScript file, which ends the process
    ("free(): invalid pointer", https://github.com/pytorch/pytorch/issues/50779). Only Linux has
    the problem, and the remedy.
    """
    if not hasattr(os, "RTLD_DEEPBIND"):
        yield
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
    try:
        yield
    finally:
        sys.setdlopenflags(flags)
