"""The Input section: what it shows and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .Control import Controls
    from .State import PanelState


@dataclass(frozen=True)
class VolumeFacts:
    """What is known of a chosen volume without looking at its voxels.

    Attributes:
        key: the node's ID.
        name: its name.
        size: voxels along i, j, k; zeros where it holds no image.
        spacing: mm along i, j, k.
        components: numbers per voxel, 1 for a scalar volume.
        problem: why it cannot be explained whatever the model is; empty if it can.
    """

    key: str
    name: str
    size: tuple[int, int, int] = (0, 0, 0)
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    components: int = 1
    problem: str = ""


@dataclass(frozen=True)
class InputState:
    """What the section knows.

    Attributes:
        volumes: one per selector, None where none is chosen.
        modelPath: model file or folder.
        modelFound: whether there is something at that path.
        recentModels: paths, the last one first.
        sidecar: path of the specification beside the model; empty if there is none.
        specification: the edited specification as JSON; empty for the sidecar.
        model: the worker's summary of the loaded model; None if none is loaded.
        modelLoading: whether the worker is loading it.
        modelError: why it was refused, in one line; empty if it was not.
    """

    volumes: tuple[VolumeFacts | None, ...] = (None,)
    modelPath: str = ""
    modelFound: bool = False
    recentModels: tuple[str, ...] = ()
    sidecar: str = ""
    specification: str = ""
    model: dict[str, Any] | None = None
    modelLoading: bool = False
    modelError: str = ""

    @property
    def ready(self) -> bool:
        """Whether volumes and model are there and loaded."""
        return self.model is not None and all(volume is not None for volume in self.volumes)


def problem(state: PanelState) -> str:
    """Return why nothing can be explained, in one sentence; empty if it can."""
    return ""


def controls(state: PanelState) -> Controls:
    """Return what each widget of the section shows."""
    return {}
