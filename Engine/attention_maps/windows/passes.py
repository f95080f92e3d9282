"""An image that goes through a network window by window."""

from __future__ import annotations

import copy
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import torch

from attention_maps.answer import Answer
from attention_maps.logits import to_logits
from attention_maps.progress import Progress
from attention_maps.tracing.trace import INPUT
from attention_maps.types import Image
from attention_maps.windows.fusion import Fused, fuse, network_weights
from attention_maps.windows.looks import Looks
from attention_maps.windows.memory import estimate, room_for_activations
from attention_maps.windows.probe import WindowProbe
from attention_maps.windows.seeds import Seeds
from attention_maps.windows.walk import Walk, WindowEvidence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attention_maps.estimate import Estimate
    from attention_maps.model import LoadedModel
    from attention_maps.passes import Share
    from attention_maps.preprocessing import NetworkInput
    from attention_maps.questions import Question
    from attention_maps.registry import Method
    from attention_maps.tracing.layout import Layout
    from attention_maps.tracing.trace import Geometry
    from attention_maps.windows.plan import Plan


class Windows:
    """The whole image in overlapping windows; the fused answer is kept.

    Args:
        model: The model.
        prepared: The network's input, the whole volume.
        plan: The windows.
    """

    def __init__(self, model: LoadedModel, prepared: NetworkInput, plan: Plan) -> None:
        self.model = model
        self.plan = plan
        self.field, self.source = prepared.grid, prepared.source
        self._restore = prepared.restore
        self.inputs = model.tensor(prepared, at="cpu")
        self._fused: Fused | None = None
        self._answer: Answer | None = None
        self._weight: torch.Tensor | None = None

    @property
    def started(self) -> bool:
        """Whether the network has run."""
        return self._fused is not None

    def again(self, inputs: torch.Tensor | None = None, question: Question | None = None) -> Self:
        """The same without what was kept of its runs (see `Passes.again`).

        A question that does not depend on the answer needs none, which saves a run over all
        windows.
        """
        other = copy.copy(self)
        if inputs is not None:
            other.inputs = inputs.to(self.inputs)
        if question is None or not self._seeds_stay(question):
            other._fused = other._answer = None
        return other

    def _seeds_stay(self, question: Question) -> bool:
        return self._fused is not None and self.seeds(question, self._fused).constant

    @property
    def weight(self) -> torch.Tensor:
        """(*shape) sum of the weights of the windows that are run."""
        if self._weight is None:
            self._weight = self._weights_of(self.plan.starts)
        return self._weight

    def _weights_of(self, starts: Sequence[tuple[int, ...]]) -> torch.Tensor:
        dtype = torch.promote_types(self.model.dtype, torch.float32)
        return network_weights(self.plan, torch.zeros((), dtype=dtype), starts)

    @cached_property
    def whole_weight(self) -> torch.Tensor:
        """The same of all windows, also of those that a region leaves out."""
        everywhere = self.plan.tiling.starts
        return self.weight if self.plan.starts == everywhere else self._weights_of(everywhere)

    def _sample(self) -> torch.Tensor:
        """(1, C, *patch) of the first window."""
        first = self.plan.look(self.inputs, self.plan.views(self.plan.starts[:1])[0])
        return first.to(self.model.device, self.model.dtype)

    def geometry(self, report: Progress) -> Geometry:
        """The layers of the network on one window."""
        return self.model.geometry(self._sample(), report.tick)

    def is_known(self) -> bool:
        """Whether the layers are known without another run."""
        return self.model.knows(self._sample())

    def answer(self, names: Sequence[str], report: Progress) -> Answer:
        """What the network answers, fused from all windows."""
        if self._answer is None:
            fused = self._run_all(report)
            transform = self.to_logits(fused)
            self._answer = Answer(
                fused.output if transform is None else transform(fused.output),
                fused.activation, None, self.model.spec, self.field, self.source, self._restore,
            )  # fmt: skip
            self._fused = fused
        return self._answer

    def _run_all(self, report: Progress) -> Fused:
        """Run the network through all windows."""
        views = self.plan.views(self.plan.starts)
        begin, step = report.fraction, (0.4 - report.fraction) / len(views)

        def after(done: int) -> None:
            start, operators = begin + step * done, self.model.operators
            text = f"Running the network: window {min(done + 1, len(views))} of {len(views)}"
            report.stage(text, start, start + step, operators)

        after(0)
        return fuse(self.looks(report), self.inputs, views, after=after)

    def estimate(self, names: Sequence[str]) -> Estimate:
        """What a question about layers will take; one window is run to find the time."""
        view, sample = self.plan.views(self.plan.starts)[:1], self._sample()
        geometry = self.model.geometry(sample)
        started = time.perf_counter()
        list(self.looks(Progress(None), 1).over(self.inputs, view))
        seconds = time.perf_counter() - started
        return estimate(self.model, self.plan, self.inputs, geometry, names, seconds)

    def looks(self, report: Progress, at_once: int | None = None) -> Looks:
        """What runs the network in windows."""
        return Looks(self.model, self.plan, report.tick, at_once)

    def to_logits(self, fused: Fused) -> Any:
        """What makes logits of the fused output, None where it is logits."""
        return to_logits(self.model.spec, fused.activation, fused.output)

    def ask(
        self, question: Question, names: Sequence[str], gradients: bool, report: Progress,
        share: Share, batch_size: int | None,
    ) -> WindowQuestion:  # fmt: skip
        """Follow a question back through the windows that it meets (see `Passes.ask`)."""
        if gradients:
            share()  # windows report on their own
        fused = self._fused
        if fused is None:
            self.answer(names, report)
            fused = self._fused
        seeds = self.seeds(question, fused)  # type: ignore[arg-type]
        views = self.plan.views(seeds.starts())
        geometry = self.geometry(report)
        names = self.model.resolve_layers(list(names), geometry) if names else []
        layouts: dict[str, Layout] = {name: geometry.layouts[name] for name in names}  # type: ignore[misc]
        elements = {info.name: int(torch.Size(info.shape).numel()) for info in geometry.infos}
        room = room_for_activations(self.model, self.plan, self.inputs, geometry)
        simple = not any(layout.parts for layout in layouts.values())
        walk = Walk(
            self.looks(report, batch_size if simple else 1), self.inputs, self.whole_weight, views,
            seeds, layouts, elements, room, report,
        )  # fmt: skip
        return WindowQuestion(self, walk, seeds, question, report, share, batch_size)

    def seeds(self, question: Question, fused: Fused) -> Seeds:
        """The gradient of a question on what the network gives in each window."""
        return Seeds(
            question, fused.output, self.weight, self.plan, self.to_logits(fused),
            self.plan.views_per_window,
        )  # fmt: skip

    def layout(self, name: str) -> Layout | None:
        """How a layer lies in a window."""
        if name == INPUT:
            return None
        return self.model.geometry(self._sample()).layouts.get(name)

    def describe(self) -> dict[str, Any]:
        """What the provenance says of it."""
        how, plan = self.plan.how, self.plan
        return {
            "windows": {
                "count": len(plan.starts),
                "patch": list(plan.patch),
                "style": how.style,
                "overlap": how.overlap,
                "blending": how.blending,
                "mirror_axes": list(how.mirror_axes),
                "networks": plan.members,
            }
        }


