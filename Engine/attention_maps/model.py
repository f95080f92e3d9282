"""A loaded model: the network, what it expects, its layers, and how it is run."""

from __future__ import annotations

import difflib
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.colors import fit_colors
from attention_maps.errors import ImageError, LayerError, ModelRunError
from attention_maps.input_size import FixedSize
from attention_maps.preprocessing import NetworkInput, check_finite, check_fit, prepare
from attention_maps.tracing.auto_layer import choose_layer
from attention_maps.tracing.record import record
from attention_maps.types import Image, LayerInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from attention_maps.models.base import Network, Preparation
    from attention_maps.spec import ModelSpec
    from attention_maps.tracing.trace import Geometry, Trace

logger = logging.getLogger(__name__)

TRIED_SIZES = (64, 96, 128, 32, 224, 256, 160, 48)


@dataclass(eq=False)
class LoadedModel:
    """A network with its specification; made by `loading.load_model`.

    Args:
        network: The network of whatever kind.
        spec: What it expects.
        path: Its file, or None for a module in memory.
        device: Where it runs.
        dtype: Its floating point type; inputs are cast to it.
        lock: Held while it runs.
        sha256: SHA-256 of its file, or of its weights, when it was loaded; None for a module in
            memory.
        operators: Number of operators of its last forward pass.
        members: Networks of one architecture whose answers are averaged; empty for one network.
        preparation: The model's own way from an image to the network's input, where it has one.
        line: What the model is, in one line; empty where nothing more is known.
    """

    network: Network
    spec: ModelSpec
    path: Path | None
    device: torch.device
    dtype: torch.dtype
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    sha256: str | None = None
    operators: int = 500
    members: tuple[Network, ...] = ()
    preparation: Preparation | None = field(default=None, repr=False)
    line: str = ""
    _known: dict[tuple[int, ...], Geometry] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """What a person calls the model: the specification's name, its file, or its class."""
        return self.spec.name or (self.path.name if self.path else self.network.name)

    def layers(self, image: Any = None, tick: Callable[[], None] | None = None) -> list[LayerInfo]:
        """List the layers in execution order, after one forward pass without gradients.

        Args:
            image: An Image (or what `explain` takes); None takes the size of the last run, of the
                specification, or the first of a few usual sizes that the network accepts.
            tick: Called before every operator; what it raises ends the listing.

        Returns:
            One LayerInfo per call of a layer; layers that did not run come last.

        Raises:
            ModelRunError: If no image is given and no usual size fits.
        """
        geometry = self._geometry_for(image, tick)
        ran = {info.name for info in geometry.infos}
        idle = [
            LayerInfo(name, "", (), explainable=False, reason="did not run in the forward pass")
            for name in self.network.layer_names()
            if name not in ran
        ]
        return [*geometry.infos, *idle]

    def automatic_layer(self, name: str = "auto", image: Any = None) -> str:
        """The layer behind "auto" or "auto:bottleneck", for an image as in `layers`.

        Raises:
            LayerError: If there is none.
        """
        if name == "auto" and self.spec.layer:
            return self.spec.layer
        return self.resolve_layers(name, self._geometry_for(image))[0]

    def _geometry_for(self, image: Any, tick: Callable[[], None] | None = None) -> Geometry:
        """Of an image's size; without one of the last size that ran, else of a usual one."""
        if self.spec.patch_size is not None:
            return self.geometry(self._blank(self.spec.window), tick)
        if image is not None:
            from attention_maps.inputs import as_image

            image = as_image(image, self.expected_input()[1])
            return self.geometry(self.tensor(self.prepare(image)), tick)
        if self._known:
            return next(reversed(self._known.values()))
        return self._try_sizes(tick)

    def prepare(self, image: Image) -> NetworkInput:
        """Make the network's input of an image, as the specification says.

        Raises:
            ImageError: If the image does not fit the network.
        """
        if self.preparation is not None:
            check_finite(image.array)
            check_fit(image, self.spec)
            return self.preparation.prepare(image, self.spec.orientation)
        prepared = prepare(fit_colors(image, self.spec.channels), self.spec)
        channels, axes = self.expected_input()
        if self.spec.slices is not None:
            return prepared
        if axes is not None and prepared.grid.ndim != axes and not self._takes_slices(prepared):
            raise ImageError(
                f"Expected a {axes}D image for '{self.name}', got a {prepared.grid.ndim}D one of "
                f"shape {prepared.array.shape}. "
                + (
                    "Choose one slice of the volume: Image(array[..., k], affine), or let it see "
                    'them one after the other: spec={"slices": {}}.'
                    if axes == 2
                    else "Give the whole volume, (C, I, J, K)."
                )
            )
        if channels is not None and prepared.array.shape[0] != channels:
            raise ImageError(
                f"Expected {channels} channel(s) for '{self.name}', got {prepared.array.shape[0]}; "
                "give one file per channel in the model's order."
            )
        return prepared

    def _takes_slices(self, prepared: NetworkInput) -> bool:
        """Whether a network of 2D convolutions takes the volume apart itself; tried out once."""
        if self.spec.spatial_dims is not None or prepared.grid.ndim != 3:
            return False
        try:
            self.geometry(self.tensor(prepared))
        except ModelRunError as error:
            logger.debug("The network does not take a volume: %s", error)
            return False
        return True

    def tensor(
        self, prepared: NetworkInput, *, at: torch.device | str | None = None
    ) -> torch.Tensor:
        """(1, C, *spatial) tensor on the model's device, or another, in its dtype."""
        array = prepared.array
        if not array.flags.writeable or any(step < 0 for step in array.strides):
            array = array.copy()
        return torch.from_numpy(array)[None].to(at or self.device, self.dtype)

    def run(
        self, inputs: torch.Tensor, names: Sequence[str] = (), *, member: int = 0, **options: Any
    ) -> Trace:
        """Run the network once, or one of several, and record layers (see `tracing.record`)."""
        with self.lock:
            key = tuple(inputs.shape[1:])
            trace = record(
                self.members[member] if self.members else self.network,
                inputs,
                names,
                output=self.spec.output,
                known=options.pop("known", self._known.get(key)),
                **options,
            )
            self._known.setdefault(key, trace.geometry)
            self.operators = trace.operators
            return trace

    def geometry(self, inputs: torch.Tensor, tick: Callable[[], None] | None = None) -> Geometry:
        """Where every layer lies for inputs of this size; one forward pass the first time."""
        key = tuple(inputs.shape[1:])
        if key not in self._known:
            self.run(inputs, gradients=False, tick=tick)
        return self._known[key]

    def knows(self, inputs: torch.Tensor) -> bool:
        """Whether inputs of this size have been run before."""
        return tuple(inputs.shape[1:]) in self._known

    def resolve_layers(self, asked: str | Sequence[str], geometry: Geometry) -> list[str]:
        """Names of layers behind "auto", "auto:bottleneck", "all", a name or a list of them.

        Raises:
            LayerError: If a layer does not exist or has nothing that can be placed.
        """
        names: list[str] = []
        for name in [asked] if isinstance(asked, str) else list(asked):
            if not isinstance(name, str):
                raise LayerError(f"Expected a layer's name, got {name!r}.")
            if name == "all":
                names += [info.name for info in geometry.infos if info.explainable]
            elif name == "auto" or name.startswith("auto:"):
                names.append(choose_layer(geometry, name.partition(":")[2]))
            else:
                names.append(self._checked(name, geometry))
        if not names:
            raise LayerError("Expected at least one layer, got an empty list.")
        return list(dict.fromkeys(names))

    def _checked(self, name: str, geometry: Geometry) -> str:
        known = {info.name: info for info in geometry.infos}
        name = geometry.aliases.get(name, name)
        info = known.get(name)
        if info is not None:
            if not info.explainable:
                raise LayerError(f"Layer '{name}' cannot be explained: {info.reason}.")
            return name
        if name in self.network.layer_names():
            raise LayerError(f"Layer '{name}' exists but did not run in the forward pass.")
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        hint = "closest: " + ", ".join(f"'{item}'" for item in close) + "; " if close else ""
        raise LayerError(
            f"Layer '{name}' is not in this model; {hint}model.layers() or "
            "`attention-maps layers MODEL IMAGE` lists all."
        )

    def expected_input(self) -> tuple[int | None, int | None]:
        """Channels and number of spatial axes that it takes, where the model tells."""
        channels = len(self.spec.channels) if self.spec.channels else None
        if self.spec.slices is not None:
            return channels, 3
        return channels, self.spec.spatial_dims or self._axes_of_weights()

    def first_channels(self) -> int | None:
        """Channels that the first convolution takes: what the network takes, as a rule."""
        weight = self._first_weight()
        return None if weight is None else int(weight.shape[1])

    def _axes_of_weights(self) -> int | None:
        """Number of spatial axes of the first convolution."""
        weight = self._first_weight()
        return None if weight is None else weight.ndim - 2

    def _first_weight(self) -> torch.Tensor | None:
        """Weight of the first convolution; one with a single output is taken where all are so.

        A position embedding (1, tokens, ...) looks like such a one.
        """
        weights = [
            tensor
            for _, tensor in self.network.tensors()
            if tensor.ndim in (4, 5) and tensor.is_floating_point()
        ]
        several = (weight for weight in weights if weight.shape[0] > 1)
        return next(several, weights[0] if weights else None)

    def _blank(self, size: Sequence[int]) -> torch.Tensor:
        """An empty input of a size."""
        channels = self.expected_input()[0] if self.preparation is None else None
        if channels is None or self.spec.slices is not None:  # channels may be added on the way
            weights = (t for _, t in self.network.tensors() if t.ndim == len(size) + 2)
            channels = next((int(w.shape[1]) for w in weights), 1)
        return torch.zeros(1, channels, *size, device=self.device, dtype=self.dtype)

    def _try_sizes(self, tick: Callable[[], None] | None) -> Geometry:
        axes = self.expected_input()[1] or 3
        fixed = self.spec.input_size
        sizes = [fixed.shape] if isinstance(fixed, FixedSize) else []
        sizes += [(size,) * axes for size in TRIED_SIZES if axes == 2 or size <= 128]
        for size in sizes:
            try:
                return self.geometry(self._blank(size), tick)
            except ModelRunError as error:
                logger.debug("Size %s does not fit: %s", size, error)
        raise ModelRunError(
            f"'{self.name}' ran on none of the sizes {sizes}; give an image: model.layers(image)."
        )
