"""Checkpoints of nnU-Net v2, read as data: nothing in them is executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attention_maps.errors import ModelError
from attention_maps.models.weights import read_weights

if TYPE_CHECKING:
    from pathlib import Path

NEEDED = ("network_weights", "init_args")


def read_checkpoint(path: Path, *, trust: bool = False) -> dict[str, Any]:
    """Read a checkpoint.

    Args:
        path: The file.
        trust: Whether what it holds beside weights and numbers may be unpickled.

    Raises:
        ConsentError: If it holds anything else and is not trusted.
        ModelError: If it cannot be read, or is no checkpoint of nnU-Net v2.
    """
    found: Any = read_weights(path, trust=trust)
    missing = [name for name in NEEDED if not isinstance(found, dict) or name not in found]
    if missing:
        older = isinstance(found, dict) and "state_dict" in found
        hint = "it is of nnU-Net v1, which is not supported" if older else "it is something else"
        raise ModelError(
            f"Expected a checkpoint of nnU-Net v2, but '{path}' has no {missing[0]}: {hint}."
        )
    arguments = found["init_args"]
    if not isinstance(arguments, dict) or "configuration" not in arguments:
        raise ModelError(
            f"Expected a checkpoint of nnU-Net v2, but '{path}' names no configuration in its "
            "init_args; copy it again from where it was trained."
        )
    if not isinstance(found["network_weights"], dict):
        raise ModelError(
            f"Expected weights by name in '{path}', got "
            f"{type(found['network_weights']).__name__}; copy it again from where it was trained."
        )
    return found
