"""What the panel's code uses of its widgets, read from the code without running it."""

from __future__ import annotations

import ast
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "SlicerAttentionMaps" / "SlicerAttentionMapsLib"
UI_FILE = ROOT / "Resources" / "UI" / "SlicerAttentionMaps.ui"
LIST = Path(__file__).with_name("widgets.json")
_WRAPPERS = ("qt", "ctk", "slicer")


@dataclass(frozen=True)
class Use:
    """One use of a widget in the code.

    Attributes:
        place: file and line.
        widget: class of the widget.
        member: property, method or signal that is used.
        signal: whether it is a signal's signature in a connection.
    """

    place: str
    widget: str
    member: str
    signal: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.widget}.{self.member}"


class WidgetList:
    """The checked-in list of classes and what they add to those that they extend."""

    def __init__(self) -> None:
        self.classes: dict[str, dict] = json.loads(LIST.read_text(encoding="utf-8"))

    def lineage(self, name: str) -> list[str]:
        """Return a class and all that it extends."""
        found = []
        while name:
            found.append(name)
            name = self.classes[name]["extends"]
        return found

    def has(self, name: str, kind: str, member: str) -> bool:
        """Tell whether a class has one of the "properties", "signals" or "methods"."""
        return any(member in self.classes[item][kind] for item in self.lineage(name))

    def knows(self, use: Use) -> bool:
        """Tell whether what the code uses exists."""
        if use.signal:
            return self.has(use.widget, "signals", use.member)
        named = {signal.split("(")[0] for item in self.lineage(use.widget)
                 for signal in self.classes[item]["signals"]}  # fmt: skip
        kinds = ("properties", "methods")
        return use.member in named or any(self.has(use.widget, kind, use.member) for kind in kinds)


