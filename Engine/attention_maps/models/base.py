"""What every kind of model offers, and the register of kinds."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from attention_maps.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    import torch

    from attention_maps.preprocessing import NetworkInput
    from attention_maps.spec import ModelSpec
    from attention_maps.types import Image

    Tap = Callable[[str, str, Any], Any]


class Network(Protocol):
    """A network that runs with a tap on every layer.

    Attributes:
        kind: What it is, in words, such as "TorchScript (traced)".
        name: Class of the network.
        aliases: Other names of modules that are registered twice -> the name they run under.
    """

    kind: str
    name: str
    aliases: dict[str, str]

    def run(self, inputs: torch.Tensor, tap: Tap | None) -> Any:
        """Run a forward pass in evaluation mode, parameters without gradients.

        Args:
            inputs: (B, C, *spatial).
            tap: Called as `tap(layer name, kind, output)` after every layer; what it returns
                replaces the output.

        Returns:
            What the network returns: a tensor, or a tuple, list or dict of them.
        """

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Names and values of parameters, buffers and constants, in definition order."""

    def layer_names(self) -> list[str]:
        """Names of all layers that the network has, whether they run or not."""

    def changing(self) -> AbstractContextManager[dict[str, torch.Tensor]]:
        """Parameters and running statistics by name, to be changed in place, and put back."""


class Preparation(Protocol):
    """A model's own way from an image to the network's input."""

    def prepare(self, image: Image, orientation: str | None = None) -> NetworkInput:
        """Make the network's input.

        Args:
            image: The image, one channel per name in the specification.
            orientation: Where its axes are turned first; None leaves them to the model.
        """


CHOICES = ("configuration", "folds", "checkpoint", "previous_stage")


@dataclass(frozen=True)
class LoadOptions:
    """What a person may choose about a model that is more than one file.

    Args:
        configuration: Name of one of several models in a folder; None for the usual one.
        folds: Which of several trained networks are averaged; None for all.
        checkpoint: Name of the checkpoint; None for the final one.
        trust: Whether code that comes with the model may be executed.
        previous_stage: Label map of a cascade's first stage (Image or path); None to compute it.
    """

    configuration: str | None = None
    folds: tuple[str, ...] | None = None
    checkpoint: str | None = None
    trust: bool = False
    previous_stage: Any = None


@dataclass(frozen=True)
class Loaded:
    """What a kind of model makes of a source.

    Args:
        networks: The network, or several of one architecture whose answers are averaged.
        spec: What the model itself says it expects.
        preparation: Its own way from an image to the network's input, where it has one.
        line: What it is, in one line for people.
        fixed_size: Voxels per axis, in the network's order, where it takes no other.
        files: Files with the weights where the source is not itself the file.
    """

    networks: tuple[Network, ...]
    spec: ModelSpec | None = None
    preparation: Preparation | None = None
    line: str = ""
    fixed_size: tuple[int, ...] | None = None
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class ModelKind:
    """One kind of model that can be loaded.

    Args:
        name: Short name.
        description: What it is and where it comes from.
        accepts: Whether a source (a path or an object) is of this kind.
        load: Makes it of a source, on a device, as the options say.
        choices: Options that mean something to it, beside `trust`.
    """

    name: str
    description: str
    accepts: Callable[[Any], bool]
    load: Callable[[Any, str, LoadOptions], Loaded]
    choices: tuple[str, ...] = CHOICES

    def check(self, source: Any, options: LoadOptions) -> None:
        """Refuse a choice that this kind does not offer.

        Raises:
            ModelError: If there is one.
        """
        for name in CHOICES:
            if getattr(options, name) is not None and name not in self.choices:
                raise ModelError(
                    f"Expected no `{name}`, as '{source}' offers no such choice, got "
                    f"{getattr(options, name)!r}; leave it out."
                )


def refuse_inference_tensors(module: Any) -> None:
    """Refuse a module in memory through whose tensors no gradient can pass.

    Raises:
        ModelError: If it was made or moved under `torch.inference_mode()`.
    """
    if any(tensor.is_inference() for tensor in (*module.parameters(), *module.buffers())):
        raise ModelError(
            "Expected a module whose tensors allow gradients, got one that was made or moved under "
            "torch.inference_mode(); load it outside, or under torch.no_grad()."
        )


KINDS: dict[str, ModelKind] = {}
_LOCKS: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()
_LOCKS_LOCK = threading.Lock()


def lock_of(module: Any) -> threading.RLock:
    """The lock to hold while a module runs: hooks and modes of one module serve one run at a time.

    It belongs to the module, which several loaded models in several threads may share.
    """
    with _LOCKS_LOCK:
        return _LOCKS.setdefault(module, threading.RLock())


def register_kind(kind: ModelKind) -> ModelKind:
    """Add a kind of model; the last one registered is asked first."""
    KINDS[kind.name] = kind
    return kind


@contextlib.contextmanager
def changing(module: torch.nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """Let somebody change a module's parameters and running statistics in place.

    Afterwards, whatever happens, they are what they were, to the bit; nobody else runs the module
    in between.

    Yields:
        Detached tensors by name, in the module's memory.
    """
    with lock_of(module):
        # `data` does not tell autograd: graphs of earlier runs stay good for the old weights.
        tensors = {
            name: tensor.data
            for name, tensor in (*module.named_parameters(), *_statistics(module))
            if tensor.is_floating_point()
        }
        kept = {name: tensor.clone() for name, tensor in tensors.items()}
        try:
            yield tensors
        finally:
            for name, tensor in tensors.items():
                tensor.copy_(kept[name])


def _statistics(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Running statistics of normalization; other buffers are no part of what was learnt."""
    for name, tensor in module.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            yield name, tensor


@contextlib.contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode; each submodule's flag is put back afterwards."""
    training = [part for part in module.modules() if _is_training(part)]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _is_training(part: Any) -> bool:
    try:
        return bool(part.training)
    except (AttributeError, RuntimeError):  # frozen programs have no such attribute
        return False
