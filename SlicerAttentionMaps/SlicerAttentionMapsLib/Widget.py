"""The panel: it puts the sections together, and keeps them up to date.

The application looks for this class when it starts; what the panel needs is imported when it is
first shown.
"""

import logging

import qt
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from .Paths import resourcePath

_LONGEST_LOG = 200


class SlicerAttentionMapsWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel.

    Attributes:
        ui: its widgets by name.
        logic: what is done.
        parameters: what is kept in the scene (`SlicerAttentionMapsParameterNode`).
        settings: what is kept on this computer, under "AttentionMaps/".
        sections: in the order of use.
        logLines: what was done and said so far.
        moduleShown: whether the panel is the one that is shown.
    """

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.sections = None
        self.logLines = []
        self.moduleShown = False
        self._root = None
        self._scene = None
        self._worker = None
        self._messages = None
        self._refreshTimer = None

    def setup(self) -> None:
        """Build the panel."""
        from . import Binding
        from .Logic import SlicerAttentionMapsLogic
        from .MessageArea import MessageArea
        from .PanelScene import PanelScene
        from .PanelSections import PanelSections
        from .PanelWorker import PanelWorker

        super().setup()
        uiWidget = slicer.util.loadUI(str(resourcePath("UI/SlicerAttentionMaps.ui")))
        self.layout.addWidget(uiWidget)
        self._root = uiWidget
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        Binding.letShrink(uiWidget)
        self.settings = slicer.app.userSettings()
        self.logic = SlicerAttentionMapsLogic()
        self._refreshTimer = qt.QTimer(uiWidget)
        self._refreshTimer.setSingleShot(True)
        self._refreshTimer.setInterval(0)
        self._refreshTimer.connect("timeout()", self.refresh)
        self._messages = MessageArea(self)
        self._worker = PanelWorker(self)
        self._scene = PanelScene(self)
        self.sections = PanelSections.of(self)
        slicer.app.connect("aboutToQuit()", self.cleanup)
        if slicer.util.mainWindow() and slicer.util.selectedModule() == self.moduleName:
            self.enter()  # it was reloaded
        self.requestRefresh()

    @property
    def parameters(self):
        """The panel's choices, in the scene."""
        return self._scene.parameters

    @property
    def worker(self):
        """The line to the worker process (`WorkerSession`)."""
        return self._worker.session

    def renewWorker(self) -> None:
        """Start anew with the present interpreter, device and threads, at the next question."""
        self._worker.renew()

    def wakeWorker(self) -> None:
        """Take what comes from the worker often: something was asked just now."""
        self._worker.wake()

    def state(self):
        """Return what all sections know now (`PanelState`)."""
        return self.sections.state()

    def refresh(self) -> None:
        """Show the present state in all sections."""
        if self.sections is None or slicer.mrmlScene.IsBatchProcessing():
            return  # at the end of a batch the scene tells
        self.guarded(self._refresh)()
        self._worker.wake()

    def _refresh(self) -> None:
        self.sections.input.choose(self.state())
        state = self.state()
        for section in self.sections:
            self.guarded(section.show)(state)

    def requestRefresh(self, *_) -> None:
        """Refresh once control is back in the event loop, however often this is called."""
        if self._refreshTimer is not None:
            self._refreshTimer.start()

    def showError(self, error) -> None:
        """Say in the panel what went wrong, an exception or a text: one message per error.

        What nobody could expect goes to the application's log with its traceback; nothing is said
        of what a person canceled.
        """
        self._messages.add(error)

    def dismissErrors(self) -> None:
        """Forget what went wrong before."""
        self._messages.dismiss()

    def log(self, text: str) -> None:
        """Write a line into the application's log and that of the panel."""
        logging.info("Attention Maps: %s", text)
        self.noteLog(text)

    def noteLog(self, text: str) -> None:
        """Write a line into the panel's log alone."""
        time = qt.QTime.currentTime().toString("HH:mm:ss")
        self.logLines = [*self.logLines, f"{time} {text}"][-_LONGEST_LOG:]
        self.requestRefresh()

    def guarded(self, function):
        """Return a slot that says what went wrong in it instead of printing a traceback.

        While a scene is opened or closed, and while the panel is built, widgets change, too, but
        nobody has chosen anything.
        """

        def slot(*arguments):
            if self.sections is None or slicer.mrmlScene.IsBatchProcessing():
                return None
            try:
                return function(*arguments)
            except Exception as error:
                self.showError(error)
                return None

        return slot

    def enter(self) -> None:
        """Take up work when the panel is shown."""
        self.moduleShown = True
        self._scene.takeOver()
        self.sections.input.suggest()
        self.requestRefresh()

    def exit(self) -> None:
        """Let others work; what is being computed goes on."""
        self.moduleShown = False
        if self.sections is not None:  # else it was cleaned up before
            self.sections.question.leave()
        self.requestRefresh()

    def cleanup(self) -> None:
        """Let go of everything when the module or the application goes away."""
        if self.sections is None:
            return
        slicer.app.disconnect("aboutToQuit()", self.cleanup)
        self.sections.question.leave()
        self.moduleShown = False
        self._refreshTimer.stop()
        self._refreshTimer = None
        self._worker.close()
        self.removeObservers()
        self.logic.forget()
        self.sections = None
        self._root.deleteLater()  # the application hides it only, and it would go on choosing

    def onReload(self) -> None:
        """Reload the module with all its files."""
        from . import Reloading

        self.cleanup()
        Reloading.forgetModules()
        super().onReload()
