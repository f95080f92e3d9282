"""Walks over the windows that a question meets: activations and gradients, kept or made again."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import torch

from attention_maps.algorithms.evidence import CHUNK_ELEMENTS, Evidence
from attention_maps.windows.fusion import seen
from attention_maps.windows.stitching import Stitcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attention_maps.algorithms.evidence import Quantity
    from attention_maps.model import LoadedModel
    from attention_maps.progress import Progress
    from attention_maps.registry import Stitch
    from attention_maps.tracing.layout import Layout
    from attention_maps.windows.plan import Plan, View
    from attention_maps.windows.seeds import Seeds

logger = logging.getLogger(__name__)


class Walk:
    """One question's windows.

    Args:
        model: The model.
        plan: All windows.
        inputs: (1, C, *shape) whole volume.
        weight: (*shape) sum of the weights of all windows.
        views: Looks through the windows that the question meets.
        seeds: Gradient on what the network gives.
        layouts: Layers that are asked about, and how they lie in a window.
        elements: Numbers in one layer's output, by name.
        room: Bytes that may be kept.
        report: Where progress goes.
    """

    def __init__(
        self,
        model: LoadedModel,
        plan: Plan,
        inputs: torch.Tensor,
        weight: torch.Tensor,
        views: Sequence[View],
        seeds: Seeds,
        layouts: dict[str, Layout],
        elements: dict[str, int],
        room: float,
        report: Progress,
    ) -> None:
        self.model = model
        self.plan = plan
        self.views = list(views)
        self.layouts = layouts
        self.weight = weight
        self._inputs = inputs
        self._seeds = seeds
        self._report = report
        each = sum(elements[name] for name in layouts) * model.dtype.itemsize * len(self.views)
        self.keeps_activations = each <= room
        self.keeps_gradients = 2 * each <= room
        self._kept: dict[tuple[View, str], torch.Tensor] = {}
        self._kept_gradients: dict[tuple[View, str], torch.Tensor] = {}

    def each(
        self, layer: str, views: Sequence[View], *, gradients: bool
    ) -> Iterator[tuple[View, torch.Tensor, torch.Tensor]]:
        """Activations and gradients of a layer, view by view, as (1, K, *grid)."""
        layout = self.layouts[layer]
        for number, view in enumerate(views, start=1):
            key = (view, layer)
            activations = self._kept.get(key)
            found = self._kept_gradients.get(key) if gradients else activations
            if activations is None or found is None:
                self._say(number, len(views), gradients)
                made = self._run(view, layer, gradients=gradients)
                activations, found = made[layer]
            yield view, layout.to_grid(activations), layout.to_grid(found)

    def _say(self, number: int, count: int, gradients: bool) -> None:
        what = "Following the answer back" if gradients else "Looking again"
        operators = self.model.operators * (3 if gradients else 1)
        start = self._report.fraction
        self._report.stage(
            f"{what}: window {number} of {count}", start, start + (0.98 - start) / count, operators
        )

    def _run(
        self, view: View, layer: str, *, gradients: bool
    ) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Run one view; all layers at once where they are kept."""
        names = list(self.layouts) if self.keeps_activations else [layer]
        tick = self._report.tick
        trace = self.model.run(
            seen(self.plan, self._inputs, view, self.model), names, gradients=gradients, tick=tick,
            member=view.member,
        )  # fmt: skip
        values = [trace.layers[name].activations for name in names]
        found = values
        if gradients:
            seed = self._seeds.of(view).to(trace.logits)
            found = trace.gradients(seed, names, tick=tick, keep=False)
        for name, activations, gradient in zip(names, values, found, strict=True):
            if self.keeps_activations:
                self._kept[view, name] = activations
            if self.keeps_gradients and gradients:
                self._kept_gradients[view, name] = gradient
        return dict(zip(names, zip(values, found, strict=True), strict=True))


class WindowEvidence(Evidence):
    """One layer of one network over all windows that a question meets.

    Args:
        walk: The windows.
        layer: Name of the layer.
        member: Index of the network.
        stitch: How its maps become one.
    """

    def __init__(self, walk: Walk, layer: str, member: int, stitch: Stitch) -> None:
        self._walk = walk
        self._layer = layer
        self._stitch = stitch
        self._layout = walk.layouts[layer]
        self._views = [view for view in walk.views if view.member == member]

    def grids(self, *, gradients: bool = True) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Activations and gradients, (1, K, *grid), window by window."""
        for _, a, g in self._walk.each(self._layer, self._views, gradients=gradients):
            yield a, g

    @property
    def voxels(self) -> int:
        """Number of feature voxels in all windows."""
        plan = self._walk.plan
        views = len(plan.starts) * len(plan.mirrorings)
        return views * math.prod(self._layout.grid)

    @property
    def seen(self) -> int:
        """Number of feature voxels in the windows that the question meets."""
        return len(self._views) * math.prod(self._layout.grid)

    @property
    def channels_at_once(self) -> int:
        """Number of channels whose intermediate results fit in a small work space."""
        return max(1, CHUNK_ELEMENTS // math.prod(self._layout.grid))

    @property
    def channels(self) -> int:
        """Number of channels."""
        for _, a, _ in self._walk.each(self._layer, self._views[:1], gradients=False):
            return int(a.shape[1])
        return 0

    def draw_grids(self, picture: Quantity, *, gradients: bool = True) -> list[torch.Tensor]:
        """One map (1, *shape) of the whole volume, where the volume is kept."""
        walk = self._walk
        stitcher = Stitcher(walk.plan, self._layout, self._stitch, walk.weight)
        for view, a, g in walk.each(self._layer, self._views, gradients=gradients):
            stitcher.add(view, picture(a, g))
        return [stitcher.result()]
