"""One call of `Explainer.explain`: all targets, layers and methods from few passes."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import AttentionMapsError, Cancelled, ModelRunError
from attention_maps.provenance import describe
from attention_maps.result import AttentionMap
from attention_maps.tracing.trace import INPUT
from attention_maps.types import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attention_maps.answer import Answer
    from attention_maps.model import LoadedModel
    from attention_maps.passes import Asked, Passes
    from attention_maps.progress import Progress
    from attention_maps.questions import Question
    from attention_maps.registry import Method


class Run:
    """One call of `explain`: all targets, layers and methods from as few passes as possible."""

    def __init__(
        self,
        model: LoadedModel,
        passes: Passes,
        answer: Answer,
        report: Progress,
        methods: Sequence[Method],
        options: dict[str, dict[str, Any]],
        names: Sequence[str],
        batch_size: int | None,
        started: float,
        questions: int,
        on_map: Callable[[AttentionMap], None] | None = None,
        on_failure: Callable[[str, str, AttentionMapsError], None] | None = None,
        keep: bool = True,
    ) -> None:
        self.model = model
        self.passes = passes
        self.answer = answer
        self.report = report
        self.methods = methods
        self.options = options
        self.names = [name for name in names if name != INPUT]
        self.batch_size = batch_size
        self.started = started
        self.on_map = on_map
        self.on_failure = on_failure
        self.keep = keep
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
        question: Question = target.resolve(self.answer)
        score = float(question.score(self.answer.logits)[0])
        if not math.isfinite(score):
            raise ModelRunError(
                f"Expected a finite answer, but the score of '{question.text}' is {score}; check "
                "the network's weights and the intensities of the image, or run it in float32."
            )
        asked = self.passes.ask(
            question, self.names, self._needs_gradients, self.report, self._next_share,
            self.batch_size,
        )  # fmt: skip
        found = []
        pairs = [(name, item) for name in self.names for item in self.methods if item.has_layer]
        pairs += [(INPUT, item) for item in self.methods if not item.has_layer]
        for name, item in pairs:
            made = self._make(asked, item, name, question, score)
            if made is not None and self.keep:
                found.append(made)
        return found

    def _make(
        self, asked: Asked, item: Method, name: str, question: Question, score: float
    ) -> AttentionMap | None:
        """One map; None where it cannot be made and somebody listens to that."""
        try:
            if item.has_layer:
                raw = asked.layer_map(item, self.options[item.name], name)
            else:
                raw = asked.input_map(item, self.options[item.name])
            made = self._wrap(item, raw, name, question, score)
        except Cancelled:
            raise
        except AttentionMapsError as error:
            if self.on_failure is None:
                raise
            self.on_failure(name, item.name, error)
            return None
        if self.on_map is not None:
            self.on_map(made)
        return made

    def _next_share(self) -> tuple[float, float]:
        """From where to where the next piece of work takes the progress: all get the same."""
        step = (1 - self._start) / self._pieces
        self._done += 1
        return self._start + step * (self._done - 1), self._start + step * self._done

    def _wrap(
        self, item: Method, raw: Image, name: str, question: Question, score: float
    ) -> AttentionMap:
        """A checked map with its history."""
        model, passes = self.model, self.passes
        if not np.isfinite(raw.array).all():
            raise ModelRunError(
                f"Expected finite activations and gradients, but the {item.label} map at '{name}' "
                f"holds NaN or Inf ({model.dtype}); run the network in float32, or choose "
                "another layer."
            )
        if not item.signed and raw.array.min() < 0:  # else a copy would be for nothing
            raw = Image(np.maximum(raw.array, 0), raw.affine)
        defaults = {key: option.default for key, option in item.options.items()}
        provenance = describe(
            model, self.answer, item, {**defaults, **self.options[item.name]}, name,
            passes.layout(name), question, score, passes.field, passes.source,
            time.perf_counter() - self.started, bool(raw.array.any()),
        )  # fmt: skip
        return AttentionMap(
            raw, passes.field, passes.source, score, name, item.name, question.text,
            item.signed, {**provenance, **passes.describe()}, self.answer,
        )  # fmt: skip
