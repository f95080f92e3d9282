"""Where volumes become engine images, and maps and labels become nodes.

The engine's affines end in world RAS, so parent transforms are part of them. Overlays and
segmentations go back onto the scan's own voxels and under the scan's own transform: they lie where
it lies, and move with it.
"""

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from . import Display, SharedVoxels, VolumeGeometry
from .EnginePath import ensureEngine
from .Naming import uniqueName

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
            f"Harden transform), or take the {_kindOf(node)} out of it."
        )
    return slicer.util.arrayFromVTKMatrix(matrix)


def _kindOf(node) -> str:
    """Return what people call a transformable node."""
    kinds = {"Volume": "volume", "MarkupsROI": "ROI", "Segmentation": "segmentation"}
    found = (words for kind, words in kinds.items() if node.IsA(f"vtkMRML{kind}Node"))
    return next(found, "node")


def worldAffine(volumeNode) -> np.ndarray:
    """Return the (4, 4) matrix voxel index (i, j, k, 1) -> world RAS mm, parents included."""
    return worldMatrix(volumeNode) @ VolumeGeometry.ijkToRasArray(volumeNode)


def channelsOfVolumes(volumeNodes, *, axes: int | None = None):
    """Return the voxels of a volume, or of several as its channels, as Slicer holds them: no copy.

    Args:
        volumeNodes: a scalar, vector or label map volume node, or a list of them on one grid.
        axes: 2 makes pictures (rows, columns) of a volume with a single slice; anything else gives
            (I, J, K).

    Returns:
        A list of arrays, and the (4, 4) matrix voxel index -> world RAS mm.

    Raises:
        ImageError: If a node is no volume, holds no voxels, lies on another grid than the first,
            or is under a non-linear transform.
    """
    ensureEngine()
    from attention_maps.errors import ImageError

    nodes = list(volumeNodes) if isinstance(volumeNodes, list | tuple) else [volumeNodes]
    if not nodes:
        raise ImageError("Expected at least one volume, got an empty list; choose a volume.")
    views = [_voxels(node) for node in nodes]
    affine = worldAffine(nodes[0])
    for node, view in zip(nodes[1:], views[1:], strict=True):
        _requireSamePlace(nodes[0], affine, views[0].shape[:3], node, view.shape[:3])
    channels = [view[..., channel].T for view in views for channel in range(view.shape[3])]
    if axes == 2 and 1 in channels[0].shape:
        return _asPictures(channels, affine)
    return channels, affine


def imageFromVolumes(volumeNodes, *, axes: int | None = None):
    """Return the `attention_maps.Image` of a volume, or of several as its channels.

    The voxels are copied once: the scan is safe from whatever a network does to its input.

    Args:
        volumeNodes: as in `channelsOfVolumes`.
        axes: 2 makes a picture (C, rows, columns) of a volume with a single slice; anything else
            gives (C, I, J, K).

    Raises:
        ImageError: As in `channelsOfVolumes`.
    """
    channels, affine = channelsOfVolumes(volumeNodes, axes=axes)
    from attention_maps.types import Image, into_float32
    from attention_maps.worker.arrays import copy_axes

    array = np.empty((len(channels), *channels[0].shape), dtype=np.float32)
    with into_float32():
        for target, source in zip(array, channels, strict=True):
            copy_axes(source, target)
    return Image(array, affine)


def _asPictures(channels: list, affine: np.ndarray):
    """Make (rows, columns) of (I, J, K) with one slice: pictures are rows first."""
    through = _sliceAxis(channels[0].shape)
    columns, rows = (axis for axis in range(3) if axis != through)
    pictures = [channel.squeeze(through).T for channel in channels]
    return pictures, affine[:, [rows, columns, through, 3]]


def _sliceAxis(shape) -> int:
    """Return the last axis with a single voxel: Slicer stacks pictures along K."""
    return max(axis for axis in range(3) if shape[axis] == 1)


