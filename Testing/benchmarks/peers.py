"""What other packages do with the models that people have: each claim of the docs, tried.

Grad-CAM by every package on five small networks, held against a hand-written one:

- plain: a U-Net's end without anything special, to see that the packages are used as they should;
- in-place: convolution, normalization and an in-place activation, as nnU-Net has them, asked at the
  normalization;
- TorchScript: the plain network, traced and saved, asked at a layer by its name;
- torch.export: the plain network as an exported program, which others get as its module;
- softmax inside: the plain network with a softmax at its end and a certain answer.

Printed is the correlation with the right map, or why there is none. A second table asks about a
volume that is seen in windows: the gradient of the blended answer on the input, against automatic
differentiation through MONAI's whole sliding-window inference, and against captum's saliency of
one window after the other, averaged where they overlap.

    python Testing/benchmarks/peers.py
"""

from __future__ import annotations

import platform
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE, PATCH, OVERLAP, CLASS = 24, 16, 0.5, 1
LAYER = "norm"


class Network(nn.Module):
    """Convolution, normalization, activation, head.

    Args:
        in_place: Whether the activation overwrites what it gets.
        softmax: Whether probabilities come out, of logits that leave no doubt.
    """

    def __init__(self, *, in_place: bool = False, softmax: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 6, 3, padding=1)
        self.norm = nn.InstanceNorm3d(6, affine=True)
        self.act = nn.LeakyReLU(0.01, inplace=in_place)
        self.head = nn.Conv3d(6, 2, 3, padding=1)
        self.softmax = softmax

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 2, *spatial) logits or probabilities."""
        logits = self.head(self.act(self.norm(self.conv(x))))
        return torch.softmax(200 * logits, 1) if self.softmax else logits


def made(**kind: bool) -> Network:
    """Seeded, in evaluation mode."""
    torch.manual_seed(0)
    return Network(**kind).eval()


def scan(size: int = SIZE) -> torch.Tensor:
    """Noise with a bright block (1, 1, *spatial)."""
    x = torch.randn(1, 1, *(size,) * 3, generator=torch.Generator().manual_seed(1))
    x[..., size // 4 : size // 2, size // 4 : size // 2, size // 4 : size // 2] += 3
    return x


def total(logits: torch.Tensor) -> torch.Tensor:
    """(B,) sum of a class over the volume."""
    return logits[:, CLASS].flatten(1).sum(1)


class Totals(nn.Module):
    """A segmentation network as a classifier, which MONAI's GradCAM wants."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, classes)."""
        return self.net(x).flatten(2).sum(2)


def by_hand(softmax: bool) -> np.ndarray:
    """Grad-CAM of the logits (*spatial)."""
    net = made()
    kept = net.norm(net.conv(scan())).detach().requires_grad_()
    logits = net.head(net.act(kept))
    (gradient,) = torch.autograd.grad(total(200 * logits if softmax else logits).sum(), kept)
    weighted = (gradient.mean((2, 3, 4), keepdim=True) * kept).sum(1)
    return weighted.relu()[0].detach().numpy()


def ours(net: Any) -> np.ndarray:
    """This package."""
    import attention_maps as am

    # logits where the network gives probabilities, as the package does by itself
    return am.explain(net, am.Image(scan()[0]), layer=LAYER, target=total).raw.array[0]


def captum(net: Any) -> np.ndarray:
    """captum's LayerGradCam."""
    from captum.attr import LayerGradCam

    explainer = LayerGradCam(lambda x: total(net(x)), getattr(net, LAYER))
    return explainer.attribute(scan(), relu_attributions=True)[0, 0].detach().numpy()


def monai(net: Any) -> np.ndarray:
    """MONAI's GradCAM, before its scaling."""
    from monai.visualize import GradCAM

    explainer = GradCAM(Totals(net), target_layers=f"net.{LAYER}")
    return explainer.compute_map(scan(), class_idx=CLASS)[0, 0].detach().numpy()


def medcam(net: Any) -> np.ndarray:
    """M3d-CAM."""
    from medcam import medcam as package

    model = package.inject(net, backend="gcam", layer=LAYER, label=CLASS, return_attention=True)
    return np.asarray(model(scan())[1]).squeeze()


