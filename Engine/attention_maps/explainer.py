"""A session on one image: the forward pass is kept, each question costs its backward pass."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.algorithms.evidence import Evidence
from attention_maps.answer import Answer
from attention_maps.errors import LayerError, MethodError
from attention_maps.geometry import affine_of_layer
from attention_maps.inputs import as_image
from attention_maps.model import load_model
from attention_maps.probe import NetworkProbe, seed_of
from attention_maps.progress import Progress
from attention_maps.provenance import describe
from attention_maps.registry import Method, find_method, split_options
from attention_maps.result import AttentionMap
from attention_maps.targets import expand_targets
from attention_maps.tracing.trace import INPUT
from attention_maps.types import Grid, Image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from attention_maps.questions import Question
    from attention_maps.tracing.layout import Layout
    from attention_maps.tracing.trace import Trace
    from attention_maps.types import ProgressCallback


class Explainer:
    """Explain one image with one model, question after question.

    Args:
        model: What `load_model` takes or gives.
        image: An Image, a path, a list of paths (one per channel), or an array (C, *spatial).
        spec: What the network expects, where `model` is not loaded yet.
        device: Where it runs, where `model` is not loaded yet.

    Raises:
        ImageError: If the image does not fit the network.
        ModelError: If the model cannot be loaded.
    """

    def __init__(
        self, model: Any, image: Any, *, spec: Any = None, device: str | torch.device = "auto"
    ) -> None:
        self.model = load_model(model, spec, device)
        self._input = self.model.prepare(as_image(image, self.model.expected_input()[1]))
        self._tensor = self.model.tensor(self._input)
        self._lock = threading.RLock()
        self._trace: Trace | None = None
        self._answer: Answer | None = None

    @property
    def prediction(self) -> NDArray[Any] | Image:
        """The network's answer: (classes,) probabilities, or a label Image on the image's grid."""
        return self.answer().prediction

    def answer(self) -> Answer:
        """The network's answer with its classes, ranking and grid."""
        with self._lock:
            if self._answer is None:
                self._forward((), Progress(None))
            assert self._answer is not None  # noqa: S101 - set by the forward pass
            return self._answer

    def explain(
        self,
        method: str | Sequence[str] = "grad_cam",
        layer: str | Sequence[str] = "auto",
        target: Any = None,
        progress: ProgressCallback | None = None,
        *,
        batch_size: int | None = None,
        **options: Any,
    ) -> AttentionMap | list[AttentionMap]:
        """Answer a question with a map, or several with a list.

        Args:
            method: Name of a method, or several.
            layer: Name of a layer, "auto", "auto:bottleneck", "all", or several.
            target: What is asked (see `targets`); None for the likeliest class.
            progress: Called with a fraction and a message; returning False cancels.
            batch_size: Inputs per batch of perturbation methods; None for as many as fit.
            options: Options of the method.

        Returns:
            One map; a list where `method`, `layer` or `target` names several, ordered by target,
            then layer, then method. Methods that work on the input come once per target.

        Raises:
            MethodError, LayerError, TargetError: If a name or option is not known.
            Cancelled: If `progress` returned False.
        """
        chosen = [find_method(m) for m in ([method] if isinstance(method, str) else method)]
        if not chosen:
            raise MethodError("Expected at least one method, got an empty list.")
        checked = split_options(chosen, options)
        if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
            raise MethodError(f"Expected batch_size to be 1 or more, got {batch_size!r}.")
        report = Progress(progress)
        with self._lock:
            started = time.perf_counter()
            names = self._layer_names(chosen, layer, report)
            trace = self._forward(names, report)
            targets, several = expand_targets(target, self.answer())
            run = _Run(self, report, chosen, checked, names, batch_size, started)
            maps = [made for item in targets for made in run.ask(trace, item, len(targets))]
            report.finish()
        many = several or not isinstance(method, str) or not _is_one(layer)
        return maps if many else maps[0]

    def _layer_names(
        self, chosen: Sequence[Method], layer: str | Sequence[str], report: Progress
    ) -> list[str]:
        """Layers to record; explicit names need no extra forward pass to be found."""
        if all(item.needs == "input" for item in chosen):
            return [INPUT] if all(item.gradients for item in chosen) else []
        explicit = [layer] if isinstance(layer, str) else list(layer)
        if layer == "auto" and self.model.spec.layer:
            explicit = [self.model.spec.layer]
        plain = all(
            isinstance(name, str) and name != "all" and not name.startswith("auto")
            for name in explicit
        )
        if self._trace is None and plain and not self.model.knows(self._tensor):
            own = set(self.model.network.layer_names())
            if explicit and all(name in own for name in explicit):
                return list(dict.fromkeys(explicit))
        report.stage("Finding the layers", 0.0, 0.2, self.model.operators)
        geometry = self.model.geometry(self._tensor, report.tick)
        return self.model.resolve_layers(explicit, geometry)

    def _forward(self, names: Sequence[str], report: Progress) -> Trace:
        """The recorded forward pass; run again only where a layer is asked for the first time."""
        trace = self._trace
        recorded = set(trace.layers) if trace is not None else set()
        if trace is None or not set(names) <= recorded:
            report.stage("Running the network", 0.0, 0.4, self.model.operators)
            trace = self.model.run(
                self._tensor, [*recorded, *(set(names) - recorded)], tick=report.tick
            )
            for name in names:
                self._check_place(trace, name)
            self._trace = trace
        if self._answer is None:
            transform = self.to_logits(trace)
            self._answer = Answer(
                trace.logits if transform is None else transform(trace.logits),
                trace.activation, trace.geometry.layout, self.model.spec,
                self._input.grid, self._input.source,
            )  # fmt: skip
        return trace

    def _check_place(self, trace: Trace, name: str) -> None:
        if name != INPUT:
            self.model.resolve_layers([name], trace.geometry)

    def to_logits(self, trace: Trace) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """What makes logits of probabilities whose softmax or sigmoid could not be looked through.

        None where the network gives logits, or the trace starts before its last activation.
        """
        if self.model.spec.output_is != "probabilities" or trace.activation is not None:
            return None
        if self.model.spec.activation == "sigmoid" or trace.logits.shape[1] == 1:
            return lambda p: torch.logit(p.float(), eps=1e-6)
        return lambda p: p.float().clamp_min(1e-6).log()

    @property
    def field(self) -> Grid:
        """Grid of the network's input."""
        return self._input.grid

    @property
    def source(self) -> Grid:
        """Grid of the image."""
        return self._input.source

    @property
    def tensor(self) -> torch.Tensor:
        """(1, C, *spatial) input of the network."""
        return self._tensor

    def traced_input(self, report: Progress) -> Trace:
        """The recorded forward pass with the input among its layers."""
        with self._lock:
            return self._forward([INPUT], report)


