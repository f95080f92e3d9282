"""Models and forward passes that are kept, so that the next question is answered at once."""

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from . import LoadOptions, NetworkAnswer, Regions, VolumeBridge
from .EnginePath import ensureEngine
from .TorchImport import importTorch

# Each holds the activations of a forward pass, which may be gigabytes.
MOST_SESSIONS = 2


@dataclass
class KeptSession:
    """An `attention_maps.Explainer` of one state of a volume, and the answer's segmentation."""

    explainer: object
    answerNode: object = None

    @cached_property
    def answer(self) -> NetworkAnswer.NetworkAnswer:
        """The network's answer as plain data."""
        return NetworkAnswer.fromEngine(self.explainer.answer())


class KeptSessions:
    """Explainer sessions by what they were made of; the least recently used ones are dropped."""

    def __init__(self) -> None:
        self._models: OrderedDict = OrderedDict()
        self._sessions: OrderedDict = OrderedDict()

    def of(
        self, volumeNodes: list, model, *, spec=None, device="auto", options=None, region=None
    ) -> KeptSession:
        """Return the session of volumes, as they are now, and a model; a new one if need be.

        Args:
            volumeNodes: the volume, or one per channel.
            model: a path, or what `attention_maps.load_model` takes.
            spec: what the network expects; None for the sidecar beside the file.
            device: where the network runs.
            options: other arguments of `load_model`.
            region: a ROI node or segment that runs over windows are limited to.
        """
        ensureEngine()
        importTorch()
        import attention_maps as am

        specKey = fileState(spec) if isinstance(spec, str | Path) else repr(spec)
        options = dict(options or {})
        ofModel = LoadOptions.stateOf(options)
        modelKey = (fileState(model), fileState(sidecarOf(model)), specKey, str(device), ofModel)
        loaded = self._models.get(modelKey)
        if loaded is None:
            loaded = am.load_model(model, spec, device, **LoadOptions.forEngine(options))
        axes = loaded.expected_input()[1]
        states = [volumeState(node) for node in volumeNodes]
        key = (modelKey, axes, Regions.stateOf(region), *states)
        kept = self._sessions.get(key)
        if kept is None:
            image = VolumeBridge.imageFromVolumes(volumeNodes, axes=axes)
            mask = Regions.maskOf(region, volumeNodes[0], axes=axes)
            kept = KeptSession(am.Explainer(loaded, image, region=mask))
        _keep(self._models, modelKey, loaded)
        _keep(self._sessions, key, kept)
        return kept

    def clear(self) -> None:
        """Forget all models and forward passes, and give their memory back."""
        self._models.clear()
        self._sessions.clear()


def _keep(store: OrderedDict, key, value) -> None:
    store[key] = value
    store.move_to_end(key)
    while len(store) > MOST_SESSIONS:
        store.popitem(last=False)


def fileState(source):
    """Return what changes when a file does; an object in memory stands for itself."""
    if not isinstance(source, str | Path):
        return source if source is None else _Same(source)
    path = Path(source).expanduser()
    if not path.exists():
        return str(path), None
    ensureEngine()
    from attention_maps.stamps import stamp

    return str(path.resolve()), *stamp(path)


def sidecarOf(source):
    return Path(source).with_suffix(".json") if isinstance(source, str | Path) else None


def volumeState(node):
    """Return what changes when a volume's voxels or its place in the world do.

    VTK counts modifications for all objects together, so another image has another time. Nothing
    else of the node counts: a new name or window needs no new forward pass.
    """
    from attention_maps.errors import ImageError

    if node is None or not hasattr(node, "GetImageData") or node.GetImageData() is None:
        name = "nothing" if node is None else f"'{node.GetName()}', which holds no voxels"
        raise ImageError(f"Expected a volume, got {name}; choose a volume.")
    return node.GetID(), node.GetImageData().GetMTime(), VolumeBridge.worldAffine(node).tobytes()


class _Same:
    """A key that is equal for the same object only."""

    def __init__(self, item) -> None:
        self._item = item

    def __eq__(self, other) -> bool:
        return isinstance(other, _Same) and self._item is other._item

    def __hash__(self) -> int:
        return id(self._item)
