"""A MRML scene outside the 3D Slicer application, with everything a saved scene needs to load."""

from dataclasses import dataclass

import slicer
import vtk

# What modules of the application register that have no logic here.
_NODES_OF_MODULES = (
    "vtkMRMLColorLegendDisplayNode",
    "vtkMRMLGPURayCastVolumeRenderingDisplayNode",
    "vtkMRMLVolumePropertyNode",
    "vtkMRMLVolumePropertyStorageNode",
    "vtkMRMLVolumePropertyJsonStorageNode",
)


@dataclass(frozen=True)
class SlicerContext:
    """A scene and the logics that serve it.

    The application logic of slicer-core holds its module logics weakly, so they are kept here.
    """

    scene: slicer.vtkMRMLScene
    applicationLogic: slicer.vtkMRMLApplicationLogic
    moduleLogics: tuple


def createContext() -> SlicerContext:
    """Create an empty scene with node classes, default colors and slice orientations.

    The 3D Slicer application has such a scene already (`slicer.mrmlScene`).
    """
    scene = slicer.vtkMRMLScene()
    applicationLogic = slicer.vtkSlicerApplicationLogic()
    applicationLogic.SetMRMLScene(scene)
    applicationLogic.SetSliceLogics(vtk.vtkCollection())
    applicationLogic.SetViewLogics(vtk.vtkCollection())
    colorLogic = applicationLogic.GetColorLogic()
    colorLogic.SetMRMLScene(scene)
    colorLogic.AddDefaultColorNodes()

    for className in _NODES_OF_MODULES:
        scene.RegisterNodeClass(getattr(slicer, className)())
    moduleLogics = (
        slicer.vtkSlicerVolumesLogic(),
        slicer.vtkSlicerSegmentationsModuleLogic(),
        slicer.vtkSlicerSubjectHierarchyModuleLogic(),
        slicer.vtkSlicerSequencesLogic(),
    )
    for logic in moduleLogics:
        logic.SetMRMLApplicationLogic(applicationLogic)
        logic.SetMRMLScene(scene)

    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance().SetMRMLApplicationLogic(
        applicationLogic
    )
    return SlicerContext(scene, applicationLogic, moduleLogics)


def nodesByClass(scene, className: str) -> list:
    """Return the scene's nodes of a class; `slicer.util.getNodesByClass` ignores its scene."""
    count = scene.GetNumberOfNodesByClass(className)
    return [scene.GetNthNodeByClass(index, className) for index in range(count)]
