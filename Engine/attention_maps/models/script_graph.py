"""Runs a TorchScript program operator by operator, so that every layer can be seen.

Hooks do not fire inside a ScriptModule. Each method's graph is therefore compiled once into a list
of Python closures, in which submodules keep their names and their outputs pass through a `tap`.
Every operator is called by the overload that its schema names, so the numbers are those of the
native run.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.models.fused_attention import with_gradient
from attention_maps.models.script_operators import PLAIN, TENSOR_QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Tap = Callable[[str, str, Any], Any]
    Step = Callable[[list[Any]], None]

logger = logging.getLogger(__name__)

VIEWS = {
    "alias", "contiguous", "detach", "expand", "expand_as", "flatten", "permute", "reshape",
    "select", "slice", "squeeze", "t", "to", "transpose", "unflatten", "unsqueeze", "view",
    "view_as", "clone", "type_as", "chunk", "unbind", "split",
}  # fmt: skip
CALL = "attention_maps::CallMethod"


class UnsupportedOperatorError(Exception):
    """The graph has an operator that cannot be run from Python."""


class ModuleRef:
    """A submodule and its dotted name.

    Args:
        module: The C++ module.
        path: Dotted name, empty for the network itself.
        names: First names of modules that are registered twice.
    """

    __slots__ = ("_children", "_names", "kind", "module", "path")

    def __init__(self, module: Any, path: str = "", names: Mapping[str, str] | None = None) -> None:
        self.module = module
        self.path = path
        self._names = names or {}
        self.kind = str(module._type().name())
        self._children: dict[str, ModuleRef] = {}

    def attribute(self, name: str) -> Any:
        """Submodule, parameter (detached: gradients of parameters are not wanted) or value."""
        child = self._children.get(name)
        if child is not None:
            return child
        value = self.module.getattr(name)
        if isinstance(value, torch.Tensor):
            return value.detach() if value.requires_grad else value
        if isinstance(value, torch._C.ScriptModule):
            path = f"{self.path}.{name}" if self.path else name
            child = ModuleRef(value, self._names.get(path, path), self._names)
            self._children[name] = child
            return child
        return value


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


def first_names(module: Any) -> dict[str, str]:
    """Other names of modules that are registered twice -> the name registered first.

    TorchScript makes two modules of one that has two names; the tensors in them stay shared.

    Args:
        module: The C++ module.
    """
    found: dict[tuple[Any, ...], str] = {}
    names: dict[str, str] = {}

    def visit(part: Any, path: str) -> list[tuple[str, int, Any]]:
        parameters: Any = torch._C.ParameterDict(part)
        buffers: Any = torch._C.BufferDict(part)
        own = [*parameters.items(), *buffers.items()]
        tensors = [(name, t.data_ptr(), t.shape) for name, t in own if t is not None and t.numel()]
        for name, child in torch._C.ModuleDict(part).items():
            inner = visit(child, f"{path}.{name}" if path else name)
            tensors += [(f"{name}.{below}", *rest) for below, *rest in inner]
        if tensors:
            first = found.setdefault((str(part._type().name()), *tensors), path)
            if first != path:
                names[path] = first
        return tensors

    visit(module, "")
    return names


def named_calls(graph: Any) -> Any:
    """A copy of a graph with functions inlined and calls of submodules kept.

    The inliner knows no middle way, so calls of methods hide under another name while it runs.
    """
    copy = graph.copy()
    _rename_calls(copy, copy)
    torch._C._jit_pass_inline(copy)
    return copy


def _rename_calls(graph: Any, block: Any) -> None:
    for node in list(block.nodes()):
        for inner in node.blocks():
            _rename_calls(graph, inner)
        if node.kind() == "prim::CallMethod":
            renamed = graph.create(CALL, list(node.inputs()), node.outputsSize())
            renamed.s_("name", node.s("name"))
            renamed.insertBefore(node)
            for old, new in zip(node.outputs(), renamed.outputs(), strict=True):
                new.setType(old.type())
                old.replaceAllUsesWith(new)
            node.destroy()


class Program:
    """One method's graph as a list of steps over a list of values.

    Args:
        interpreter: Runs the methods of submodules that this one calls.
        graph: The method's graph, functions inlined.

    Raises:
        UnsupportedOperatorError: If an operator cannot be run from Python.
    """

    def __init__(self, interpreter: Interpreter, graph: Any) -> None:
        self._interpreter = interpreter
        self._slots: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        for value in graph.inputs():
            self._slot(value)
        self._constants: list[tuple[int, Any]] = []
        self._steps = self._block(graph, keep=())
        self._results = [self._slot(value) for value in graph.outputs()]
        self._extra = len(self._slots) - len(list(graph.inputs()))

    def run(self, arguments: list[Any]) -> Any:
        """Run the steps; `arguments` becomes the list of values and is used up."""
        values = arguments
        values.extend([None] * self._extra)
        for slot, constant in self._constants:
            values[slot] = constant
        for step in self._steps:
            step(values)
        results = [values[slot] for slot in self._results]
        return results[0] if len(results) == 1 else tuple(results)

    def _slot(self, value: Any) -> int:
        return self._slots.setdefault(value.debugName(), len(self._slots))

    def _block(self, block: Any, keep: Iterable[str]) -> list[Step]:
        """Compile a block; values are let go after their last use, as the native run does."""
        nodes = list(block.nodes())
        returned = {value.debugName() for value in block.outputs()} | set(keep)
        own = {value.debugName() for node in nodes for value in node.outputs()}
        own |= {value.debugName() for value in block.inputs()}
        last: dict[str, int] = {name: -1 for name in own}
        for position, node in enumerate(nodes):
            for name in _used(node):
                last[name] = position
            for value in node.outputs():
                last[value.debugName()] = max(last[value.debugName()], position)
        steps: list[Step] = []
        for position, node in enumerate(nodes):
            if node.kind() == "prim::Constant":
                self._constants.append((self._slot(node.output()), _constant(node)))
                continue
            dead = tuple(
                self._slots.setdefault(name, len(self._slots))
                for name, use in last.items()
                if use == position and name in own and name not in returned
                if not _is_constant(nodes, name)
            )
            steps.append(self._step(node, dead))
        return steps

    def _step(self, node: Any, dead: tuple[int, ...]) -> Step:
        kind = node.kind()
        inputs = tuple(self._slot(value) for value in node.inputs())
        outputs = tuple(self._slot(value) for value in node.outputs())
        if kind == CALL:
            return self._call_step(node, inputs, outputs, dead)
        if kind == "prim::If":
            return self._if_step(node, inputs[0], outputs, dead)
        if kind == "prim::Loop":
            return self._loop_step(node, inputs, outputs, dead)
        function, many = self._function(node)

        def step(values: list[Any]) -> None:
            arguments = [values[slot] for slot in inputs]
            result = function(*arguments)
            if many:
                for slot, item in zip(outputs, result, strict=True):
                    values[slot] = item
            elif outputs:
                values[outputs[0]] = result
            for slot in dead:
                values[slot] = None

        return step

    def _function(self, node: Any) -> tuple[Callable[..., Any], bool]:
        """What a node computes, and whether it gives several values."""
        structural = _structural(node)
        if structural is not None:
            return structural
        many = node.outputsSize() > 1
        if self._interpreter.by_operator and _is_layer(node):
            return self._tapped(node, _operator(node)), many
        return _operator(node), many

    def _tapped(self, node: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        kind = node.kind().split("::")[1].lstrip("_").rstrip("_")
        self._counts[kind] = self._counts.get(kind, 0) + 1
        name = f"{kind}_{self._counts[kind]}|{node.output().debugName()}"
        interpreter = self._interpreter

        def tapped(*arguments: Any) -> Any:
            result = function(*arguments)
            return interpreter.tap(name, kind, result) if interpreter.tap else result

        return tapped

    def _call_step(
        self, node: Any, inputs: tuple[int, ...], outputs: tuple[int, ...], dead: tuple[int, ...]
    ) -> Step:
        method, interpreter = node.s("name"), self._interpreter
        is_layer = method.removeprefix("forward").isdigit() or method == "forward"

        def step(values: list[Any]) -> None:
            arguments = [values[slot] for slot in inputs]
            for slot in dead:
                values[slot] = None
            ref = arguments[0]
            result = interpreter.call(ref, method, arguments)
            if is_layer and interpreter.tap is not None:
                result = interpreter.tap(ref.path, ref.kind, result)
            if outputs and outputs[0] not in dead:
                values[outputs[0]] = result

        return step

    def _if_step(
        self, node: Any, condition: int, outputs: tuple[int, ...], dead: tuple[int, ...]
    ) -> Step:
        branches = []
        for block in node.blocks():
            steps = self._block(block, keep=())
            branches.append((steps, tuple(self._slot(value) for value in block.outputs())))
        (then_steps, then_results), (else_steps, else_results) = branches

        def step(values: list[Any]) -> None:
            chosen = bool(values[condition])
            for inner in then_steps if chosen else else_steps:
                inner(values)
            results = [values[slot] for slot in (then_results if chosen else else_results)]
            for slot, result in zip(outputs, results, strict=True):
                values[slot] = result
            for slot in dead:
                values[slot] = None

        return step

    def _loop_step(
        self, node: Any, inputs: tuple[int, ...], outputs: tuple[int, ...], dead: tuple[int, ...]
    ) -> Step:
        block = next(iter(node.blocks()))
        counter, *carried = [self._slot(value) for value in block.inputs()]
        steps = self._block(block, keep=())
        again, *results = [self._slot(value) for value in block.outputs()]

        def step(values: list[Any]) -> None:
            limit, go_on, *state = [values[slot] for slot in inputs]
            trip = 0
            while go_on and trip < limit:
                values[counter] = trip
                for slot, item in zip(carried, state, strict=True):
                    values[slot] = item
                for inner in steps:
                    inner(values)
                go_on = values[again]
                state = [values[slot] for slot in results]
                trip += 1
            for slot, item in zip(outputs, state, strict=True):
                values[slot] = item
            for slot in dead:
                values[slot] = None

        return step


def _used(node: Any) -> set[str]:
    """Names of all values that a node uses, its blocks included."""
    names = {value.debugName() for value in node.inputs()}
    for block in node.blocks():
        names |= {value.debugName() for value in block.outputs()}
        for inner in block.nodes():
            names |= _used(inner)
    return names


def _is_constant(nodes: Sequence[Any], name: str) -> bool:
    return any(
        node.kind() == "prim::Constant" and node.output().debugName() == name for node in nodes
    )


def _constant(node: Any) -> Any:
    try:
        value = node.output().toIValue()
    except RuntimeError as error:
        raise UnsupportedOperatorError(f"constant {node}".strip()) from error
    if isinstance(value, torch.Tensor) and value.requires_grad:
        return value.detach()
    return value


def _is_layer(node: Any) -> bool:
    namespace, name = node.kind().split("::")
    outputs = list(node.outputs())
    return (
        namespace != "prim"
        and len(outputs) == 1
        and outputs[0].type().isSubtypeOf(torch._C.TensorType.get())
        and name.rstrip("_") not in VIEWS
        and any(value.type().isSubtypeOf(torch._C.TensorType.get()) for value in node.inputs())
    )


def _get_attribute(owner: Any, name: str) -> Any:
    return owner.attribute(name) if isinstance(owner, ModuleRef) else getattr(owner, name)


def _number_to_tensor(number: float) -> torch.Tensor:
    return torch.tensor(number, dtype=torch.float64 if isinstance(number, float) else None)


def _structural(node: Any) -> tuple[Callable[..., Any], bool] | None:
    """Nodes that build and take apart, which have no schema."""
    kind = node.kind()
    if kind == "prim::GetAttr":
        name = node.s("name")
        return (lambda owner: _get_attribute(owner, name)), False
    if kind == "prim::SetAttr":
        name = node.s("name")
        return (lambda ref, value: ref.module.setattr(name, value)), False
    if kind in ("prim::TupleConstruct", "prim::NamedTupleConstruct"):
        return (lambda *values: tuple(values)), False
    if kind == "prim::ListConstruct":
        return (lambda *values: list(values)), False
    if kind == "prim::DictConstruct":
        return (lambda *values: dict(zip(values[::2], values[1::2], strict=True))), False
    if kind in ("prim::TupleUnpack", "prim::ListUnpack"):
        return (lambda values: values), True
    if kind == "prim::TupleIndex":
        return (lambda values, index: values[index]), False
    if kind == "prim::TupleSlice":
        low, high = node.i("beg"), node.i("end")
        return (lambda values: values[low:high]), False
    if kind == "prim::NumToTensor":
        return _number_to_tensor, False
    if kind == "prim::Uninitialized":
        return (lambda: None), False
    if kind == "prim::ConstantChunk":
        chunks, dim = node.i("chunks"), node.i("dim")
        return (lambda tensor: torch.chunk(tensor, chunks, dim)), True
    return None


def _operator(node: Any) -> Callable[..., Any]:
    """The function that a node's schema names."""
    kind = node.kind()
    has_tensor = any(value.type().isSubtypeOf(torch._C.TensorType.get()) for value in node.inputs())
    text = node.schema()
    if text == "(no schema)":
        if kind in PLAIN:
            return PLAIN[kind]
        raise UnsupportedOperatorError(kind)
    if has_tensor and kind in TENSOR_QUESTIONS:
        return TENSOR_QUESTIONS[kind]
    schema = torch._C.parse_schema(text)
    types = [str(argument.type) for argument in schema.arguments]
    if kind in PLAIN and not any("Tensor" in name for name in types):
        return PLAIN[kind]
    namespace, name = kind.split("::")
    try:
        packet = getattr(getattr(torch.ops, namespace), name)
        overload = getattr(packet, schema.overload_name or "default")
    except AttributeError as error:
        if kind in PLAIN:
            return PLAIN[kind]
        raise UnsupportedOperatorError(text) from error
    keywords = [a.name for a in schema.arguments if a.kwarg_only]
    if not keywords:
        return with_gradient(kind, overload)
    positional = len(schema.arguments) - len(keywords)

    def with_keywords(*arguments: Any) -> Any:
        named = dict(zip(keywords, arguments[positional:], strict=True))
        return overload(*arguments[:positional], **named)

    return with_keywords
