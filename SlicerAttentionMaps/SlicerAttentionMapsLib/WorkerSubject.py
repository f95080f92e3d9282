"""Which volumes and which model the next questions are about."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import KeptSessions, LoadOptions, Regions, VolumeBridge
from .EnginePath import ensureEngine
from .QuestionRecord import Record


@dataclass(frozen=True, eq=False)
class WorkerSubject:
    """What a worker is asked about.

    Attributes:
        volumeNodes: the volume, or one per channel.
        modelPath: model file or folder; empty for none.
        spec: what the network expects: a dict, a path or a name; None for the sidecar.
        device: where the network runs.
        options: other arguments of `load_model`, such as configuration, folds and trust.
        region: a ROI node or a segment (segmentationNode, segmentId) that runs over windows are
            limited to; None for the whole volume.
    """

    volumeNodes: tuple = ()
    modelPath: str = ""
    spec: object = None
    device: str = "auto"
    options: Mapping = field(default_factory=dict)
    region: object = None

    @property
    def modelKey(self) -> tuple:
        """What changes when the model, its sidecar or how it is run do."""
        if not self.modelPath:
            return ()
        files = (self.modelPath, KeptSessions.sidecarOf(self.modelPath))
        states = [KeptSessions.fileState(path) for path in files]
        return (*states, repr(self.spec), self.device, LoadOptions.stateOf(self.options))

    @property
    def volumesKey(self) -> str:
        """What changes when voxels or place of the volumes do; empty where they cannot be used."""
        ensureEngine()
        from attention_maps.errors import ImageError

        try:
            states = [KeptSessions.volumeState(node) for node in self.volumeNodes]
        except ImageError:
            return ""
        return hashlib.sha256(repr(states).encode()).hexdigest() if states else ""

    @property
    def key(self) -> tuple:
        """What changes when anything does that an answer depends on."""
        return self.volumesKey, self.modelKey, Regions.stateOf(self.region)

    @property
    def scanNode(self):
        """The volume that results are laid over."""
        return self.volumeNodes[0] if self.volumeNodes else None

    def record(self, target) -> Record:
        """Return what nodes keep of a question about this."""
        path, options = self.modelPath, dict(self.options)
        return Record(self.volumeNodes, path, target, self.spec, options, self.region)

    def check(self) -> None:
        """Raise an error that says what is missing, where nothing can be asked about this."""
        ensureEngine()
        from attention_maps.errors import ImageError, ModelError

        if not self.volumeNodes:
            raise ImageError("Expected at least one volume, got none; choose a volume.")
        if not self.modelPath:
            raise ModelError("Expected a model file or folder, got none; choose a model.")

    def missingNode(self):
        """Return a volume that is not in its scene any more, or None."""
        for node in self.volumeNodes:
            scene = node.GetScene() if node is not None else None
            if scene is None or not scene.IsNodePresent(node):
                return node
        return None

    def channels(self, axes: int | None):
        """Return the channels, without a copy, and their affine (see `VolumeBridge`)."""
        return VolumeBridge.channelsOfVolumes(list(self.volumeNodes), axes=axes)

    def mask(self, axes: int | None):
        """Return the region as a mask Image; None for the whole volume."""
        return Regions.maskOf(self.region, self.scanNode, axes=axes)
