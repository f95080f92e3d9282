"""Which layer to explain when nobody says."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from attention_maps.errors import LayerError

if TYPE_CHECKING:
    from attention_maps.tracing.trace import Geometry
    from attention_maps.types import LayerInfo

IDLE_KINDS = ("dropout", "feature_dropout", "alpha_dropout", "identity", "droppath")


def choose_layer(geometry: Geometry, which: str = "") -> str:
    """Choose a layer by what it gives, not by where it was defined.

    Args:
        geometry: The layers, in execution order.
        which: Empty for the last layer with spatial axes before the head: for classification in
            front of the pooling, for segmentation the last decoder stage that does not hold the
            logits themselves. "bottleneck" for the last such layer of the coarsest resolution.

    Raises:
        LayerError: If `which` is unknown or no layer has spatial axes.
    """
    if which not in ("", "bottleneck"):
        raise LayerError(f"Expected 'auto' or 'auto:bottleneck', got 'auto:{which}'.")
    usable = [info for info in geometry.infos if info.explainable]
    if not usable:
        raise LayerError("No layer of this model has spatial axes; only input methods apply.")
    usable = [info for info in usable if _tells_itself(info)] or usable
    if geometry.layout is None:
        usable = _before_adaptive_pools(usable, geometry) or usable
    if which == "bottleneck":
        chosen = _bottleneck(usable, geometry)
    elif geometry.layout is None:
        chosen = _before_pooling(usable, geometry)
    else:
        chosen = _before_head(usable, geometry)
    return _shortest_name(chosen, geometry)


def _tells_itself(info: LayerInfo) -> bool:
    """Not flattened, pooled to one voxel per slice, or a copy of the layer before."""
    spatial = len(info.shape) > 2 and max(info.shape[2:]) > 1
    return spatial and not info.kind.lower().startswith(IDLE_KINDS)


def _before_adaptive_pools(usable: list[LayerInfo], geometry: Geometry) -> list[LayerInfo]:
    """The layers without adaptive pooling at the end, which belongs to the head."""
    pooling = {info.name for info in geometry.infos if info.kind.lower().startswith("adaptive")}
    pooled = {name for names in geometry.same.values() if pooling & set(names) for name in names}
    end = len(usable)
    while end and usable[end - 1].name in pooled:
        end -= 1
    return usable[:end]


def _bottleneck(usable: list[LayerInfo], geometry: Geometry) -> LayerInfo:
    def coarseness(info: LayerInfo) -> float:
        return prod(abs(step) for step in info.stride or (1.0,))

    coarsest = max(coarseness(info) for info in usable)
    deepest = [info for info in usable if coarseness(info) >= coarsest * (1 - 1e-6)]
    choose = _before_pooling if geometry.layout is None else _before_head
    return choose(deepest, geometry)


def _before_pooling(usable: list[LayerInfo], geometry: Geometry) -> LayerInfo:
    """The last layer; where a class token alone is read, the last that still reaches it."""
    last = usable[-1]
    if geometry.last_mixing is None:
        return last
    born = {name: birth for (_, birth), names in geometry.same.items() for name in names}
    reaching = [info for info in usable if born[info.name] < geometry.last_mixing] or [last]
    alike = [info for info in reaching if info.shape == last.shape]  # not its queries or keys
    return (alike or reaching)[-1]


def _before_head(usable: list[LayerInfo], geometry: Geometry) -> LayerInfo:
    """The last layer before the run of layers that hold one channel per class."""
    classes = geometry.classes
    for info in reversed(usable):
        if info.shape[1] != classes:
            return info
    return usable[-1]


def _shortest_name(chosen: LayerInfo, geometry: Geometry) -> str:
    """A block and its last layer give the same tensor: the block's name is easier to read."""
    for names in geometry.same.values():
        if chosen.name in names:
            explainable = {info.name for info in geometry.infos if info.explainable}
            return min(
                (n for n in names if n in explainable), key=lambda n: ("#" in n, n.count("."), n)
            )
    return chosen.name
