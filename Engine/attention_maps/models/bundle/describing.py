"""What a bundle says of itself, in the words of a specification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from attention_maps.errors import ModelError
from attention_maps.sliding_window import SlidingWindow
from attention_maps.spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attention_maps.models.bundle.recipe import Recipe

SIGMA = 0.125
# transforms after which the channels are not those of the image
CHANGES_CHANNELS = (
    "AddCoordinateChannels", "ConcatItems", "ConvertToMultiChannel", "Lambda", "RemoveRepeated",
    "RepeatChannel", "SplitDim", "LabelToMask",
)  # fmt: skip


class Reading(NamedTuple):
    """How a bundle reads its network's answer.

    Args:
        activation: "softmax", "sigmoid", or None where it does not say.
        discrete: Whether it makes labels of it.
        inverts: Whether it brings the answer back onto the image's voxels.
    """

    activation: str | None
    discrete: bool
    inverts: bool


def transforms_of(chain: Any) -> Iterator[Any]:
    """The single transforms of a chain, in order."""
    inner = getattr(chain, "transforms", None)
    if inner is not None:
        for item in inner:
            yield from transforms_of(item)
    elif chain is not None:
        yield chain


def reading_of(postprocessing: Any) -> Reading:
    """How an answer is read, by the transforms that come after the network."""
    activation: str | None = None
    discrete = inverts = False
    for item in transforms_of(postprocessing):
        kind = type(item).__name__.removesuffix("d")
        if kind == "Activations" and activation is None:
            softmax, sigmoid = _first(item, "softmax"), _first(item, "sigmoid")
            activation = "softmax" if softmax else "sigmoid" if sigmoid else None
        elif kind == "AsDiscrete":
            argmax, threshold = _first(item, "argmax"), _first(item, "threshold")
            discrete = discrete or bool(argmax) or threshold is not None
            activation = activation or ("softmax" if argmax else None)
            activation = activation or ("sigmoid" if threshold is not None else None)
        elif kind == "Invert":
            inverts = True
    return Reading(activation, discrete, inverts)


def _first(item: Any, name: str) -> Any:
    """An option of a transform, or of the first key of its dictionary version."""
    value = getattr(item, name, None)
    return value[0] if isinstance(value, list | tuple) and value else value


def spec_of(metadata: dict[str, Any], recipe: Recipe, name: str, axes: int | None) -> ModelSpec:
    """The specification of a bundle.

    Args:
        metadata: Contents of metadata.json.
        recipe: Its transforms and windows.
        name: What the bundle is called.
        axes: Spatial axes of the network.

    Raises:
        ModelError: If its windows are of a kind that is not known here.
    """
    said: dict[str, Any] = {"name": name, "description": metadata.get("description")}
    image, pred = _format(metadata, "inputs"), _format(metadata, "outputs")
    said["channels"] = _channels(image, recipe)
    said["class_names"] = _names(pred)
    said["activation"] = reading_of(recipe.postprocessing).activation
    said["label_values"] = recipe.label_values
    said["spatial_dims"] = axes
    if recipe.inferer is not None:
        said |= _windows(recipe.inferer, axes)
    return ModelSpec(**{key: value for key, value in said.items() if value is not None})


def fixed_size(metadata: dict[str, Any]) -> tuple[int, ...] | None:
    """Size of the network's input where the metadata has one size only."""
    sizes = _format(metadata, "inputs").get("spatial_shape")
    if not isinstance(sizes, list) or not sizes or not all(type(n) is int and n for n in sizes):
        return None
    return tuple(sizes)


def sees_patches(metadata: dict[str, Any]) -> bool:
    """Whether the metadata's size is that of a window."""
    return bool(_format(metadata, "inputs").get("is_patch_data"))


def _format(metadata: dict[str, Any], side: str) -> dict[str, Any]:
    """What the metadata says of the image that goes in, or of the prediction."""
    sides = _items(_items(metadata.get("network_data_format")).get(side))
    usual = sides.get("image" if side == "inputs" else "pred")
    found = usual or next((item for item in sides.values() if isinstance(item, dict)), {})
    return _items(found)


def _items(value: Any) -> dict[str, Any]:
    """Named items; none where metadata hold something else in their place."""
    return value if isinstance(value, dict) else {}


def _names(form: dict[str, Any]) -> tuple[str, ...] | None:
    """Names of channels in their order, each once; None where they are not all there."""
    given = form.get("channel_def")
    if not isinstance(given, dict) or not given:
        return None
    try:
        ordered = [str(given[key]) for key in sorted(given, key=int)]
    except (TypeError, ValueError):
        return None
    if form.get("num_channels") not in (None, len(ordered)):
        return None
    if len(set(ordered)) < len(ordered):
        return tuple(f"{name} {number}" for number, name in enumerate(ordered))
    return tuple(ordered)


def _channels(form: dict[str, Any], recipe: Recipe) -> tuple[str, ...] | None:
    if len(recipe.keys) > 1:
        return recipe.keys
    changed = any(
        type(item).__name__.startswith(CHANGES_CHANNELS)
        for item in transforms_of(recipe.preprocessing)
    )
    if changed:
        return None
    count = form.get("num_channels")
    numbered = tuple(f"channel {n}" for n in range(count)) if type(count) is int and count else None
    return _names(form) or numbered


def _windows(inferer: Any, axes: int | None) -> dict[str, Any]:
    """Windows as an inferer of MONAI lays them."""
    kind = type(inferer).__name__
    if kind == "SimpleInferer":
        return {}
    if not kind.startswith(("SlidingWindowInferer", "SliceInferer")) or inferer.with_coord:
        raise ModelError(
            f"Expected a SimpleInferer, SlidingWindowInferer or SliceInferer in the bundle, got "
            f"{kind}; build the network yourself and pass the module with a specification."
        )
    roi = _roi(inferer, axes or 3)
    if roi is None:
        return {}
    overlap = inferer.overlap
    overlaps = set(overlap) if isinstance(overlap, list | tuple) else {overlap}
    gaussian = str(getattr(inferer.mode, "value", inferer.mode)) == "gaussian"
    sigma = inferer.sigma_scale
    sigmas = set(sigma) if isinstance(sigma, list | tuple) else {sigma}
    if len(overlaps) > 1 or (gaussian and sigmas != {SIGMA}):
        raise ModelError(
            f"Expected one overlap for all axes and a sigma_scale of {SIGMA}, got overlap "
            f"{overlap} and sigma_scale {sigma}; change the bundle's inferer."
        )
    found: dict[str, Any] = {
        "task": "segmentation",
        "patch_size": roi,
        "sliding_window": SlidingWindow(
            style="monai",
            overlap=float(overlaps.pop()),
            blending="gaussian" if gaussian else "constant",
            value=float(inferer.cval),
        ),
    }
    return found | ({"spatial_dims": 3} if kind == "SliceInferer" else {})


def _roi(inferer: Any, axes: int) -> tuple[int, ...] | None:
    """Size of an inferer's windows; None for the whole image."""
    roi = getattr(inferer, "orig_roi_size", inferer.roi_size)  # SliceInferer changes roi_size
    sizes = roi if isinstance(roi, list | tuple) else (roi,) * axes
    fixed = [n is not None and int(n) > 0 for n in sizes]
    if not any(fixed):
        return None
    if not all(fixed):
        raise ModelError(
            f"Expected a window of fixed size, got roi_size {list(sizes)}; give each axis a number."
        )
    return tuple(int(n) for n in sizes)