def _is_one(layer: Any) -> bool:
    return isinstance(layer, str) and layer != "all"


class _Run:
    """One call of `explain`: all targets, layers and methods from as few passes as possible."""

    def __init__(
        self,
        session: Explainer,
        report: Progress,
        methods: Sequence[Method],
        options: dict[str, dict[str, Any]],
        names: Sequence[str],
        batch_size: int | None,
        started: float,
    ) -> None:
        self.session = session
        self.report = report
        self.methods = methods
        self.options = options
        self.names = [name for name in names if name != INPUT]
        self.batch_size = batch_size
        self.started = started

    def ask(self, trace: Trace, target: Any, count: int) -> list[AttentionMap]:
        """All maps of one target."""
        session = self.session
        question: Question = target.resolve(session.answer())
        to_logits = session.to_logits(trace)
        logits = session.answer().logits
        score = float(question.score(logits)[0])
        gradients: dict[str, torch.Tensor] = {}
        if self.names and any(m.gradients and m.needs != "input" for m in self.methods):
            self.report.stage(
                f"Following the answer back: {question.text}", 0.4, 0.9, 2 * session.model.operators
            )
            seed = seed_of(question, trace.logits, to_logits)
            found = trace.gradients(seed, self.names, tick=self.report.tick)
            gradients = dict(zip(self.names, found, strict=True))
        maps = []
        for name in self.names:
            layer = trace.layers[name]
            if layer.layout is None:
                raise LayerError(f"Layer '{name}' has no place in the image.")
            gradient = gradients.get(name)
            evidence = Evidence(
                [layer.layout.to_grid(layer.activations)],
                [] if gradient is None else [layer.layout.to_grid(gradient)],
            )
            for item in self.methods:
                if item.needs != "input":
                    maps.append(self._layer_map(item, evidence, trace, name, question, score))
        for item in self.methods:
            if item.needs == "input":
                values = item.function(self._probe(question, None), **self.options[item.name])
                maps.append(self._wrap(item, values, INPUT, None, question, score))
        return maps

    def _layer_map(
        self,
        item: Method,
        evidence: Evidence,
        trace: Trace,
        name: str,
        question: Question,
        score: float,
    ) -> AttentionMap:
        options = self.options[item.name]
        if item.needs == "layer":
            values = item.function(evidence, **options)
        else:
            values = item.function(evidence, self._probe(question, trace.layers[name]), **options)
        if isinstance(values, list):
            return self._wrap(item, values[0], name, trace.layers[name].layout, question, score)
        return self._wrap(item, values, name, None, question, score)

    def _probe(self, question: Question, layer: Any) -> NetworkProbe:
        session = self.session
        trace = session._trace
        assert trace is not None  # noqa: S101 - the forward pass has run
        return NetworkProbe(
            session.model, session.tensor, question, session.to_logits(trace),
            lambda: session.traced_input(self.report), layer, self.report, self.batch_size,
        )  # fmt: skip

    def _wrap(
        self,
        item: Method,
        values: torch.Tensor,
        name: str,
        layout: Layout | None,
        question: Question,
        score: float,
    ) -> AttentionMap:
        """A map of the layer's grid, or of the input's where there is no layout."""
        session = self.session
        affine = session.field.affine
        if layout is not None:
            affine = affine_of_layer(affine, layout.stride, layout.offset)
        raw = Image(values.detach().float().cpu().numpy(), affine)
        defaults = {key: option.default for key, option in item.options.items()}
        provenance = describe(
            session.model, session.answer(), item, {**defaults, **self.options[item.name]},
            name, layout, question, score, session.field, session.source,
            time.perf_counter() - self.started, bool(raw.array.any()),
        )  # fmt: skip
        return AttentionMap(
            raw, session.field, session.source, score, name, item.name, question.text,
            item.signed, provenance, session.answer(),
        )  # fmt: skip
