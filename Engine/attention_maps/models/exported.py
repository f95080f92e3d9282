"""torch.export archives (.pt2): layers under the names of the modules they came from."""

from __future__ import annotations

import contextlib
import pickle
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_unflatten

from attention_maps.errors import ConsentError, ModelError, ModelRunError
from attention_maps.models.base import Loaded, ModelKind, register_kind
from attention_maps.models.eager import EagerNetwork
from attention_maps.models.file_kinds import is_export_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn
    from torch.export import ExportedProgram

    from attention_maps.models.base import LoadOptions, Tap

# operators that behave otherwise in training -> position of the flag that says so
TRAINING_FLAGS = {"dropout": 2, "feature_dropout": 2, "alpha_dropout": 2, "batch_norm": 5}


class ExportedNetwork(EagerNetwork):
    """An exported program with its modules restored; the program itself stays as it is.

    Args:
        program: What `torch.export.load` or `torch.export.export` gives.

    Raises:
        ModelError: If it takes several tensors, or was exported in training mode.
    """

    kind = "torch.export"

    def __init__(self, program: ExportedProgram) -> None:
        self._input, self.shape = _input_of(program)
        self._kinds = _module_kinds(program)
        _refuse_training(program)
        with _quiet():
            super().__init__(torch.export.unflatten(program))
        self.name = self._kinds.get("", "exported program")
        self.aliases = _aliases(program, self._kinds)
        self._arguments = tree_unflatten(
            list(program.graph_signature.user_inputs), program.call_spec.in_spec
        )

    def run(self, inputs: torch.Tensor, tap: Tap | None) -> Any:
        """Run with parameters frozen.

        Raises:
            ModelRunError: If the input has another size than the program was exported for.
        """
        self._check_size(tuple(inputs.shape))
        with _quiet():
            return super().run(inputs, tap)

    def call(self, inputs: torch.Tensor) -> Any:
        """Call the program with the arguments that it was exported with."""
        positional, named = self._arguments
        values = [inputs if value == self._input else value for value in positional]
        keywords = {k: inputs if value == self._input else value for k, value in named.items()}
        return self.module(*values, **keywords)

    def label(self, name: str, part: nn.Module) -> tuple[str, str]:
        """Name and kind of the module that a part was exported from."""
        name = name.partition("@")[0]
        return name, self._kinds.get(name, type(part).__name__)

    def layer_names(self) -> list[str]:
        """Dotted names of the modules that run."""
        return [name for name in self._kinds if name]

    def fixed_size(self) -> tuple[int, ...] | None:
        """Voxels per axis where no other size is possible, else None."""
        sizes = self.shape[2:]
        return tuple(int(n) for n in sizes if n is not None) if None not in sizes else None

    def _check_size(self, shape: tuple[int, ...]) -> None:
        wanted = self.shape
        same = len(shape) == len(wanted)
        if same and all(n in (None, m) for n, m in zip(wanted, shape, strict=True)):
            return
        expected = " x ".join("any" if n is None else str(n) for n in wanted)
        raise ModelRunError(
            f"Expected an input of {expected} (batch, channels, *spatial), the size that the "
            f"program was exported for, got {' x '.join(map(str, shape))}. Set `input_size` (the "
            "image is brought to this size) or `patch_size` (windows of this size) in the "
            "specification, or export it again with dynamic_shapes."
        )


def _input_of(program: ExportedProgram) -> tuple[str, tuple[int | None, ...]]:
    """Name of the input and its shape, None for the axes whose size is free."""
    given = program.graph_signature.user_inputs
    tensors = {
        node.name: node.meta["val"].shape
        for node in program.graph.nodes
        if node.op == "placeholder"
        and node.name in given
        and isinstance(node.meta.get("val"), torch.Tensor)
    }
    if len(tensors) != 1:
        raise ModelError(
            f"Expected an exported program with one input tensor, got {len(tensors)} "
            f"({', '.join(tensors)}); export a module whose forward takes the image alone."
        )
    name, shape = next(iter(tensors.items()))
    return name, tuple(n if isinstance(n, int) else None for n in shape)


