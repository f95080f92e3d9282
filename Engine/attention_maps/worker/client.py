"""Asks a worker process, without Qt and without torch.

    with WorkerClient() as client:
        client.load_model("model.pt")
        client.set_image("t1.nii.gz")
        maps = client.wait(client.explain("grad_cam", target={"kind": "class", "name": "tumour"}))

Requests return at once. A program with an event loop calls `poll` from a timer, which calls the
callbacks; a script calls `wait`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from attention_maps.types import Image
from attention_maps.worker import messages
from attention_maps.worker.measure_client import MeasureRequests, names_of, shared
from attention_maps.worker.request import Callbacks, Request
from attention_maps.worker.targets import packed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

    from attention_maps.worker.arrays import SharedFolder


class WorkerClient(MeasureRequests):
    """Starts a worker when it is first asked, and again after one has ended.

    A new worker gets the last model and image by itself; the array of that image is kept for this,
    by reference.

    Args:
        interpreter: Python that has torch; None for the one that runs this.
        environment: Variables for the worker, such as {"OMP_NUM_THREADS": "2"}; None removes one.
    """

    def __init__(
        self,
        interpreter: str | PathLike[str] | None = None,
        *,
        environment: Mapping[str, str | None] | None = None,
    ) -> None:
        super().__init__(interpreter, environment=environment)
        self._image_id = ""
        self._image_request: Request | None = None

    def hello(self, **callbacks: Unpack[Callbacks]) -> Request:
        """Start the worker and ask for versions, devices and process id; gives a dict."""
        return self._ask(lambda _, number: messages.Hello(number), callbacks)

    def load_model(
        self,
        path: str | PathLike[str],
        spec: Any = None,
        device: str = "auto",
        *,
        options: Mapping[str, Any] | None = None,
        **callbacks: Unpack[Callbacks],
    ) -> Request:
        """Load a model unless it is loaded already; gives a dict, "line" describes it for people.

        Args:
            path: Its file.
            spec: A dict of a specification's fields, a ModelSpec, a path or a name; None for the
                sidecar.
            device: As in `load_model` of the engine.
            options: Its other arguments: configuration, folds, checkpoint, trust, previous_stage.
            callbacks: See `Callbacks`.
        """
        plain = spec.to_dict() if hasattr(spec, "to_dict") else spec
        plain = os.fspath(plain) if isinstance(plain, os.PathLike) else plain
        name, chosen = os.fspath(path), dict(options or {})

        def make(_: SharedFolder, number: int) -> Any:
            return messages.LoadModel(number, name, plain, device, chosen)

        return self._ask(make, callbacks, keep="model")

    def set_image(
        self,
        image: Any,
        affine: Any = None,
        *,
        image_id: str = "",
        **callbacks: Unpack[Callbacks],
    ) -> Request:
        """Set the image that is explained; gives a dict with its shape and spacing.

        Args:
            image: An Image, an array (C, *spatial) of any type of number, several arrays (*spatial)
                as its channels, a path or several. Arrays are copied later, in another thread.
            affine: (4, 4) voxel index -> RAS mm of an array.
            image_id: Name of the image. With the name of the image that is set already nothing is
                copied and the forward pass is kept; choose another when voxels or affine change.
            callbacks: See `Callbacks`.
        """
        with self._lock:
            self.poll()
            if image_id and image_id == self._image_id and self._keeps_image():
                return self._ask(lambda _, n: messages.SetImage(n, image_id), callbacks)
            name = image_id or f"image {next(self._numbers)}"
            make = _image_message(image, affine, name)
            self._image_request = self._ask(make, callbacks, keep="image")
            self._image_id = name
            return self._image_request

    def set_region(self, region: Any = None, **callbacks: Unpack[Callbacks]) -> Request:
        """Limit runs over windows to a region.

        Args:
            region: A mask (Image or path) on any grid; None for the whole image.
            callbacks: See `Callbacks`.
        """

        def make(folder: SharedFolder, number: int) -> Any:
            return messages.SetRegion(number, None if region is None else shared(region, folder))

        return self._ask(make, callbacks, keep="region")

    def estimate(
        self, layer: str | Sequence[str] = "auto", **callbacks: Unpack[Callbacks]
    ) -> Request:
        """Ask what a question will take; gives a dict, "line" says it to people.

        Args:
            layer: As in `explain`.
            callbacks: See `Callbacks`.
        """
        layers = names_of(layer)
        return self._ask(lambda _, number: messages.Estimate(number, layers), callbacks)

    def forget_image(self) -> None:
        """Let go of the image's array, which is kept for a new worker."""
        with self._lock:
            self._kept.pop("image", None)
            self._image_id, self._image_request = "", None

    def layers(self, *, sized: bool = True, **callbacks: Unpack[Callbacks]) -> Request:
        """List the model's layers; gives a list of LayerInfo.

        Args:
            sized: For the image where one is set; else for a usual size.
            callbacks: See `Callbacks`.
        """
        return self._ask(lambda _, number: messages.Layers(number, sized), callbacks)

    def answer(self, **callbacks: Unpack[Callbacks]) -> Request:
        """Ask for the network's answer; gives a WorkerAnswer."""
        return self._ask(lambda _, number: messages.Answer(number), callbacks)

    def explain(
        self,
        method: str | Sequence[str] = "grad_cam",
        layer: str | Sequence[str] = "auto",
        target: Any = None,
        *,
        options: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        live: bool = False,
        **callbacks: Unpack[Callbacks],
    ) -> Request:
        """Ask for maps; gives a list of WorkerMap, and each to `on_map` as soon as it is ready.

        Args:
            method: Name of a method, or several.
            layer: Name of a layer, "auto", "auto:bottleneck", "all", or several.
            target: A class, a dict (see `targets`), a list of them, or None for the likeliest.
            options: Options of the methods.
            batch_size: Inputs per batch of perturbation methods; None for as many as fit.
            live: Whether a newer live question replaces this one, which then fails as Cancelled.
            callbacks: See `Callbacks`.
        """
        methods, layers = names_of(method), names_of(layer)
        chosen = dict(options or {})

        def make(folder: SharedFolder, number: int) -> Any:
            asked = packed(target, folder)
            return messages.Explain(number, methods, layers, asked, chosen, batch_size, live)

        return self._ask(make, callbacks, gives_maps=True)

    def _keeps_image(self) -> bool:
        """Whether the worker that runs has got the image."""
        request = self._image_request
        kept = request is not None and request.error is None and not request.canceled
        return kept and self._process is not None and not self._process.ended


def _image_message(image: Any, affine: Any, name: str) -> Callable[[SharedFolder, int], Any]:
    """What makes the message that sets an image, in whatever form a caller has it."""
    several = isinstance(image, list | tuple) and all(map(_is_path, image))
    if several or _is_path(image):
        paths = tuple(os.fspath(item) for item in (image if several else [image]))
        return lambda _, number: messages.SetImage(number, name, paths=paths)
    if isinstance(image, Image):
        image, affine = image.array, image.affine
    channels = isinstance(image, list | tuple) and all(isinstance(i, np.ndarray) for i in image)
    array: Any = tuple(image) if channels else np.asarray(image)
    place = None if affine is None else np.array(affine, dtype=float)

    def make(folder: SharedFolder, number: int) -> Any:
        return messages.SetImage(number, name, folder.share_image(array, place))

    return make


def _is_path(source: Any) -> bool:
    return isinstance(source, str | os.PathLike)
