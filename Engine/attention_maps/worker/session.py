"""What the worker keeps from one request to the next, and how it answers each of them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import AttentionMapsError, ImageError, ModelError
from attention_maps.explainer import Explainer
from attention_maps.inputs import as_image
from attention_maps.loading import load_model
from attention_maps.progress import Progress
from attention_maps.spec_sources import find_sidecar
from attention_maps.stamps import stamp
from attention_maps.types import Image, into_float32
from attention_maps.worker import measuring, messages
from attention_maps.worker.arrays import copy_axes
from attention_maps.worker.choices import choices_of
from attention_maps.worker.measure_messages import Report
from attention_maps.worker.summaries import answer_summary, layer_summary, model_summary
from attention_maps.worker.targets import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable

    from attention_maps.model import LoadedModel
    from attention_maps.result import AttentionMap
    from attention_maps.types import ProgressCallback
    from attention_maps.worker.arrays import SharedFolder


class Session:
    """One model, one image, and their forward pass.

    Args:
        folder: Where arrays are shared.
    """

    def __init__(self, folder: SharedFolder) -> None:
        self._folder = folder
        self._model: LoadedModel | None = None
        self._model_key: tuple[Any, ...] = ()
        self._model_error: Exception = ModelError("Expected a model to be loaded first.")
        self._image: Image | None = None
        self._image_id = ""
        self._axes: tuple[int, ...] | None = None
        self._image_error: Exception = ImageError("Expected an image to be set first.")
        self._explainer: Explainer | None = None
        self._region: Any = None

    def load_model(self, message: messages.LoadModel) -> messages.Done:
        """Load a model, unless it is the one that is loaded."""
        key = _key_of(message)
        if self._model is None or key != self._model_key:
            self._model, self._explainer = None, None
            try:
                self._model = load_model(
                    message.path, message.spec, message.device, **message.options
                )
            except Exception as error:
                self._model_error = error  # what a question without a model is told
                raise
            self._model_key = key
        choices = choices_of(self._model, message.path, message.options)
        return messages.Done(message.id, {**model_summary(self._model), **choices})

    def set_image(self, message: messages.SetImage) -> messages.Done:
        """Take an image, unless it is the one that is set."""
        same = message.image is None and message.paths is None
        if same and message.image_id != self._image_id:
            self._kept_image()
            raise ImageError(f"Expected an image, but '{message.image_id}' is not kept any more.")
        if not same:
            self._image, self._image_id, self._explainer = None, "", None
            try:
                self._image = self._read(message)
            except Exception as error:
                self._image_error = error
                raise
            self._image_id = message.image_id
        image = self._kept_image()
        summary = {
            "image_id": self._image_id,
            "channels": image.channels,
            "shape": list(image.grid.shape),
            "spacing": list(image.grid.spacing),
        }
        return messages.Done(message.id, summary)

    def set_region(self, message: messages.SetRegion) -> messages.Done:
        """Limit runs to a region; a new forward pass follows, unless it is the one that is set."""
        region = None if message.region is None else self._fetched(message.region)
        if not _are_same(region, self._region):
            self._region, self._explainer = region, None
        return messages.Done(message.id, {"limited": region is not None})

    def estimate(self, message: messages.Estimate, progress: ProgressCallback) -> messages.Done:
        """Say what a question will take."""
        explainer = self._asked()
        explainer.geometry(progress)  # what takes long can be cancelled
        found = explainer.estimate(message.layer)
        return messages.Done(message.id, {**dataclasses.asdict(found), "line": str(found)})

    def layers(self, message: messages.Layers, progress: ProgressCallback) -> messages.Done:
        """List layers."""
        model = self._kept_model()
        if self._image is None or not message.sized:
            report = Progress(progress)
            report.stage("Finding the layers", 0.0, 1.0, model.operators)
            infos = model.layers(tick=report.tick)
        else:
            self._asked().geometry(progress)
            infos = model.layers(self._image)
        return messages.Done(message.id, {"layers": [layer_summary(info) for info in infos]})

    def answer(self, message: messages.Answer, progress: ProgressCallback) -> messages.Done:
        """Say what the network answers."""
        answer = self._asked().answer(progress)
        summary, labels = answer_summary(answer)
        if labels is None:
            return messages.Done(message.id, summary)
        shared = self._folder.share_image(labels, answer.source.affine, self._axes)
        return messages.Done(message.id, summary, shared)

    def explain(
        self,
        message: messages.Explain,
        progress: ProgressCallback,
        send: Callable[[messages.MapMade], None],
    ) -> messages.Done:
        """Make maps and send each as soon as it is ready."""
        count = 0

        def made(result: AttentionMap) -> None:
            nonlocal count
            count += 1
            send(self._shared_map(message.id, result, with_raw=not message.live))

        target = unpacked(message.target, self._folder)
        self._asked().explain(
            message.method, message.layer, target, progress, batch_size=message.batch_size,
            on_map=made, **message.options,
        )  # fmt: skip
        return messages.Done(message.id, {"maps": count})

    def measure(self, message: Any, progress: ProgressCallback) -> messages.Done:
        """Measure a map that comes with the message, or ask the model more than for a map."""
        if isinstance(message, measuring.Asking):
            target = unpacked(message.target, self._folder)
            found = measuring.ask(message, self._asked(), target, self._fetched, progress)
        elif isinstance(message, Report):
            found = measuring.write(message, self._fetched)
        else:
            found = measuring.measure(message, self._fetched)
        return messages.Done(message.id, found)

    def _shared_map(self, number: int, result: AttentionMap, *, with_raw: bool) -> messages.MapMade:
        placed = replace(result).image  # of a copy, so that it is not kept beside the shared one
        raw = self._folder.share_image(result.raw.array, result.raw.affine) if with_raw else None
        extremes = float(placed.array.min()), float(placed.array.max())
        return messages.MapMade(
            number,
            self._folder.share_image(placed.array, placed.affine, self._axes),
            extremes,
            result.score, result.layer, result.method, result.target, result.signed,
            result.provenance, raw,
        )  # fmt: skip

    def _read(self, message: messages.SetImage) -> Image:
        self._axes = None
        if message.image is None:
            paths = list(message.paths or ())
            return as_image(paths[0] if len(paths) == 1 else paths)
        stored = self._folder.fetch(message.image.array)
        self._axes = message.image.array.axes or None
        array = np.empty(stored.shape, dtype=np.float32)
        with into_float32():
            for source, target in zip(stored, array, strict=True):
                copy_axes(source, target)
        return Image(array, message.image.affine)  # type: ignore[arg-type]

    def _fetched(self, shared: messages.SharedImage | str) -> Any:
        if isinstance(shared, str):
            return shared
        return Image(self._folder.fetch(shared.array), shared.affine)  # type: ignore[arg-type]

    def _kept_model(self) -> LoadedModel:
        if self._model is None:
            raise _again(self._model_error)
        return self._model

    def _kept_image(self) -> Image:
        if self._image is None:
            raise _again(self._image_error)
        return self._image

    def _asked(self) -> Explainer:
        """The kept forward pass of this model on this image, or a new one."""
        model, image = self._kept_model(), self._kept_image()
        if self._explainer is None:
            self._explainer = Explainer(model, image, region=self._region)
        return self._explainer


def _are_same(region: Any, other: Any) -> bool:
    """Whether two regions are one; a file may have changed."""
    if region is None or other is None:
        return region is other
    if not isinstance(region, Image) or not isinstance(other, Image):
        return False
    same_place = np.array_equal(region.affine, other.affine)
    return same_place and np.array_equal(region.array, other.array)


def _again(error: Exception) -> Exception:
    """An error to raise once more, without the history of the first time."""
    if isinstance(error, AttentionMapsError | OSError):
        return error.with_traceback(None)
    return ModelError(str(error))


def _key_of(message: messages.LoadModel) -> tuple[Any, ...]:
    """What tells whether a model is the one that is loaded: its files' times, spec and device."""
    path = Path(message.path).expanduser()
    sidecar = find_sidecar(path) if message.spec is None else None
    if isinstance(message.spec, str) and Path(message.spec).is_file():
        sidecar = Path(message.spec)
    stamps = [stamp(item) for item in (path, sidecar) if item is not None]
    plain = json.dumps([message.spec, message.options], sort_keys=True)
    return str(path), *stamps, plain, message.device
