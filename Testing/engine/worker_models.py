"""Model files and small helpers for tests that ask a worker process."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from attention_maps.worker.arrays import PREFIX, places
from tiny_networks import FlatClassifier, SmallUNet, picture, seeded, traced

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW_SHAPE = (24, 24, 24)
SLOW_OPERATORS = 80


class SlowChain(nn.Module):
    """Takes seconds, in many operators of some milliseconds each."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv3d(1, 24, 3, padding=1)
        self.again = nn.Conv3d(24, 24, 3, padding=1)
        self.out = nn.Conv3d(24, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for _ in range(SLOW_OPERATORS):
            x = self.again(x)
        return self.out(x)


class Noisy(nn.Module):
    """Prints while it runs, as forgotten debugging code does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 1)
        self.out = nn.Conv2d(3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("{ not a message", x.shape)  # noqa: T201
        return self.out(self.conv(x))


class Coarse(nn.Module):
    """Sees a large volume in blocks of 8 x 8 x 8 voxels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 3, 1)
        self.out = nn.Conv3d(3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.conv(functional.avg_pool3d(x, 8)))


def write_models(folder: Path) -> dict[str, Path]:
    """TorchScript files by name."""
    slow = torch.zeros(1, 1, *SLOW_SHAPE)
    coarse = torch.zeros(1, 1, 16, 16, 16)
    scripts = {
        "segmenter": traced(seeded(SmallUNet(3), 1), picture(3)),
        "classifier": traced(seeded(FlatClassifier(3), 1), picture(3)),
        "slow": torch.jit.trace(seeded(SlowChain()), slow, check_trace=False),
        "noisy": torch.jit.script(seeded(Noisy())),
        "coarse": torch.jit.trace(seeded(Coarse()), coarse, check_trace=False),
    }
    paths = {name: folder / f"{name}.pt" for name in scripts}
    for name, script in scripts.items():
        script.save(str(paths[name]))
    return paths


def shared_files(pid: int | None = None) -> set[Path]:
    """All folders of shared arrays that a process has now; of this one where none is given."""
    pattern = f"{PREFIX}{os.getpid() if pid is None else pid}-*"
    return {folder for place in places() for folder in place.glob(pattern)}


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet counts as ended."""
    try:
        return ") Z" in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):  # gone, before or while it is read
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def soon(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Wait until something is so; False where it takes too long."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
