"""Shared by all tests: figures are drawn without a display, tiny networks run on one thread."""

from __future__ import annotations

import os

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for each other spin
