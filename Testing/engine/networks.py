"""Small seeded networks that several test files explain."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import monai.networks.nets as monai_nets
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TinyClassifier(nn.Module):
    """Convolutions, batch normalization, in-place activations, pooling, a linear head."""

    def __init__(self, dims: int = 2, classes: int = 3) -> None:
        super().__init__()
        conv = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
        norm = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dims]
        self.features = nn.Sequential(
            conv(1, 4, 3, stride=2, padding=1), norm(4), nn.ReLU(inplace=True),
            conv(4, 6, 3, stride=2, padding=1), norm(6), nn.LeakyReLU(0.1, inplace=True),
        )  # fmt: skip
        self.unused = conv(1, 1, 1)
        self.head = nn.Linear(6, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).flatten(2).mean(2))


class TinyUNet(nn.Module):
    """Two levels with a skip connection that is concatenated."""

    def __init__(self, dims: int = 2, classes: int = 3) -> None:
        super().__init__()
        conv = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
        up = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[dims]
        norm = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[dims]
        self.encoder = nn.Sequential(conv(1, 4, 3, padding=1), norm(4, affine=True), nn.PReLU())
        self.down = nn.Sequential(conv(4, 6, 3, stride=2, padding=1), nn.ReLU(inplace=True))
        self.up = up(6, 4, 2, stride=2)
        self.decoder = nn.Sequential(conv(8, 5, 3, padding=1), nn.ReLU(inplace=True))
        self.head = conv(5, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = self.encoder(x)
        return self.head(self.decoder(torch.cat([self.up(self.down(skip)), skip], 1)))


def nnunet(kind: type[nn.Module] = PlainConvUNet, *, deep_supervision: bool = False) -> nn.Module:
    """An nnU-Net of three stages, with its in-place LeakyReLU."""
    blocks = "n_conv_per_stage" if kind is PlainConvUNet else "n_blocks_per_stage"
    return kind(
        1, n_stages=3, features_per_stage=[4, 6, 8], conv_op=nn.Conv3d, kernel_sizes=3,
        strides=[1, 2, 2], num_classes=3, n_conv_per_stage_decoder=[1, 1], conv_bias=True,
        norm_op=nn.InstanceNorm3d, norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU, nonlin_kwargs={"inplace": True}, deep_supervision=deep_supervision,
        **{blocks: [1, 2, 1]},
    )  # fmt: skip


# name -> network, shape of its input, whether it is scripted too (quick enough, and it compiles)
ZOO: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], bool]] = {
    "classifier": (TinyClassifier, (1, 1, 24, 20), True),
    "classifier 3D": (lambda: TinyClassifier(3), (1, 1, 12, 16, 10), True),
    "unet": (TinyUNet, (1, 1, 24, 20), True),
    "unet 3D": (lambda: TinyUNet(3), (1, 1, 12, 16, 10), True),
    "nnU-Net plain": (nnunet, (1, 1, 16, 16, 16), False),
    "nnU-Net deep supervision": (lambda: nnunet(deep_supervision=True), (1, 1, 16, 16, 16), False),
    "nnU-Net residual": (lambda: nnunet(ResidualEncoderUNet), (1, 1, 16, 16, 16), False),
    "MONAI UNet": (
        lambda: monai_nets.UNet(3, 1, 2, (4, 6, 8), (2, 2), num_res_units=1),
        (1, 1, 16, 16, 16), True,
    ),
    "MONAI BasicUNet": (
        lambda: monai_nets.BasicUNet(2, 1, 2, features=(4, 4, 6, 6, 8, 4)), (1, 1, 32, 32), True,
    ),
    "MONAI SegResNet": (
        lambda: monai_nets.SegResNet(3, 8, 1, 2, blocks_down=(1, 1, 1), blocks_up=(1, 1)),
        (1, 1, 16, 16, 16), True,
    ),
    "MONAI DynUNet": (
        lambda: monai_nets.DynUNet(2, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2], filters=[4, 6, 8]),
        (1, 1, 16, 16), True,
    ),
    "MONAI AttentionUnet": (
        lambda: monai_nets.AttentionUnet(3, 1, 2, (4, 6, 8), (2, 2)), (1, 1, 16, 16, 16), True,
    ),
    "MONAI VNet": (lambda: monai_nets.VNet(2, 1, 2), (1, 1, 32, 32), False),
    "MONAI DenseNet": (
        lambda: monai_nets.DenseNet(2, 1, 3, init_features=8, growth_rate=4, block_config=(2, 2)),
        (1, 1, 48, 40), True,
    ),
    "MONAI ResNet": (
        lambda: monai_nets.ResNet(
            "basic", [1, 1, 1, 1], [4, 4, 6, 8], spatial_dims=2, n_input_channels=1, num_classes=3
        ),
        (1, 1, 64, 64), True,
    ),
    "MONAI EfficientNet": (
        lambda: monai_nets.EfficientNetBN(
            "efficientnet-b0", pretrained=False, spatial_dims=2, in_channels=1, num_classes=3
        ),
        (1, 1, 64, 64), True,
    ),
    "MONAI ViT": (
        lambda: monai_nets.ViT(
            1, (16, 16, 16), (8, 8, 8), 12, 24, 2, 2, classification=True, num_classes=3
        ),
        (1, 1, 16, 16, 16), True,
    ),
    "MONAI UNETR": (
        lambda: monai_nets.UNETR(
            1, 2, (32, 32), feature_size=4, hidden_size=12, mlp_dim=24, num_heads=2, spatial_dims=2
        ),
        (1, 1, 32, 32), False,
    ),
    "MONAI SwinUNETR": (
        lambda: monai_nets.SwinUNETR(
            1, 2, feature_size=12, spatial_dims=2, depths=(1, 1, 1, 1), num_heads=(2, 2, 2, 2)
        ),
        (1, 1, 64, 64), False,
    ),
}  # fmt: skip


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A network of the zoo in evaluation mode, and an input for it."""
    make, shape, _ = ZOO[name]
    return seeded(make), seeded_input(shape)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    """A network with the same weights every time, its normalization statistics not trivial."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = make().eval()
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1, generator=generator)
        elif name.endswith("running_var"):
            buffer.uniform_(0.8, 1.2, generator=generator)
    return network


def seeded_input(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """The same noise every time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def as_torchscript(network: nn.Module, inputs: torch.Tensor, mode: str) -> torch.jit.ScriptModule:
    """TorchScript of a network: "traced", "scripted", "frozen traced" or "frozen scripted"."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's advice on how a network is written
        if mode.endswith("traced"):
            script = torch.jit.trace(network, inputs, check_trace=False, strict=False)
        else:
            script = torch.jit.script(network)
        return torch.jit.freeze(script) if mode.startswith("frozen") else script


def through_file(script: torch.jit.ScriptModule, folder: Path) -> torch.jit.ScriptModule:
    """The same program, saved and loaded again."""
    path = folder / "model.pt"
    script.save(str(path))
    return torch.jit.load(str(path))


def tensors_in(answer: Any) -> list[torch.Tensor]:
    """All tensors of a tensor, list, tuple or dictionary."""
    if isinstance(answer, torch.Tensor):
        return [answer]
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, list | tuple):
        return [tensor for item in answer for tensor in tensors_in(item)]
    return []


def relative_difference(first: torch.Tensor, second: torch.Tensor) -> float:
    """Largest difference over the largest value."""
    return float((first - second).abs().max() / second.abs().max().clamp_min(1e-30))
