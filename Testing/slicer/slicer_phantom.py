"""An oblique, anisotropic, asymmetric phantom in a real MRML scene."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

LIBRARY_FOLDER = Path(__file__).resolve().parents[2] / "SlicerAttentionMaps"
SHAPE_IJK = (24, 30, 18)
HOT = (16, 9, 11)
COLD = (6, 22, 5)


def obliqueAffine(*, leftHanded: bool = False) -> np.ndarray:
    """Return voxel index -> RAS mm, turned about two axes, with spacing (1.5, 1, 2.5) mm."""
    a, b = 0.35, -0.25
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag([-1.5 if leftHanded else 1.5, 1.0, 2.5])
    affine[:3, 3] = (12.0, -31.5, 44.25)
    return affine


def blob(center_ijk, sigma: float = 2.5) -> np.ndarray:
    """Return a Gaussian of height 1, exactly 0 beyond three sigma, shape (I, J, K)."""
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE_IJK), indexing="ij"), axis=-1)
    squared = ((grid - np.array(center_ijk)) ** 2).sum(-1) / sigma**2
    return np.where(squared < 9, np.exp(-squared / 2), 0.0)


def scanArray() -> np.ndarray:
    """Return a scan without any symmetry, int16, shape (I, J, K)."""
    i, j, k = np.meshgrid(*map(np.arange, SHAPE_IJK), indexing="ij")
    return (100 + 3 * i + 2 * j + 5 * k + 40 * (i > 12) * (j < 10)).astype(np.int16)


@dataclass
class Phantom:
    """A scene with a scan node; arrays are (I, J, K)."""

    context: object
    scanNode: object
    affine: np.ndarray

    @property
    def scene(self):
        return self.context.scene

    def worldOf(self, ijk) -> np.ndarray:
        return (self.affine @ np.array([*ijk, 1.0]))[:3]

    def addVolume(self, array_ijk: np.ndarray, name: str):
        """Add a volume on the phantom's grid."""
        return _addVolume(self.scene, array_ijk, self.affine, name)


def _addVolume(scene, array_ijk, affine, name):
    import slicer.util
    import vtk

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(array_ijk.T))
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, affine)
    node.SetIJKToRASMatrix(matrix)
    node.CreateDefaultDisplayNodes()
    return node


def makePhantom(affine: np.ndarray) -> Phantom:
    from SlicerAttentionMapsLib import SceneSetup

    context = SceneSetup.createContext()
    return Phantom(context, _addVolume(context.scene, scanArray(), affine, "Scan"), affine)
