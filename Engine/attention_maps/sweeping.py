"""Which layer, which method? One question, asked of many layers by many methods at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attention_maps.concentration import FIGURES
from attention_maps.errors import LayerError, MethodError, TargetError
from attention_maps.explainer import Explainer
from attention_maps.metric_options import part_options
from attention_maps.places import as_mask
from attention_maps.registry import find_method, find_metric
from attention_maps.registry import methods as all_methods
from attention_maps.registry import metrics as all_metrics
from attention_maps.sweep_run import Measure, SweepRun
from attention_maps.targets import TopTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attention_maps.registry import Method
    from attention_maps.sweep_table import Sweep
    from attention_maps.types import Grid, ProgressCallback

# What tells most and costs little; all others can be asked for by name.
QUICK = ("energy_inside", "iou", "dice", "pointing_game", "relevance_rank", "peak_distance")


def sweep(
    model: Any,
    image: Any = None,
    mask: Any = None,
    *,
    layers: str | Sequence[str] = "all",
    methods: str | Sequence[str] | None = None,
    metrics: str | Sequence[str] | None = None,
    target: Any = None,
    threshold: str | float = "otsu",
    labels: Any = None,
    progress: ProgressCallback | None = None,
    spec: Any = None,
    device: Any = "auto",
    batch_size: int | None = None,
    keep: bool = False,
    **options: Any,
) -> Sweep:
    """Ask one question of many layers by many methods, and measure every map.

    All maps come from one recorded forward pass and one backward pass (over windows: one walk),
    however many there are; they are measured one by one and dropped. A layer that no gradient
    reaches costs a few backward passes more: the layers are then asked in parts. A map that cannot
    be made is a row with the reason.

    Args:
        model: A LoadedModel, what `load_model` takes, or an Explainer, whose pass is used again.
        image: As in `explain`; None where `model` is an Explainer.
        mask: Where the attention should be, as in `evaluate`: an Image or a path on any grid, an
            array (*spatial) on the image's grid, or a dict of them by name. Without one, maps are
            measured by themselves: share of positive evidence, entropy, concentration.
        layers: "all" for every layer that can be explained (layers that give one and the same
            tensor once), or what `explain` takes.
        methods: Names; None for all that need one backward pass and apply to any layer.
        metrics: Names of metrics, or of figures of the map alone (`positive_share`, `entropy`,
            `half_share`); None for the quick ones of them. Figures of the map alone come always.
        target: What is asked, one question, as in `explain`.
        threshold: As in `evaluate`.
        labels: As in `evaluate`: names and values of several structures in `mask`.
        progress: As in `explain`.
        spec: What the network expects, where `model` is not loaded yet.
        device: Where it runs, where `model` is not loaded yet.
        batch_size: As in `explain`.
        keep: Whether maps are kept as `Sweep.maps`; costs memory.
        options: Options of methods and metrics.

    Returns:
        The figures of every map.

    Raises:
        LayerError, MethodError, TargetError: If a name or option is not known, or there are
            several questions.
        AttentionMapsError: If no map could be made because the network itself failed.
        Cancelled: If `progress` returned False.
    """
    session = model
    if isinstance(model, Explainer):
        if image is not None:
            raise TypeError("Expected no image beside an Explainer, which has its own.")
    else:
        if image is None:
            raise TypeError("Expected an image, or an Explainer as model, got neither.")
        session = Explainer(model, image, spec=spec, device=device)
    chosen = chosen_methods(methods)
    names = chosen_metrics(metrics, mask is not None)
    if not isinstance(layers, str) and not layers:
        raise LayerError("Expected at least one layer, got an empty list.")
    if not _is_one(target):
        raise TargetError("Expected one question for a sweep, got several; ask them in turn.")
    of_metrics, of_methods = part_options(names, options)
    masks = _read_mask(mask, session.source)
    measure = Measure(masks, names, threshold, labels, of_metrics)
    run = SweepRun(session, chosen, measure, target, progress, batch_size, of_methods, keep)
    return run.sweep(layers)


def chosen_methods(names: str | Sequence[str] | None) -> list[Method]:
    """Methods of names; None for all that need one backward pass and apply to any layer."""
    if names is None:
        return [
            item for item in all_methods().values() if item.needs == "layer" and item.name != "cam"
        ]
    found = [find_method(name) for name in ([names] if isinstance(names, str) else names)]
    if not found:
        raise MethodError("Expected at least one method, got an empty list.")
    return list({item.name: item for item in found}.values())


def chosen_metrics(names: str | Sequence[str] | None, has_mask: bool) -> list[str]:
    """Metrics against the mask, checked."""
    if names is None:
        return [name for name in QUICK if name in all_metrics()] if has_mask else []
    asked = [name for name in ([names] if isinstance(names, str) else names) if name not in FIGURES]
    found = [find_metric(name).name for name in asked]
    if found and not has_mask:
        raise MethodError(
            f"Expected a mask for {', '.join(found)}; without one there are {', '.join(FIGURES)}."
        )
    return list(dict.fromkeys(found))


def _is_one(target: Any) -> bool:
    """Whether there is one question."""
    if isinstance(target, list | tuple):
        return len(target) == 1 and _is_one(target[0])
    return not isinstance(target, TopTarget) or target.k == 1


def _read_mask(mask: Any, grid: Grid) -> Any:
    """The mask, read once."""
    if isinstance(mask, dict):
        return {str(name): as_mask(item, grid) for name, item in mask.items()}
    return None if mask is None else as_mask(mask, grid)
