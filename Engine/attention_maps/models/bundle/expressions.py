"""Expressions of a configuration that are read rather than executed.

Numbers, texts, lists, references to other items, arithmetic, comparisons, a choice by `if`, `len`,
and names of data types: enough for `$[1.5] * 3 if @highres else [3.0] * 3`. Nothing is called, no
attribute is looked up, and what comes out is configuration again, to be checked like the rest.
"""

from __future__ import annotations

import ast
import operator
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

REFERENCE = re.compile(r"@(\w+(?:(?:::|#)\w+)*)")
LARGEST = 10_000  # length of a list or text that is made
DEEPEST = 20  # references to references
OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
SIGNS: dict[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_,
}  # fmt: skip
DTYPES = re.compile(r"(?:torch|np|numpy)\.(bool|u?int(?:8|16|32|64)?|float(?:16|32|64)?|half|long)")
COMMON_KEYS = re.compile(r"monai\.utils\.(?:enums\.)?CommonKeys\.(IMAGE|LABEL|PRED)")


class NotPlainError(ValueError):
    """An expression that would have to be executed."""


def read_expression(text: str, config: dict[str, Any], depth: int = 0) -> Any:
    """What an expression gives, as configuration.

    Args:
        text: Python's text, without the `$`.
        config: The configuration that `@` refers to.
        depth: How many references have led here.

    Raises:
        NotPlainError: If it would have to be executed.
    """
    text = text.strip()
    if DTYPES.fullmatch(text):
        return _dtype(text)
    if (key := COMMON_KEYS.fullmatch(text)) is not None:
        return key.group(1).lower()
    if REFERENCE.fullmatch(text):
        return text
    names: dict[str, str] = {}

    def rename(found: re.Match[str]) -> str:
        name = f"_reference_{len(names)}"
        names[name] = found.group(1)
        return name

    try:
        tree = ast.parse(REFERENCE.sub(rename, text), mode="eval")
        return _Reader(config, names, depth).read(tree.body)
    except (SyntaxError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise NotPlainError(str(error)) from error


class _Reader:
    """Reads one expression.

    Args:
        config: The configuration.
        names: Names in the expression -> ids of the items that they stand for.
        depth: How many references have led here.
    """

    def __init__(self, config: dict[str, Any], names: dict[str, str], depth: int) -> None:
        self._config = config
        self._names = names
        self._depth = depth

    def read(self, node: ast.AST) -> Any:
        """The value of a node; items of lists may be configuration of any kind."""
        if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float | str):
            return node.value
        if isinstance(node, ast.Constant) and node.value is None:
            return None
        if isinstance(node, ast.List | ast.Tuple):
            return [self.read(item) for item in node.elts]
        if isinstance(node, ast.Name) and node.id in self._names:
            return self._item(self._names[node.id])
        if isinstance(node, ast.IfExp):
            return self.read(node.body if self._value(node.test) else node.orelse)
        if isinstance(node, ast.UnaryOp) and type(node.op) in SIGNS:
            return SIGNS[type(node.op)](self._value(node.operand))
        if isinstance(node, ast.BinOp):
            return self._applied(node.op, self._value(node.left), self._value(node.right))
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            left, right = self._value(node.left), self._value(node.comparators[0])
            return self._applied(node.ops[0], left, right)
        if _is_len(node):
            return len(self._value(node.args[0]))  # type: ignore[attr-defined]
        raise NotPlainError(type(node).__name__)

    def _value(self, node: ast.AST) -> Any:
        """A number, text or list to compute with."""
        value = self.read(node)
        if not isinstance(value, bool | int | float | str | list | None):
            raise NotPlainError("computes with a component")
        return value

    def _applied(self, kind: ast.AST, left: Any, right: Any) -> Any:
        if type(kind) not in OPERATORS:
            raise NotPlainError(type(kind).__name__)
        if isinstance(kind, ast.Mod) and isinstance(left, str):
            raise NotPlainError("formats text")
        sizes = [len(value) for value in (left, right) if isinstance(value, str | list)]
        if sizes and isinstance(kind, ast.Mult):
            sizes.append(sizes[0] * max(v for v in (left, right) if isinstance(v, int)))
        if sum(sizes) > LARGEST:
            raise NotPlainError("too long")
        return OPERATORS[type(kind)](left, right)

    def _item(self, reference: str) -> Any:
        """An item of the configuration, followed where it refers to another."""
        if self._depth >= DEEPEST:
            raise NotPlainError("refers to itself")
        found: Any = self._config
        for part in re.split("::|#", reference):
            try:
                found = found[int(part)] if isinstance(found, list) else found[part]
            except (KeyError, IndexError, ValueError) as error:
                raise NotPlainError(f"no item {reference}") from error
            if isinstance(found, str) and found.startswith(("$", "@")):
                found = self._followed(found)
        return found

    def _followed(self, text: str) -> Any:
        reader = _Reader(self._config, self._names, self._depth + 1)
        if text.startswith("$"):
            found = read_expression(text[1:], self._config, self._depth + 1)
            if not isinstance(found, str) or not REFERENCE.fullmatch(found):
                return found
            text = found
        if not REFERENCE.fullmatch(text):
            return text
        return reader._item(text[1:])


def _is_len(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "len"
        and len(node.args) == 1
        and not node.keywords
    )


def _dtype(text: str) -> Any:
    import numpy as np
    import torch

    package, _, name = text.partition(".")
    try:
        return getattr(torch, name) if package == "torch" else np.dtype(name).type
    except (AttributeError, TypeError) as error:
        raise NotPlainError(f"no data type {text}") from error
