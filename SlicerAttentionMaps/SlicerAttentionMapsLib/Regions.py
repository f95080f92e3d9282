"""Where a run over windows is limited to: a ROI, or a segment."""

import zlib

import numpy as np
import slicer

from . import MapTargets, PlaceBridge, VolumeBridge


def stateOf(region) -> tuple:
    """Return what changes when a region does; empty for none.

    Args:
        region: a ROI node, a segment (segmentationNode, segmentId), or None.

    Raises:
        TargetError: If it is something else.
    """
    if region is None:
        return ()
    if isinstance(region, tuple):
        mask = PlaceBridge.maskFromSegment(*region)
        segmentationNode, segmentId = region
        voxels = zlib.crc32(np.ascontiguousarray(mask.array).data)
        return segmentationNode.GetID(), segmentId, voxels, mask.affine.tobytes()
    _checkRoi(region)
    toWorld = slicer.util.arrayFromVTKMatrix(region.GetObjectToWorldMatrix())
    return region.GetID(), tuple(region.GetSize()), toWorld.tobytes()


def maskOf(region, volumeNode, *, axes: int | None = None):
    """Return a region as a mask Image on any grid; None for none.

    Args:
        region: as in `stateOf`.
        volumeNode: the volume that is explained.
        axes: 2 for a volume that is a picture.

    Raises:
        TargetError: If no voxel of the volume is inside.
    """
    mask = MapTargets.placeMask(region, volumeNode)
    return VolumeBridge.maskOnPicture(mask, volumeNode) if axes == 2 and mask else mask


def _checkRoi(region) -> None:
    if not hasattr(region, "IsA") or not region.IsA(MapTargets.ROI):
        from attention_maps.errors import TargetError

        name = region.GetClassName() if hasattr(region, "GetClassName") else repr(region)
        raise TargetError(f"Expected a ROI or (segmentation, segment ID) as region, got {name}.")
