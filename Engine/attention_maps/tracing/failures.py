"""Failures of a network, told from those of the caller's own functions."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch
from torch.utils.checkpoint import CheckpointError

from attention_maps.errors import AttentionMapsError, ModelRunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# What PyTorch, its libraries and the system say of the processor's memory.
_OUT_OF_MEMORY = ("can't allocate memory", "Cannot allocate memory", "std::bad_alloc")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError | OSError) and any(
        words in str(error) for words in _OUT_OF_MEMORY
    )


def remembering(
    tick: Callable[[], None] | None, errors: list[Exception]
) -> Callable[[], None] | None:
    """The same function, which notes what it raises: that is no failure of the network."""
    if tick is None:
        return None

    def remember() -> None:
        try:
            tick()
        except Exception as error:
            errors.append(error)
            raise

    return remember


@contextlib.contextmanager
def readable_errors(
    inputs: torch.Tensor, outside: list[Exception], direction: str = "forward"
) -> Iterator[None]:
    """Say with which input a network failed, and what often helps; errors from outside pass."""
    try:
        yield
    except Exception as error:  # whatever the code of the network raises
        if isinstance(error, AttentionMapsError) or error in outside:
            raise
        if is_out_of_memory(error):
            where = "device" if isinstance(error, torch.OutOfMemoryError) else "computer"
            other = ", or device='cpu'" if where == "device" else ""
            raise ModelRunError(
                f"The {where} ran out of memory on an input of shape {tuple(inputs.shape)}; choose "
                f"a layer nearer to the output, or a smaller input{other}."
            ) from error
        if isinstance(error, CheckpointError):
            raise ModelRunError(
                "The network saves memory by torch.utils.checkpoint, which works parts out again "
                "on the way back, and those cannot be followed; switch it off (often "
                "use_checkpoint=False), or choose a layer behind these parts."
            ) from error
        last_line = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
        first_line = last_line if last_line.endswith((".", "!", "?")) else f"{last_line}."
        if direction == "backward":
            raise ModelRunError(
                f"The network's answer could not be followed back ({last_line}); choose a later "
                "layer, or a method without gradients such as ablation_cam, score_cam or occlusion."
            ) from error
        raise ModelRunError(
            f"The network failed on an input of shape {tuple(inputs.shape)} "
            f"(batch, channels, *spatial), {inputs.dtype}: {first_line} "
            "Check channels, spatial size and axis order against the model's specification; "
            "a traced model may accept only the size that it was traced with."
        ) from error
