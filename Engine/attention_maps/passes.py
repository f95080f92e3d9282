"""How an image goes through a network: here in one pass; `windows` has the other way."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, Protocol, Self

from attention_maps.algorithms.evidence import Evidence
from attention_maps.answer import Answer
from attention_maps.estimate import Estimate
from attention_maps.geometry import affine_of_layer
from attention_maps.logits import seed_of, to_logits
from attention_maps.probe import NetworkProbe
from attention_maps.tracing.trace import INPUT
from attention_maps.types import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch

    from attention_maps.algorithms.evidence import Probe
    from attention_maps.logits import ToLogits
    from attention_maps.model import LoadedModel
    from attention_maps.preprocessing import NetworkInput
    from attention_maps.progress import Progress
    from attention_maps.questions import Question
    from attention_maps.registry import Method
    from attention_maps.tracing.layout import Layout
    from attention_maps.tracing.trace import Geometry, LayerTrace, Trace
    from attention_maps.types import Grid

    Share = Callable[[], tuple[float, float]]


class Asked(Protocol):
    """A question, followed back through the network once for all layers and methods."""

    def layer_map(self, method: Method, options: Mapping[str, Any], layer: str) -> Image:
        """The map of a method at a layer, (1, *grid), with its place; signed."""

    def input_map(self, method: Method, options: Mapping[str, Any]) -> Image:
        """The map of a method at the network's input, (1, *spatial); signed."""

    def probe(self) -> Probe:
        """The network seen from its input."""


class Passes(Protocol):
    """How an image goes through a network.

    Attributes:
        field: Grid of the network's input.
        source: Grid of the image.
    """

    field: Grid
    source: Grid

    @property
    def inputs(self) -> torch.Tensor:
        """(1, C, *spatial) what goes into the network."""

    @property
    def started(self) -> bool:
        """Whether the network has run."""

    def again(self, inputs: torch.Tensor | None = None, question: Question | None = None) -> Self:
        """The same without what was kept of runs: for other weights, or other inputs.

        Args:
            inputs: (1, C, *spatial) in the place of its own.
            question: What will be asked, where nothing else will be.
        """

    def geometry(self, report: Progress) -> Geometry:
        """The layers on an input of this size."""

    def is_known(self) -> bool:
        """Whether the layers are known without another run."""

    def answer(self, names: Sequence[str], report: Progress) -> Answer:
        """What the network answers; layers that will be asked about are recorded on the way."""

    def ask(
        self, question: Question, names: Sequence[str], gradients: bool, report: Progress,
        share: Share, batch_size: int | None,
    ) -> Asked:  # fmt: skip
        """Follow a question back.

        Args:
            question: What is asked.
            names: Layers that are asked about.
            gradients: Whether their gradients are needed.
            report: Where progress goes.
            share: From where to where the next piece of work takes the progress.
            batch_size: Inputs per batch; None for as many as fit.
        """

    def estimate(self, names: Sequence[str]) -> Estimate:
        """What a question about layers will take."""

    def layout(self, name: str) -> Layout | None:
        """How a layer lies in what the network sees at once."""

    def describe(self) -> dict[str, Any]:
        """What the provenance says of it."""


