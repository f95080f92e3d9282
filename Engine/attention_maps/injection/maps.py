"""From a batch to maps: the engine's tracing and methods on a module in memory.

The module's own forward pass is not touched: maps come from another one in evaluation mode, with
parameters frozen, whose random numbers are put back.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attention_maps.algorithms.evidence import Evidence
from attention_maps.answer import Answer
from attention_maps.errors import ImageError, ModelRunError
from attention_maps.geometry import affine_of_layer
from attention_maps.injection.labels import Asked, asked_for
from attention_maps.injection.layers import asked_layers
from attention_maps.logits import without_leftover_axes
from attention_maps.model import LoadedModel
from attention_maps.models.base import refuse_inference_tensors
from attention_maps.models.eager import EagerNetwork
from attention_maps.probe import NetworkProbe
from attention_maps.progress import Progress
from attention_maps.questions import Question
from attention_maps.spec import ModelSpec
from attention_maps.tracing.outputs import select_output
from attention_maps.tracing.trace import INPUT
from attention_maps.types import Grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from attention_maps.registry import Method
    from attention_maps.tracing.trace import Geometry, LayerTrace, Trace

    Known = dict[int, dict[tuple[int, ...], Geometry]]


@dataclass(frozen=True, eq=False)
class LayerMaps:
    """The maps of one layer, one per image.

    Args:
        name: Name of the layer, empty for methods that work on the input.
        values: (B, *grid) float32 on the layer's own grid, not normalized.
        affine: (4, 4) index on that grid -> index of the input.
    """

    name: str
    values: NDArray[np.float32]
    affine: NDArray[np.float64]


class _Own(EagerNetwork):
    """An injected module, called as it was before.

    Args:
        module: The injected module.
        arguments: What it is called with beside the batch.

    Attributes:
        arguments: The same; may be changed.
        returned: What it returned last.
    """

    def __init__(self, module: Any, arguments: Mapping[str, Any]) -> None:
        super().__init__(module)
        self.arguments = arguments
        self.returned: Any = None

    def call(self, inputs: torch.Tensor) -> Any:
        """Call the module without what injection adds."""
        own = getattr(self.module, "model_forward", self.module)
        self.returned = own(inputs, **self.arguments)
        return self.returned


class MapMaker:
    """Makes maps of the images of a batch.

    Args:
        module: The injected module.
        method: What is made.
        layers: Layers as asked.
        known: Where layers lie, by number of images and size of the input; kept between calls.
        arguments: What the module is called with beside the batch.
        cudnn: Whether cuDNN may be used.
    """

    def __init__(
        self, module: Any, method: Method, layers: str | list[str], known: Known,
        arguments: Mapping[str, Any], cudnn: bool = True,
    ) -> None:  # fmt: skip
        refuse_inference_tensors(module)
        self._network = _Own(module, arguments)
        self._method = method
        self._layers = asked_layers(layers, module, self._network)
        self._known = known
        self._cudnn = cudnn

    def layers(self, inputs: torch.Tensor) -> list[str]:
        """Names of the layers that are explained on inputs of this size.

        Raises:
            LayerError: If there is no such layer.
        """
        model = self._model(inputs)
        with self._undisturbed(inputs):
            return model.resolve_layers(self._layers, model.geometry(inputs))

    def maps(self, inputs: torch.Tensor, label: Any) -> tuple[list[LayerMaps], list[int | str]]:
        """Explain a batch.

        Args:
            inputs: (B, C, *spatial).
            label: What is asked (see `labels`).

        Returns:
            One LayerMaps per layer; what was asked of each image.

        Raises:
            LayerError, MethodError, ModelRunError, TargetError: If there is no such map.
        """
        with self._undisturbed(inputs):
            if self._method.needs == "layer":
                return self._explain(inputs, label)
            found, arguments = [], self._network.arguments
            for image in range(len(inputs)):
                self._network.arguments = {
                    name: _row(value, image, inputs) for name, value in arguments.items()
                }
                found.append(
                    self._explain(inputs[image : image + 1], _of_image(label, image, inputs))
                )
        names = [name for _, asked in found for name in asked]
        return [_joined(maps) for maps in zip(*(maps for maps, _ in found), strict=True)], names

    def _explain(self, inputs: torch.Tensor, label: Any) -> tuple[list[LayerMaps], list[int | str]]:
        """Maps from one recorded pass."""
        model, method = self._model(inputs), self._method
        names = self._names(model, inputs) if method.has_layer else []
        traced = [*names, INPUT] if method.needs == "input" else names
        trace = model.run(inputs, traced, gradients=bool(traced) and method.gradients)
        names = model.resolve_layers(names, trace.geometry) if names else []
        asked = self._asked(trace, label)
        gradients: dict[str, torch.Tensor] = {}
        if names and method.gradients:
            seed = asked.seed.reshape(trace.logits.shape)
            values = trace.gradients(seed, names, keep=method.needs != "layer")
            gradients = dict(zip(names, values, strict=True))
        question = Question("label", function=_Weighed(asked.seed))
        options = {name: option.default for name, option in method.options.items()}
        made = []
        for name in names or [""]:
            layer = trace.layers[name] if name else None
            probe = NetworkProbe(
                model, inputs, question, None, lambda: trace, layer, Progress(None)
            )
            drawn, placed = _apply(method, options, probe, layer, gradients.get(name))
            made.append(self._checked(name, drawn, layer if placed else None))
        return made, asked.names

    def _names(self, model: LoadedModel, inputs: torch.Tensor) -> list[str]:
        """Layers to record; names of modules need no extra forward pass to be found."""
        plain = [name for name in self._layers if name in model.network.layer_names()]
        if plain == self._layers and not model.knows(inputs):
            return plain
        return model.resolve_layers(self._layers, model.geometry(inputs))

    def _asked(self, trace: Trace, label: Any) -> Asked:
        shape, images = tuple(trace.logits.shape), len(trace.inputs)
        if len(shape) < 2 or shape[0] != images:
            raise ModelRunError(
                f"Expected an output ({images}, classes, ...), one row for each image of the "
                f"batch, got shape {shape}; model.disable_medcam() gives the prediction alone."
            )
        logits = without_leftover_axes(trace.logits)
        output = select_output(self._network.returned, None).detach().reshape(logits.shape)

        def resolve(target: Any, image: int) -> torch.Tensor:
            spatial = tuple(trace.inputs.shape[2:])
            grid = Grid(spatial, np.eye(4))
            own = trace.logits[image : image + 1]
            layout = trace.geometry.layout
            asked = target.resolve(Answer(own, trace.activation, layout, ModelSpec(), grid, grid))
            seed: torch.Tensor = asked.seed(without_leftover_axes(own))
            return seed

        return asked_for(label, logits, output, resolve)

    def _checked(self, name: str, values: torch.Tensor, layer: LayerTrace | None) -> LayerMaps:
        if not bool(torch.isfinite(values).all()):
            raise ModelRunError(
                f"Expected finite activations and gradients, but the {self._method.label} map at "
                f"'{name or INPUT}' holds NaN or Inf; run the network in float32, or choose "
                "another layer."
            )
        values = values.detach().float()
        values = values if self._method.signed else values.clamp_min(0)
        affine = np.eye(4)
        if layer is not None:
            affine = affine_of_layer(affine, layer.placed.stride, layer.placed.offset)
        return LayerMaps(name, values.cpu().numpy(), affine)

    def _model(self, inputs: torch.Tensor) -> LoadedModel:
        known = self._known.setdefault(len(inputs), {})  # tokens of a batch lie together
        return LoadedModel(
            self._network, ModelSpec(), None, inputs.device, inputs.dtype, _known=known
        )

    @contextlib.contextmanager
    def _undisturbed(self, inputs: torch.Tensor) -> Iterator[None]:
        """Random numbers go on as if nothing had run; cuDNN as asked for."""
        devices = [inputs.device] if inputs.device.type == "cuda" else []
        own = torch.backends.cudnn.flags
        cudnn = contextlib.nullcontext() if self._cudnn else own(enabled=False)
        with torch.random.fork_rng(devices), cudnn:
            yield


class _Weighed:
    """Score of logits: their sum, weighed by a seed of the first image."""

    def __init__(self, seed: torch.Tensor) -> None:
        self._seed = seed[:1]

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        """(B,) scores of logits (B, classes, *spatial)."""
        return (logits.float() * self._seed).flatten(1).sum(1)


def checked_batch(batch: Any) -> torch.Tensor:
    """A copy of a batch as a plain tensor, as the module may work in place on it.

    Raises:
        ImageError: If it is none.
    """
    if not isinstance(batch, torch.Tensor) or batch.ndim not in (4, 5) or not batch.numel():
        got = f"shape {tuple(batch.shape)}" if hasattr(batch, "shape") else type(batch).__name__
        raise ImageError(
            f"Expected a batch as tensor (B, C, *spatial) with 2 or 3 spatial axes, got {got}; "
            "model.disable_medcam() gives the prediction alone."
        )
    with torch.inference_mode(False):
        return batch.detach().as_subclass(torch.Tensor).clone()


def _apply(
    method: Method, options: Mapping[str, Any], probe: NetworkProbe, layer: LayerTrace | None,
    gradient: torch.Tensor | None,
) -> tuple[torch.Tensor, bool]:  # fmt: skip
    """A method's map (B, *grid), and whether it lies on the layer's grid."""
    if layer is None:
        return method.function(probe, **options), False
    evidence = Evidence(
        [layer.placed.to_grid(layer.activations)],
        [] if gradient is None else [layer.placed.to_grid(gradient)],
    )
    if method.needs == "layer":
        values = method.function(evidence, **options)
    else:
        values = method.function(evidence, probe, **options)
    return (values[0], True) if isinstance(values, list) else (values, False)


def _joined(maps: tuple[LayerMaps, ...]) -> LayerMaps:
    """The maps of one layer of several images."""
    values = np.concatenate([item.values for item in maps])
    return LayerMaps(maps[0].name, values, maps[0].affine)


def _of_image(label: Any, image: int, inputs: torch.Tensor) -> Any:
    """A mask of the whole batch, for one image."""
    several = isinstance(label, torch.Tensor | np.ndarray) and label.ndim in (2, inputs.ndim)
    return _row(label, image, inputs) if several else label


def _row(value: Any, image: int, inputs: torch.Tensor) -> Any:
    """Of an array or tensor with a row for each image that of one; all else as it is."""
    rows = isinstance(value, torch.Tensor | np.ndarray) and value.ndim > 0
    return value[image : image + 1] if rows and len(value) == len(inputs) else value
