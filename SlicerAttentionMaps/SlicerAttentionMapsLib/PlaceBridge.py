"""Where a person points, for the engine: segments, ROIs and points, in the world."""

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from . import VolumeBridge
from .EnginePath import ensureEngine


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

    segment = _segment(segmentationNode, segmentId)
    toWorld = VolumeBridge.worldMatrix(segmentationNode)
    if not segmentationNode.GetSegmentation().CreateRepresentation("Binary labelmap"):
        raise TargetError(f"Segment '{segmentId}' cannot be turned into voxels.")
    labelmap = segment.GetRepresentation("Binary labelmap")
    scalars = labelmap.GetPointData().GetScalars()
    if scalars is None or not scalars.GetNumberOfTuples():
        return Image(np.zeros((1, 1, 1, 1), dtype=np.float32), toWorld)
    # Segments share a label map: each has its own value in it.
    labels = vtk_to_numpy(scalars).reshape(labelmap.GetDimensions()[::-1])
    first, crop = _cropped(labels, segment.GetLabelValue())
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    affine = toWorld @ slicer.util.arrayFromVTKMatrix(matrix)
    affine[:3, 3] += affine[:3, :3] @ (np.array(labelmap.GetExtent()[::2]) + first)
    return Image(crop.T[None], affine)


def _segment(segmentationNode, segmentId: str):
    from attention_maps.errors import TargetError

    segmentation = segmentationNode.GetSegmentation()
    segment = segmentation.GetSegment(segmentId)
    if segment is None:
        known = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
        raise TargetError(
            f"Segment '{segmentId}' is not in '{segmentationNode.GetName()}'; it has "
            f"{', '.join(known) or 'no segments'}."
        )
    return segment


def _cropped(labels: np.ndarray, value: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where a label (K, J, I) begins, as (i, j, k), and its mask, cropped to it.

    Slice by slice: a mask of the whole size takes longer to make than to look through.
    """
    slices, plane = [], np.zeros(labels.shape[1:], dtype=bool)
    for index, slice_ in enumerate(labels):
        inside = slice_ == value
        if inside.any():
            slices.append(index)
            plane |= inside
    if not slices:
        return np.zeros(3, dtype=int), np.zeros((1, 1, 1), dtype=bool)
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    bounds = [(indices[0], indices[-1] + 1) for indices in (slices, rows, columns)]
    crop = labels[tuple(slice(*pair) for pair in bounds)] == value
    return np.array([first for first, _ in reversed(bounds)]), crop


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

    VolumeBridge.worldMatrix(roiNode)  # refuses transforms that bend space
    toWorld = slicer.util.arrayFromVTKMatrix(roiNode.GetObjectToWorldMatrix())
    half = np.array(roiNode.GetSize()) / 2
    grid = Grid(
        referenceNode.GetImageData().GetDimensions(), VolumeBridge.worldAffine(referenceNode)
    )
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
    """Return the world RAS position in mm of the last placed point of a markups node.

    Raises:
        TargetError: If it has none.
    """
    ensureEngine()
    from attention_maps.errors import TargetError

    number = markupsNode.GetNumberOfControlPoints()
    placed = markupsNode.PositionDefined  # others follow the mouse, or are missing
    while number and markupsNode.GetNthControlPointPositionStatus(number - 1) != placed:
        number -= 1
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