class WholeImage:
    """The whole image in one pass, which is kept.

    Args:
        model: The model.
        prepared: The network's input.
    """

    def __init__(self, model: LoadedModel, prepared: NetworkInput) -> None:
        self.model = model
        self.field, self.source = prepared.grid, prepared.source
        self._restore = prepared.restore
        self.tensor = model.tensor(prepared)
        self.trace: Trace | None = None
        self._answer: Answer | None = None

    @property
    def inputs(self) -> torch.Tensor:
        """(1, C, *spatial) what goes into the network."""
        return self.tensor

    @property
    def started(self) -> bool:
        """Whether the network has run."""
        return self.trace is not None

    def again(self, inputs: torch.Tensor | None = None, question: Question | None = None) -> Self:
        """The same without what was kept of its run (see `Passes.again`)."""
        other = copy.copy(self)
        other.trace = other._answer = None
        if inputs is not None:
            other.tensor = inputs.to(self.tensor)
        return other

    def geometry(self, report: Progress) -> Geometry:
        """The layers on an input of this size."""
        return self.model.geometry(self.tensor, report.tick)

    def is_known(self) -> bool:
        """Whether the layers are known without another run."""
        return self.model.knows(self.tensor)

    def answer(self, names: Sequence[str], report: Progress) -> Answer:
        """What the network answers; layers that will be asked about are recorded on the way."""
        trace = self.forward(names, report)
        if self._answer is None:
            transform = self.to_logits(trace)
            self._answer = Answer(
                trace.logits if transform is None else transform(trace.logits),
                trace.activation, trace.geometry.layout, self.model.spec, self.field, self.source,
                self._restore,
            )  # fmt: skip
        return self._answer

    def forward(self, names: Sequence[str], report: Progress) -> Trace:
        """The recorded forward pass; run again only where a layer is asked for the first time."""
        recorded = set(self.trace.layers) if self.trace is not None else set()
        if self.trace is None or not set(names) <= recorded:
            report.stage("Running the network", 0.0, 0.4, self.model.operators)
            trace = self.model.run(
                self.tensor, [*recorded, *(set(names) - recorded)], tick=report.tick
            )
            for name in names:
                if name != INPUT:
                    self.model.resolve_layers([name], trace.geometry)
            self.trace = trace
        return self.trace

    def to_logits(self, trace: Trace) -> ToLogits:
        """What makes logits of the network's output, None where it gives logits."""
        return to_logits(self.model.spec, trace.activation, trace.logits)

    def ask(
        self, question: Question, names: Sequence[str], gradients: bool, report: Progress,
        share: Share, batch_size: int | None,
    ) -> WholeQuestion:  # fmt: skip
        """Follow a question back in one backward pass (see `Passes.ask`)."""
        trace = self.forward(names, report)
        found: dict[str, torch.Tensor] = {}
        if gradients:
            message = f"Following the answer back: {question.text}"
            report.stage(message, *share(), 2 * self.model.operators)
            seed = seed_of(question, trace.logits, self.to_logits(trace))
            values = trace.gradients(seed, names, tick=report.tick)
            found = dict(zip(names, values, strict=True))
        return WholeQuestion(self, trace, question, found, report, share, batch_size)

    def estimate(self, names: Sequence[str]) -> Estimate:
        """What a question about layers will take: all activations from the first layer on."""
        geometry = self.model.geometry(self.tensor)
        first = min((i for i, info in enumerate(geometry.infos) if info.name in names), default=0)
        recorded = sum(math.prod(info.shape) for info in geometry.infos[first:])
        size = self.tensor.numel() + recorded / 2  # every second layer works in place or is a view
        return Estimate(1, size * self.model.dtype.itemsize, None, kept=True)

    def layout(self, name: str) -> Layout | None:
        """How a layer lies in the network's input."""
        if self.trace is None or name == INPUT:
            return None
        return self.trace.layers[name].layout

    def describe(self) -> dict[str, Any]:
        """What the provenance says of it."""
        return {}


class WholeQuestion:
    """A question about a pass over the whole image.

    Args:
        passes: The image.
        trace: Its recorded pass.
        question: What is asked.
        gradients: Of the layers, by name.
        report: Where progress goes.
        share: From where to where the next piece of work takes the progress.
        batch_size: Inputs per batch; None for as many as fit.
    """

    def __init__(
        self, passes: WholeImage, trace: Trace, question: Question,
        gradients: Mapping[str, torch.Tensor], report: Progress, share: Share,
        batch_size: int | None,
    ) -> None:  # fmt: skip
        self._passes = passes
        self._trace = trace
        self._question = question
        self._gradients = gradients
        self._report = report
        self._share = share
        self._batch_size = batch_size

    def layer_map(self, method: Method, options: Mapping[str, Any], layer: str) -> Image:
        """The map of a method at a layer (see `Asked.layer_map`)."""
        recorded, gradient = self._trace.layers[layer], self._gradients.get(layer)
        evidence = Evidence(
            [recorded.placed.to_grid(recorded.activations)],
            [] if gradient is None else [recorded.placed.to_grid(gradient)],
        )
        if method.needs == "layer":
            values = method.function(evidence, **options)
        else:
            values = method.function(evidence, self._probe(recorded), **options)
        if not isinstance(values, list):
            return self._image(values, None)
        return self._image(values[0], recorded.layout)

    def input_map(self, method: Method, options: Mapping[str, Any]) -> Image:
        """The map of a method at the network's input (see `Asked.input_map`)."""
        return self._image(method.function(self._probe(None), **options), None)

    def probe(self) -> NetworkProbe:
        """The network seen from its input."""
        return self._probe(None)

    def _image(self, values: torch.Tensor, layout: Layout | None) -> Image:
        affine = self._passes.field.affine
        if layout is not None:
            affine = affine_of_layer(affine, layout.stride, layout.offset)
        return Image(values.detach().float().cpu().numpy(), affine)

    def _probe(self, layer: LayerTrace | None) -> NetworkProbe:
        passes = self._passes
        probe = NetworkProbe(
            passes.model, passes.tensor, self._question, passes.to_logits(self._trace),
            lambda: passes.forward([INPUT], self._report), layer, self._report, self._batch_size,
        )  # fmt: skip
        probe.span = self._share()
        return probe
