"""Loads a MONAI bundle: a folder, an archive, or a TorchScript file with its metadata inside."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.errors import ModelError
from attention_maps.models.base import Loaded, ModelKind, register_kind
from attention_maps.models.bundle.arrangement import arrangement_of
from attention_maps.models.bundle.describing import fixed_size, sees_patches, spec_of
from attention_maps.models.bundle.files import find_bundle, is_bundle
from attention_maps.models.bundle.preparation import BundlePreparation
from attention_maps.models.bundle.recipe import make_network, read_recipe
from attention_maps.models.eager import EagerNetwork
from attention_maps.models.file_kinds import is_torchscript_archive
from attention_maps.models.script_code import check_code
from attention_maps.models.torchscript import TorchScriptNetwork
from attention_maps.models.weights import read_weights

if TYPE_CHECKING:
    from attention_maps.models.base import LoadOptions, Network
    from attention_maps.models.bundle.files import BundleFiles
    from attention_maps.spec import ModelSpec

logger = logging.getLogger(__name__)

NESTED = ("model", "state_dict", "network", "net", "model_state_dict")


class BundleNetwork(EagerNetwork):
    """The network of a bundle, built from its configuration."""

    kind = "MONAI bundle"


def load(path: Path, device: str, options: LoadOptions) -> Loaded:
    """Load a bundle.

    Raises:
        ConsentError: If that would execute code that is not known to be harmless.
        ModelError: If something is missing or does not fit.
    """
    files = find_bundle(path, options.configuration, options.checkpoint)
    network = _network(files, device, options.trust)
    axes = next((t.ndim - 2 for _, t in network.tensors() if t.ndim in (4, 5)), None)
    recipe = read_recipe(files, trust=options.trust)
    spec = spec_of(files.metadata, recipe, files.name, axes)
    preparation = None
    if recipe.preprocessing is not None or recipe.postprocessing is not None:
        preparation = BundlePreparation(
            recipe, arrangement_of(recipe.inferer), f"'{files.config_file}'"
        )
    size = None if spec.patch_size else fixed_size(files.metadata)
    if size is not None and preparation is None and sees_patches(files.metadata):
        spec, size = spec.replace(patch_size=size), None
    line = _line(files, network, spec)
    return Loaded((network,), spec, preparation, line, size, (files.weights,))


def _network(files: BundleFiles, device: str, trust: bool) -> Network:
    """The network as a module of PyTorch, else the TorchScript program as it is."""
    script = None
    if is_torchscript_archive(files.weights):
        check_code(files.weights, trust=trust)
        script = _script(files.weights, device)
    try:
        module = make_network(files, trust=trust)
    except ModelError as error:
        if script is None:
            raise
        logger.info("The TorchScript program is used as it is: %s", error)
        return TorchScriptNetwork(script)
    if module is None:
        if script is None:
            raise ModelError(
                f"Expected the network of the bundle as 'network_def' in '{files.config_file}', "
                "which has none, and its weights are no TorchScript program."
            )
        return TorchScriptNetwork(script)
    state = script.state_dict() if script is not None else _state(files.weights, trust)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        if script is not None:
            logger.info("The TorchScript program is used as it is: %s", error)
            return TorchScriptNetwork(script)
        raise ModelError(
            f"The weights '{files.weights}' do not fit the network of '{files.config_file}': "
            f"{str(error).splitlines()[-1].strip()}"
        ) from None
    return BundleNetwork(module.eval().to(device))


def _script(path: Path, device: str) -> Any:
    with warnings.catch_warnings(), torch.inference_mode(False):
        warnings.simplefilter("ignore")
        try:
            return torch.jit.load(str(path), map_location=device).eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"'{path}' looks like TorchScript, but torch {torch.__version__} cannot load it: "
                f"{str(error).strip().splitlines()[0]}"
            ) from error


def _state(path: Path, trust: bool) -> dict[str, torch.Tensor]:
    """The state dict in a file, which may hold more."""
    found = read_weights(path, trust=trust)
    if isinstance(found, torch.nn.Module):
        found = found.state_dict()
    for name in NESTED:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
            break
    if not isinstance(found, dict) or not any(isinstance(v, torch.Tensor) for v in found.values()):
        raise ModelError(f"Expected weights (a state dict) in '{path}', got something else.")
    return {str(name).removeprefix("module."): value for name, value in found.items()}


def _line(files: BundleFiles, network: Network, spec: ModelSpec) -> str:
    """One line for people."""
    version = files.metadata.get("version")
    parts = [f"MONAI bundle {files.name}" + (f" {version}" if version else ""), network.name]
    if spec.channels:
        several = "s" if len(spec.channels) > 1 else ""
        parts.append(f"{len(spec.channels)} channel{several} ({', '.join(spec.channels)})")
    if spec.class_names:
        parts.append(f"{len(spec.class_names)} classes")
    if spec.patch_size:
        parts.append(f"windows of {' x '.join(map(str, spec.patch_size))}")
    return ", ".join(parts)


register_kind(
    ModelKind(
        "monai_bundle",
        "A MONAI bundle: its folder, a zip archive, or a .ts file with its metadata inside.",
        lambda source: isinstance(source, Path) and is_bundle(source),
        load,
        choices=("configuration", "checkpoint"),
    )
)
