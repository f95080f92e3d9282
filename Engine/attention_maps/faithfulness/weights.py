"""A network's layers from the output to the input, and new random weights for them.

The cascade of Adebayo et al. (2018): one layer after the other is initialized anew, so that in the
end nothing that was learnt is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attention_maps.lazy import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attention_maps.tracing.trace import Geometry

PRELU_START = 0.25
NORM_SPREAD = 0.1


@dataclass(frozen=True)
class Stage:
    """A layer with drawn weights, and the normalization behind it.

    Args:
        layer: Name of the layer.
        tensors: Names of its parameters and running statistics, and those of what follows it.
        kinds: Class of the module that owns each of them.
    """

    layer: str
    tensors: tuple[str, ...]
    kinds: tuple[str, ...]


def stages(
    tensors: Mapping[str, torch.Tensor], geometry: Geometry, aliases: Mapping[str, str]
) -> list[Stage]:
    """Layers with weights, from the output to the input, in the order in which they ran.

    Parameters whose place is not known, such as those of the network itself, go with the last one.

    Args:
        tensors: Parameters and running statistics by name.
        geometry: The layers, in execution order.
        aliases: Other names of layers.
    """
    last = {info.name.partition("#")[0]: n for n, info in enumerate(geometry.infos)}
    kinds = {info.name.partition("#")[0]: info.kind for info in geometry.infos}
    owners: dict[str, list[str]] = {}
    for name in tensors:
        owner = name.rpartition(".")[0]
        owner = aliases.get(owner, owner)
        while owner and owner not in last:
            owner = owner.rpartition(".")[0]
        owners.setdefault(owner, []).append(name)
    unplaced = [(name, "") for name in owners.pop("", [])]
    found: list[Stage] = []
    waiting: list[tuple[str, str]] = []
    for owner in sorted(owners, key=lambda owner: last[owner], reverse=True):
        waiting += [(name, kinds[owner]) for name in owners[owner]]
        if any(tensors[name].ndim > 1 for name in owners[owner]):
            found.append(_stage(owner, waiting))
            waiting = []
    rest = [*waiting, *unplaced]  # also a normalization of the input
    if rest and found:
        end = found.pop()
        rest = [*zip(end.tensors, end.kinds, strict=True), *rest]
        return [*found, _stage(end.layer, rest)]
    return [_stage("the network itself", rest)] if rest else found


def _stage(layer: str, owned: list[tuple[str, str]]) -> Stage:
    names, kinds = zip(*owned, strict=True)
    return Stage(layer, names, kinds)


def initialize(
    stage: Stage, tensors: Mapping[str, torch.Tensor], generator: torch.Generator
) -> None:
    """Give a stage the weights of a network that has learnt nothing, in place.

    Weights of convolutions and linear layers are drawn as He et al. (2015, arXiv:1502.01852) do,
    their biases become 0. Normalization multiplies by 1, forgets its running statistics and adds
    random numbers of standard deviation 0.1: with 0, as networks begin, a window of nothing but air
    stays constant, and each instance normalization multiplies its gradient by hundreds. PReLU
    starts at 0.25. Anything else (tokens, position embeddings) is drawn from a normal distribution
    with its own standard deviation.
    """
    with torch.inference_mode(False), torch.no_grad():
        for name, kind in zip(stage.tensors, stage.kinds, strict=True):
            tensor = tensors[name]
            tensor.copy_(_fresh(name.rpartition(".")[2], kind.lower(), tensor, generator))


def _fresh(name: str, kind: str, tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    shape = tensor.shape
    if name == "bias" and "norm" in kind:
        return NORM_SPREAD * torch.randn(shape, generator=generator)
    if name == "running_mean" or name.endswith("bias"):
        return torch.zeros(shape)
    if name == "running_var":
        return torch.ones(shape)
    if name.endswith("weight") and tensor.ndim > 1:
        drawn = torch.empty(shape)
        return torch.nn.init.kaiming_normal_(drawn, nonlinearity="relu", generator=generator)
    if name == "weight":
        return torch.full(shape, PRELU_START if "prelu" in kind else 1.0)
    spread = float(tensor.float().std()) if tensor.numel() > 1 else abs(float(tensor))
    return spread * torch.randn(shape, generator=generator)
