"""The Setup section."""

from dataclasses import replace

import qt
import slicer

from .. import Dependencies, WorkerChoices
from ..Binding import apply
from ..PackageInstaller import InstallError, PackageInstaller
from ..Panel.SetupPanel import SetupState, controls, problem, rows
from ..SlicerPackages import SlicerPackages


class SetupSection:
    """Binds the section's widgets.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._settings = slicer.app.userSettings()
        self._state = SetupState(
            packages=Dependencies.packages(), choices=WorkerChoices.load(self._settings)
        )
        self._shownRows = None
        ui = panel.ui
        ui.installPackagesButton.connect("clicked()", self.onInstall)
        ui.checkWorkerButton.connect("clicked()", self.onCheck)
        ui.deviceComboBox.connect("currentIndexChanged(int)", self.onDevice)
        ui.interpreterPathLineEdit.connect("currentPathChanged(QString)", self.onInterpreter)
        ui.threadsSpinBox.connect("valueChanged(int)", self.onThreads)

    def state(self) -> SetupState:
        """Return what the section knows; nothing is looked up again until something changes."""
        return self._state

    def show(self, state) -> None:
        """Show what the panel decided."""
        apply(self._panel.ui, controls(state))
        self._showRows(rows(state))
        self._state = replace(self._state, shownReady=not problem(state))

    def onInstall(self) -> None:
        """Install what is missing, after one question."""
        self._state = replace(self._state, installing=True)
        self._panel.refresh()
        try:
            installed = PackageInstaller(SlicerPackages()).installMissing()
        except InstallError as error:
            installed = False
            self._panel.showError(error)
        finally:
            self._state = replace(self._state, installing=False, packages=Dependencies.packages())
            self._panel.requestRefresh()
        if installed:
            self._renewWorker()
            self.onCheck()

    def onCheck(self) -> None:
        """Ask the worker what it finds; that starts it, where it does not run."""
        self._state = replace(self._state, checking=True, checkError="")
        self._panel.requestRefresh()
        self._panel.worker.environment(self._onEnvironment, self._onNoEnvironment)

    def onDevice(self, index: int) -> None:
        """Keep the device for the next questions."""
        device = self._panel.ui.deviceComboBox.itemData(index)
        if device:
            self._keep(device=device)

    def onInterpreter(self, path: str) -> None:
        """Keep the interpreter, and start anew with it."""
        if path != self._state.choices.interpreter:
            self._keep(interpreter=path)
            self._renewWorker()

    def onThreads(self, threads: int) -> None:
        """Keep the number of threads, and start anew with it."""
        self._keep(threads=threads)
        self._renewWorker()

    def _keep(self, **changes) -> None:
        choices = replace(self._state.choices, **changes)
        WorkerChoices.save(self._settings, choices)
        self._state = replace(self._state, choices=choices)
        self._panel.requestRefresh()

    def _renewWorker(self) -> None:
        """What the old worker said of itself no longer holds."""
        self._state = replace(self._state, environment={}, checkError="", checking=False)
        self._panel.renewWorker()

    def _onEnvironment(self, environment) -> None:
        self._state = replace(self._state, environment=environment, checking=False)
        self._panel.requestRefresh()

    def _onNoEnvironment(self, error) -> None:
        self._state = replace(self._state, checking=False, checkError=str(error))
        self._panel.requestRefresh()

    def _showRows(self, listed) -> None:
        """List the packages; the list is as high as its lines."""
        if listed == self._shownRows:
            return
        self._shownRows = listed
        tree = self._panel.ui.packagesTree
        tree.clear()
        warning = tree.style().standardIcon(qt.QStyle.SP_MessageBoxWarning)
        for row in listed:
            item = qt.QTreeWidgetItem()
            for column, text in enumerate((row.name, row.version, row.purpose)):
                item.setText(column, text)
                item.setToolTip(column, text)
            item.setDisabled(row.isAbsent)
            if row.isProblem:
                item.setIcon(0, warning)
            tree.addTopLevelItem(item)
        for column in range(tree.columnCount):
            tree.resizeColumnToContents(column)
        height = tree.sizeHintForRow(0) * (len(listed) + 1) + tree.header().sizeHint.height()
        tree.setFixedHeight(height)
