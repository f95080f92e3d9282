"""The Setup section."""

from dataclasses import replace

import qt

from .. import Dependencies, WorkerChoices
from ..Binding import apply
from ..Panel.SetupPanel import SetupState, controls, problem, rows, whileChecking

_MILLISECONDS_OF_TYPING = 600


class SetupSection:
    """Binds the section's widgets.

    Args:
        panel: the module's widget.
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self._state = SetupState(
            packages=Dependencies.packages(), choices=WorkerChoices.load(panel.settings)
        )
        self._shownRows = None
        ui = panel.ui
        ui.installPackagesButton.connect("clicked()", panel.guarded(self.onInstall))
        ui.checkWorkerButton.connect("clicked()", panel.guarded(self.onCheck))
        ui.deviceComboBox.connect("currentIndexChanged(int)", panel.guarded(self.onDevice))
        ui.interpreterPathLineEdit.connect(
            "currentPathChanged(QString)", panel.guarded(self.onInterpreter)
        )
        ui.interpreterPathLineEdit.connect(
            "validInputChanged(bool)", panel.guarded(self.onInterpreterValidity)
        )
        ui.threadsSpinBox.connect("valueChanged(int)", panel.guarded(self.onThreads))
        self._renewTimer = qt.QTimer(ui.setupSection)
        self._renewTimer.setSingleShot(True)
        self._renewTimer.setInterval(_MILLISECONDS_OF_TYPING)
        self._renewTimer.connect("timeout()", panel.renewWorker)

    def state(self) -> SetupState:
        """Return what the section knows; nothing is looked up again until something changes."""
        return self._state

    def show(self, state) -> None:
        """Show what the panel decided."""
        apply(self._panel.ui, controls(state))
        self._showRows(rows(state))
        self._state = replace(self._state, shownReady=not problem(state))
        self._askWhoRunsAlready()

    def onInstall(self) -> None:
        """Install what is missing, after one question."""
        from ..PackageInstaller import InstallError, PackageInstaller
        from ..SlicerPackages import SlicerPackages

        self._state = replace(self._state, installing=True)
        self._panel.refresh()
        try:
            installed = PackageInstaller(SlicerPackages()).installMissing()
        except InstallError as error:
            installed = False
            self._panel.showError(error)
        finally:
            self._state = replace(
                self._state, installing=False, packages=Dependencies.packages(), shownReady=None
            )
            self._panel.requestRefresh()
        if installed:
            self._renewWorkerSoon()
            self.onCheck()

    def lookAgain(self) -> None:
        """Look packages up again after others were installed."""
        self._state = replace(self._state, packages=Dependencies.packages())
        self._panel.requestRefresh()

    def onCheck(self) -> None:
        """Ask the worker what it finds; that starts it, where it does not run."""
        if self._renewTimer.active:
            self._renewTimer.stop()
            self._panel.renewWorker()
        self._state = whileChecking(self._state)
        self._panel.requestRefresh()
        worker = self._panel.worker
        worker.environment(
            lambda environment: self._onAnswer(worker, environment=environment),
            lambda error: self._onAnswer(worker, checkError=str(error)),
        )

    def onDevice(self, index: int) -> None:
        """Keep the device for the next questions."""
        device = self._panel.ui.deviceComboBox.itemData(index)
        if device:
            self._keep(device=device)

    def onInterpreter(self, path: str) -> None:
        """Keep the interpreter, and start anew with it."""
        if path != self._state.choices.interpreter:
            self._keep(interpreter=path)
            self._renewWorkerSoon()

    def onInterpreterValidity(self, _isValid: bool) -> None:
        """Go back to Slicer's own Python when the path is cleared, which is no path to tell."""
        if not self._panel.ui.interpreterPathLineEdit.currentPath:
            self.onInterpreter("")

    def onThreads(self, threads: int) -> None:
        """Keep the number of threads, and start anew with it."""
        self._keep(threads=threads)
        self._renewWorkerSoon()

    def _keep(self, **changes) -> None:
        choices = replace(self._state.choices, **changes)
        WorkerChoices.save(self._panel.settings, choices)
        self._state = replace(self._state, choices=choices)
        self._panel.requestRefresh()

    def _renewWorkerSoon(self) -> None:
        """Start anew once a person has finished typing; what the old worker said is over."""
        self._state = replace(self._state, environment={}, checkError="", checking=False)
        self._renewTimer.start()

    def _askWhoRunsAlready(self) -> None:
        """Ask a worker that runs for another reason which devices there are."""
        known = self._state.environment or self._state.checkError
        if self._panel.worker.model is not None and not known and not self._state.checking:
            self.onCheck()

    def _onAnswer(self, worker, **known) -> None:
        if worker is self._panel.worker:  # and not one that has been ended meanwhile
            self._state = replace(self._state, checking=False, **known)
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
        for column in range(tree.columnCount - 1):
            tree.resizeColumnToContents(column)
        lines = tree.sizeHintForRow(0) * len(listed) + tree.header().sizeHint.height()
        tree.setFixedHeight(lines + 2 * tree.frameWidth)
