"""Where volumes become engine images, and maps and labels become nodes.

The engine's affines end in world RAS, so parent transforms are part of them. Overlays and
segmentations go back onto the scan's own voxels and under the scan's own transform: they lie where
it lies, and move with it.
"""

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from . import Display, VolumeGeometry
from .EnginePath import ensureEngine

# Copied in slabs, a turned array stays in the processor's cache: four times as fast.
_SLAB = 16
_SAME_PLACE_MM = 1e-3


def worldMatrix(node) -> np.ndarray:
    """Return the (4, 4) matrix from a transformable node's own coordinates to world RAS.

    Raises:
        ImageError: If a non-linear transform is among its parents.
    """
    ensureEngine()
    from attention_maps.errors import ImageError

    transformNode = node.GetParentTransformNode()
    if transformNode is None:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    if not transformNode.IsTransformToWorldLinear() or not transformNode.GetMatrixTransformToWorld(
        matrix
    ):
        raise ImageError(
            f"Expected '{node.GetName()}' under linear transforms, but '{transformNode.GetName()}' "
            "or one of its parents bends space; harden the transform (Data module, right-click, "
            "Harden transform), or take the volume out of it."
        )
    return slicer.util.arrayFromVTKMatrix(matrix)


def worldAffine(volumeNode) -> np.ndarray:
    """Return the (4, 4) matrix voxel index (i, j, k, 1) -> world RAS mm, parents included."""
    return worldMatrix(volumeNode) @ VolumeGeometry.ijkToRasArray(volumeNode)


def imageFromVolumes(volumeNodes, *, axes: int | None = None):
    """Return the `attention_maps.Image` of a volume, or of several as its channels.

    The voxels are copied once: the scan is safe from whatever a network does to its input.

    Args:
        volumeNodes: a scalar, vector or label map volume node, or a list of them on one grid.
        axes: 2 makes a picture (C, rows, columns) of a volume with a single slice; anything else
            gives (C, I, J, K).

    Raises:
        ImageError: If a node is no volume, holds no voxels, lies on another grid than the first,
            or is under a non-linear transform.
    """
    ensureEngine()
    from attention_maps.errors import ImageError
    from attention_maps.types import Image

    nodes = list(volumeNodes) if isinstance(volumeNodes, list | tuple) else [volumeNodes]
    if not nodes:
        raise ImageError("Expected at least one volume, got an empty list; choose a volume.")
    views = [_voxels(node) for node in nodes]
    affine = worldAffine(nodes[0])
    for node, view in zip(nodes[1:], views[1:], strict=True):
        _requireSamePlace(nodes[0], affine, views[0].shape[:3], node, view.shape[:3])
    channels = [view[..., channel] for view in views for channel in range(view.shape[3])]
    shape = channels[0].shape[::-1]
    array = np.empty((len(channels), *shape), dtype=np.float32)
    for target, source in zip(array, channels, strict=True):
        _copyTurned(source, target)
    if axes == 2 and 1 in shape:
        return _asPicture(array, affine)
    return Image(array, affine)


def _asPicture(array: np.ndarray, affine: np.ndarray):
    """Make (C, rows, columns) of (C, I, J, K) with one slice: pictures are rows first."""
    from attention_maps.types import Image

    through = _sliceAxis(array.shape[1:])
    columns, rows = (axis for axis in range(3) if axis != through)
    picture = np.ascontiguousarray(array.squeeze(through + 1).transpose(0, 2, 1))
    return Image(picture, affine[:, [rows, columns, through, 3]])


def _sliceAxis(shape) -> int:
    """Return the last axis with a single voxel: Slicer stacks pictures along K."""
    return max(axis for axis in range(3) if shape[axis] == 1)


def maskOnPicture(mask, volumeNode):
    """Return a mask Image (1, i, j, k) as (1, rows, columns) of a volume with one slice."""
    from attention_maps.resampling import mask_on_grid
    from attention_maps.types import Grid

    affine = worldAffine(volumeNode)
    inside = mask_on_grid(mask, Grid(volumeNode.GetImageData().GetDimensions(), affine))
    return _asPicture(inside[None], affine)


