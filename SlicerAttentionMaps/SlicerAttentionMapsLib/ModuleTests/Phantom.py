"""A scan whose answer is known: two tumors, one with the brightest voxel, and an organ."""

import numpy as np
import slicer
import vtk

SHAPE_IJK = (24, 20, 16)
HOT_IJK = (6, 5, 4)
OTHER_IJK = (17, 13, 11)
ORGAN_IJK = (17, 5, 4)
# Oblique, with voxels of unequal lengths.
IJK_TO_RAS = np.array(
    [
        [0.8, -0.9, 0.2, -20.0],
        [0.6, 1.2, -0.3, 15.0],
        [0.1, 0.3, 2.4, -8.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


def voxels() -> np.ndarray:
    """Return the scan, float32 (I, J, K)."""
    i, j, k = np.meshgrid(*map(np.arange, SHAPE_IJK), indexing="ij")
    array = (0.01 * i + 0.02 * j + 0.015 * k).astype(np.float32)
    for center, value in ((HOT_IJK, 9.0), (OTHER_IJK, 8.0), (ORGAN_IJK, 4.0)):
        array[_around(center)] = value
    array[HOT_IJK] = 12.0
    return array


def addScan(name: str = "Scan"):
    """Add the scan to the scene."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(voxels().T))
    node.SetIJKToRASMatrix(_matrix())
    node.CreateDefaultDisplayNodes()
    return node


def addTruth(scan):
    """Add a segmentation with the two tumors and with a place where nothing is."""
    labels = np.zeros(SHAPE_IJK, np.uint8)
    labels[_around(HOT_IJK)] = labels[_around(OTHER_IJK)] = 1
    labels[:4, -4:, :] = 2
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Truth")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    for value, name in ((1, "Tumors"), (2, "Elsewhere")):
        node.GetSegmentation().AddEmptySegment(name, name)
        array = np.ascontiguousarray((labels == value).T.astype(np.uint8))
        slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, name, scan)
    return node


def worldOf(ijk) -> np.ndarray:
    """Return where a voxel of the scan is, RAS mm."""
    return (IJK_TO_RAS @ np.array([*ijk, 1.0]))[:3]


def hottestOf(mapNode) -> tuple:
    """Return the voxel (i, j, k) with a map's largest absolute value."""
    array = np.abs(slicer.util.arrayFromVolume(mapNode).T)
    return tuple(int(index) for index in np.unravel_index(np.argmax(array), array.shape))


def _around(center) -> tuple:
    return tuple(slice(index - 1, index + 2) for index in center)


def _matrix() -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, IJK_TO_RAS)
    return matrix
