"""From whatever a caller names to a loaded model: its kind, its specification, its device."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.errors import ModelError, SpecError
from attention_maps.input_size import FixedSize
from attention_maps.model import LoadedModel
from attention_maps.models import KINDS
from attention_maps.models.base import LoadOptions
from attention_maps.models.file_kinds import refuse
from attention_maps.models.stack import StackNetwork
from attention_maps.spec import ModelSpec
from attention_maps.spec_sources import as_spec, find_sidecar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attention_maps.models.base import Loaded, Network

# Fields without a meaning where a model has its own way from an image to the network's input.
PREPARED = ("spacing", "interpolation", "input_size", "intensity", "intensity_stage", "axis_order")


def load_model(
    source: Any,
    spec: ModelSpec | dict[str, Any] | str | Path | None = None,
    device: str | torch.device = "auto",
    *,
    configuration: str | None = None,
    folds: Sequence[str | int] | str | int | None = None,
    checkpoint: str | None = None,
    trust: bool = False,
    previous_stage: Any = None,
) -> LoadedModel:
    """Load a model; nothing in its files is executed unless you trust it.

    Args:
        source: Path of a TorchScript file, of a torch.export archive, of a trained nnU-Net v2
            model or a MONAI bundle (its folder, one above or below, a zip archive), of a
            MONAIAuto3DSeg model.pt; or a ScriptModule, ExportedProgram or `torch.nn.Module`.
        spec: What the network expects; None looks for a sidecar (`model.json` beside `model.pt`).
            Of a model that says so itself, the fields that are given replace its own. Without any
            the image goes in as it is.
        configuration: Of several models in a folder, such as "3d_lowres"; None for the usual one.
        folds: Which trained folds are averaged, such as [0, 1]; None for all.
        checkpoint: Name of the checkpoint, such as "best"; None for the final one.
        trust: Whether code that comes with the model may be executed.
        previous_stage: Label map (Image or path) of a cascade's first stage; None to compute it.
        device: "auto" (CUDA where there is one, else CPU; a module in memory stays where it is),
            or a torch device such as "cpu", "cuda:1", "mps".

    Raises:
        FileNotFoundError: If there is no such file.
        ModelError: If the source cannot be loaded safely, with what to do instead.
        SpecError: If the specification is not valid.
    """
    if isinstance(source, LoadedModel):
        return source
    path = _path_of(source)
    if path is not None and spec is None:
        spec = find_sidecar(path)
    wanted = _checked_device(device)
    listed = [folds] if isinstance(folds, str | int) else folds
    chosen = None if listed is None else tuple(map(str, listed))
    options = LoadOptions(configuration, chosen, checkpoint, trust, previous_stage)
    loaded = _loaded(source, path, wanted, options)
    at, dtype = _place_of(loaded.networks[0], torch.device("cpu") if path is None else wanted)
    if path is None and str(device) != "auto" and at.type != wanted.type:
        raise ModelError(
            f"Expected the module on '{wanted}', but its parameters are on '{at}'; move it with "
            f"module.to('{wanted}') or leave out `device`."
        )
    merged, networks = _merged(loaded, as_spec(spec)), loaded.networks
    if merged.slices is not None and merged.slices.together != "no":
        networks = tuple(StackNetwork(item, merged.slices) for item in networks)
    return LoadedModel(
        networks[0], merged, path, at, dtype, sha256=_digest(path, loaded.files),
        members=networks if len(networks) > 1 else (),
        preparation=loaded.preparation, line=loaded.line,
    )  # fmt: skip


def _loaded(source: Any, path: Path | None, device: torch.device, options: LoadOptions) -> Loaded:
    """What the first kind that accepts a source makes of it; kinds of others come first.

    Raises:
        ModelError: If no kind accepts it.
    """
    given = source if path is None else path
    for kind in reversed(KINDS.values()):
        if kind.accepts(given):
            kind.check(type(source).__name__ if path is None else path.name, options)
            return kind.load(given, str(device), options)
    if path is not None:
        raise refuse(path)
    raise ModelError(
        f"Expected a path, a torch.nn.Module or a ScriptModule, got {type(source).__name__}."
    )


def _place_of(network: Network, default: torch.device) -> tuple[torch.device, torch.dtype]:
    """Where a network's weights lie and of what type they are."""
    first = next((t for _, t in network.tensors() if t.is_floating_point()), None)
    return (default, torch.float32) if first is None else (first.device, first.dtype)


def _merged(loaded: Loaded, given: ModelSpec) -> ModelSpec:
    """What a model says of itself, replaced by what a person says of it."""
    spec = given
    if loaded.spec is not None:
        said = {name: getattr(given, name) for name in given.model_fields_set}
        spec = loaded.spec.replace(**said)
        idle = [name for name in PREPARED if getattr(spec, name) != getattr(loaded.spec, name)]
        if loaded.preparation is not None and idle:
            raise SpecError(
                f"Expected no '{idle[0]}' in the specification, as this model prepares the image "
                "itself; leave it out ('orientation' turns the image before that)."
            )
    size = loaded.fixed_size
    if size is None or spec.patch_size is not None or "input_size" in spec.model_fields_set:
        return spec
    if spec.slices is not None:
        rows_and_columns = spec.slices.size or (size if len(size) == 2 else None)
        return spec.replace(slices=spec.slices.model_copy(update={"size": rows_and_columns}))
    shape = size[::-1] if spec.axis_order == "kji" else size
    return spec.replace(input_size=FixedSize(shape=shape))


def _digest(path: Path | None, files: Sequence[Path]) -> str | None:
    """SHA-256 of a model's file; of the files with its weights, one after the other, if several."""
    if not files and path is not None and path.is_file():
        files = [path]
    digest = hashlib.sha256()
    for part in files:
        with part.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest() if files else None


def _path_of(source: Any) -> Path | None:
    if not isinstance(source, str) and not hasattr(source, "__fspath__"):
        return None
    path = Path(source).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"Expected a model file, but '{path}' does not exist.")
    return path


def _checked_device(device: str | torch.device) -> torch.device:
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ModelError(
            f"Expected a device such as 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps', got {device!r}."
        ) from error
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }.get(wanted.type, True)
    if wanted.type not in ("cpu", "cuda", "mps", "xpu") or not available:
        raise ModelError(
            f"Device '{device}' is not available here; use device='auto' or device='cpu'."
        )
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"Device '{device}' is not available: there are {torch.cuda.device_count()} CUDA "
            "devices, counted from 0."
        )
    return wanted
