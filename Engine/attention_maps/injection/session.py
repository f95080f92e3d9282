"""What an injected module keeps from call to call, and what happens in one."""

from __future__ import annotations

import pickle
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attention_maps.errors import ImageError, MethodError
from attention_maps.image_io.files import written_whole
from attention_maps.injection.arrays import as_array
from attention_maps.injection.evaluator import Evaluator
from attention_maps.injection.files import save_array, save_map
from attention_maps.injection.maps import MapMaker, checked_batch
from attention_maps.injection.places import on_grid, place_of, raws_of, without_place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from attention_maps.injection.maps import Known, LayerMaps
    from attention_maps.injection.settings import Settings

    Maps = NDArray[np.float32]
    AnyMaps = Maps | dict[str, Maps] | None


class Session:
    """The state of an injected module.

    Args:
        settings: What was chosen.
        enabled: Whether maps are made.
        ordering: Layers in the order in which means are written.
    """

    def __init__(self, settings: Settings, enabled: bool, ordering: Sequence[str]) -> None:
        self.settings = settings
        self.enabled = enabled
        self.counter = 0
        self.collected: list[NDArray[np.float32]] = []
        self.evaluator: Evaluator | None = None
        if settings.evaluate:
            beginning = "" if settings.folder is None else f"{settings.folder}/"
            self.evaluator = Evaluator(beginning, settings.metric, settings.threshold, ordering)
        self._last: list[LayerMaps] = []
        self._field: tuple[int, ...] = ()
        self._known: Known = {}
        self._lock = threading.RLock()

    @property
    def current(self) -> AnyMaps:
        """(B, 1, *data_shape) maps of the last call; by layer where there are several."""
        found = {maps.name: self._shaped(maps) for maps in self._last}
        return next(iter(found.values())) if len(found) == 1 else found or None

    def run(
        self, module: Any, batch: Any, label: Any, mask: Any, raw_input: Any,
        arguments: Mapping[str, Any],
    ) -> Any:  # fmt: skip
        """Call the module as before, and make maps."""
        settings = self.settings
        with self._lock:
            inputs = checked_batch(batch)
            masks = self._masks(mask, inputs)
            raws = raws_of(raw_input, len(inputs), inputs.ndim - 2)
            output = module.model_forward(batch, **arguments)
            label = settings.label if label is None else label
            maker = self._maker(module, arguments)
            self._last, names = maker.maps(inputs, label)
            self._field = tuple(inputs.shape[2:])
            scores = self._keep(masks, raws, names)
            result = self._result(output, inputs.device)
            self.counter += 1
            return (result, scores) if settings.return_score else result

    def test_run(self, module: Any, batch: Any, internal: bool) -> list[str]:
        """Layers that maps can be made of."""
        asked = self.settings.layers
        words = asked if isinstance(asked, str) and asked.startswith("auto") else None
        maker = self._maker(module, {}, "all" if words else asked)
        with self._lock:
            names = maker.layers(checked_batch(batch))
        if not internal and self.settings.folder is not None:
            path = self.settings.in_folder("registered_layers.txt")
            path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        return names

    def save_one(self, attention_map: Any, raw_input: Any) -> None:
        """Save one map in the folder of the last layer."""
        settings = self.settings
        name = self._last[0].name if len(self._last) == 1 else ""
        stem = settings.in_folder(name) / f"attention_map_{self.counter}"
        save_array(stem, attention_map, settings.method.signed, raw_input)
        self.counter += 1

    def dump(self) -> None:
        """Save what was collected."""
        settings = self.settings
        if settings.save_pickle:
            with written_whole(settings.in_folder("attention_maps.pkl")) as part:
                part.write_bytes(pickle.dumps(self.collected, pickle.HIGHEST_PROTOCOL))
        if settings.save_scores:
            if self.evaluator is None:
                raise MethodError(
                    "Expected scores to save, but nothing was evaluated; inject with "
                    "evaluate=True, and give masks: model(batch, mask=mask)."
                )
            self.evaluator.dump()

    def _maker(
        self, module: Any, arguments: Mapping[str, Any], layers: str | list[str] | None = None
    ) -> MapMaker:
        settings = self.settings
        asked = settings.layers if layers is None else layers
        return MapMaker(module, settings.method, asked, self._known, arguments, settings.cudnn)

    def _shaped(self, maps: LayerMaps) -> NDArray[np.float32]:
        """(B, 1, *data_shape)."""
        return without_place(maps, self._field, self.settings.shape)[:, None]

    def _masks(self, mask: Any, inputs: torch.Tensor) -> NDArray[Any] | None:
        """(B, *spatial) masks."""
        if self.evaluator is None:
            return None
        if mask is None:
            raise ImageError(
                "Expected a mask to evaluate against, as evaluate=True, got none; give it with the "
                "batch: model(batch, mask=mask)."
            )
        array = as_array(mask)
        axes = inputs.ndim - 2
        array = array[:, 0] if array.ndim == axes + 2 else array
        if array.ndim != axes + 1 or len(array) != len(inputs):
            raise ImageError(
                f"Expected a mask of shape ({len(inputs)}, 1, *spatial) with {axes} spatial axes, "
                f"got {np.shape(mask)}."
            )
        return array

    def _keep(
        self, masks: NDArray[Any] | None, raws: Sequence[Any], names: Sequence[int | str]
    ) -> dict[str, list[float]] | None:
        """Save, collect and evaluate the maps of a call."""
        settings = self.settings
        scores: dict[str, list[float]] = {maps.name: [] for maps in self._last}
        for maps in self._last:
            if settings.save_maps:
                self._save(maps, raws)
            if not settings.save_pickle and masks is None:
                continue
            for image, values in enumerate(self._shaped(maps)[:, 0]):
                if settings.save_pickle:
                    self.collected.append(values.copy())
                if masks is not None and self.evaluator is not None:
                    told = self._file_name(image)
                    score = self.evaluator.comp_score(
                        values, masks[image], maps.name, names[image], told
                    )
                    scores[maps.name].append(score)
        return None if masks is None else scores

    def _save(self, maps: LayerMaps, raws: Sequence[Any]) -> None:
        """Write the maps of one layer, each in its image's place."""
        settings = self.settings
        for image, raw in enumerate(raws):
            flat = len(self._field) == 2
            where = place_of(None if flat else raw, self._field)
            made = on_grid(maps.values[image : image + 1], maps.affine, where, settings.shape)
            stem = settings.in_folder(maps.name) / self._file_name(image)
            save_map(stem, made, settings.method.signed, raw)

    def _file_name(self, image: int) -> str:
        return f"attention_map_{self.counter}_{image}_0"

    def _result(self, output: Any, device: torch.device) -> Any:
        """The prediction, or the maps, or both."""
        settings = self.settings
        if not settings.replace and not settings.return_attention:
            return output
        if len(self._last) != 1:
            raise MethodError(
                f"Expected one layer, as maps are returned, got {len(self._last)}; choose "
                "layer='auto' or one name, or take model.get_attention_map()."
            )
        maps = torch.from_numpy(self._shaped(self._last[0])).to(device)
        return maps if settings.replace else (output, maps)

    def __getstate__(self) -> dict[str, Any]:
        """Copies get a lock of their own."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.RLock()
