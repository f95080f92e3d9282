"""The panel's .ui file loads, and has all that the code uses; so have its widgets' classes."""

import importlib
import os
import re
from dataclasses import fields

import pytest

from panel_code import (
    LIBRARY,
    UI_FILE,
    Panel,
    WidgetList,
    codeFiles,
    controlKeys,
    handedOver,
    names,
    uses,
)
from SlicerAttentionMapsLib.Panel.State import PanelState

PANEL, LIST = Panel(), WidgetList()
GIVEN = handedOver(PANEL.widgets)
FILES = codeFiles()
PANEL_FILES = sorted((LIBRARY / "Panel").glob("*.py"))
# What `Binding` does with a control's fields: properties or methods of which the widget needs one.
NEEDED = {
    "text": ("currentPath", "plainText", "title", "text"),
    "checked": ("collapsed", "checked"),
    "items": ("findData",),
    "current": ("findData",),
    "node": ("currentNodeID",),
    "value": ("value",),
    "enabled": ("enabled",),
    "visible": ("visible",),
    "toolTip": ("toolTip",),
}


def fileIds(paths):
    return [path.stem for path in paths]


def test_every_class_is_listed():
    kinds = {kind for kind in PANEL.widgets.values() if not kind.endswith("Layout")}
    unlisted = sorted(kinds - set(LIST.classes))
    assert not unlisted, f"run Testing/slicer/list_widgets.py in 3D Slicer for {unlisted}"


def test_names_are_given_once():
    given = re.findall(r'<(?:widget|layout|action|spacer)[^>]* name="(\w+)"', UI_FILE.read_text())
    assert sorted({name for name in given if given.count(name) > 1}) == []


def test_properties_in_the_file_exist():
    wrong = [
        f"{name}: {PANEL.widgets[name]}.{item}"
        for name, item in PANEL.properties()
        if item != "buddy" and not LIST.has(PANEL.widgets[name], "properties", item)
    ]
    assert not wrong


def test_labels_belong_to_widgets_that_exist():
    buddies = re.findall(r'name="buddy">\s*<cstring>(\w+)<', UI_FILE.read_text())
    assert [name for name in buddies if name not in PANEL.widgets] == []


def test_connections_in_the_file_exist():
    wrong = []
    for sender, signal, receiver, slot in PANEL.connections():
        source, target = PANEL.widgets[sender], PANEL.widgets[receiver]
        isThere = LIST.has(source, "signals", signal)
        isThere &= LIST.has(target, "methods", slot.split("(")[0])
        if not isThere:
            wrong.append(f"{sender}.{signal} -> {receiver}.{slot}")
    assert not wrong


@pytest.mark.parametrize("path", FILES, ids=fileIds(FILES))
def test_code_uses_widgets_that_exist(path):
    wrong = [f"{place}: ui.{name}" for place, name in names(path) if name not in PANEL.widgets]
    assert not wrong


@pytest.mark.parametrize("path", FILES, ids=fileIds(FILES))
def test_code_uses_members_that_exist(path):
    wrong = [
        str(use)
        for use in uses(path, PANEL.widgets, GIVEN)
        if use.widget in LIST.classes and not LIST.knows(use)
    ]
    assert not wrong


@pytest.mark.parametrize("path", PANEL_FILES, ids=fileIds(PANEL_FILES))
def test_controls_named_in_code_exist(path):
    checkControls(controlKeys(path))


@pytest.mark.parametrize("section", [item.name for item in fields(PanelState)])
def test_controls_of_an_empty_panel_exist(section):
    module = importlib.import_module(f"SlicerAttentionMapsLib.Panel.{section.title()}Panel")
    found = module.controls(PanelState())
    checkControls(
        (section, name, tuple(field for field in NEEDED if getattr(control, field) is not None))
        for name, control in found.items()
    )


