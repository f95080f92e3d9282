"""Runs a TorchScript program operator by operator, so that every layer can be seen.

Hooks do not fire inside a ScriptModule; here every method's graph is compiled once (`Program`) and
run from Python.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.models.script_modules import ModuleRef, first_names
from attention_maps.models.script_nodes import UnsupportedOperatorError
from attention_maps.models.script_program import CALL, Program, named_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Tap = Callable[[str, str, Any], Any]

logger = logging.getLogger(__name__)


class Interpreter:
    """Runs one loaded TorchScript network.

    Args:
        module: The ScriptModule's C++ module (`script_module._c`).
    """

    def __init__(self, module: Any) -> None:
        self.aliases = first_names(module)
        self.root = ModuleRef(module, names=self.aliases)
        self.tap: Tap | None = None
        self._programs: dict[tuple[str, str], Program | None] = {}
        self._inputs = module._get_method("forward").schema.arguments
        self.by_operator = CALL not in str(named_calls(module._get_method("forward").graph))

    def run(self, inputs: Sequence[Any], tap: Tap | None) -> Any:
        """Run `forward`; `tap(name, kind, output)` sees each layer's output and may replace it."""
        self.tap = tap
        try:
            return self.call(self.root, "forward", [self.root, *inputs, *self._defaults(inputs)])
        finally:
            self.tap = None

    def _defaults(self, inputs: Sequence[Any]) -> list[Any]:
        """Values of the inputs of `forward` that are left out."""
        left_out = self._inputs[1 + len(inputs) :]
        needed = [argument.name for argument in left_out if not argument.has_default_value()]
        if needed or len(inputs) >= len(self._inputs):
            names = ", ".join(argument.name for argument in self._inputs[1:])
            raise TypeError(f"forward takes the inputs ({names}), but {len(inputs)} came.")
        return [argument.default_value for argument in left_out]

    def call(self, ref: Any, method: str, arguments: list[Any]) -> Any:
        """Run one method of a submodule; natively where its graph cannot be run from Python."""
        if not isinstance(ref, ModuleRef):  # an object of a TorchScript class
            return getattr(ref, method)(*arguments[1:])
        key = str(ref.module._type().qualified_name()), method
        if key not in self._programs:
            self._programs[key] = self._compile(ref, method)
        program = self._programs[key]
        if program is not None:
            return program.run(arguments)
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            return ref.module._get_method(method)(*arguments[1:])

    def _compile(self, ref: ModuleRef, method: str) -> Program | None:
        graph = named_calls(ref.module._get_method(method).graph)
        try:
            return Program(self, graph)
        except UnsupportedOperatorError as error:
            name = ref.path or "the network"
            logger.warning("%s runs natively, its inner layers stay hidden: %s", name, error)
            return None
