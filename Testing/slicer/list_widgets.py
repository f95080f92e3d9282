"""Writes widgets.json: properties, signals and methods of the classes that the panel uses.

Run it in 3D Slicer, with Slicer's own Python, when the panel uses a class that is not listed:

    Slicer --no-splash --no-main-window --python-script Testing/slicer/list_widgets.py

The list is what the running application's meta objects say, which is what the documentation of
Qt (doc.qt.io), CTK (github.com/commontk/CTK, Libs/) and 3D Slicer (apidocs.slicer.org) describes.
Each class lists what it adds to the one it extends.
"""

import json
import re
import traceback
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import ctk
import qt
import slicer

HERE = Path(__file__).resolve().parent
LIBRARY = HERE.parents[1] / "SlicerAttentionMaps"
UI_FILE = HERE.parents[1] / "Resources" / "UI" / "SlicerAttentionMaps.ui"
LIST = HERE / "widgets.json"
SIGNAL = 1
# Classes of which PythonQt tells less than it has.
INCOMPLETE = {"QMessageBox", "QShortcut", "QKeySequence"}


def main() -> None:
    """Write the list, one line for each kind of member."""
    classes: dict[str, dict] = {}
    for name in sorted(namesInUi() | namesInCode()):
        wrapped = wrappedClass(name)
        if wrapped is not None:
            addClass(name, metaOf(wrapped), classes)
    lines = [
        f" {json.dumps(name)}: {{\n" + ",\n".join(
            f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in entry.items()
        ) + "\n }"
        for name, entry in sorted(classes.items())
    ]  # fmt: skip
    LIST.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def namesInUi() -> set[str]:
    """Classes of the panel's widgets."""
    return {widget.get("class") for widget in ElementTree.parse(UI_FILE).iter("widget")}


def namesInCode() -> set[str]:
    """Qt, CTK and qMRML classes that the module's code names."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in LIBRARY.rglob("*.py"))
    found = re.findall(r"\b(?:qt|ctk|slicer)\.((?:Q|ctk|qMRML|qSlicer)[A-Z]\w*)", code)
    return set(found) - {"Qt", *INCOMPLETE}


def wrappedClass(name: str):
    """Return a class by its name; None where Python does not know it."""
    for module in (qt, ctk, slicer):
        if hasattr(module, name):
            return getattr(module, name)
    return None


def metaOf(wrapped):
    """Return a class's meta object, None for a class without one."""
    try:
        made = wrapped()
    except (TypeError, ValueError):
        return None
    found = made.metaObject() if hasattr(made, "metaObject") else None
    KEPT.append(made)
    return found


def addClass(name: str, meta, classes: dict[str, dict]) -> None:
    """Add a class and those it extends."""
    if name in classes:
        return
    parent = meta.superClass() if meta is not None else None
    metas = [meta] if meta is not None else []
    while parent is not None and wrappedClass(parent.getClassName()) is None:
        metas.append(parent)  # not known to Python: its members count as the class's own
        parent = parent.superClass()
    inherited: set[str] = set()
    if parent is not None:
        addClass(parent.getClassName(), parent, classes)
        inherited = allMembers(parent.getClassName(), classes)
    properties, signals = set(), set()
    for item in metas:
        properties |= {str(item.property(i).name())
                       for i in range(item.propertyOffset(), item.propertyCount())}  # fmt: skip
        methods = [item.method(i) for i in range(item.methodOffset(), item.methodCount())]
        signals |= {method.methodSignature().data().decode() for method in methods
                    if int(method.methodType()) == SIGNAL}  # fmt: skip
    members = {member for member in dir(wrappedClass(name)) if not member.startswith("_")}
    members -= inherited | properties | {signal.split("(")[0] for signal in signals}
    classes[name] = {
        "extends": parent.getClassName() if parent is not None else "",
        "properties": sorted(properties),
        "signals": sorted(signals),
        "methods": sorted(members),
    }


def allMembers(name: str, classes: dict[str, dict]) -> set[str]:
    """Everything that a listed class has, its ancestors' included."""
    found: set[str] = set()
    while name:
        entry = classes[name]
        found |= {*entry["properties"], *entry["methods"]}
        found |= {signal.split("(")[0] for signal in entry["signals"]}
        name = entry["extends"]
    return found


KEPT: list = []
try:
    main()
    KEPT.clear()
    slicer.util.exit(0)
except Exception:  # the application would stay open
    traceback.print_exc()
    slicer.util.exit(1)
