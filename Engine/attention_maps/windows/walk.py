"""Walks over the windows that a question meets: activations and gradients, kept or made again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from attention_maps.algorithms.evidence import CHUNK_ELEMENTS, Evidence
from attention_maps.windows.stitching import Stitcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attention_maps.algorithms.evidence import Quantity
    from attention_maps.progress import Progress
    from attention_maps.registry import Stitch
    from attention_maps.tracing.layout import Layout
    from attention_maps.windows.looks import Look, Looks
    from attention_maps.windows.plan import View
    from attention_maps.windows.seeds import Seeds


class Walk:
    """One question's windows.

    Args:
        looks: The model and all windows.
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
        looks: Looks,
        inputs: torch.Tensor,
        weight: torch.Tensor,
        views: Sequence[View],
        seeds: Seeds,
        layouts: dict[str, Layout],
        elements: dict[str, int],
        room: float,
        report: Progress,
    ) -> None:
        self.plan = looks.plan
        self.views = list(views)
        self.layouts = layouts
        self.weight = weight
        self._looks = looks
        self._inputs = inputs
        self._seeds = seeds
        self._report = report
        each = (
            sum(elements[name] for name in layouts) * looks.model.dtype.itemsize * len(self.views)
        )
        self.keeps_activations = each <= room
        self.keeps_gradients = 2 * each <= room
        self._kept: dict[tuple[View, str], torch.Tensor] = {}
        self._kept_gradients: dict[tuple[View, str], torch.Tensor] = {}

    def each(
        self, layer: str, views: Sequence[View], *, gradients: bool
    ) -> Iterator[tuple[View, torch.Tensor, torch.Tensor]]:
        """Activations and gradients of a layer, view by view, as (1, K, *grid)."""
        layout = self.layouts[layer]
        missing = [view for view in views if not self._keeps(view, layer, gradients=gradients)]
        made = self._make(layer, missing, gradients=gradients)
        for view in views:
            if self._keeps(view, layer, gradients=gradients):
                key = (view, layer)
                values = self._kept[key]
                slopes = self._kept_gradients[key] if gradients else values
            else:
                look = next(made)
                values = look.activations[layer]
                slopes = look.gradients[layer] if gradients else values
            yield view, layout.to_grid(values), layout.to_grid(slopes)

    def _keeps(self, view: View, layer: str, *, gradients: bool) -> bool:
        key = (view, layer)
        return key in self._kept and (not gradients or key in self._kept_gradients)

    def _make(self, layer: str, views: Sequence[View], *, gradients: bool) -> Iterator[Look]:
        """Run views; all layers at once where they are kept."""
        names = list(self.layouts) if self.keeps_activations else [layer]
        what = "Following the answer back" if gradients else "Looking again"
        seed = self._seeds.of if gradients else None
        self._say(what, 1, len(views), gradients)
        looks = self._looks.over(self._inputs, views, names=names, seed=seed)
        for number, look in enumerate(looks, start=2):
            for name in names if self.keeps_activations else ():
                self._kept[look.view, name] = look.activations[name]
                if self.keeps_gradients and gradients:
                    self._kept_gradients[look.view, name] = look.gradients[name]
            yield look
            if number <= len(views):
                self._say(what, number, len(views), gradients)

    def _say(self, what: str, number: int, count: int, gradients: bool) -> None:
        operators = self._looks.model.operators * (3 if gradients else 1)
        start = self._report.fraction
        end = start + (0.98 - start) / max(1, count - number + 1)
        self._report.stage(f"{what}: window {number} of {count}", start, end, operators)


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
