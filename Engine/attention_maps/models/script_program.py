"""One method of a TorchScript program, compiled once into a list of Python closures.

Submodules keep their names, and what layers give passes through a tap. Every operator is called by
the overload that its schema names, so the numbers are those of the native run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from attention_maps.models.script_nodes import (
    constant_of,
    is_layer,
    is_statement,
    is_written_part,
    operator_function,
    structural_function,
    used_values,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from attention_maps.models.script_graph import Interpreter

    Step = Callable[[list[Any]], None]

CALL = "attention_maps::CallMethod"


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
        self._steps, self._results, _ = self._block(graph)
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

    def _block(self, block: Any) -> tuple[list[Step], list[int], tuple[int, ...]]:
        """Compile a block; values are let go after their last use, as the native run does.

        Returns:
            Steps, slots of the block's results, and those of them that the block itself made.
        """
        nodes = list(block.nodes())
        constants = [node for node in nodes if node.kind() == "prim::Constant"]
        for node in constants:
            self._constants.append((self._slot(node.output()), constant_of(node)))
        fixed = {node.output().debugName() for node in constants}
        own = {value.debugName() for node in nodes for value in node.outputs()}
        own |= {value.debugName() for value in block.inputs()}
        results = [value.debugName() for value in block.outputs()]
        last: dict[str, int] = {}
        for position, node in enumerate(nodes):
            made = (value.debugName() for value in node.outputs())
            last.update(dict.fromkeys([*used_values(node), *made], position))
        dying: dict[int, list[int]] = {}
        for name in last.keys() & (own - fixed - set(results)):
            dying.setdefault(last[name], []).append(self._slots.setdefault(name, len(self._slots)))
        steps = [
            self._step(node, tuple(dying.get(position, ())))
            for position, node in enumerate(nodes)
            if node.kind() != "prim::Constant"
        ]
        slots = {name: self._slots[name] for name in results}
        made_here = tuple(slots[name] for name in own - fixed if name in slots)
        return steps, [slots[name] for name in results], made_here

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
        if is_statement(node):
            outputs, dead = inputs[:1], tuple(slot for slot in dead if slot not in outputs)

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
        structural = structural_function(node)
        if structural is not None:
            return structural
        many = node.outputsSize() > 1
        if self._interpreter.by_operator and is_layer(node) and not is_written_part(node):
            return self._tapped(node, operator_function(node)), many
        return operator_function(node), many

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
        chosen_by = {True: 0, False: 1}
        branches = [self._block(block) for block in node.blocks()]

        def step(values: list[Any]) -> None:
            steps, results, made_here = branches[chosen_by[bool(values[condition])]]
            for inner in steps:
                inner(values)
            given = [values[slot] for slot in results]
            for slot in (*made_here, *dead):
                values[slot] = None
            for slot, result in zip(outputs, given, strict=True):
                if slot not in dead:
                    values[slot] = result

        return step

    def _loop_step(
        self, node: Any, inputs: tuple[int, ...], outputs: tuple[int, ...], dead: tuple[int, ...]
    ) -> Step:
        block = next(iter(node.blocks()))
        counter, *carried = [self._slot(value) for value in block.inputs()]
        steps, (again, *results), made_here = self._block(block)

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
            for slot in (*made_here, *dead):
                values[slot] = None
            for slot, item in zip(outputs, state, strict=True):
                if slot not in dead:
                    values[slot] = item

        return step
