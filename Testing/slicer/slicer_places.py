"""Volumes in unusual places, and tiny networks whose maps are known."""

from dataclasses import dataclass

import numpy as np

from slicer_phantom import HOT, SHAPE_IJK, obliqueAffine

NAMES = {"class_names": ["nothing", "organ", "tumor"], "task": "segmentation"}


def rotation(degrees: float, axis: int) -> np.ndarray:
    """Return a (4, 4) turn about a world axis, with a shift."""
    a = np.deg2rad(degrees)
    first, second = (n for n in range(3) if n != axis)
    matrix = np.eye(4)
    matrix[[first, first, second, second], [first, second, first, second]] = (
        np.cos(a), -np.sin(a), np.sin(a), np.cos(a),
    )  # fmt: skip
    matrix[:3, 3] = (7.0, -4.0, 2.5)
    return matrix


def shear() -> np.ndarray:
    """Return a (4, 4) shear with unequal scales."""
    matrix = np.diag([1.1, 0.9, 1.2, 1.0])
    matrix[0, 1], matrix[2, 0] = 0.3, -0.2
    return matrix


@dataclass(frozen=True)
class Place:
    """Where a volume is: voxel index -> local mm, and its transforms, innermost first."""

    affine: np.ndarray
    transforms: tuple[np.ndarray, ...] = ()

    @property
    def world(self) -> np.ndarray:
        """(4, 4) voxel index -> world RAS mm."""
        matrix = self.affine
        for transform in self.transforms:
            matrix = transform @ matrix
        return matrix

    def worldOf(self, ijk) -> np.ndarray:
        return (self.world @ np.array([*ijk, 1.0]))[:3]


PLACES = {
    "identity": Place(np.eye(4)),
    "LPS": Place(np.diag([-1.0, -1.0, 1.0, 1.0])),
    "left-handed": Place(obliqueAffine(leftHanded=True)),
    "oblique, anisotropic": Place(obliqueAffine()),
    "turned by its parent": Place(obliqueAffine(), (rotation(25, 2),)),
    "sheared by its parent": Place(np.diag([1.0, 1.5, 2.0, 1.0]), (shear(),)),
    "nested": Place(obliqueAffine(), (rotation(-40, 0), shear(), rotation(15, 1))),
}


def addTransforms(scene, matrices):
    """Return the innermost of nested linear transforms; None if there are none."""
    import slicer
    import vtk

    parent = None
    for array in reversed(matrices):
        matrix = vtk.vtkMatrix4x4()
        slicer.util.updateVTKMatrixFromArray(matrix, array)
        node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Transform")
        node.SetMatrixTransformToParent(matrix)
        if parent is not None:
            node.SetAndObserveTransformNodeID(parent.GetID())
        parent = node
    return parent


def addVolume(
    scene, array_ijk, place: Place, name="Scan", className="vtkMRMLScalarVolumeNode", parent=None
):
    """Add a volume (I, J, K), or (C, I, J, K) for a vector volume."""
    import slicer.util
    import vtk

    node = scene.AddNewNodeByClass(className, name)
    kji = array_ijk.T if array_ijk.ndim == 3 else array_ijk.transpose(3, 2, 1, 0)
    if array_ijk.ndim == 3:
        slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(kji))
    else:
        image = vtk.vtkImageData()
        image.SetDimensions(kji.shape[2::-1])
        image.AllocateScalars(vtk.VTK_FLOAT, kji.shape[3])
        node.SetAndObserveImageData(image)
        slicer.util.arrayFromVolume(node)[:] = kji
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, place.affine)
    node.SetIJKToRASMatrix(matrix)
    parent = parent or addTransforms(scene, place.transforms)
    if parent is not None:
        node.SetAndObserveTransformNodeID(parent.GetID())
    node.CreateDefaultDisplayNodes()
    return node


def spot(center_ijk=HOT, shape=SHAPE_IJK, height: float = 10.0) -> np.ndarray:
    """Return a faint ramp with one bright voxel, float32 (I, J, K); no two axes are alike."""
    i, j, k = np.meshgrid(*map(np.arange, shape), indexing="ij")
    array = (0.01 * i + 0.02 * j + 0.015 * k).astype(np.float32)
    array[tuple(center_ijk)] = height
    return array


def saveNetwork(
    path, *, dimensions: int = 3, channels: int = 1, classes: int = 3, pooled: bool = False
) -> str:
    """Write a traced network: `features` passes the channels' sum on, class c is c x it - offset.

    Class 0 is the background; class 1 is predicted where the sum is above 2, class 2 above 6. A
    pooled network is asked about the mean and gives one answer for the whole image.
    """
    import torch

    conv = {2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[dimensions]

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.features = conv(channels, 1, 3, padding=1, bias=False)
            self.head = conv(1, classes, 1)
            with torch.no_grad():
                self.features.weight.zero_()
                self.features.weight[(slice(None), slice(None), *([1] * dimensions))] = 1.0
                self.head.weight.copy_(
                    torch.arange(float(classes)).reshape(-1, *([1] * (dimensions + 1)))
                )
                self.head.bias.copy_(torch.tensor([0.0, -2.0, -8.0])[:classes])

        def forward(self, x):
            y = torch.relu(self.features(x))
            if pooled:
                axes = list(range(2, dimensions + 2))
                return self.head(y.mean(axes, keepdim=True)).flatten(1)
            return self.head(y)

    example = torch.zeros(1, channels, *([8] * dimensions))
    torch.jit.trace(Network().eval(), example).save(str(path))
    return str(path)


def centroid(array: np.ndarray, above: float) -> np.ndarray:
    """Return the center of mass, in voxels, of an array's values above a share of the largest."""
    weight = np.where(array > above * array.max(), array, 0)
    return (np.argwhere(weight) * weight[weight > 0][:, None]).sum(0) / weight.sum()


def nodeIds(scene) -> set:
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


def mapOf(node) -> np.ndarray:
    """A map's voxels, (I, J, K)."""
    import slicer.util

    return slicer.util.arrayFromVolume(node).T


def worldOfHottest(node) -> np.ndarray:
    """Where Slicer draws the largest absolute value."""
    import vtk

    ijk = np.unravel_index(np.argmax(np.abs(mapOf(node))), mapOf(node).shape)
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    world = [0.0] * 3
    node.TransformPointToWorld(matrix.MultiplyPoint([*map(float, ijk), 1.0])[:3], world)
    return np.array(world)


def inVoxels(gap: np.ndarray, place: Place) -> float:
    return float(np.linalg.norm(np.linalg.inv(place.world[:3, :3]) @ gap))


def addSequence(scene, frames_ijk, place: Place):
    """Add a sequence; return the node that shows one frame, and what chooses the frame."""
    import slicer.util

    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(scene)
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Sequence")
    source = addVolume(scene, frames_ijk[0], place, "Source")
    for index, frame in enumerate(frames_ijk):
        slicer.util.updateVolumeFromArray(source, np.ascontiguousarray(frame.T))
        sequence.SetDataNodeAtValue(source, str(index))
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())

    def choose(index: int):
        browser.SetSelectedItemNumber(index)
        logic.UpdateProxyNodesFromSequences(browser)

    choose(0)
    return browser.GetProxyNode(sequence), choose
