"""Networks that run in a millisecond, with fixed random weights, in 2D and 3D."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
CONV_TRANSPOSE = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
SHAPES = {2: (13, 18), 3: (8, 11, 9)}


def seeded(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module with weights drawn anew, spread enough to tell channels apart."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            fan = parameter[0].numel() if parameter.ndim > 1 else 4
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * fan**-0.5)
    return module.eval()


def picture(axes: int, channels: int = 1, seed: int = 1, shape: tuple[int, ...] = ()):
    """(C, *spatial) float32 array of positive and negative values."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(channels, *(shape or SHAPES[axes]), generator=generator).numpy()


class PooledClassifier(nn.Module):
    """Convolutions, global average pooling, one linear layer: where CAM is defined."""

    def __init__(self, axes: int = 2, classes: int = 3, bias: bool = True) -> None:
        super().__init__()
        self.first = CONV[axes](1, 4, 3, stride=2, padding=1)
        self.act1 = nn.ReLU()
        self.second = CONV[axes](4, 5, 3, padding=1)
        self.act2 = nn.ReLU()
        self.head = nn.Linear(5, classes, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act2(self.second(self.act1(self.first(x))))
        return self.head(x.flatten(2).mean(2))


class FlatClassifier(nn.Module):
    """Its head weighs every voxel on its own, so that gradients differ from place to place."""

    def __init__(
        self, axes: int = 2, classes: int = 3, bias: bool = True, channels: int = 1
    ) -> None:
        super().__init__()
        self.first = CONV[axes](channels, 4, 3, stride=2, padding=1)
        self.act1 = nn.ReLU()
        self.second = CONV[axes](4, 5, 3, padding=1)
        self.act2 = nn.ReLU()
        voxels = 1
        for size in SHAPES[axes]:
            voxels *= (size + 1) // 2
        self.head = nn.Linear(5 * voxels, classes, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act2(self.second(self.act1(self.first(x))))
        return self.head(x.flatten(1))


class SmallUNet(nn.Module):
    """Two resolutions with a skip connection; answers on the input's grid."""

    def __init__(self, axes: int = 2, classes: int = 3) -> None:
        super().__init__()
        self.enc = CONV[axes](1, 4, 3, padding=1)
        self.act1 = nn.ReLU()
        self.down = CONV[axes](4, 6, 3, stride=2, padding=1)
        self.act2 = nn.ReLU()
        self.up = CONV_TRANSPOSE[axes](6, 4, 2, stride=2)
        self.merge = CONV[axes](8, 5, 3, padding=1)
        self.act3 = nn.ReLU()
        self.out = CONV[axes](5, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = self.act1(self.enc(x))
        deep = self.up(self.act2(self.down(skip)))
        missing: list[int] = []
        for axis in range(x.ndim - 1, 1, -1):
            missing += [0, skip.shape[axis] - deep.shape[axis]]
        deep = functional.pad(deep, missing)
        return self.out(self.act3(self.merge(torch.cat([skip, deep], 1))))


class TokenClassifier(nn.Module):
    """Patches as tokens (B, tokens, channels) with a class token in front, as in a transformer."""

    def __init__(self, classes: int = 3, with_token: bool = True) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 5, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, 5), requires_grad=with_token)
        self.mix = nn.Linear(5, 6)
        self.act = nn.ReLU()
        self.weigh = nn.Linear(6, 1)
        self.head = nn.Linear(6, classes)
        self.with_token = with_token

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        if self.with_token:
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        x = self.act(self.mix(x))
        return self.head((x * torch.softmax(self.weigh(x), 1)).sum(1))


class Linear(nn.Module):
    """One convolution and nothing else: its gradients are its weights."""

    def __init__(self, axes: int = 2, classes: int = 2, channels: int = 1) -> None:
        super().__init__()
        self.conv = CONV[axes](channels, 3, 1)
        self.out = CONV[axes](3, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.conv(x))


def traced(module: nn.Module, image) -> torch.jit.ScriptModule:
    """The module as a TorchScript trace made on this image."""
    return torch.jit.trace(module, torch.as_tensor(image)[None], check_trace=False)
