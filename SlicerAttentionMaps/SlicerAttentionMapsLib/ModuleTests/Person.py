"""Uses the panel as a person would: by what its widgets tell when they are clicked or chosen."""

import qt
import slicer
import vtk

from ..Panel.LayerRows import AUTOMATIC
from . import Networks, Waiting

_MODULE = "SlicerAttentionMaps"


class Person:
    """Sits in front of the panel."""

    def __init__(self) -> None:
        slicer.util.selectModule(_MODULE)

    @property
    def panel(self):
        """The module's widget."""
        return getattr(slicer.modules, f"{_MODULE}Widget")

    @property
    def ui(self):
        """The panel's widgets by name."""
        return self.panel.ui

    @property
    def message(self) -> str:
        """What the panel says went wrong; empty if nothing did."""
        return self.ui.messageLabel.text if not self.ui.messageFrame.isHidden() else ""

    @property
    def maps(self) -> list:
        """The maps of the scene."""
        return self.panel.logic.maps()

    @property
    def isRunning(self) -> bool:
        """Whether a question is being answered."""
        return self.panel.sections.explain.state().running

    def settle(self) -> None:
        """Wait until nothing is under way any more."""
        Waiting.pause(0.4)  # what was typed is taken after a pause
        Waiting.until(
            lambda: not (self.panel.worker.pending or self.isRunning), "the panel is at rest", 180.0
        )
        Waiting.pause(0.1)

    def click(self, button) -> None:
        """Click on a button, which must not be gray."""
        Waiting.until(lambda: button.enabled, f"'{button.objectName}' can be clicked", 20.0)
        button.click()
        Waiting.pause(0.05)

    def choose(self, comboBox, key: str) -> None:
        """Choose an entry of a combo box, which must not be gray."""
        Waiting.until(lambda: comboBox.findData(key) >= 0, f"'{key}' can be chosen", 20.0)
        index = comboBox.findData(key)
        if not comboBox.model().item(index).isEnabled():
            raise AssertionError(f"'{comboBox.itemText(index)}' is gray.")
        comboBox.setCurrentIndex(index)
        comboBox.activated(index)
        Waiting.pause(0.05)

    def check(self, listWidget, *names: str) -> None:
        """Check these rows of a list, and no others."""
        rows = [listWidget.item(index) for index in range(listWidget.count)]
        for row in rows:
            row.setCheckState(qt.Qt.Checked if row.text() in names else qt.Qt.Unchecked)
        found = {row.text() for row in rows if row.checkState() == qt.Qt.Checked}
        if found != set(names):
            raise AssertionError(f"Found {sorted(found)} of {names}.")
        Waiting.pause(0.1)

    def measure(self, button, seconds: float = 60.0):
        """Click on what measures, and wait; returns the new table."""
        compare = self.panel.sections.compare
        before = len(self.panel.logic.tables())
        self.click(button)
        Waiting.until(lambda: not compare.measure.kind, "it is measured", seconds)
        self.settle()
        if self.message:
            raise AssertionError(self.message)
        tables = self.panel.logic.tables()
        if len(tables) != before + 1:
            raise AssertionError(f"Found {len(tables)} tables, {before} before.")
        return tables[-1]

    def answerNextPath(self, path) -> None:
        """Type a path into the next dialog that asks where to save."""

        def answer() -> None:
            dialog = slicer.app.activeModalWidget()
            if dialog is None:
                qt.QTimer.singleShot(50, answer)
                return
            slicer.util.findChild(dialog, "fileNameEdit").setText(str(path))
            dialog.accept()

        qt.QTimer.singleShot(50, answer)

    def chosen(self, comboBox) -> str:
        """Return which entry of a combo box is chosen."""
        return comboBox.itemData(comboBox.currentIndex)

    def load(self, scan, network) -> None:
        """Choose a scan and a network, given by its name or path, and wait until it is loaded."""
        path = Networks.path(network) if isinstance(network, str) else network
        self.ui.volumeSelector.setCurrentNode(scan)
        self.ui.modelPathEdit.setCurrentPath(str(path))
        self.settle()

    def chooseLayers(self, *names: str) -> None:
        """Select layers in the tree."""
        self.ui.layerTree.setCurrentItem(self._layerItem(names[0]))
        for name in names[1:]:
            self._layerItem(name).setSelected(True)
        Waiting.pause(0.05)

    def setOption(self, name: str, value) -> None:
        """Set an option of the method."""
        self.option(name).setValue(value)
        Waiting.pause(0.05)

    def option(self, name: str):
        """Return the widget of an option."""
        return slicer.util.findChild(self.ui.optionFieldsWidget, f"option_{name}")

    def startExplaining(self) -> None:
        """Click on Explain."""
        Waiting.until(lambda: self.ui.explainButton.enabled, "Explain can be clicked", 20.0)
        self.ui.explainButton.click()
        if not self.isRunning:  # it may be quick, but takes until control is back in the event loop
            raise AssertionError(f"Nothing runs: {self.message}")

    def explain(self) -> list:
        """Click on Explain and wait; returns the new maps."""
        before = self.maps
        self.startExplaining()
        Waiting.until(lambda: not self.isRunning, "it is explained")
        self.settle()
        return [node for node in self.maps if node not in before]

    def placePoint(self, ras) -> None:
        """Click on Place, then into a slice view."""
        self.click(self.ui.placePointButton)
        slicer.modules.markups.logic().JumpSlicesToLocation(*ras, True)
        slicer.app.processEvents()
        self.clickInView("Red", ras)
        Waiting.pause(0.2)

    def clickInView(self, name: str, ras) -> None:
        """Click where a point is drawn in a slice view."""
        widget = slicer.app.layoutManager().sliceWidget(name)
        toRas = widget.mrmlSliceNode().GetXYToRAS()
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(toRas, inverse)
        x, y = (round(value) for value in inverse.MultiplyPoint([*ras, 1.0])[:2])
        slicer.util.clickAndDrag(widget, start=(x, y), end=(x, y), steps=0)

    def editSpecification(self, name: str, text: str) -> None:
        """Type into an entry of what the model expects."""
        editor = slicer.util.findChild(self.ui.specificationForm, f"specification_{name}")
        editor.setText(text)
        editor.modified = True
        editor.editingFinished()
        Waiting.pause(0.1)

    def workerId(self) -> int:
        """Return the process ID of the worker."""
        self.click(self.ui.checkWorkerButton)
        setup = self.panel.sections.setup
        Waiting.until(lambda: not setup.state().checking, "the worker is checked", 30.0)
        return setup.state().environment["pid"]

    def answerNextQuestion(self, button: str) -> None:
        """Answer the next message box: "ok" or "cancel"."""
        standard = {"ok": qt.QMessageBox.Ok, "cancel": qt.QMessageBox.Cancel}[button]

        def answer() -> None:
            box = slicer.app.activeModalWidget()
            if box is None:
                qt.QTimer.singleShot(50, answer)
            else:
                box.button(standard).click()

        qt.QTimer.singleShot(50, answer)

    def _layerItem(self, name: str):
        tree = self.ui.layerTree
        items = [tree.topLevelItem(index) for index in range(tree.topLevelItemCount)]
        if name in AUTOMATIC:
            return items[AUTOMATIC.index(name)]
        for part in name.split("."):
            item = next(item for item in items if item.text(0) == part)
            items = [item.child(index) for index in range(item.childCount())]
        return item
