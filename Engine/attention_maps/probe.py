"""The network seen from its input: what perturbation and input-gradient methods work with."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np
import torch

from attention_maps.errors import MethodError, ModelRunError
from attention_maps.logits import seed_of, without_leftover_axes
from attention_maps.resampling import resample
from attention_maps.tracing.guided import GuidedMode
from attention_maps.tracing.trace import INPUT, LayerTrace
from attention_maps.types import Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from attention_maps.logits import ToLogits
    from attention_maps.model import LoadedModel
    from attention_maps.progress import Progress
    from attention_maps.questions import Question
    from attention_maps.tracing.trace import Trace

VOXELS_PER_BATCH = {"cpu": 1 << 21, "cuda": 1 << 24}


class NetworkProbe:
    """One model, one input, one question.

    Args:
        model: The model.
        inputs: (1, C, *spatial) input.
        question: What is scored.
        to_logits: What makes logits of the network's output, None where it gives logits.
        traced: Gives the recorded forward pass of `inputs` with the input among its layers.
        layer: Recorded layer for methods that need one.
        progress: Where batches are reported.
        batch_size: Inputs per batch; None for as many as fit.
    """

    def __init__(
        self,
        model: LoadedModel,
        inputs: torch.Tensor,
        question: Question,
        to_logits: ToLogits,
        traced: Callable[[], Trace],
        layer: LayerTrace | None,
        progress: Progress,
        batch_size: int | None = None,
    ) -> None:
        self.model = model
        self.inputs = inputs
        self.question = question
        self._to_logits = to_logits
        self._traced = traced
        self._layer = layer
        self._progress = progress
        self._batch_size = batch_size
        self._batches: int | None = None
        self.span = (0.1, 1.0)

    @property
    def channels(self) -> int:
        """Number of channels of the layer."""
        return int(self._activations.shape[1])

    @property
    def _activations(self) -> torch.Tensor:
        """(1, K, *grid) activations of the layer."""
        layer = self._checked_layer()
        return layer.placed.to_grid(layer.activations)

    def reach(self) -> torch.Tensor:
        """(*spatial) bool: voxels that the network gets to see, here all."""
        return torch.ones(self.inputs.shape[2:], dtype=torch.bool)

    def score(self, inputs: torch.Tensor) -> torch.Tensor:
        """Scores (N,) of inputs (N, C, *spatial)."""
        trace = self.model.run(inputs, gradients=False, tick=self._progress.tick)
        return self._scores(trace)

    def _scores(self, trace: Trace) -> torch.Tensor:
        logits = trace.logits if self._to_logits is None else self._to_logits(trace.logits)
        return self.question.score(without_leftover_axes(logits))

    def gradient(self, inputs: torch.Tensor, *, guided: bool = False) -> torch.Tensor:
        """Gradients of the scores with respect to inputs (N, C, *spatial)."""
        tick = self._progress.tick
        if inputs is self.inputs and not guided:
            trace = self._traced()
            return trace.gradients(self._seed(trace), [INPUT], tick=tick)[0]
        mode = GuidedMode()
        with mode if guided else contextlib.nullcontext():
            trace = self.model.run(inputs, [INPUT], tick=tick)
        if guided and not mode.gated:
            raise MethodError(
                "Guided backpropagation found no ReLU or other activation function in this model; "
                "use saliency or integrated_gradients."
            )
        return trace.gradients(self._seed(trace), [INPUT], tick=tick, keep=False)[0]

    def _seed(self, trace: Trace) -> torch.Tensor:
        return seed_of(self.question, trace.logits, self._to_logits)

    def score_without(self, channels: Sequence[int]) -> torch.Tensor:
        """Scores (N,) with one channel of the layer set to zero in each."""
        layer = self._checked_layer()
        layout = layer.placed

        def silence(output: torch.Tensor) -> torch.Tensor:
            changed = output.clone()
            for row, channel in enumerate(channels):
                layout.channel_slice(changed[row : row + 1], channel).zero_()
            return changed

        if len(channels) > 1 and layout.parts and layout.shape[0] != 1:
            return torch.cat([self.score_without([channel]) for channel in channels])
        inputs = self.inputs.expand(len(channels), *self.inputs.shape[1:])
        trace = self.model.run(
            inputs, gradients=False, tick=self._progress.tick, replace={layer.name: silence}
        )
        return self._scores(trace)

    def channel_maps(self, channels: Sequence[int]) -> torch.Tensor:
        """Activations (N, *spatial) of channels of the layer, placed on the input's grid."""
        return self._placed(self._activations[0, list(channels)])

    def positive_on_input(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """The positive part of a drawn map of the layer on the input's grid, (1, *spatial)."""
        return self._placed(maps[0].relu())

    def _placed(self, maps: torch.Tensor) -> torch.Tensor:
        layout = self._checked_layer().placed
        axes = len(layout.grid)
        affine = np.eye(4)
        affine[:axes, :axes] = np.diag(layout.stride)
        affine[:axes, 3] = layout.offset
        target = Grid(tuple(self.inputs.shape[2:]), np.eye(4))
        placed = resample(maps.float().cpu().numpy(), Grid(layout.grid, affine), target)
        return torch.from_numpy(placed).to(self.inputs)

    def batches(self, count: int, label: str) -> Iterator[range]:
        """Split `count` runs in batches that fit, reporting progress."""
        size = min(self._size_of_batch(), count)
        start, end = self.span
        for first in range(0, count, size):
            share = (end - start) / count
            part = range(first, min(first + size, count))
            self._progress.stage(
                f"{label}: {first + 1} of {count}",
                start + share * first,
                start + share * (first + len(part)),
                3 * self.model.operators,  # a backward pass costs two forward passes
            )
            yield part

    def _size_of_batch(self) -> int:
        """As asked for, or as many as fit; 1 where the network takes one input at a time only."""
        if self._batches is None:
            size = self._batch_size
            if size is None:
                voxels = self.inputs[0, 0].numel()
                size = min(64, VOXELS_PER_BATCH.get(self.inputs.device.type, 1 << 21) // voxels)
            self._batches = size if size > 1 and self._takes_batches() else 1
        return self._batches

    def _takes_batches(self) -> bool:
        """Whether two inputs at once give what each gives alone; traces may have baked in one."""
        both = torch.cat([self.inputs, self.inputs.flip(-1)])
        tick = self._progress.tick
        try:
            together = self.model.run(both, gradients=False, tick=tick).logits
            alone = self.model.run(both[1:], gradients=False, tick=tick).logits
        except ModelRunError:
            return False
        if together.shape[0] != 2:
            return False
        limit = 1e-3 * float(alone.abs().max())
        return float((together[1] - alone[0]).abs().max()) <= limit

    def _checked_layer(self) -> LayerTrace:
        if self._layer is None:
            raise MethodError("This method needs a layer.")
        return self._layer
