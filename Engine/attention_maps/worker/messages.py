"""What client and worker say to each other; every message is one JSON object on one line.

Arrays never travel in a message: it names the file of shared memory that holds them. Requests that
measure are in `measure_messages`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SharedArray:
    """An array in a memory-mapped file; who receives it removes the file.

    Args:
        path: The file.
        shape: Shape of the array.
        dtype: NumPy's code of its type, such as "<f4".
        axes: Its axes as they lie in the file, the slowest first; empty for C order.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    axes: tuple[int, ...] = ()


@dataclass(frozen=True)
class SharedImage:
    """An image whose array is shared.

    Args:
        array: (C, *spatial), any type of number.
        affine: (4, 4) voxel index -> RAS mm, row by row; None for the identity.
    """

    array: SharedArray
    affine: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True)
class Hello:
    """Ask what the worker runs on: versions, devices, process id, whether torch was found."""

    id: int


@dataclass(frozen=True)
class LoadModel:
    """Load a model, or keep it where file, specification and device are those of the last one.

    Args:
        id: Number of the request.
        path: File of the model.
        spec: What it expects, as in `load_model`.
        device: Where it runs.
        options: Other arguments of `load_model`, such as configuration, folds and trust.
    """

    id: int
    path: str
    spec: dict[str, Any] | str | None = None
    device: str = "auto"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SetImage:
    """Set the image that is explained: an array, or files; neither to go on with the same one.

    Args:
        id: Number of the request.
        image_id: Name of the image; the forward pass is kept as long as it stays the same.
        image: The image.
        paths: Its files instead, one per channel.
    """

    id: int
    image_id: str
    image: SharedImage | None = None
    paths: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SetRegion:
    """Limit runs over windows to a region, or no longer.

    Args:
        id: Number of the request.
        region: Mask, or its file; None for the whole image.
    """

    id: int
    region: SharedImage | str | None = None


@dataclass(frozen=True)
class Estimate:
    """Say what a question will take.

    Args:
        id: Number of the request.
        layer: As in `explain`.
    """

    id: int
    layer: str | tuple[str, ...] = "auto"


@dataclass(frozen=True)
class Layers:
    """List the layers of the model.

    Args:
        id: Number of the request.
        sized: For the image where there is one, which may take a forward pass; else for a usual
            size.
    """

    id: int
    sized: bool = True


@dataclass(frozen=True)
class Answer:
    """Ask for the network's answer: classes, ranking, probabilities or volumes and label map."""

    id: int


@dataclass(frozen=True)
class Explain:
    """Ask for maps; each is sent as soon as it is ready.

    Args:
        id: Number of the request.
        method: Name of a method, or several.
        layer: Name of a layer, or several.
        target: What is asked (see `targets`).
        options: Options of the methods.
        batch_size: Inputs per batch of perturbation methods.
        live: Whether a newer live question replaces this one.
    """

    id: int
    method: str | tuple[str, ...] = "grad_cam"
    layer: str | tuple[str, ...] = "auto"
    target: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    batch_size: int | None = None
    live: bool = False


@dataclass(frozen=True)
class Cancel:
    """End a request, whether it runs or waits; it fails as cancelled.

    Args:
        id: Number of this request, which has no answer of its own.
        request: Number of the request to end.
    """

    id: int
    request: int


@dataclass(frozen=True)
class Shutdown:
    """End the process."""

    id: int


@dataclass(frozen=True)
class Progress:
    """How far a request is.

    Args:
        id: Number of the request.
        fraction: Share of the work that is done, 0..1.
        message: What is being done.
    """

    id: int
    fraction: float
    message: str


@dataclass(frozen=True)
class MapMade:
    """One map of a request.

    Args:
        id: Number of the request.
        image: The map on the image's grid, in the order of axes in memory that the image came in.
        extremes: Its smallest and largest value.
        score: Value of the target.
        layer: Name of the layer.
        method: Name of the method.
        target: What was asked, in words.
        signed: Whether negative values mean evidence against.
        provenance: Everything that is needed to make it again.
        raw: The map on the layer's own grid; none where the question was live.
    """

    id: int
    image: SharedImage
    extremes: tuple[float, ...]
    score: float
    layer: str
    method: str
    target: str
    signed: bool
    provenance: dict[str, Any]
    raw: SharedImage | None = None


@dataclass(frozen=True)
class Done:
    """A request is done.

    Args:
        id: Number of the request.
        result: What it found.
        labels: Label map, of an answer of segmentation.
    """

    id: int
    result: dict[str, Any] = field(default_factory=dict)
    labels: SharedImage | None = None


@dataclass(frozen=True)
class Failed:
    """A request failed.

    Args:
        id: Number of the request, 0 where it could not be read.
        error: Class of the error.
        message: What it says.
    """

    id: int
    error: str
    message: str


Request = (
    Hello | LoadModel | SetImage | SetRegion | Estimate | Layers | Answer | Explain | Cancel
    | Shutdown
)  # fmt: skip
Reply = Progress | MapMade | Done | Failed
REQUESTS: dict[str, type[Any]] = {
    "hello": Hello, "load_model": LoadModel, "set_image": SetImage,
    "set_region": SetRegion, "estimate": Estimate, "layers": Layers,
    "answer": Answer, "explain": Explain, "cancel": Cancel, "shutdown": Shutdown,
}  # fmt: skip
REPLIES: dict[str, type[Any]] = {
    "progress": Progress, "map": MapMade, "done": Done, "failed": Failed,
}  # fmt: skip
