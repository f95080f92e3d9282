"""Imports PyTorch into the application, whose libraries are built by another compiler."""

import os
import sys

import slicer


def importTorch() -> None:
    """Import torch so that it finds its own C++ code before that of the application.

    Both bring parts of the C++ standard library. Without this, torch may call those of the
    application when it loads a TorchScript file, which ends the process ("free(): invalid
    pointer", https://github.com/pytorch/pytorch/issues/50779). Only Linux has the problem, and the
    remedy. Once torch is imported nothing can be changed any more.
    """
    inApplication = getattr(slicer, "app", None) is not None
    if not inApplication or "torch" in sys.modules or not hasattr(os, "RTLD_DEEPBIND"):
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
    try:
        import torch  # noqa: F401
    finally:
        sys.setdlopenflags(flags)