def maskOnPicture(mask, volumeNode):
    """Return a mask Image (1, i, j, k) as (1, rows, columns) of a volume with one slice."""
    from attention_maps.resampling import mask_on_grid
    from attention_maps.types import Grid, Image

    affine = worldAffine(volumeNode)
    inside = mask_on_grid(mask, Grid(volumeNode.GetImageData().GetDimensions(), affine))
    pictures, affine = _asPictures([inside], affine)
    return Image(np.ascontiguousarray(pictures[0])[None], affine)


def voxelsOnVolume(array: np.ndarray, affine: np.ndarray, volumeNode) -> np.ndarray:
    """Return the values of an image as an array (K, J, I) for a volume node's own voxels.

    Where they lie in memory as Slicer has them nothing is copied.

    Args:
        array: (I, J, K) or (rows, columns), any type.
        affine: (4, 4) voxel index -> world RAS mm.
        volumeNode: the volume that was explained.

    Raises:
        ImageError: If the image does not lie on the volume's voxels, as when the volume was
            changed or moved after it was explained.
    """
    from attention_maps.errors import ImageError
    from attention_maps.types import Grid
    from attention_maps.worker.arrays import copy_axes

    shape = volumeNode.GetImageData().GetDimensions()
    if array.ndim == 2:
        through = _sliceAxis(shape) if 1 in shape else 2
        array = np.expand_dims(array.T, through)
        order = [0, 0, 0, 3]
        columns, rows = (axis for axis in range(3) if axis != through)
        order[rows], order[columns], order[through] = 0, 1, 2
        affine = affine[:, order]
    if not Grid(array.shape, affine).same_as(Grid(shape, worldAffine(volumeNode)), _SAME_PLACE_MM):
        raise ImageError(
            f"'{volumeNode.GetName()}' was moved or changed since it was explained; explain it "
            "again."
        )
    if array.T.flags.c_contiguous:
        return array.T
    turned = np.empty(shape[::-1], dtype=array.dtype)
    copy_axes(array.T, turned)
    return turned


def overlayFromImage(image, scanNode, name: str, *, extremes=None):
    """Add a scalar volume with a map: on the scan's voxels, under the scan's transform.

    Args:
        image: `attention_maps.Image` with one channel on the scan's grid in the world.
        scanNode: the volume that was explained.
        name: of the new `vtkMRMLScalarVolumeNode`.
        extremes: smallest and largest value where they are known.
    """
    array = voxelsOnVolume(image.array[0], image.affine, scanNode)
    return Display.createOverlay(scanNode, array, name, extremes=extremes)


def segmentationFromLabels(labels: np.ndarray, referenceNode, name: str, segments, *, box=None):
    """Add a segmentation whose segments share one label map on a volume's voxels.

    Args:
        labels: (K, J, I) whole numbers, 0 to 65535.
        referenceNode: the volume; the segmentation goes under its transform.
        name: of the new `vtkMRMLSegmentationNode`.
        segments: (label value, name, (red, green, blue) 0..1) of each segment.
        box: first and last index of what is not 0, along I, J, K; None for everywhere.
    """
    scene = referenceNode.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", uniqueName(scene, name))
    node.CreateDefaultDisplayNodes()
    # In this order: the geometry is stored in coordinates of the node as it is transformed now.
    node.SetAndObserveTransformNodeID(referenceNode.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(referenceNode)
    labelmap = _orientedImage(labels, referenceNode, box)
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


def _orientedImage(labels: np.ndarray, volumeNode, box):
    """Return the labels (K, J, I) within a box as `vtkOrientedImageData` on a volume's voxels."""
    box = box or tuple((0, size - 1) for size in labels.shape[::-1])
    crop = labels[tuple(slice(first, last + 1) for first, last in reversed(box))]
    if crop.dtype != np.uint8:
        crop = crop.astype(np.uint8 if crop.max(initial=0) < 256 else np.uint16)
    image = slicer.vtkOrientedImageData()
    image.SetExtent(*(index for pair in box for index in pair))
    image.GetPointData().SetScalars(SharedVoxels.scalarsOf(np.array(crop, order="C")))
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    return image