class Panel:
    """The .ui file: its widgets, what is set on them, how they are connected."""

    @cached_property
    def _tree(self) -> ElementTree.Element:
        return ElementTree.parse(UI_FILE).getroot()

    @cached_property
    def widgets(self) -> dict[str, str]:
        """Names of widgets, layouts and actions -> their classes."""
        found = {item.get("name"): item.get("class") for item in self._tree.iter("widget")}
        found |= {item.get("name"): item.get("class") for item in self._tree.iter("layout")}
        found |= {item.get("name"): "QAction" for item in self._tree.iter("action")}
        return {name: "QFrame" if kind == "Line" else kind for name, kind in found.items() if name}

    def properties(self) -> Iterator[tuple[str, str]]:
        """Yield a widget's name and a property that the file sets."""
        for widget in self._tree.iter("widget"):
            for item in widget.findall("property"):
                yield widget.get("name"), item.get("name")

    def connections(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield sender, signal, receiver and slot."""
        for item in self._tree.iter("connection"):
            parts = ("sender", "signal", "receiver", "slot")
            yield tuple(item.findtext(part) for part in parts)


def codeFiles() -> list[Path]:
    """Return the files that use widgets."""
    return [path for path in sorted(LIBRARY.rglob("*.py")) if _usesWidgets(path)]


def _usesWidgets(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return "import qt" in text or ".ui" in text or "slicer.qMRML" in text or "import ctk" in text


def names(path: Path) -> Iterator[tuple[str, str]]:
    """Yield place and name of each widget that a file takes from the .ui file."""
    for node in ast.walk(_parsed(path)):
        name = _uiName(node)
        if name:
            yield f"{path.name}:{node.lineno}", name


def handedOver(widgets: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return which widgets are handed to the constructors of the library's classes.

    Returns:
        By name of the class, parameter -> class of the widget.
    """
    trees = [_parsed(path) for path in codeFiles()]
    parameters = {
        scope.name: [argument.arg for argument in function.args.args[1:]]
        for scope in (node for tree in trees for node in ast.walk(tree))
        if isinstance(scope, ast.ClassDef)
        for function in scope.body
        if isinstance(function, ast.FunctionDef) and function.name == "__init__"
    }
    found: dict[str, dict[str, str]] = {}
    for call in (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        for parameter, value in zip(parameters.get(name, ()), call.args, strict=False):
            kind = _classOf(value, widgets, {})
            if kind:
                found.setdefault(name, {})[parameter] = kind
    return found


def uses(path: Path, widgets: dict[str, str], given: dict | None = None) -> Iterator[Use]:
    """Yield what a file uses of widgets whose class can be seen in the code.

    Args:
        path: of the file.
        widgets: names in the .ui file -> classes.
        given: what constructors get (`handedOver`).
    """
    tree = _parsed(path)
    for scope in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]:
        seeds = (given or {}).get(getattr(scope, "name", ""), {})
        shared = _assigned(scope, widgets, seeds, lambda target: isinstance(target, ast.Attribute))
        for function in [node for node in scope.body if isinstance(node, ast.FunctionDef)]:
            own = seeds if function.name == "__init__" else {}
            known = shared | own | _assigned(function, widgets, {**shared, **own}, lambda _: True)
            for node in ast.walk(function):
                yield from _usesIn(node, path, widgets, known)


def _usesIn(node: ast.AST, path: Path, widgets: dict[str, str], known: dict) -> Iterator[Use]:
    if not isinstance(node, ast.Attribute):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            kind = _classOf(node.func.value, widgets, known)
            signature = node.args[0] if node.args else None
            if kind and node.func.attr == "connect" and isinstance(signature, ast.Constant):
                yield Use(f"{path.name}:{node.lineno}", kind, signature.value, signal=True)
        return
    kind = _classOf(node.value, widgets, known)
    if kind and node.attr not in ("connect", "disconnect"):
        yield Use(f"{path.name}:{node.lineno}", kind, node.attr)


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _uiName(node: ast.AST) -> str:
    """Return the widget's name in `ui.name` or `anything.ui.name`; empty for anything else."""
    if not isinstance(node, ast.Attribute):
        return ""
    owner = node.value
    isUi = (isinstance(owner, ast.Attribute) and owner.attr == "ui") or (
        isinstance(owner, ast.Name) and owner.id == "ui"
    )
    return node.attr if isUi else ""


def _classOf(node: ast.AST, widgets: dict[str, str], known: dict[str, str]) -> str:
    """Return the class of an expression; empty where it cannot be seen."""
    name = _uiName(node)
    if name:
        return widgets.get(name, "")
    if isinstance(node, ast.Name | ast.Attribute):
        return known.get(ast.unparse(node), "")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        made, module = node.func.attr, node.func.value
        isWrapped = isinstance(module, ast.Name) and module.id in _WRAPPERS
        return made if isWrapped and made.startswith(("Q", "ctk", "qMRML", "qSlicer")) else ""
    return ""


def _assigned(scope: ast.AST, widgets: dict[str, str], known: dict[str, str], wanted) -> dict:
    """Return names and attributes that hold a widget, unless they also hold something else."""
    found: dict[str, str] = {}
    for node in ast.walk(scope):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name | ast.Attribute) and wanted(target):
                key, kind = ast.unparse(target), _classOf(node.value, widgets, {**known, **found})
                found[key] = kind if found.get(key, kind) == kind else ""
    return {key: kind for key, kind in found.items() if kind}


def controlKeys(path: Path) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield place, widget's name and fields of each `"name": Control(...)` in a file."""
    for node in ast.walk(_parsed(path)):
        if not isinstance(node, ast.Dict):
            continue
        for key, value in zip(node.keys, node.values, strict=True):
            isControl = isinstance(value, ast.Call) and ast.unparse(value.func) == "Control"
            if isinstance(key, ast.Constant) and isControl:
                fields = tuple(item.arg for item in value.keywords if item.arg)
                yield f"{path.name}:{key.lineno}", key.value, fields
