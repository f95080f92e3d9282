"""Checkpoints of nnU-Net v2, read as data: nothing in them is executed."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attention_maps.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

NEEDED = ("network_weights", "init_args")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint with `weights_only`.

    Numbers of NumPy are allowed beside tensors: nnU-Net logs them.

    Raises:
        ModelError: If it holds anything else, or is no checkpoint of nnU-Net v2.
    """
    allowed: list[Any] = [
        np.dtype,
        np.dtypes.Float64DType,
        np.dtypes.Float32DType,
        np.dtypes.Int64DType,
        np.dtypes.BoolDType,
        (_scalar_function(), "numpy.core.multiarray.scalar"),
        (_scalar_function(), "numpy._core.multiarray.scalar"),
    ]
    try:
        with torch.serialization.safe_globals(allowed):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = _reason(str(error))
        raise ModelError(
            f"'{path}' is refused: it holds more than weights and numbers ({reason}), and loading "
            "it would execute code."
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise ModelError(
            f"The checkpoint '{path}' cannot be read (damaged or cut short): "
            f"{str(error).splitlines()[0]}"
        ) from error
    missing = [name for name in NEEDED if not isinstance(found, dict) or name not in found]
    if missing:
        older = isinstance(found, dict) and "state_dict" in found
        hint = "it is of nnU-Net v1, which is not supported" if older else "it is something else"
        raise ModelError(
            f"Expected a checkpoint of nnU-Net v2, but '{path}' has no {missing[0]}: {hint}."
        )
    return found


def _scalar_function() -> Any:
    """NumPy's function that makes a scalar of bytes."""
    return np.float64(0.0).__reduce__()[0]


def _reason(message: str) -> str:
    for line in message.splitlines():
        if "GLOBAL" in line or "Unsupported" in line:
            return line.strip().removeprefix("WeightsUnpickler error: ")[:120]
    return message.splitlines()[0][:120] if message else "unknown content"
