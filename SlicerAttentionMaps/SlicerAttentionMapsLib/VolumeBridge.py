"""Where nodes become engine images and back.

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


def maskFromSegment(segmentationNode, segmentId: str):
    """Return a segment as a mask Image (1, i, j, k), 0 or 1: its own voxels, in the world.

    The engine brings masks onto other grids by itself, and exactly; Slicer's resampling onto a
    reference volume loses voxels where nested transforms shear.

    Raises:
        TargetError: If there is no such segment.
    """
    ensureEngine()
    from attention_maps.errors import TargetError
    from attention_maps.types import Image

    segmentation = segmentationNode.GetSegmentation()
    if segmentation.GetSegment(segmentId) is None:
        known = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
        raise TargetError(
            f"Segment '{segmentId}' is not in '{segmentationNode.GetName()}'; it has "
            f"{', '.join(known) or 'no segments'}."
        )
    toWorld = worldMatrix(segmentationNode)
    oriented = slicer.vtkOrientedImageData()
    if not segmentation.CreateRepresentation(
        "Binary labelmap"
    ) or not segmentationNode.GetBinaryLabelmapRepresentation(segmentId, oriented):
        raise TargetError(f"Segment '{segmentId}' cannot be turned into voxels.")
    matrix = vtk.vtkMatrix4x4()
    oriented.GetImageToWorldMatrix(matrix)
    scalars = oriented.GetPointData().GetScalars()
    if scalars is None or not scalars.GetNumberOfTuples():
        return Image(np.zeros((1, 1, 1, 1), dtype=np.float32), toWorld)
    mask = vtk_to_numpy(scalars).reshape(oriented.GetDimensions()[::-1]).T != 0
    box = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    first = [int(indices[0]) if len(indices) else 0 for indices in box]
    last = [int(indices[-1]) if len(indices) else 0 for indices in box]
    affine = toWorld @ slicer.util.arrayFromVTKMatrix(matrix)
    affine[:3, 3] += affine[:3, :3] @ (np.array(oriented.GetExtent()[::2]) + first)
    crop = mask[tuple(slice(low, high + 1) for low, high in zip(first, last, strict=True))]
    return Image(crop[None], affine)


def maskFromRoi(roiNode, referenceNode):
    """Return the inside of a ROI as a mask Image (1, i, j, k), cropped to the voxels around it.

    A voxel is inside where its center is, in the world, the volume's and the ROI's own transforms
    included.

    Raises:
        TargetError: If no voxel of the volume is inside.
    """
    ensureEngine()
    from attention_maps.errors import TargetError
    from attention_maps.types import Grid, Image

    worldMatrix(roiNode)  # refuses transforms that bend space
    toWorld = slicer.util.arrayFromVTKMatrix(roiNode.GetObjectToWorldMatrix())
    half = np.array(roiNode.GetSize()) / 2
    grid = Grid(referenceNode.GetImageData().GetDimensions(), worldAffine(referenceNode))
    corners = np.stack(np.meshgrid(*[(-h, h) for h in half], indexing="ij"), axis=-1)
    indices = grid.to_index(corners.reshape(-1, 3) @ toWorld[:3, :3].T + toWorld[:3, 3])
    first = np.clip(np.floor(indices.min(0)).astype(int), 0, grid.shape)
    last = np.clip(np.ceil(indices.max(0)).astype(int) + 1, 0, grid.shape)
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world(first)
    inside = _insideBox(np.linalg.inv(toWorld) @ affine, half, np.maximum(last - first, 0))
    if not inside.any():
        raise TargetError(
            f"Expected '{roiNode.GetName()}' around at least one voxel of "
            f"'{referenceNode.GetName()}', but there is none inside; move or enlarge the ROI."
        )
    return Image(inside[None], affine)


def pointFromMarkup(markupsNode) -> tuple[float, float, float]:
    """Return the world RAS position in mm of the last point of a markups node.

    Raises:
        TargetError: If it has none.
    """
    ensureEngine()
    from attention_maps.errors import TargetError

    number = markupsNode.GetNumberOfControlPoints()
    if number == 0:
        raise TargetError(
            f"Expected a point in '{markupsNode.GetName()}', but it has none; place one in a slice "
            "view."
        )
    position = [0.0, 0.0, 0.0]
    markupsNode.GetNthControlPointPositionWorld(number - 1, position)
    return tuple(position)


def _insideBox(toBox: np.ndarray, half: np.ndarray, shape) -> np.ndarray:
    """Return which voxels (i, j, k) of a grid lie within +-half along the axes of a box."""
    i, j, k = np.ogrid[tuple(slice(int(n)) for n in shape)]
    inside = np.ones(tuple(int(n) for n in shape), dtype=bool)
    for row, limit in zip(toBox[:3], half, strict=True):
        along = row[0] * i + row[1] * j + row[2] * k + row[3]
        inside &= np.abs(along) <= limit + 1e-6
    return inside


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
