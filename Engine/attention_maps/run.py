"""One call of `Explainer.explain`: all targets, layers and methods from few passes."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.algorithms.evidence import Evidence
from attention_maps.errors import ModelRunError
from attention_maps.geometry import affine_of_layer
from attention_maps.probe import NetworkProbe, seed_of
from attention_maps.provenance import describe
from attention_maps.result import AttentionMap
from attention_maps.tracing.trace import INPUT
from attention_maps.types import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from attention_maps.explainer import Explainer
    from attention_maps.progress import Progress
    from attention_maps.questions import Question
    from attention_maps.registry import Method
    from attention_maps.tracing.layout import Layout
    from attention_maps.tracing.trace import Trace


class Run:
    """One call of `explain`: all targets, layers and methods from as few passes as possible."""

    def __init__(
        self,
        session: Explainer,
        trace: Trace,
        report: Progress,
        methods: Sequence[Method],
        options: dict[str, dict[str, Any]],
        names: Sequence[str],
        batch_size: int | None,
        started: float,
        questions: int,
        on_map: Callable[[AttentionMap], None] | None = None,
    ) -> None:
        self.session = session
        self.trace = trace
        self.report = report
        self.methods = methods
        self.options = options
        self.names = [name for name in names if name != INPUT]
        self.batch_size = batch_size
        self.started = started
        self.on_map = on_map
        self._needs_gradients = bool(self.names) and any(
            item.gradients and item.has_layer for item in methods
        )
        pieces = int(self._needs_gradients)
        pieces += sum(not item.has_layer for item in methods)
        pieces += len(self.names) * sum(item.needs == "layer and network" for item in methods)
        self._pieces, self._done = questions * max(1, pieces), 0
        self._start = report.fraction

    def ask(self, target: Any) -> list[AttentionMap]:
        """All maps of one target."""
        session, trace = self.session, self.trace
        question: Question = target.resolve(session.answer())
        score = float(question.score(session.answer().logits)[0])
        if not math.isfinite(score):
            raise ModelRunError(
                f"Expected a finite answer, but the score of '{question.text}' is {score}; check "
                "the network's weights and the intensities of the image, or run it in float32."
            )
        gradients = self._gradients(question)
        maps = []
        for name in self.names:
            layer = trace.layers[name]
            gradient = gradients.get(name)
            evidence = Evidence(
                [layer.placed.to_grid(layer.activations)],
                [] if gradient is None else [layer.placed.to_grid(gradient)],
            )
            for item in self.methods:
                if item.has_layer:
                    maps.append(self._layer_map(item, evidence, name, question, score))
        for item in self.methods:
            if not item.has_layer:
                values = item.function(self._probe(question, None), **self.options[item.name])
                maps.append(self._wrap(item, values, INPUT, None, question, score))
        return maps

    def _gradients(self, question: Question) -> dict[str, torch.Tensor]:
        """Gradients at all layers, in one backward pass, where a method needs them."""
        if not self._needs_gradients:
            return {}
        session, trace = self.session, self.trace
        message = f"Following the answer back: {question.text}"
        self.report.stage(message, *self._next_share(), 2 * session.model.operators)
        seed = seed_of(question, trace.logits, session.to_logits(trace))
        found = trace.gradients(seed, self.names, tick=self.report.tick)
        return dict(zip(self.names, found, strict=True))

    def _layer_map(
        self, item: Method, evidence: Evidence, name: str, question: Question, score: float
    ) -> AttentionMap:
        trace, options = self.trace, self.options[item.name]
        if item.needs == "layer":
            values = item.function(evidence, **options)
        else:
            values = item.function(evidence, self._probe(question, trace.layers[name]), **options)
        if isinstance(values, list):
            return self._wrap(item, values[0], name, trace.layers[name].layout, question, score)
        return self._wrap(item, values, name, None, question, score)

    def _next_share(self) -> tuple[float, float]:
        """From where to where the next piece of work takes the progress: all get the same."""
        step = (1 - self._start) / self._pieces
        self._done += 1
        return self._start + step * (self._done - 1), self._start + step * self._done

    def _probe(self, question: Question, layer: Any) -> NetworkProbe:
        session = self.session
        probe = NetworkProbe(
            session.model, session.tensor, question, session.to_logits(self.trace),
            lambda: session.traced_input(self.report), layer, self.report, self.batch_size,
        )  # fmt: skip
        probe.span = self._next_share()
        return probe

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
        if not np.isfinite(raw.array).all():
            raise ModelRunError(
                f"Expected finite activations and gradients, but the {item.label} map at '{name}' "
                f"holds NaN or Inf ({session.model.dtype}); run the network in float32, or choose "
                "another layer."
            )
        defaults = {key: option.default for key, option in item.options.items()}
        provenance = describe(
            session.model, session.answer(), item, {**defaults, **self.options[item.name]},
            name, layout, question, score, session.field, session.source,
            time.perf_counter() - self.started, bool(raw.array.any()),
        )  # fmt: skip
        made = AttentionMap(
            raw, session.field, session.source, score, name, item.name, question.text,
            item.signed, provenance, session.answer(),
        )  # fmt: skip
        if self.on_map is not None:
            self.on_map(made)
        return made
