"""Small seeded networks, one per language feature that a TorchScript program may use.

TorchScript compiles the source of these classes, so they keep to its subset of Python, and the
module leaves annotations unquoted.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class ShapeBranches(nn.Module):
    """Control flow on shapes, and sizes computed from them."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.wide = nn.Conv2d(4, 4, 5, padding=2)
        self.narrow = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        features = self.down(x)
        if features.shape[-1] > 4 and x.dim() == 4:
            features = torch.relu(self.wide(features))
        else:
            features = F.elu(self.narrow(features))
        features = F.interpolate(features, size=(height, width), mode="bilinear")
        return self.head(features)


class ListLoops(nn.Module):
    """Loops over ModuleLists and growing lists of tensors, with an early exit."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(n, n + 1, 3, padding=1), nn.ReLU()) for n in (1, 2, 3)
        )
        self.scales = [1, 2, 4]
        self.head = nn.Conv2d(9, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept: list[Tensor] = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            kept.append(x if index % 2 == 0 else x * float(self.scales[index]))
        total = 0
        for step in range(10, 0, -3):
            if step < 4:
                break
            if step == 7:
                continue
            total += step
        kept.reverse()
        joined = torch.cat(kept[::-1], dim=1)
        for _ in range(total % 3):
            joined = joined + 0.25
        return self.head(joined)


class WhileLoop(nn.Module):
    """A loop that ends on a condition, calling one module again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Conv2d(1, 4, 3, padding=1)
        self.halve = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.lift(x)
        rounds = 0
        while x.size(-1) > 5 and rounds < 8:
            x = F.relu_(self.halve(x))
            rounds += 1
        return self.head(x.mean(dim=(2, 3)) + rounds)


class Containers(nn.Module):
    """Dictionaries, tuples, strings, slices, unpacking and membership."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleDict({"a": nn.Conv2d(1, 2, 1), "b": nn.Conv2d(1, 2, 3, padding=1)})
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        found: dict[str, Tensor] = {}
        order: list[str] = []
        for name, branch in self.branches.items():
            found[name + "!"] = branch(x)
            order.append(name + "!")
        if "c!" in found:
            found.pop("c!")
        pairs = [(name, len(name)) for name in order]
        (first, length), last = pairs[0], pairs[-1][0]
        weights: dict[str, float] = {"a!": 0.5, "b!": 2.0}
        weights.update({"a!": weights["b!"] - 0.5})
        sizes = sorted([int(value.shape[1]) for value in found.values()])
        label = "{}-{}".format(first, length)  # noqa: UP032
        if label.startswith("a") and not label.endswith("x"):
            sizes.insert(0, sizes.pop() + 1)
        scale = float(sum(sizes)) / max(1, min(sizes)) ** 2 + abs(-3) // 2
        both = [found[first] * weights[first], found[last] * scale]
        low, _, high = (both[0], length, both[1])
        return self.head(torch.cat([low, high], 1))


class Optionals(nn.Module):
    """Optional inputs, attributes and None checks."""

    scale: float | None

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.norm: nn.Module | None = None
        self.scale = 2.5
        self.shift: float | None = None
        self.register_buffer("mean", torch.tensor([0.1, -0.2, 0.3]).view(1, 3, 1, 1))
        self.register_buffer("spare", None)

    def blend(self, x: Tensor, other: Tensor | None = None, times: int = 2) -> Tensor:
        if other is None:
            other = torch.zeros_like(x)
        scale = self.scale
        if scale is not None:
            x = x * scale
        if self.shift is not None:
            x = x + self.shift
        return x * times + other

    def forward(self, x: Tensor, prior: Tensor | None = None) -> Tensor:
        y = self.blend(self.conv(x) - self.mean, prior)
        return self.blend(y, other=y.flip(2), times=1)


class SharedModules(nn.Module):
    """The same modules called several times."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Conv2d(1, 4, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True))
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.lift(x)
        for _ in range(2):
            x = x + self.block(x)
        return self.head(self.block(x))


class AliasedModules(nn.Module):
    """Modules that are registered twice and called by the later name (as in nnU-Net)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.InstanceNorm2d(4, affine=True)
        self.all = nn.Sequential(self.conv, self.norm, nn.LeakyReLU(inplace=True))
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.all(x))


class Answer(NamedTuple):
    """What `NamedOutput` returns."""

    logits: Tensor
    features: Tensor


class DictOutput(nn.Module):
    """Returns a dictionary, like torchvision's segmentation networks."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = torch.relu(self.features(x))
        return {"aux": features, "out": F.interpolate(self.head(features), scale_factor=2.0)}