def checkControls(found):
    wrong = []
    for place, name, given in found:
        kind = PANEL.widgets.get(name)
        if kind is None:
            wrong.append(f"{place}: '{name}' is not in the .ui file")
            continue
        wrong += [
            f"{place}: {kind} '{name}' has no {' or '.join(NEEDED[field])}"
            for field in given
            if not any(
                LIST.has(kind, group, member)
                for member in NEEDED[field]
                for group in ("properties", "methods")
            )
        ]
    assert not wrong


@pytest.fixture(scope="module")
def qt():
    """PySide6 without a display."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    reason = "PySide6 cannot be loaded here"
    core = pytest.importorskip("PySide6.QtCore", reason=reason, exc_type=ImportError)
    widgets = pytest.importorskip("PySide6.QtWidgets", reason=reason, exc_type=ImportError)
    core.QCoreApplication.setAttribute(core.Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    application = widgets.QApplication.instance() or widgets.QApplication([])
    yield widgets
    application.processEvents()


def qtClass(qt, name: str):
    """Return PySide6's class of a name; None where it has none."""
    core = importlib.import_module("PySide6.QtCore")
    gui = importlib.import_module("PySide6.QtGui")
    return next(
        (getattr(module, name) for module in (qt, gui, core) if hasattr(module, name)), None
    )


def test_file_loads(qt):
    """Classes of CTK and 3D Slicer are stood in for by the Qt classes that they extend."""
    from PySide6.QtUiTools import QUiLoader

    loader = QUiLoader()
    standIns = []
    for name in sorted(set(PANEL.widgets.values())):
        if name in LIST.classes and qtClass(qt, name) is None:
            lineage = (qtClass(qt, item) for item in LIST.lineage(name))
            base = next(item for item in lineage if item is not None)
            # An abstract button cannot be made.
            base = qt.QPushButton if base is qt.QAbstractButton else base
            standIns.append(type(name, (base,), {}))
            loader.registerCustomWidget(standIns[-1])
    root = loader.load(str(UI_FILE))
    assert root is not None, loader.errorString()
    made = {child.objectName() for child in root.findChildren(qt.QWidget)} | {root.objectName()}
    assert {name for name, kind in PANEL.widgets.items() if not kind.endswith("Layout")} <= made
    sections = [name for name in PANEL.widgets if name.endswith("Section")]
    assert sections == [
        "setupSection", "inputSection", "questionSection", "methodSection", "explainSection",
        "resultSection", "compareSection",
    ]  # fmt: skip
    root.resize(420, 900)
    root.deleteLater()


@pytest.mark.parametrize("path", FILES, ids=fileIds(FILES))
def test_qt_members_exist_in_qt_6_too(qt, path):
    wrong = []
    for use in uses(path, PANEL.widgets, GIVEN):
        if use.widget not in LIST.classes:
            continue
        lineage = [name for name in LIST.lineage(use.widget) if qtClass(qt, name) is not None]
        if not lineage or not definedIn(use, lineage):
            continue
        found = qtClass(qt, lineage[0])
        meta = getattr(found, "staticMetaObject", None)
        if use.signal:
            isThere = meta.indexOfSignal(use.member) >= 0
        else:
            isThere = hasattr(found, use.member)
            isThere |= meta is not None and meta.indexOfProperty(use.member) >= 0
        if not isThere:
            wrong.append(str(use))
    assert not wrong


def definedIn(use, lineage) -> bool:
    """Tell whether Qt's own classes of a lineage have what is used."""
    kinds = ("signals",) if use.signal else ("properties", "methods")
    return any(LIST.has(lineage[0], kind, use.member) for kind in kinds)


@pytest.mark.parametrize("path", FILES, ids=fileIds(FILES))
def test_names_of_qt_exist_in_qt_6_too(qt, path):
    found = re.findall(r"\bqt\.(\w+)(?:\.(\w+))?(?:\.(\w+))?", path.read_text(encoding="utf-8"))
    wrong = []
    for parts in set(found):
        given = [part for part in parts if part]
        item = qtClass(qt, given[0])
        for part in given[1:]:
            item = getattr(item, part, None)
        if item is None:
            wrong.append("qt." + ".".join(given))
    assert not wrong