class WindowQuestion:
    """A question, window by window.

    Args:
        passes: The image.
        walk: The windows that the question meets.
        seeds: Gradient on what the network gives.
        question: What is asked.
        report: Where progress goes.
        share: From where to where the next piece of work takes the progress.
        batch_size: Inputs per batch; None for as many as fit.
    """

    def __init__(
        self, passes: Windows, walk: Walk, seeds: Seeds, question: Question, report: Progress,
        share: Share, batch_size: int | None,
    ) -> None:  # fmt: skip
        self._passes = passes
        self._walk = walk
        self._seeds = seeds
        self._question = question
        self._report = report
        self._share = share
        self._batch_size = batch_size

    def layer_map(self, method: Method, options: Mapping[str, Any], layer: str) -> Image:
        """The map of a method at a layer, on the volume's voxels (see `Asked.layer_map`)."""
        if not self._walk.views:  # such as a class that is predicted nowhere
            return self._image(torch.zeros(1, *self._passes.plan.shape))
        members = range(self._passes.plan.members)
        maps = (self._member_map(method, options, layer, member) for member in members)
        total = next(maps)
        for drawn in maps:
            total.add_(drawn)
        if method.stitch == "blend":
            total /= self._passes.plan.members
        return self._image(total if method.signed else total.relu_())

    def _member_map(
        self, method: Method, options: Mapping[str, Any], layer: str, member: int
    ) -> torch.Tensor:
        """(1, *shape) map of one of the networks."""
        evidence = WindowEvidence(self._walk, layer, member, method.stitch)
        if method.needs == "layer":
            values = method.function(evidence, **options)
        else:
            values = method.function(evidence, self._probe(layer, member, evidence), **options)
        drawn: torch.Tensor = values[0] if isinstance(values, list) else values
        return drawn

    def input_map(self, method: Method, options: Mapping[str, Any]) -> Image:
        """The map of a method at the volume itself (see `Asked.input_map`)."""
        return self._image(method.function(self._probe(None, None, None), **options))

    def probe(self) -> WindowProbe:
        """The network seen from the volume."""
        return self._probe(None, None, None)

    def _image(self, values: torch.Tensor) -> Image:
        return Image(values.detach().float().cpu().numpy(), self._passes.field.affine)

    def _probe(
        self, layer: str | None, member: int | None, evidence: WindowEvidence | None
    ) -> WindowProbe:
        return WindowProbe(
            self._passes, self._question, self._seeds, self._walk, layer, member, evidence,
            self._report, self._share(), self._batch_size,
        )  # fmt: skip