class NamedOutput(nn.Module):
    """Returns a named tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(1, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Answer:
        answer = Answer(self.head(self.features(x)), self.features(x))
        return Answer(logits=answer.logits * 2, features=answer[1])


class ListOutput(nn.Module):
    """Deep supervision: a list of logits, coarsest first."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(1, 4, 3, padding=1)
        self.heads = nn.ModuleList([nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 1)])

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.features(x)
        answers: list[Tensor] = []
        for head in self.heads:
            answers.append(head(x if len(answers) > 0 else F.avg_pool2d(x, 2)))
        return answers


@torch.jit.script
def gated(x: Tensor, gate: Tensor, power: int = 2) -> Tensor:
    """A scripted function."""
    if power > 1:
        return x * torch.sigmoid(gate) ** power
    return x


class Methods(nn.Module):
    """Own methods, exported ones, scripted functions and constants."""

    steps: torch.jit.Final[int]

    def __init__(self) -> None:
        super().__init__()
        self.steps = 2
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.gate = nn.Conv2d(1, 2, 1)

    @torch.jit.export
    def features(self, x: Tensor) -> tuple[Tensor, int]:
        return self.conv(x), self.steps

    def forward(self, x: Tensor) -> Tensor:
        y, steps = self.features(x)
        for _ in range(steps):
            y = gated(y, self.gate(x))
        return y


class TensorTricks(nn.Module):
    """Slices, einsum, padding, dtypes and devices, in-place arithmetic, masks, chunks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.mix = nn.Parameter(torch.linspace(-1, 1, 8).view(2, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(F.pad(x, [1, 1, 1, 1], mode="replicate"))
        grid = torch.arange(x.shape[-1], dtype=x.dtype, device=x.device)
        x = x + grid / max(x.shape[-1], 1)
        x += 0.5
        x *= 2
        x[:, 0] = x[:, 1]
        x[..., -1] = 0.0
        x = x[:, :, ::2, 1:-1]
        first, second = x.chunk(2, dim=1)
        x = torch.cat((first.clamp(min=0), torch.where(second > 0, second, second * 0.1)), 1)
        if x.is_floating_point() and not x.is_cuda and x.dtype != torch.int64:
            x = F.pad(x, (0, 1))
        return torch.einsum("bchw,kc->bkhw", x, self.mix).contiguous()


class Functional(nn.Module):
    """Functional layers, in place too, with weights of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-0.5, 0.5, 36).view(4, 1, 3, 3))
        self.slope = nn.Parameter(torch.full((4,), 0.2))
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight, None, stride=1, padding=1)
        x = F.relu(x, inplace=True)
        x = F.leaky_relu(x - 0.3, 0.1, inplace=True)
        x = F.prelu(F.max_pool2d(x, 2), self.slope)
        x = F.dropout(F.gelu(x), 0.5, self.training)
        x = F.group_norm(x, 2)
        return self.head(F.hardswish(x))


class Recurrent(nn.Module):
    """LSTM and GRU behind convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.lstm = nn.LSTM(4, 5, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(10, 3, batch_first=True)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv(x)).mean(2).transpose(1, 2)
        x, state = self.lstm(x)
        x, last = self.gru(x)
        return self.head(x[:, -1] + last[-1]) + state[0].mean()


class Transformer(nn.Module):
    """Patch tokens through attention; PyTorch's fast path where nothing is recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, stride=4)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = self.encoder(tokens)
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return self.head(self.norm(mixed + tokens).mean(1))


class Constructions(nn.Module):
    """New tensors of numbers, a block without gradients, numbers from strings."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        rows: list[Tensor] = []
        for index in range(x.shape[2] // 8):
            rows.append(self.conv(x[:, :, index * 8 : (index + 1) * 8]))
        y = torch.cat(rows, 2)
        height, width = y.shape[-2:]
        assert height == x.shape[2], "the height changed"
        weights = torch.tensor([1.0, 2.0], dtype=y.dtype, device=y.device).view(1, 2, 1, 1)
        with torch.no_grad():
            mean = y.abs().mean()
        number = int(f"{height}x{width}".split("x")[0])
        number = number // 3 + number % 5 + (-7 // 2) + (-7 % 3) + round(2.5)
        return y * weights / mean + torch.tensor(number) * 0.01 + float(y.numel() > 3)


FEATURES: dict[str, type[nn.Module]] = {
    kind.__name__: kind
    for kind in (
        ShapeBranches, ListLoops, WhileLoop, Containers, Optionals, SharedModules, AliasedModules,
        DictOutput, NamedOutput, ListOutput, Methods, TensorTricks, Functional, Recurrent,
        Transformer, Constructions,
    )
}  # fmt: skip
