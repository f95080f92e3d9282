"""The network seen from the whole volume, through windows: for perturbation and input gradients."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch

from attention_maps.errors import MethodError
from attention_maps.logits import without_leftover_axes
from attention_maps.tracing.guided import GuidedMode
from attention_maps.tracing.trace import INPUT
from attention_maps.windows.fusion import Fused, fuse
from attention_maps.windows.stitching import Stitcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from attention_maps.progress import Progress
    from attention_maps.questions import Question
    from attention_maps.windows.passes import Windows
    from attention_maps.windows.plan import View
    from attention_maps.windows.seeds import Seeds
    from attention_maps.windows.walk import Walk, WindowEvidence


class WindowProbe:
    """One model, one volume, one question; only windows that the question meets are run.

    Args:
        passes: The volume and its windows.
        question: What is scored.
        seeds: Gradient on what the network gives.
        walk: The windows that the question meets.
        layer: Chosen layer, for methods that need one.
        member: Index of the network whose layer it is; None for all.
        evidence: Of that layer.
        progress: Where batches are reported.
        span: From where to where this takes the progress.
        batch_size: Windows at once; None for as many as fit.
    """

    def __init__(
        self,
        passes: Windows,
        question: Question,
        seeds: Seeds,
        walk: Walk,
        layer: str | None,
        member: int | None,
        evidence: WindowEvidence | None,
        progress: Progress,
        span: tuple[float, float],
        batch_size: int | None = None,
    ) -> None:
        self.inputs = passes.inputs
        self._passes = passes
        self._question = question
        self._seeds = seeds
        self._walk = walk
        self._layer = layer
        self._member = member
        self._evidence = evidence
        self._progress = progress
        self._span = span
        self._looks = passes.looks(progress, batch_size)

    @property
    def channels(self) -> int:
        """Number of channels of the layer."""
        return self._checked_evidence().channels

    def reach(self) -> torch.Tensor:
        """(*spatial) bool: voxels in windows that the question meets."""
        plan = self._passes.plan
        seen = torch.zeros(plan.shape)
        window = torch.ones(plan.patch)
        for start in {view.start for view in self._views()}:
            plan.add(seen, start, window)
        return seen > 0

    def score(self, inputs: torch.Tensor) -> torch.Tensor:
        """Scores (N,) of volumes (N, C, *spatial)."""
        return torch.cat([self._score(row[None], {}) for row in inputs])

    def score_without(self, channels: Sequence[int]) -> torch.Tensor:
        """Scores (N,) with one channel of the layer set to zero in each."""
        layer = self._checked_layer()
        layout = self._walk.layouts[layer]

        def silence(channel: int) -> Callable[[torch.Tensor], torch.Tensor]:
            def change(output: torch.Tensor) -> torch.Tensor:
                changed = output.clone()
                layout.channel_slice(changed, channel).zero_()
                return changed

            return change

        found = [self._score(self.inputs, {layer: silence(channel)}) for channel in channels]
        return torch.cat(found)

    def _score(
        self, inputs: torch.Tensor, replace: dict[str, Callable[[torch.Tensor], torch.Tensor]]
    ) -> torch.Tensor:
        views = self._views()
        fused = self._fuse(inputs, views, replace)
        transform = self._passes.to_logits(fused)
        logits = fused.output if transform is None else transform(fused.output)
        return self._question.score(without_leftover_axes(logits))

    def _views(self) -> list[View]:
        """Looks of the chosen network, or of all; others do not change with its layer.

        A function of the answer may look anywhere, all else only where it asks.
        """
        plan, views = self._passes.plan, self._walk.views
        if self._question.function is not None:
            views = plan.views(plan.starts)
        return [view for view in views if self._member in (None, view.member)]

    def _fuse(
        self, inputs: torch.Tensor, views: Sequence[View],
        replace: dict[str, Callable[[torch.Tensor], torch.Tensor]],
    ) -> Fused:  # fmt: skip
        passes = self._passes
        if not views:  # the question meets no window
            empty = torch.zeros_like(passes.answer((), self._progress).logits)
            return Fused(empty, None)
        return fuse(self._looks, inputs, views, replace=replace or None)

    def gradient(self, inputs: torch.Tensor, *, guided: bool = False) -> torch.Tensor:
        """Gradients of the scores with respect to volumes (N, C, *spatial)."""
        return torch.cat([self._gradient(row[None], guided) for row in inputs])

    def _gradient(self, inputs: torch.Tensor, guided: bool) -> torch.Tensor:
        passes, seeds, plan = self._passes, self._seeds, self._passes.plan
        if not seeds.constant and inputs is not passes.inputs:
            views = plan.views(plan.starts)
            seeds = passes.seeds(self._question, self._fuse(inputs, views, {}))
        total = torch.zeros_like(inputs)
        mode = GuidedMode()
        with mode if guided else contextlib.nullcontext():
            for look in self._looks.over(inputs, self._walk.views, names=[INPUT], seed=seeds.of):
                plan.look_back(total, look.view, look.gradients[INPUT])
        if guided and self._walk.views and not mode.gated:
            raise MethodError(
                "Guided backpropagation found no ReLU or other activation function in this model; "
                "use saliency or integrated_gradients."
            )
        return total

    def channel_maps(self, channels: Sequence[int]) -> torch.Tensor:
        """Activations (N, *spatial) of channels of the layer, placed in the volume."""
        layer, walk = self._checked_layer(), self._walk
        stitcher = Stitcher(walk.plan, walk.layouts[layer], "blend", walk.weight)
        views = [view for view in walk.views if self._member in (None, view.member)]
        for view, activations, _ in walk.each(layer, views, gradients=False):
            stitcher.add(view, activations[0, list(channels)])
        return stitcher.result()

    def positive_on_input(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """The positive part of a drawn map, (1, *spatial)."""
        return maps[0].relu()

    def batches(self, count: int, label: str) -> Iterator[range]:
        """One run over the windows after the other, reporting progress."""
        start, end = self._span
        step = (end - start) / count
        operators = 3 * self._passes.model.operators * max(1, len(self._walk.views))
        for number in range(count):
            begin = start + step * number
            self._progress.stage(
                f"{label}: {number + 1} of {count}", begin, begin + step, operators
            )
            yield range(number, number + 1)

    def _checked_layer(self) -> str:
        if self._layer is None:
            raise MethodError("This method needs a layer.")
        return self._layer

    def _checked_evidence(self) -> WindowEvidence:
        if self._evidence is None:
            raise MethodError("This method needs a layer.")
        return self._evidence
