"""The panel and the scene as a whole: its parameters, and scenes that come and go."""

import slicer
import vtk

_NAME = "SlicerAttentionMaps"


class PanelScene:
    """Holds the panel's parameter node, and answers when the scene changes.

    Args:
        panel: the module's widget.

    Attributes:
        parameters: the panel's choices (`SlicerAttentionMapsParameterNode`).
    """

    def __init__(self, panel) -> None:
        self._panel = panel
        self.parameters = None
        scene = slicer.mrmlScene
        panel.addObserver(scene, scene.StartCloseEvent, self._onStartClose)
        panel.addObserver(scene, scene.EndCloseEvent, self._onNewScene)
        panel.addObserver(scene, scene.EndImportEvent, self._onNewScene)
        panel.addObserver(scene, scene.EndRestoreEvent, self._onNewScene)
        panel.addObserver(scene, scene.EndBatchProcessEvent, panel.requestRefresh)
        panel.addObserver(scene, scene.NodeAddedEvent, self._onNodes)
        panel.addObserver(scene, scene.NodeRemovedEvent, self._onNodes)
        self.takeOver()

    def takeOver(self) -> None:
        """Work with the parameter node of the present scene, which is made where there is none."""
        from .ParameterNode import SlicerAttentionMapsParameterNode

        node = _parameterNode(slicer.mrmlScene)
        if self.parameters is not None:
            self._panel.removeObserver(
                self.parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onModified
            )
        self.parameters = SlicerAttentionMapsParameterNode(node)
        self._panel.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._onModified)
        self._panel.requestRefresh()

    def _onModified(self, caller, event) -> None:
        self._panel.requestRefresh()

    def _onStartClose(self, caller, event) -> None:
        if self._panel.sections is not None:
            self._panel.sections.question.leave()
        self._panel.logic.forget()

    def _onNewScene(self, caller, event) -> None:
        self.takeOver()
        if self._panel.sections is not None:
            self._panel.sections.question.sceneCame()
        if self._panel.moduleShown:
            self._panel.sections.input.suggest()
        self._panel.requestRefresh()

    def _onNodes(self, caller, event) -> None:
        if not slicer.mrmlScene.IsBatchProcessing():
            self._panel.requestRefresh()


def _parameterNode(scene):
    node = scene.GetSingletonNode(_NAME, "vtkMRMLScriptedModuleNode")
    if node is None:
        node = slicer.vtkMRMLScriptedModuleNode()
        node.SetSingletonTag(_NAME)
        node.SetAttribute("ModuleName", _NAME)
        node.SetName(_NAME)
        node = scene.AddNode(node)
    return node
