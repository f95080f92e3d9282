"""A module that makes maps whenever it is called, and is in all else what it was.

It is a shallow copy of the caller's module, of a class derived from the caller's: weights, hooks
and submodules are shared, so that names, saving, moving and modes are the caller's.
"""

from __future__ import annotations

import functools
import inspect
import types
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.injection.layers import get_layers
from attention_maps.injection.session import Session

if TYPE_CHECKING:
    from attention_maps.injection.session import AnyMaps
    from attention_maps.injection.settings import Settings

OWN_FORWARD = "_forward_before_injection"


class Injected:
    """What an injected module can do beside being what it was, under M3d-CAM's names."""

    _injection: Session
    _injected_class: type

    def forward(
        self,
        batch: torch.Tensor | None = None,
        label: Any = None,
        mask: Any = None,
        raw_input: Any = None,
        **arguments: Any,
    ) -> Any:
        """Predict, and make maps where that is enabled and the module is not being exported.

        Args:
            batch: (B, C, *spatial); may be given under the module's own name for it.
            label: What is asked this time; None for what was asked when injecting.
            mask: (B, 1, *spatial) of 0 and 1, to evaluate maps against.
            raw_input: Images that maps are saved with: for 3D what has a place in the world
                (attention_maps.Image, SimpleITK or nibabel image, path), for 2D also pictures
                (B, rows, columns, 3) or (B, 3, rows, columns). One, or one for each image.
            arguments: What the module itself takes beside the batch, by name. Methods that work on
                the input go from image to image, and take tensors apart whose first axis has as
                many rows as the batch.

        Returns:
            The prediction; with `replace`, `return_attention` or `return_score` what they say.
        """
        if batch is None:
            batch = arguments.pop(self._name_of_batch(), None)
        session = vars(self).get("_injection")  # a part of a Sequential has none
        exporting = torch.jit.is_tracing() or torch.compiler.is_compiling()  # type: ignore[attr-defined]
        if exporting or session is None or not session.enabled:
            return self.model_forward(batch, **arguments)
        return session.run(self, batch, label, mask, raw_input, arguments)

    def model_forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module as it was before."""
        own = vars(self).get(OWN_FORWARD)
        return super().forward(*args, **kwargs) if own is None else own(*args, **kwargs)  # type: ignore[misc]

    def _name_of_batch(self) -> str:
        """What the module itself calls its first argument."""
        own = vars(self).get(OWN_FORWARD) or super().forward  # type: ignore[misc]
        return next(iter(inspect.signature(own).parameters), "batch")

    def get_layers(self, reverse: bool = False) -> list[str]:
        """Names of all submodules, each after what it is made of; `reverse` has the last first."""
        return get_layers(self, reverse)  # type: ignore[arg-type]

    def get_attention_map(self) -> AnyMaps:
        """The maps of the last call, `(B, 1, *data_shape)`; by layer where there are several."""
        return self._injection.current

    def save_attention_map(self, attention_map: Any, raw_input: Any = None) -> None:
        """Save one map, (*spatial), in the folder of the last call's layer.

        Args:
            attention_map: (*spatial) map such as `get_attention_map()[0, 0]`.
            raw_input: The image that it is saved with, as in `forward`.
        """
        self._injection.save_one(attention_map, raw_input)

    def replace_output(self, replace: bool) -> None:
        """Whether maps are returned in place of the output from now on."""
        self._injection.settings.replace = bool(replace)

    def dump(self) -> None:
        """Save what was collected: attention_maps.pkl, scores.xlsx and mean_scores.png."""
        self._injection.dump()

    def test_run(self, batch: torch.Tensor, internal: bool = False) -> list[str]:
        """Find the layers that maps can be made of, on a batch.

        Args:
            batch: (B, C, *spatial).
            internal: Whether they are not written to registered_layers.txt.

        Returns:
            Their names: all for "auto" and "full", else those that were asked for.
        """
        return self._injection.test_run(self, batch, internal)

    def enable_medcam(self) -> None:
        """Make maps from now on."""
        self._injection.enabled = True

    def disable_medcam(self) -> None:
        """Make no maps from now on: the module is called as before, and nothing else happens."""
        self._injection.enabled = False

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Copy and pickle by the caller's class, as the derived one has no name to be found by."""
        return _blank, (self._injected_class,), self.__getstate__()


def injected(module: torch.nn.Module, settings: Settings, enabled: bool) -> Injected:
    """A shallow copy of a module that makes maps."""
    made = _blank(type(module))
    state = vars(made)
    state.update(vars(module))
    if "forward" in state:  # set on the module itself, so that it would hide ours
        state[OWN_FORWARD] = state.pop("forward")
    state["_injection"] = Session(settings, enabled, get_layers(module))
    return made


def _blank(base: type) -> Injected:
    cls = _injected_class(base)
    made: Injected = object.__new__(cls)
    return made


@functools.cache
def _injected_class(base: type) -> type:
    """A class between ours and the caller's, under the caller's name."""
    body = {
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
        "_injected_class": base,
    }
    return types.new_class(base.__name__, (Injected, base), {}, lambda names: names.update(body))
