"""A map in 3D: its voxels drawn with its nodes' transfer functions, off screen."""

import numpy as np
import pytest

from slicer_phantom import COLD, HOT, SHAPE_IJK, blob
from slicer_places import PLACES, addVolume, spot

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import vtk
import vtkmodules.vtkRenderingVolumeOpenGL2  # noqa: F401  (registers the mapper)
from vtk.util.numpy_support import vtk_to_numpy

from slicer_maps import addMap

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("openGl", "viewedScene")]

SIZE = 120


def render(mapNode) -> np.ndarray:
    """Return a picture (rows, columns, RGB) 0..255 seen along the third voxel axis."""
    mapper = vtk.vtkFixedPointVolumeRayCastMapper()
    mapper.SetInputData(mapNode.GetImageData())
    volume = vtk.vtkVolume()
    volume.SetMapper(mapper)
    volume.SetProperty(mapNode.GetNthDisplayNode(1).GetVolumePropertyNode().GetVolumeProperty())
    renderer = vtk.vtkRenderer()
    renderer.AddVolume(volume)
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(True)
    window.SetSize(SIZE, SIZE)
    window.AddRenderer(renderer)
    camera = renderer.GetActiveCamera()
    camera.ParallelProjectionOn()
    i, j, k = ((n - 1) / 2 for n in SHAPE_IJK)
    camera.SetFocalPoint(i, j, k)
    camera.SetPosition(i, j, k + 100)
    camera.SetViewUp(0, 1, 0)
    camera.SetParallelScale(max(SHAPE_IJK) / 2)
    renderer.ResetCameraClippingRange()
    window.Render()
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(window)
    grabber.Update()
    image = grabber.GetOutput()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(SIZE, SIZE, -1)[..., :3]


def pixel(picture: np.ndarray, ijk) -> np.ndarray:
    """Return the mean color around where a voxel is seen."""
    scale = SIZE / max(SHAPE_IJK)
    column, row = (
        int(SIZE / 2 + (ijk[axis] - (SHAPE_IJK[axis] - 1) / 2) * scale) for axis in (0, 1)
    )
    return picture[row - 1 : row + 2, column - 1 : column + 2].reshape(-1, 3).mean(axis=0)


@pytest.fixture
def signed(scene):
    scan = addVolume(scene, spot(), PLACES["identity"])
    return addMap(scan, blob(HOT) - blob(COLD), signed=True)


def test_both_signs_are_seen_in_their_colors_and_nothing_else(logic, signed):
    logic.showIn3D(signed)
    picture = render(signed)
    red, _, blue = pixel(picture, HOT)
    assert red > 100
    assert red > 1.5 * blue
    red, _, blue = pixel(picture, COLD)
    assert blue > 80
    assert blue > 1.5 * red
    assert pixel(picture, (1, 1, 0)).max() == 0
    assert pixel(picture, (HOT[0], COLD[1], 0)).max() == 0


def test_hidden_values_are_not_seen(logic, signed):
    logic.showIn3D(signed)
    wide = (render(signed).max(axis=-1) > 0).sum()
    logic.setHiddenFraction(signed, 0.7)
    narrow = (render(signed).max(axis=-1) > 0).sum()
    assert 0 < narrow < 0.5 * wide


def test_colors_follow_the_table(scene, logic, signed):
    green = scene.AddNewNodeByClass("vtkMRMLColorTableNode", "Green")
    green.SetTypeToUser()
    green.SetNumberOfColors(2)
    green.SetColor(0, "low", 0.0, 1.0, 0.0, 1.0)
    green.SetColor(1, "high", 0.0, 1.0, 0.0, 1.0)
    logic.showIn3D(signed)
    logic.setColorTable(signed, green)
    picture = render(signed)
    for place in (HOT, COLD):
        red, bright, blue = pixel(picture, place)
        assert bright > 100
        assert max(red, blue) < 3
