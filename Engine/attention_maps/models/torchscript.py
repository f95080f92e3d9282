"""TorchScript: traced, scripted and frozen programs, from a file or in memory."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.errors import ModelError
from attention_maps.models.base import (
    Loaded,
    ModelKind,
    changing,
    evaluating,
    lock_of,
    refuse_inference_tensors,
    register_kind,
)
from attention_maps.models.file_kinds import is_torchscript_archive
from attention_maps.models.script_code import check_code
from attention_maps.models.script_graph import Interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from attention_maps.models.base import LoadOptions, Tap


class TorchScriptNetwork:
    """A ScriptModule, run operator by operator.

    Args:
        module: The caller's or the loaded module.
    """

    def __init__(self, module: torch.jit.ScriptModule) -> None:
        self.module = module
        self.name = str(getattr(module, "original_name", type(module).__name__))
        graph = str(module.graph)
        if "mkldnn" in graph.lower():
            raise ModelError(
                "Expected a TorchScript model with gradients, got one fused by "
                "torch.jit.optimize_for_inference (MKLDNN operators have no gradient); save the "
                "traced, scripted or frozen model before that step."
            )
        self._interpreter = Interpreter(module._c)
        self.aliases = self._interpreter.aliases
        self.kind = "TorchScript (one graph)" if self._interpreter.by_operator else "TorchScript"

    def run(self, inputs: torch.Tensor, tap: Tap | None) -> Any:
        """Run in evaluation mode; the module's training flags are put back."""
        with lock_of(self.module), evaluating(self.module):
            return self._interpreter.run([inputs], tap)

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Parameters and buffers, then the constants of a frozen graph."""
        yield from self.module.named_parameters()
        yield from self.module.named_buffers()
        graph: Any = self.module.graph
        for node in graph.findAllNodes("prim::Constant"):
            if node.hasAttribute("value") and node.kindOf("value") == "t":
                yield node.output().debugName(), node.t("value")

    def changing(self) -> AbstractContextManager[dict[str, torch.Tensor]]:
        """Parameters and running statistics to be changed in place (see `base.changing`)."""
        return changing(self.module)

    def layer_names(self) -> list[str]:
        """Dotted names of all submodules; frozen graphs name their operators as they run."""
        if self._interpreter.by_operator:
            return []
        names = (name for name, _ in self.module.named_modules() if name)
        return [name for name in names if name not in self.aliases]


def _accepts(source: Any) -> bool:
    if isinstance(source, torch.jit.ScriptModule):
        return True
    return isinstance(source, Path) and is_torchscript_archive(source)


def _load(source: Any, device: str, options: LoadOptions) -> Loaded:
    if isinstance(source, torch.jit.ScriptModule):
        refuse_inference_tensors(source)
        return Loaded((TorchScriptNetwork(source),))
    check_code(source, trust=options.trust)
    with warnings.catch_warnings(), torch.inference_mode(False):
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        try:
            module = torch.jit.load(str(source), map_location=device)
        except (RuntimeError, ValueError, OSError) as error:
            reason = str(error).strip().splitlines()
            raise ModelError(
                f"'{source}' looks like TorchScript, but torch {torch.__version__} cannot load "
                f"it: {reason[0] if reason else error!r} Save it again with torch.jit.save, or "
                "install the package whose operators it uses."
            ) from error
    module.eval()
    return Loaded((TorchScriptNetwork(module),))


register_kind(
    ModelKind(
        "torchscript",
        "A TorchScript file (.pt, .ts, .pth, .jit) or ScriptModule: traced, scripted or frozen.",
        _accepts,
        _load,
        choices=(),
    )
)
