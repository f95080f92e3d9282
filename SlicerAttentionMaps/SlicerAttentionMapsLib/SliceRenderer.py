"""Off-screen pictures of real slice views: slice logic, segmentation outlines, render window."""

from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

_DISPLAYABLE_MANAGERS = ("vtkMRMLSegmentationsDisplayableManager2D",)


@dataclass(frozen=True)
class SlicePicture:
    """A rendered slice view.

    Attributes:
        image: (height, width, 3) uint8 RGB, top row first.
        rasToXy: (4, 4) world RAS mm -> view pixels, x from the left, y from the bottom.
    """

    image: np.ndarray
    rasToXy: np.ndarray

    def pixelOf(self, ras) -> tuple[int, int]:
        """Return the (row, column) of a world RAS position in the image."""
        x, y = (self.rasToXy @ np.array([*ras, 1.0]))[:2]
        return self.image.shape[0] - 1 - round(y), round(x)

    def borderLetters(self) -> dict[str, str]:
        """Return the patient side ('R', 'L', 'A', 'P', 'S', 'I') at each border of the image."""
        right, up = np.linalg.inv(self.rasToXy)[:3, :2].T
        return {
            "left": _patientSide(-right),
            "right": _patientSide(right),
            "top": _patientSide(up),
            "bottom": _patientSide(-up),
        }


@dataclass(frozen=True)
class SliceRequest:
    """What a slice view is to show.

    Attributes:
        orientation: 'Axial', 'Coronal' or 'Sagittal'.
        center: world RAS (3,) mm of the picture's center; it also places the plane.
        size: (width, height) in pixels.
        millimetersPerPixel: the same along both axes.
        background, foreground: volume nodes; the foreground may be None.
        opacity: of the foreground.
    """

    orientation: str
    center: tuple[float, float, float]
    size: tuple[int, int]
    millimetersPerPixel: float
    background: object
    foreground: object = None
    opacity: float = 0.5


def renderSlice(scene, applicationLogic, request: SliceRequest) -> SlicePicture:
    """Render one slice view of the scene, without leaving a view behind in it.

    Args:
        scene: the scene of the volumes; its segmentations are drawn too.
        applicationLogic: of this scene (`slicer.app.applicationLogic()` in 3D Slicer).
        request: the plane, the frame and the layers.
    """
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLApplicationLogic(applicationLogic)
    logic.SetMRMLScene(scene)
    sliceNode = logic.AddSliceNode(scene.GenerateUniqueName("AttentionMapsPicture"))
    compositeNode = logic.GetSliceCompositeNode()
    managers = slicer.vtkMRMLDisplayableManagerGroup()
    window = _offscreenWindow(request.size)
    try:
        _place(sliceNode, request)
        _setLayers(compositeNode, request)
        _showImage(window, logic)
        managers.Initialize(
            _displayableManagerFactory(applicationLogic), window.GetRenderers().GetFirstRenderer()
        )
        managers.SetMRMLDisplayableNode(sliceNode)
        return SlicePicture(_pixels(window), _rasToXy(sliceNode))
    finally:
        managers.SetMRMLDisplayableNode(None)
        window.Finalize()
        window.SetInteractor(None)  # each keeps the other alive
        added = (
            logic.GetSliceModelNode(),
            logic.GetSliceModelDisplayNode(),
            logic.GetSliceModelTransformNode(),
            compositeNode,
            sliceNode,
        )
        logic.SetMRMLScene(None)
        for node in filter(None, added):
            scene.RemoveNode(node)


def _patientSide(direction: np.ndarray) -> str:
    """Return the letter of the anatomical direction nearest to a RAS vector."""
    axis = int(np.argmax(np.abs(direction)))
    return ("RL", "AP", "SI")[axis][0 if direction[axis] > 0 else 1]


def _place(sliceNode, request: SliceRequest) -> None:
    width, height = request.size
    scale = request.millimetersPerPixel
    sliceNode.SetOrientation(request.orientation)
    sliceNode.SetDimensions(width, height, 1)
    sliceNode.SetFieldOfView(width * scale, height * scale, scale)
    sliceNode.JumpSliceByCentering(*request.center)


def _setLayers(compositeNode, request: SliceRequest) -> None:
    compositeNode.SetBackgroundVolumeID(request.background.GetID())
    if request.foreground is not None:
        compositeNode.SetForegroundVolumeID(request.foreground.GetID())
    compositeNode.SetForegroundOpacity(request.opacity)
    compositeNode.SetLabelVolumeID(None)


def _offscreenWindow(size: tuple[int, int]):
    renderer = vtk.vtkRenderer()
    renderer.GetActiveCamera().ParallelProjectionOn()
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(True)
    window.SetMultiSamples(0)
    window.SetSize(*size)
    window.AddRenderer(renderer)
    # Displayable managers take their interactor for granted.
    interactor = vtk.vtkGenericRenderWindowInteractor()
    interactor.SetRenderWindow(window)
    return window


def _showImage(window, logic) -> None:
    """Draw the slice logic's blended image pixel by pixel, behind everything else."""
    mapper = vtk.vtkImageMapper()
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    mapper.SetInputConnection(logic.GetImageDataConnection())
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetDisplayLocationToBackground()
    window.GetRenderers().GetFirstRenderer().AddViewProp(actor)


def _displayableManagerFactory(applicationLogic):
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    factory.SetMRMLApplicationLogic(applicationLogic)
    for name in _DISPLAYABLE_MANAGERS:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    return factory


def _pixels(window) -> np.ndarray:
    window.Render()
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(window)
    grabber.SetInputBufferTypeToRGB()
    grabber.ReadFrontBufferOff()
    grabber.Update()
    output = grabber.GetOutput()
    width, height, _ = output.GetDimensions()
    values = vtk_to_numpy(output.GetPointData().GetScalars())
    return values.reshape(height, width, 3)[::-1].copy()


def _rasToXy(sliceNode) -> np.ndarray:
    return np.linalg.inv(slicer.util.arrayFromVTKMatrix(sliceNode.GetXYToRAS()))
