"""A session on one image: the forward pass is kept, each question costs its backward pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.errors import MethodError, ModelError
from attention_maps.inputs import as_image
from attention_maps.loading import load_model
from attention_maps.passes import WholeImage
from attention_maps.places import as_mask
from attention_maps.progress import Progress
from attention_maps.registry import Method, find_method, split_options
from attention_maps.resampling import mask_on_grid
from attention_maps.run import Run
from attention_maps.targets import expand_targets
from attention_maps.tracing.trace import INPUT
from attention_maps.windows.passes import Windows
from attention_maps.windows.plan import plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from attention_maps.answer import Answer
    from attention_maps.errors import AttentionMapsError
    from attention_maps.estimate import Estimate
    from attention_maps.faithfulness.findings import TrustReport
    from attention_maps.model import LoadedModel
    from attention_maps.passes import Passes
    from attention_maps.preprocessing import NetworkInput
    from attention_maps.result import AttentionMap
    from attention_maps.tracing.trace import Geometry
    from attention_maps.types import Grid, Image, ProgressCallback


class Explainer:
    """Explain one image with one model, question after question.

    Args:
        model: What `load_model` takes or gives.
        image: An Image, a path, a list of paths (one per channel), or an array (C, *spatial).
        spec: What the network expects, where `model` is not loaded yet.
        device: Where it runs, where `model` is not loaded yet.
        region: A mask (Image or path on any grid, array on the image's grid): windows that hold
            nothing of it are not run, and nothing is predicted there. Only for models that see
            the image in windows.

    Raises:
        ImageError: If the image does not fit the network, or the region is empty.
        ModelError: If the model cannot be loaded, or takes no region.
    """

    def __init__(
        self,
        model: Any,
        image: Any,
        *,
        spec: Any = None,
        device: str | torch.device = "auto",
        region: Any = None,
    ) -> None:
        self.model = load_model(model, spec, device)
        self.image = as_image(image, self.model.expected_input()[1])
        prepared = self.model.prepare(self.image)
        self._passes = _passes_of(self.model, prepared, region)
        self._lock = threading.RLock()

    @property
    def prediction(self) -> NDArray[Any] | Image:
        """The network's answer: (classes,) probabilities, or a label Image on the image's grid."""
        return self.answer().prediction

    def answer(self, progress: ProgressCallback | None = None) -> Answer:
        """The network's answer with its classes, ranking and grid.

        Args:
            progress: As in `explain`, for the forward pass where it has not been run yet.
        """
        with self._lock:
            return self._passes.answer((), Progress(progress))

    def explain(
        self,
        method: str | Sequence[str] = "grad_cam",
        layer: str | Sequence[str] = "auto",
        target: Any = None,
        progress: ProgressCallback | None = None,
        *,
        batch_size: int | None = None,
        on_map: Callable[[AttentionMap], None] | None = None,
        on_failure: Callable[[str, str, AttentionMapsError], None] | None = None,
        keep: bool = True,
        **options: Any,
    ) -> AttentionMap | list[AttentionMap]:
        """Answer a question with a map, or several with a list.

        Args:
            method: Name of a method, or several.
            layer: Name of a layer, "auto", "auto:bottleneck", "all", or several.
            target: What is asked (see `targets`); None for the likeliest class.
            progress: Called with a fraction and a message; returning False cancels.
            batch_size: Inputs per batch of perturbation methods; None for as many as fit.
            on_map: Called with each map as soon as it is made.
            on_failure: Called with layer, method and error where one map cannot be made; the others
                are made all the same and given as a list. None raises the error.
            keep: Whether maps are returned; without it the list is empty, and no more than one map
                is held at a time.
            options: Options of the method.

        Returns:
            One map; a list where `method`, `layer` or `target` names several, ordered by target,
            then layer, then method. Methods that work on the input come once per target.

        Raises:
            MethodError, LayerError, TargetError: If a name or option is not known.
            Cancelled: If `progress` returned False.
        """
        chosen = [find_method(item) for item in _listed(method)]
        if not chosen:
            raise MethodError("Expected at least one method, got an empty list.")
        checked = split_options(chosen, options)
        if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
            raise MethodError(f"Expected batch_size to be 1 or more, got {batch_size!r}.")
        report = Progress(progress)
        with self._lock:
            started = time.perf_counter()
            names = self._layer_names(chosen, layer, report)
            answer = self._passes.answer(names, report)
            targets, several = expand_targets(target, answer)
            run = Run(
                self.model, self._passes, answer, report, chosen, checked, names, batch_size,
                started, len(targets), on_map, on_failure, keep,
            )  # fmt: skip
            maps = [made for item in targets for made in run.ask(item)]
            report.finish()
        many = several or _are_several(method) or _are_several(layer) or layer == "all"
        return maps if many or on_failure or not keep else maps[0]

    def trust(
        self,
        method: str = "grad_cam",
        layer: str = "auto",
        target: Any = None,
        *,
        tests: str | Sequence[str] | None = None,
        seed: int = 0,
        progress: ProgressCallback | None = None,
        batch_size: int | None = None,
        **options: Any,
    ) -> TrustReport:
        """Make a map and test whether it can be trusted.

        Args:
            method: Name of the method.
            layer: Name of a layer, "auto" or "auto:bottleneck".
            target: What is asked, one question (see `targets`); None for the likeliest class.
            tests: Names of tests (`attention_maps.trust_tests()`); None for all.
            seed: Of random weights, maps and noise.
            progress: Called with a fraction and a message; returning False cancels.
            batch_size: Inputs per batch; None for as many as fit.
            options: Options of the method and of the tests.

        Raises:
            MethodError, LayerError, TargetError: If a name or option is not known.
            Cancelled: If `progress` returned False; weights are as before.
        """
        from attention_maps.faithfulness.trust import examine

        with self._lock:
            return examine(
                self, self._passes, method, layer, target, tests, seed, Progress(progress),
                batch_size, options,
            )  # fmt: skip

    def trust_passes(
        self,
        method: str = "grad_cam",
        layer: str = "auto",
        *,
        tests: str | Sequence[str] | None = None,
        **options: Any,
    ) -> dict[str, int]:
        """About how many passes through the network each test of `trust` takes.

        A backward pass counts two; over windows each pass runs all windows that the question meets.
        Finding the layers takes one forward pass where that was not done yet.

        Args:
            method: As in `trust`.
            layer: As in `trust`.
            tests: As in `trust`.
            options: As in `trust`.
        """
        from attention_maps.faithfulness.trust import count_passes

        with self._lock:
            return count_passes(self, self._passes, method, layer, tests, options)

    def _layer_names(
        self, chosen: Sequence[Method], layer: str | Sequence[str], report: Progress
    ) -> list[str]:
        """Layers to record; explicit names need no extra forward pass to be found."""
        at_input = [INPUT] if any(item.needs == "input" for item in chosen) else []
        if not any(item.has_layer for item in chosen):
            return at_input
        explicit = self._asked(layer)
        plain = all(
            isinstance(name, str) and name != "all" and not name.startswith("auto")
            for name in explicit
        )
        if not self._passes.started and plain and not self._passes.is_known():
            own = set(self.model.network.layer_names())
            if explicit and all(name in own for name in explicit):
                return [*dict.fromkeys(explicit), *at_input]
        report.stage("Finding the layers", 0.0, 0.2, self.model.operators)
        geometry = self._passes.geometry(report)
        return [*self.model.resolve_layers(explicit, geometry), *at_input]

    def _asked(self, layer: str | Sequence[str]) -> list[Any]:
        """Names of layers as they came; "auto" is the specification's where it has one."""
        own = self.model.spec.layer
        return [own if own and name == "auto" else name for name in _listed(layer)]

    def geometry(self, progress: ProgressCallback | None = None) -> Geometry:
        """Where the layers lie; one forward pass where that is not known yet.

        Args:
            progress: As in `explain`.
        """
        with self._lock:
            report = Progress(progress)
            report.stage("Finding the layers", 0.0, 1.0, self.model.operators)
            return self._passes.geometry(report)

    def estimate(self, layer: str | Sequence[str] = "auto") -> Estimate:
        """What a question about layers will take; runs one window where nothing has run yet.

        Args:
            layer: As in `explain`.
        """
        with self._lock:
            report = Progress(None)
            geometry = self._passes.geometry(report)
            names = self.model.resolve_layers(self._asked(layer), geometry)
            return self._passes.estimate(names)

    @property
    def field(self) -> Grid:
        """Grid of the network's input."""
        return self._passes.field

    @property
    def source(self) -> Grid:
        """Grid of the image."""
        return self._passes.source


def _passes_of(model: LoadedModel, prepared: NetworkInput, region: Any) -> Passes:
    """One pass over the whole image, or windows where the model has them."""
    plan = plan_of(model.spec, prepared.grid.shape, max(1, len(model.members)))
    if plan is None:
        if region is not None:
            raise ModelError(
                f"Expected a model that sees the image in windows (`patch_size`), but '{model.name}"
                "' sees it at once; leave out the region."
            )
        return WholeImage(model, prepared)
    if region is not None:
        mask = mask_on_grid(as_mask(region, prepared.source), prepared.grid)
        plan.limit(torch.from_numpy(mask))
    return Windows(model, prepared, plan)


def _listed(names: Any) -> list[Any]:
    """Several names as a list, anything else as a list of one."""
    return list(names) if _are_several(names) else [names]


def _are_several(names: Any) -> bool:
    return isinstance(names, Iterable) and not isinstance(names, str)