def arrayOnVolume(image, volumeNode) -> np.ndarray:
    """Return an image with one channel as an array (K, J, I) for a volume node's own voxels.

    Raises:
        ImageError: If the image does not lie on the volume's voxels, as when the volume was
            changed or moved after it was explained.
    """
    from attention_maps.errors import ImageError
    from attention_maps.types import Grid

    shape = volumeNode.GetImageData().GetDimensions()
    array, affine = image.array[0], image.affine
    if image.ndim == 2:
        through = _sliceAxis(shape) if 1 in shape else 2
        array = np.expand_dims(array.T, through)
        order = [0, 0, 0, 3]
        columns, rows = (axis for axis in range(3) if axis != through)
        order[rows], order[columns], order[through] = 0, 1, 2
        affine = affine[:, order]
    if not Grid(array.shape, affine).same_as(Grid(shape, worldAffine(volumeNode)), _SAME_PLACE_MM):
        raise ImageError(
            f"Expected a map on the voxels of '{volumeNode.GetName()}' ({shape}), got one of shape "
            f"{array.shape} or in another place; explain it again, the volume has changed since."
        )
    turned = np.empty(shape[::-1], dtype=np.float32)
    for start in range(0, shape[2], _SLAB):
        turned[start : start + _SLAB] = array[..., start : start + _SLAB].T
    return turned


def overlayFromImage(image, scanNode, name: str):
    """Add a scalar volume with a map: on the scan's voxels, under the scan's transform.

    Args:
        image: `attention_maps.Image` with one channel on the scan's grid in the world.
        scanNode: the volume that was explained.
        name: of the new `vtkMRMLScalarVolumeNode`.
    """
    return Display.createOverlay(scanNode, arrayOnVolume(image, scanNode), name)


def segmentationFromLabels(labels: np.ndarray, referenceNode, name: str, segments):
    """Add a segmentation whose segments share one label map on a volume's voxels.

    Args:
        labels: (K, J, I) whole numbers, 0 to 65535.
        referenceNode: the volume; the segmentation goes under its transform.
        name: of the new `vtkMRMLSegmentationNode`.
        segments: (label value, name, (red, green, blue) 0..1) of each segment.
    """
    scene = referenceNode.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(name))
    node.CreateDefaultDisplayNodes()
    # In this order: the geometry is stored in coordinates of the node as it is transformed now.
    node.SetAndObserveTransformNodeID(referenceNode.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(referenceNode)
    labelmap = _orientedImage(labels, referenceNode)
    for value, segmentName, color in segments:
        segment = slicer.vtkSegment()
        segment.SetName(segmentName)
        segment.SetColor(*color)
        segment.SetLabelValue(int(value))
        segment.AddRepresentation("Binary labelmap", labelmap)
        node.GetSegmentation().AddSegment(segment)
    Display.styleOutlines(node)
    return node


def _voxels(node) -> np.ndarray:
    """Return a volume's voxels (K, J, I, C) as Slicer holds them, no copy."""
    from attention_maps.errors import ImageError

    if node is None or not node.IsA("vtkMRMLVolumeNode"):
        what = "nothing" if node is None else f"'{node.GetName()}' ({node.GetClassName()})"
        raise ImageError(f"Expected a volume, got {what}; choose a volume.")
    image = node.GetImageData()
    scalars = image.GetPointData().GetScalars() if image is not None else None
    if scalars is None or not scalars.GetNumberOfTuples():
        raise ImageError(
            f"Expected a volume with voxels, but '{node.GetName()}' holds no numbers; load its "
            "data, or choose another volume."
        )
    return vtk_to_numpy(scalars).reshape(
        *image.GetDimensions()[::-1], scalars.GetNumberOfComponents()
    )


def _copyTurned(source: np.ndarray, target: np.ndarray) -> None:
    """Copy (K, J, I) to (I, J, K)."""
    with np.errstate(over="ignore"):  # becomes Inf, which the engine refuses in words
        for start in range(0, source.shape[0], _SLAB):
            target[..., start : start + _SLAB] = source[start : start + _SLAB].T


def _requireSamePlace(firstNode, affine, shape, node, nodeShape) -> None:
    from attention_maps.errors import ImageError
    from attention_maps.types import Grid

    first = Grid(shape[::-1], affine)
    if not Grid(nodeShape[::-1], worldAffine(node)).same_as(first, _SAME_PLACE_MM):
        raise ImageError(
            f"Expected '{node.GetName()}' on the voxels of '{firstNode.GetName()}' to be another "
            f"channel of it, but its size {nodeShape[::-1]} (not {shape[::-1]}) or its place "
            "differs; resample it first (Resample Scalar/Vector/DWI Volume module)."
        )


def _orientedImage(labels: np.ndarray, volumeNode):
    """Return labels (K, J, I) as `vtkOrientedImageData` on a volume's voxels."""
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(labels.shape[::-1])
    dtype = np.uint8 if labels.max(initial=0) < 256 else np.uint16
    values = np.ascontiguousarray(labels, dtype=dtype).ravel()
    image.GetPointData().SetScalars(numpy_to_vtk(values, deep=True))
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    return image
