"""Writes the tests' networks; run by the worker's Python, for the application need not have torch.

Class 0 is the background; class 1 is predicted where a voxel is above 2, class 2 where it is
above 6. Nothing but the voxel itself counts, so that every map is known.
"""

import json
import sys
from pathlib import Path

CLASSES = ("nothing", "organ", "tumor")


def main(folder: Path) -> None:
    """Write all networks with their specifications into a folder."""
    _save(_spots(), folder / "spots.pt")
    _save(_spots(channels=2), folder / "two.pt", channels=["T1", "T2"])
    _save(_spots(dimensions=2), folder / "flat.pt")
    _save(_spots(pooled=True), folder / "pooled.pt", task="classification")
    _save(_spots(width=12), folder / "slow.pt")
    _save(_hungry(), folder / "hungry.pt")
    _save(_spots(), folder / "windows.pt", patch_size=[8, 8, 8])
    _export(folder / "exported.pt2")


def _save(network, path: Path, channels=("image",), task: str = "segmentation", **more) -> None:
    network.save(str(path))
    specification = {"channels": channels, "class_names": CLASSES, "task": task, **more}
    path.with_suffix(".json").write_text(json.dumps(specification), encoding="utf-8")


def _spots(*, dimensions: int = 3, channels: int = 1, width: int = 1, pooled: bool = False):
    import torch

    conv = {2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[dimensions]
    ones = [1] * dimensions

    def passing(inputs: int, outputs: int):
        """Pass the mean of the inputs on."""
        layer = conv(inputs, outputs, 3, padding=1, bias=False)
        with torch.no_grad():
            layer.weight.zero_()
            layer.weight[(slice(None), slice(None), *ones)] = 1.0 / inputs
        return layer

    class Spots(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = passing(channels, width)
            self.second = passing(width, width)
            self.head = conv(width, 3, 1)
            with torch.no_grad():
                weight = torch.arange(3.0).reshape(3, 1, *ones) / width
                self.head.weight.copy_(weight.expand(3, width, *ones))
                self.head.bias.copy_(torch.tensor([0.0, -2.0, -8.0]))

        def forward(self, x):
            y = torch.relu(self.second(torch.relu(self.first(x))))
            if pooled:
                y = y.amax(list(range(2, dimensions + 2)), keepdim=True)
                return self.head(y).flatten(1)
            return self.head(y)

    return torch.jit.trace(Spots().eval(), torch.zeros(1, channels, *([8] * dimensions)))


def _export(path: Path) -> None:
    """Write a file whose loading executes code that it may carry."""
    import torch

    network = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3, padding=1), torch.nn.Conv3d(2, 2, 1))
    program = torch.export.export(network.eval(), (torch.zeros(1, 1, 8, 8, 8),))
    torch.export.save(program, path)


def _hungry():
    """Return a network that asks for more memory than any computer has."""
    import torch

    class Hungry(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Conv3d(1, 3, 1)

        def forward(self, x):
            wanted = 1000000000000000 if bool(x.abs().sum() > 0) else 1
            return self.first(x) + torch.zeros([wanted]).sum()

    return torch.jit.script(Hungry().eval())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
