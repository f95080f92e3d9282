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
        each = sum(elements[name] for name in layouts) * looks.model.dtype.itemsize
        self._views_to_keep = int(room // max(1, each))
        self.keeps_gradients = 2 * each * len(self.views) <= room
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
        """Run views, and keep all layers of as many as there is room for."""
        begin, number = self._report.fraction, 0
        kept = len({view for view, _ in self._kept})
        count = min(len(views), max(0, self._views_to_keep - kept))
        seed = self._seeds.of if gradients else None
        self._say(begin, number, len(views), gradients)
        for part, names in ((views[:count], list(self.layouts)), (views[count:], [layer])):
            for look in self._looks.over(self._inputs, part, names=names, seed=seed):
                if number < count:
                    self._keep(look, names, gradients)
                yield look
                number += 1
                self._say(begin, number, len(views), gradients)

    def _keep(self, look: Look, names: Sequence[str], gradients: bool) -> None:
        for name in names:
            self._kept[look.view, name] = look.activations[name]
            if self.keeps_gradients and gradients:
                self._kept_gradients[look.view, name] = look.gradients[name]

    def _say(self, begin: float, done: int, count: int, gradients: bool) -> None:
        """Begin the next window; where windows are looked at again that takes a share, too."""
        if done == count:
            return
        what = "Following the answer back" if gradients else "Looking again"
        share = 1.0 if self._views_to_keep >= len(self.views) else 0.7
        step = share * max(0.0, 0.98 - begin) / max(1, count)
        operators = self._looks.model.operators * (3 if gradients else 1)
        start = begin + step * done
        self._report.stage(f"{what}: window {done + 1} of {count}", start, start + step, operators)


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
        """Number of feature voxels in all windows, also in those that a region leaves out."""
        plan = self._walk.plan
        views = len(plan.tiling.starts) * len(plan.mirrorings)
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
