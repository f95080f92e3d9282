"""Weights and numbers of PyTorch files, read as data: nothing in them is executed."""

from __future__ import annotations

import pickle
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attention_maps.errors import ConsentError, ModelError

if TYPE_CHECKING:
    from pathlib import Path


def read_weights(path: Path, *, trust: bool = False) -> Any:
    """Read a file of `torch.save` with `weights_only`.

    Numbers of NumPy are allowed beside tensors: training loops log them.

    Args:
        path: The file.
        trust: Whether what else it holds may be unpickled, which executes code.

    Raises:
        ConsentError: If it holds anything else and is not trusted.
        ModelError: If it cannot be read.
    """
    function = np.float64(0.0).__reduce__()[0]
    allowed: list[Any] = [
        np.dtype,
        *(type(np.dtype(name)) for name in ("f8", "f4", "i8", "i4", "?")),
        (function, "numpy.core.multiarray.scalar"),
        (function, "numpy._core.multiarray.scalar"),
    ]
    try:
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if trust:
            return _unpickled(path)
        raise ConsentError(
            f"'{path}' is refused: it holds more than weights and numbers "
            f"({_reason(str(error))}), and loading it would execute code. If you know where it "
            "comes from, load it with trust=True (command line: --trust)."
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise ModelError(
            f"'{path}' cannot be read (damaged or cut short): {_first_line(error)}"
        ) from error


def _unpickled(path: Path) -> Any:
    """All that a trusted file holds."""
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # whatever the code in it raises, and modules that are not there
        raise ModelError(
            f"'{path}' cannot be read (damaged, or code that it needs is not there): "
            f"{_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _reason(message: str) -> str:
    for line in message.splitlines():
        if "GLOBAL" in line or "Unsupported" in line:
            return line.strip().removeprefix("WeightsUnpickler error: ")[:120]
    return message.splitlines()[0][:120] if message else "unknown content"
