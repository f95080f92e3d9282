"""Where the voxels of a volume node are, in millimeters."""

import numpy as np
import slicer
import slicer.util
import vtk


def ijkToRasArray(volumeNode) -> np.ndarray:
    """Return the (4, 4) matrix voxel index (i, j, k, 1) -> RAS mm, without parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def rightHanded(array: np.ndarray, ijkToRas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a (K, J, I) array and its matrix with right-handed voxel axes, as Slicer reads files.

    A left-handed volume gets its slice order reversed; every voxel keeps its place in the world.
    """
    if np.linalg.det(ijkToRas[:3, :3]) > 0:
        return array, ijkToRas
    reversal = np.diag([1.0, 1.0, -1.0, 1.0])
    reversal[2, 3] = array.shape[0] - 1
    return array[::-1], ijkToRas @ reversal


def voxelToWorld(volumeNode, ijk) -> np.ndarray:
    """Return the world RAS position (3,) in mm of a voxel's center, parent transforms included."""
    local = ijkToRasArray(volumeNode) @ np.array([*ijk, 1.0])
    toWorld = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(
        volumeNode.GetParentTransformNode(), None, toWorld
    )
    return np.array(toWorld.TransformPoint(local[:3]))


def positionOfMaximum(volumeNode) -> np.ndarray | None:
    """Return the world RAS position (3,) of the largest absolute value; None if all is zero."""
    array = slicer.util.arrayFromVolume(volumeNode)
    k, j, i = indexOfMaximum(array)
    return None if array[k, j, i] == 0 else voxelToWorld(volumeNode, (i, j, k))


def indexOfMaximum(array: np.ndarray) -> tuple[int, ...]:
    """Return the index of an array's largest absolute value."""
    # The extremes one by one: absolute values would be another array of its size.
    flat = max((array.argmax(), array.argmin()), key=lambda index: abs(array.flat[index]))
    return tuple(int(index) for index in np.unravel_index(flat, array.shape))


def worldBounds(volumeNode) -> np.ndarray:
    """Return ((r, a, s) lowest, (r, a, s) highest) corners in mm, shape (2, 3), voxels included."""
    bounds = np.zeros(6)
    volumeNode.GetRASBounds(bounds)
    return bounds.reshape(3, 2).T


def requireSameGrid(volumeNode, referenceNode, tolerance: float = 1e-3) -> None:
    """Raise ValueError unless both volumes have the same size and voxel positions (mm)."""
    size = volumeNode.GetImageData().GetDimensions()
    expectedSize = referenceNode.GetImageData().GetDimensions()
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in expectedSize], [1])).reshape(4, -1)
    difference = (ijkToRasArray(volumeNode) - ijkToRasArray(referenceNode)) @ corners
    if size != expectedSize or np.abs(difference).max() > tolerance:
        raise ValueError(
            f"'{volumeNode.GetName()}' must lie on the grid of '{referenceNode.GetName()}' "
            f"(size {expectedSize}), but has size {size} and corners up to "
            f"{np.abs(difference).max():.3g} mm away: resample it first."
        )
