"""A map under test, and the ways to make it again."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.faithfulness.body import edge_map, filled, tissue_of
from attention_maps.progress import Progress
from attention_maps.resampling import mask_on_grid, place
from attention_maps.types import Grid, Image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from attention_maps.algorithms.evidence import Probe
    from attention_maps.model import LoadedModel
    from attention_maps.passes import Asked, Passes
    from attention_maps.questions import Question
    from attention_maps.registry import Method
    from attention_maps.result import AttentionMap

    Array = NDArray[np.float32]
    Mask = NDArray[np.bool_]

PATCHES_PER_AXIS = 8  # of occlusion, as it divides an image by itself
INPUT = "input"


class Subject:
    """What a test gets to work with.

    Args:
        model: The model.
        passes: How the image goes through it.
        method: What makes the map.
        options: With which options.
        layer: Name of the layer, "input" for methods that work on the input.
        seed: Of everything random.
        batch_size: Inputs per batch; None for as many as fit.

    Attributes:
        map: The map, once it is made.
        question: What was asked; it stays the same in all tests.
        report: Where the progress of the present test goes.
    """

    map: AttentionMap
    question: Question

    def __init__(
        self, model: LoadedModel, passes: Passes, method: Method, options: Mapping[str, Any],
        layer: str, seed: int = 0, batch_size: int | None = None,
    ) -> None:  # fmt: skip
        self.model = model
        self.passes = passes
        self.method = method
        self.options = dict(options)
        self.layer = layer
        self.seed = seed
        self.report = Progress(None)
        self._batch_size = batch_size
        self._kept: dict[Any, Any] = {}

    @property
    def windowed(self) -> bool:
        """Whether the network sees the image in windows, each pass runs all that matter."""
        return "windows" in self.passes.describe()

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size of the network's input in mm."""
        return self.passes.field.spacing

    @cached_property
    def array(self) -> Array:
        """(C, *spatial) what goes into the network."""
        return np.asarray(self.passes.inputs[0].detach().float().cpu().numpy())

    @cached_property
    def tissue(self) -> Mask:
        """(*spatial) where there is something in the image."""
        return tissue_of(self.array)

    @cached_property
    def body(self) -> Mask:
        """(*spatial) tissue and what it encloses."""
        return filled(self.tissue)

    @cached_property
    def edges(self) -> Array:
        """(*spatial) edge map of what goes into the network."""
        return edge_map(self.array)

    def body_on(self, grid: Grid) -> Mask:
        """(*grid.shape) the body on another grid, such as a layer's."""
        body = Image(self.body[None].astype(np.float32), self.passes.field.affine)
        return mask_on_grid(body, grid)

    def placed(self, raw: Image) -> Array:
        """(*spatial) a map of a layer on the voxels of the network's input."""
        field = self.passes.field
        return place(raw.array, raw.grid, field, field)[0]

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What was made before under a key; several tests may need it."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def part(self, start: float, end: float) -> Progress:
        """Progress of a part of this test."""
        return part_of(self.report, start, end)

    def probe(self, report: Progress) -> Probe:
        """The network seen from its input, to score other inputs."""
        return self._ask(self.passes, [], False, report).probe()

    def explain(
        self,
        report: Progress,
        *,
        passes: Passes | None = None,
        method: Method | None = None,
        layer: str | None = None,
    ) -> Image:
        """The map of this question again, (1, *grid).

        Args:
            report: Where progress goes.
            passes: Another image, or other weights.
            method: Another method, with its own options' defaults.
            layer: Another layer.
        """
        chosen = method or self.method
        options = self.options if method is None else {}
        layer = layer or self.layer
        names = [layer] if chosen.has_layer else [INPUT] if chosen.needs == "input" else []
        backward = chosen.gradients and chosen.has_layer
        asked = self._ask(passes or self.passes, names, backward, report)
        if chosen.has_layer:
            made = asked.layer_map(chosen, options, layer)
        else:
            made = asked.input_map(chosen, options)
        return made if chosen.signed else Image(np.maximum(made.array, 0), made.affine)

    def _ask(self, passes: Passes, names: list[str], gradients: bool, report: Progress) -> Asked:
        recorded = [name for name in names if name != INPUT or not self.windowed]
        if not passes.started:
            passes.answer(recorded, report)
        return passes.ask(
            self.question, [name for name in names if name != INPUT], gradients, report,
            lambda: (report.fraction, 1.0), self._batch_size,
        )  # fmt: skip

    def cost_of_map(self, method: Method | None = None) -> int:
        """About how many passes a map takes; a backward pass counts two."""
        chosen = method or self.method
        options = self.options if method is None else {}
        values = {name: option.default for name, option in chosen.options.items()} | options
        if chosen.needs in ("layer", "input"):
            return 3 if chosen.gradients else 1
        if chosen.gradients:
            each = 6 if chosen.has_layer else 3
            return each * int(values.get("samples") or values.get("steps") or 1)
        if chosen.has_layer:
            return 1 + int(values.get("channels") or self._channels())
        return 1 + PATCHES_PER_AXIS**self.passes.field.ndim

    def _channels(self) -> int:
        geometry = self.passes.geometry(Progress(None))
        found = {info.name: info.shape for info in geometry.infos}
        shape = found.get(self.layer, ())
        return int(shape[1]) if len(shape) > 1 else 1


def part_of(report: Progress, start: float, end: float, name: str = "") -> Progress:
    """Progress whose 0..1 is a part of another one's, and whose messages begin with a name."""
    callback = report.callback
    if callback is None:
        return Progress(None)

    def tell(share: float, text: str) -> bool | None:
        told = text if text.startswith(name) else f"{name}: {text[:1].lower()}{text[1:]}"
        return callback(start + (end - start) * share, told)

    return Progress(tell)