PACKAGES: dict[str, Callable[[Any], np.ndarray]] = {
    "AttentionMaps": ours, "captum": captum, "MONAI": monai, "M3d-CAM": medcam,
}  # fmt: skip


def traced() -> Any:
    """The plain network, from its file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.pt"
        torch.jit.trace(made(), scan()).save(path)
        return torch.jit.load(path)


def exported() -> Any:
    """The plain network as a program."""
    return torch.export.export(made(), (scan(),))


NETWORKS: dict[str, Callable[[], Any]] = {
    "plain": made,
    "in-place": lambda: made(in_place=True),
    "TorchScript": traced,
    "torch.export": exported,
    "softmax inside": lambda: made(softmax=True),
}


def outcome(package: Callable[[Any], np.ndarray], network: str) -> str:
    """Correlation with the right map, or the reason that there is none."""
    try:
        net = NETWORKS[network]()
        own = package is ours or network != "torch.export"
        found = package(net if own else net.module())
    except Exception as error:  # whatever a package raises
        return f"fails: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:60]}"
    expected = by_hand(network == "softmax inside")
    if found.shape != expected.shape:
        return f"another grid: {found.shape}"
    if found.max() == found.min():
        return "a constant map"
    return f"{np.corrcoef(found.ravel(), expected.ravel())[0, 1]:.4f}"


def gradient_of_inference(net: nn.Module, x: torch.Tensor) -> np.ndarray:
    """Automatic differentiation through MONAI's whole inference (*spatial)."""
    from monai.inferers import sliding_window_inference

    x = x.clone().requires_grad_()
    fused = sliding_window_inference(x, (PATCH,) * 3, 1, net, overlap=OVERLAP, mode="gaussian")
    where = fused.detach().argmax(1) == CLASS
    (gradient,) = torch.autograd.grad(fused[:, CLASS][where].sum(), x)
    return gradient.abs()[0, 0].numpy()


def ours_in_windows(net: nn.Module, x: torch.Tensor) -> np.ndarray:
    """This package (*spatial)."""
    import attention_maps as am

    spec = {
        "patch_size": [PATCH] * 3,
        "sliding_window": {"overlap": OVERLAP, "blending": "gaussian"},
    }
    model = am.load_model(net, spec)
    return am.explain(model, am.Image(x[0]), "saliency", target=CLASS).image.array[0]


def one_by_one(net: nn.Module, x: torch.Tensor) -> np.ndarray:
    """captum's saliency of each window, with the window's own question, averaged (*spatial)."""
    from captum.attr import Saliency

    from attention_maps.windows.tiling import tile

    def score(window: torch.Tensor) -> torch.Tensor:
        logits = net(window)
        return (logits[:, CLASS] * (logits.detach().argmax(1) == CLASS)).flatten(1).sum(1)

    summed, count = np.zeros(x.shape[2:]), np.zeros(x.shape[2:])
    for start in tile(tuple(x.shape[2:]), (PATCH,) * 3, OVERLAP).starts:
        box = tuple(slice(first, first + PATCH) for first in start)
        window = x[(slice(None), slice(None), *box)].clone().requires_grad_()
        summed[box] += Saliency(score).attribute(window)[0, 0].detach().numpy()
        count[box] += 1
    return summed / count


def main() -> None:
    """Print both tables."""
    warnings.simplefilter("ignore")
    print(f"PyTorch {torch.__version__}, Python {platform.python_version()}\n")
    print(f"| Grad-CAM | {' | '.join(PACKAGES)} |\n|{'---|' * (1 + len(PACKAGES))}")
    for network in NETWORKS:
        row = [outcome(package, network) for package in PACKAGES.values()]
        print(f"| {network} | {' | '.join(row)} |")
    net, x = made(), scan(40)
    expected = gradient_of_inference(net, x)
    print("\n| gradient of a volume in windows | correlation | largest difference |\n|---|---|---|")
    for name, function in (("AttentionMaps", ours_in_windows), ("one by one", one_by_one)):
        found = function(net, x)
        correlation = np.corrcoef(found.ravel(), expected.ravel())[0, 1]
        difference = np.abs(found - expected).max() / expected.max()
        print(f"| {name} | {correlation:.6f} | {difference:.1e} of the largest value |")


if __name__ == "__main__":
    main()
