"""What a question will take, said before it is asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """Memory and time, roughly.

    Args:
        windows: Number of looks through windows, mirrored ones and all networks counted; 1 where
            the network sees the whole image at once.
        bytes: Largest amount of memory at once.
        seconds: Of a question about the whole answer, the prediction included; None where no
            window has been run yet.
        kept: Whether activations are kept rather than made again.
    """

    windows: int
    bytes: float
    seconds: float | None
    kept: bool

    def __str__(self) -> str:
        parts = [f"{self.windows} windows"] if self.windows > 1 else []
        parts.append(f"{_memory(self.bytes / 2**30)} GiB")
        if self.seconds is not None:
            parts.append(f"{_duration(self.seconds)}")
        return ", ".join(parts)


def _memory(size: float) -> str:
    return f"about {size:.1f}" if size >= 0.1 else "below 0.1"


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "below 1 s"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
