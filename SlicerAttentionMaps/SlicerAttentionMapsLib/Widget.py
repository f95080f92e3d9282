"""The panel: it puts the sections together, and keeps them up to date."""

import logging

import qt
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from .Logic import SlicerAttentionMapsLogic
from .Panel.State import PanelState
from .Paths import resourcePath
from .Sections.CompareSection import CompareSection
from .Sections.ExplainSection import ExplainSection
from .Sections.InputSection import InputSection
from .Sections.MethodSection import MethodSection
from .Sections.QuestionSection import QuestionSection
from .Sections.ResultSection import ResultSection
from .Sections.SetupSection import SetupSection


class SlicerAttentionMapsWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel.

    Attributes:
        ui: its widgets by name.
        logic: what is done.
        parameters: what is kept in the scene (`SlicerAttentionMapsParameterNode`).
        sections: in the order of use.
    """

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.parameters = None
        self.sections = ()
        self._refreshTimer = None

    def setup(self) -> None:
        """Build the panel."""
        super().setup()
        uiWidget = slicer.util.loadUI(str(resourcePath("UI/SlicerAttentionMaps.ui")))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SlicerAttentionMapsLogic()
        self._refreshTimer = qt.QTimer(uiWidget)
        self._refreshTimer.setSingleShot(True)
        self._refreshTimer.setInterval(0)
        self._refreshTimer.connect("timeout()", self.refresh)
        self._setParameterNode()
        self.sections = (
            SetupSection(self),
            InputSection(self),
            QuestionSection(self),
            MethodSection(self),
            ExplainSection(self),
            ResultSection(self),
            CompareSection(self),
        )
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.requestRefresh()

    def state(self) -> PanelState:
        """Return what all sections know now."""
        return PanelState(*(section.state() for section in self.sections))

    def refresh(self) -> None:
        """Show the present state in all sections."""
        state = self.state()
        for section in self.sections:
            section.show(state)

    def requestRefresh(self, *_) -> None:
        """Refresh once control is back in the event loop, however often this is called."""
        self._refreshTimer.start()

    def showError(self, error: BaseException) -> None:
        """Show an error that a person can do something about: one message in the panel."""
        logging.error("Attention Maps: %s", error)

    def cleanup(self) -> None:
        """Let go of everything when the module goes away."""
        self.removeObservers()
        self.logic.forget()

    def onSceneStartClose(self, caller, event) -> None:
        """Let go of nodes."""
        self.logic.forget()

    def onSceneEndClose(self, caller, event) -> None:
        """Begin anew."""
        self._setParameterNode()
        self.requestRefresh()

    def onSceneEndImport(self, caller, event) -> None:
        """Take over what the scene brought."""
        self._setParameterNode()
        self.requestRefresh()

    def _setParameterNode(self) -> None:
        from .ParameterNode import SlicerAttentionMapsParameterNode

        singleton = slicer.mrmlScene.GetSingletonNode(
            "SlicerAttentionMaps", "vtkMRMLScriptedModuleNode"
        )
        if singleton is None:
            singleton = slicer.vtkMRMLScriptedModuleNode()
            singleton.SetSingletonTag("SlicerAttentionMaps")
            singleton.SetName("SlicerAttentionMaps")
            singleton = slicer.mrmlScene.AddNode(singleton)
        self.parameters = SlicerAttentionMapsParameterNode(singleton)
