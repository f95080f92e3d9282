"""What a person chose when a module was injected, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_maps.errors import ImageError, LayerError, MethodError
from attention_maps.injection.labels import check_label
from attention_maps.injection.scores import check_metric, check_threshold
from attention_maps.registry import find_method

if TYPE_CHECKING:
    from attention_maps.registry import Method

Metric = str | Callable[[Any, Any], float]


@dataclass
class Settings:
    """Arguments of `inject`, which says what each means.

    Attributes:
        layers: Names as asked, "auto", or "all".
        shape: Voxels per axis of the maps; "default" for the input's, "layer" for the layer's own.
    """

    folder: Path | None
    method: Method
    layers: str | list[str]
    label: Any
    shape: str | tuple[int, ...]
    save_maps: bool
    save_pickle: bool
    save_scores: bool
    evaluate: bool
    metric: Metric
    threshold: str | float
    return_score: bool
    replace: bool
    return_attention: bool
    cudnn: bool

    def in_folder(self, name: str) -> Path:
        """A path in the output folder, which is made where it does not exist any more.

        Raises:
            MethodError: If there is none.
        """
        if self.folder is None:
            raise MethodError(
                f"Expected a folder for '{name}', but the module was injected without one; give "
                "inject(..., output_dir='attention_maps')."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / name


def checked_settings(
    output_dir: Any, backend: str, layer: Any, data_shape: Any, **rest: Any
) -> Settings:
    """Settings of the arguments of `inject`.

    Raises:
        ImageError, LayerError, MethodError, TargetError: If an argument cannot be used.
    """
    saving = [name for name in ("save_maps", "save_pickle", "save_scores") if rest[name]]
    if output_dir is None and saving:
        raise MethodError(
            f"Expected a folder to save to, as {saving[0]}=True, got output_dir=None; give "
            "output_dir='attention_maps', or leave out what is saved."
        )
    check_label(rest["label"])
    check_metric(rest["metric"])
    check_threshold(rest["threshold"])
    return Settings(
        None if output_dir is None else Path(output_dir), find_method(backend),
        _checked_layers(layer), shape=_checked_shape(data_shape), **rest,
    )  # fmt: skip


def _checked_layers(layer: Any) -> str | list[str]:
    if isinstance(layer, str) and layer:
        return "all" if layer == "full" else layer
    several = isinstance(layer, Sequence) and not isinstance(layer, str)
    if several and layer and all(isinstance(name, str) and name for name in layer):
        return list(layer)
    raise LayerError(
        "Expected 'auto', 'full', the name of a layer or a list of names, got "
        f"{layer!r}; model.get_layers() lists all."
    )


def _checked_shape(shape: Any) -> str | tuple[int, ...]:
    if isinstance(shape, str) and shape in ("default", "layer"):
        return shape
    try:
        sizes = tuple(shape) if not isinstance(shape, str) else ()
    except TypeError:
        sizes = ()
    whole = all(isinstance(n, Integral) and not isinstance(n, bool) and int(n) > 0 for n in sizes)
    if len(sizes) not in (2, 3) or not whole:
        raise ImageError(
            "Expected data_shape to be 'default' (as the input), 'layer' (as the layer) or voxels "
            f"per axis such as (128, 128, 64), got {shape!r}."
        )
    return tuple(int(n) for n in sizes)
