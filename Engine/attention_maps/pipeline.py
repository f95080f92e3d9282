"""One call from a model and an image to a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attention_maps.explainer import Explainer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attention_maps.result import AttentionMap
    from attention_maps.types import ProgressCallback


def explain(
    model: Any,
    image: Any,
    method: str | Sequence[str] = "grad_cam",
    layer: str | Sequence[str] = "auto",
    target: Any = None,
    progress: ProgressCallback | None = None,
    *,
    spec: Any = None,
    device: Any = "auto",
    batch_size: int | None = None,
    **options: Any,
) -> AttentionMap | list[AttentionMap]:
    """Show where a network looked.

    Args:
        model: A LoadedModel, or what `load_model` takes.
        image: An Image, a path, a list of paths (one per channel), or an array (C, *spatial).
        method: Name of a method, or several (`attention_maps.methods()` lists all).
        layer: Name of a layer, "auto", "auto:bottleneck", "all", or several.
        target: What is asked: a target, a class name or index, a function of the logits, several
            of them, or None for the likeliest class.
        progress: Called with a fraction in 0..1 and a message; returning False cancels.
        spec: What the network expects, where `model` is not loaded yet.
        device: Where it runs, where `model` is not loaded yet.
        batch_size: Inputs per batch of perturbation methods; None for as many as fit.
        options: Options of the method.

    Returns:
        One AttentionMap; a list where `method`, `layer` or `target` names several.

    Raises:
        AttentionMapsError: One of its kinds, saying what was expected, what came, what to do.
    """
    session = Explainer(model, image, spec=spec, device=device)
    return session.explain(method, layer, target, progress, batch_size=batch_size, **options)