def _module_kinds(program: ExportedProgram) -> dict[str, str]:
    """Class by name of the modules that run, in execution order; "" for the whole network."""
    found: dict[str, str] = {}
    for node in program.graph.nodes:
        for name, kind in (node.meta.get("nn_module_stack") or {}).values():
            name = str(name).partition("@")[0]
            found.setdefault(name, str(getattr(kind, "__name__", kind)).rpartition(".")[2])
    return found


def _aliases(program: ExportedProgram, ran: dict[str, str]) -> dict[str, str]:
    """Names of modules that do not run under them -> the name that their weights run under."""
    owners: dict[tuple[str, int], str] = {}
    others = []
    for full, tensor in program.state_dict.items():
        name, _, weight = full.rpartition(".")
        key = (weight, tensor.data_ptr())
        if name in ran:
            owners.setdefault(key, name)
        else:
            others.append((name, key))
    return {name: owners[key] for name, key in others if name and key in owners}


def _refuse_training(program: ExportedProgram) -> None:
    active = set()
    for node in program.graph.nodes:
        name = getattr(getattr(node.target, "_schema", None), "name", "").partition("::")[2]
        flag = TRAINING_FLAGS.get(name.rstrip("_"))
        if flag is None or len(node.args) <= flag or node.args[flag] is not True:
            continue
        if name != "batch_norm" or node.args[3] is not None:  # else it keeps no statistics at all
            active.add(name)
    if active:
        raise ModelError(
            "Expected a program that was exported in evaluation mode, got "
            f"{', '.join(sorted(active))} as in training, where answers change from run to run; "
            "export model.eval()."
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what PyTorch says about its own deprecated internals."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


def _accepts(source: Any) -> bool:
    if isinstance(source, Path):
        return is_export_archive(source)
    return isinstance(source, torch.export.ExportedProgram)


def _load(source: Any, device: str, options: LoadOptions) -> Loaded:
    program = _read(source, options.trust) if isinstance(source, Path) else source
    if isinstance(source, Path):
        program = _moved(program, device)
    network = ExportedNetwork(program)
    size = network.fixed_size()
    voxels = "any size" if size is None else f"{' x '.join(map(str, size))} voxels"
    return Loaded((network,), line=f"torch.export {network.name}, {voxels}", fixed_size=size)


def _read(path: Path, trust: bool) -> ExportedProgram:
    if not trust:
        raise ConsentError(
            f"'{path}' is a torch.export archive, whose loading executes code that the file may "
            "carry (it is unpickled). If you know where it comes from, load it with trust=True "
            "(command line: --trust)."
        )
    try:
        with _quiet(), torch.inference_mode(False):
            return torch.export.load(path)
    except (RuntimeError, ValueError, TypeError, KeyError, OSError, AssertionError,
            AttributeError, EOFError, pickle.UnpicklingError) as error:  # fmt: skip
        reason = str(error).strip().splitlines()
        raise ModelError(
            f"'{path}' looks like a torch.export archive, but torch {torch.__version__} cannot "
            f"load it: {reason[0] if reason else error!r} Export it again with this version."
        ) from error


def _moved(program: ExportedProgram, device: str) -> ExportedProgram:
    """The program on a device, with the devices that were baked in."""
    from torch.export.passes import move_to_device_pass

    at = {tensor.device for tensor in (*program.state_dict.values(), *program.constants.values())
          if isinstance(tensor, torch.Tensor)}  # fmt: skip
    if at <= {torch.device(device)}:
        return program
    with _quiet():
        return move_to_device_pass(program, device)


register_kind(
    ModelKind(
        "exported",
        "A torch.export archive (.pt2), loaded with your consent, or an ExportedProgram.",
        _accepts,
        _load,
        choices=(),
    )
)
