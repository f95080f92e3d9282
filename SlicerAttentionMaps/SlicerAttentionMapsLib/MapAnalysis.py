"""What is measured on a map in the scene: its strongest part, its region, its scores."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
import slicer.util

from . import (
    LayerSequence,
    MapStyle,
    MetricsTable,
    PlaceBridge,
    ResultNodes,
    Signs,
    VolumeBridge,
    VolumeGeometry,
)
from .EnginePath import ensureEngine
from .HotSpotNodes import placeBox
from .Naming import uniqueName
from .RightAngles import boundsAlong, rightAngledAxes

FOR_COLOR = (1.0, 0.75, 0.1)
AGAINST_COLOR = (0.25, 0.55, 1.0)


def thresholdToSegmentation(mapNode, threshold: float | str = 0.5):
    """Add a segmentation of where a map is strong.

    Args:
        mapNode: a map; what speaks against the answer becomes a segment of its own.
        threshold: share of the largest absolute value, 0 <= share < 1, or "otsu".

    Returns:
        The `vtkMRMLSegmentationNode`.

    Raises:
        MethodError: If the threshold is neither.
        ImageError: If the map holds no evidence.
    """
    array = _evidence(mapNode)
    cut = _cut(array, threshold)
    labels = (array > cut).view(np.uint8)
    labels[array < -cut] = 2
    words = f"{cut:.3g}"
    candidates = ((1, f"above {words}", FOR_COLOR), (2, f"below -{words}", AGAINST_COLOR))
    segments = [item for item in candidates if (labels == item[0]).any()]
    name = f"{mapNode.GetName()} | threshold"
    node = VolumeBridge.segmentationFromLabels(labels, mapNode, name, segments)
    ResultNodes.putBeside(node, mapNode)
    return node


def boxAroundHottest(mapNode, threshold: float | str = 0.5):
    """Add a ROI around the connected part of a map that holds its largest absolute value.

    The box lies along the voxel axes in the world (along the nearest right-angled ones, where a
    transform shears the volume), so that its size is in mm.

    Args:
        mapNode: a map.
        threshold: where the part ends, as in `thresholdToSegmentation`.

    Returns:
        The `vtkMRMLMarkupsROINode`, named with its size.
    """
    from attention_maps.places import component_at

    array = _evidence(mapNode)
    cut = _cut(array, threshold)
    hottest = VolumeGeometry.indexOfMaximum(array)
    sign = np.sign(array[hottest])
    above = min(cut, abs(array[hottest]) * (1 - 1e-6))  # the hottest voxel itself is always in
    part = component_at(array > above if sign > 0 else array < -above, hottest)
    affine = VolumeBridge.worldAffine(mapNode)
    axes = rightAngledAxes(affine)
    lowest, highest = boundsAlong(axes, _endsOfRows(part), affine)
    size = highest - lowest
    scene = mapNode.GetScene()
    words = " x ".join(f"{length:.1f}" for length in size)
    name = uniqueName(scene, f"Hottest {words} mm")  # views write it beside the box
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
    placeBox(node, axes, axes @ (lowest + highest) / 2, size)
    ResultNodes.putBeside(node, mapNode)
    return node


def evaluate(
    mapNodes, segmentationNode, segmentIds, *, metrics=None, threshold="otsu", options=None
):
    """Add a table of metrics: one row per map, layer and segment.

    Args:
        mapNodes: a map, or several.
        segmentationNode: holds the ground truth.
        segmentIds: ID of a segment, or several.
        metrics: names of metrics; None for all (`attention_maps.metrics()`).
        threshold: as in `attention_maps.evaluate`.
        options: a dict of the metrics' options, and `sign`.

    Returns:
        The `vtkMRMLTableNode`: columns Map, Segment, Question, Method, Layer, one per metric, and
        Remarks where one of them is no number.
    """
    ensureEngine()
    import attention_maps as am

    maps = list(mapNodes) if isinstance(mapNodes, list | tuple) else [mapNodes]
    ids = [segmentIds] if isinstance(segmentIds, str) else list(segmentIds)
    options = options or {}
    rows = [
        pair.row(am.evaluate(pair.image(), pair.mask(), metrics, threshold, **options))
        for pair in comparisons(maps, segmentationNode, ids)
    ]
    return addMetrics(rows, maps, segmentationNode, threshold, options)


def addMetrics(rows, mapNodes, segmentationNode, threshold, options):
    """Add the table of rows that were measured, named after the map where there is only one."""
    sign = options.get("sign", Signs.POSITIVE)
    what = LayerSequence.nameOf(mapNodes[0]) if len(mapNodes) == 1 else "Attention maps"
    title = f"{what} | metrics{Signs.inWords(sign)}"
    beside = mapNodes[0] if mapNodes else segmentationNode
    return MetricsTable.addTable(rows, beside, title, {"threshold": threshold, "sign": sign})


@dataclass(frozen=True)
class Comparison:
    """One map, at one layer, that is held against one segment.

    Attributes:
        name: of the map and, of a stack of layers, of the layer.
        mapNode: the map.
        frame: the volume with the layer's voxels; of a stack of layers one in its sequence.
        segmentationNode: holds the ground truth.
        segmentId: of the segment.
    """

    name: str
    mapNode: object
    frame: object
    segmentationNode: object
    segmentId: str

    def image(self):
        """Return the map as an Image (1, i, j, k) in the world; its voxels are not copied."""
        from attention_maps.types import Image

        voxels = slicer.util.arrayFromVolume(self.frame).T[None]
        return Image(voxels, VolumeBridge.worldAffine(self.mapNode))

    def mask(self):
        """Return the segment as a mask Image in the world."""
        return PlaceBridge.maskFromSegment(self.segmentationNode, self.segmentId)

    def row(self, scores) -> MetricsTable.Row:
        """Return the table's row of what was measured."""
        segment = self.segmentationNode.GetSegmentation().GetSegment(self.segmentId)
        provenance = ResultNodes.provenanceOf(self.frame)
        mapId = self.mapNode.GetID()
        return MetricsTable.rowOf(self.name, segment.GetName(), provenance, scores, mapId)


def comparisons(mapNodes, segmentationNode, segmentIds) -> list[Comparison]:
    """Return all that is to be compared, layer by layer and segment by segment."""
    return [
        Comparison(name, mapNode, frame, segmentationNode, segmentId)
        for mapNode in mapNodes
        for name, frame in LayerSequence.frames(mapNode).items()
        for segmentId in segmentIds
    ]


def _evidence(mapNode) -> np.ndarray:
    """Return a map's voxels (K, J, I), or say that there is nothing in them."""
    ensureEngine()
    from attention_maps.errors import ImageError

    array = slicer.util.arrayFromVolume(mapNode)
    if MapStyle.largestMagnitude(array, mapNode.GetName()) == 0:
        raise ImageError(
            f"Expected evidence in '{mapNode.GetName()}', but it is zero everywhere; choose "
            "another layer, class or method."
        )
    return array


def _cut(array: np.ndarray, threshold: float | str) -> float:
    from attention_maps.errors import MethodError
    from attention_maps.measures.threshold import otsu_threshold

    magnitude = np.abs(array)
    if threshold == "otsu":
        return otsu_threshold(magnitude)
    number = isinstance(threshold, Real) and not isinstance(threshold, bool)
    if not number or not 0 <= threshold < 1:
        raise MethodError(
            "Expected the threshold to be 'otsu' or a share of the map's largest absolute value, "
            f"0 <= share < 1, got {threshold!r}."
        )
    return float(threshold) * float(magnitude.max())


def _endsOfRows(part: np.ndarray) -> np.ndarray:
    """Return (n, 3) voxels i, j, k: first and last of each row of a mask (K, J, I).

    Whatever is farthest in some direction is among them.
    """
    slices, rows = np.nonzero(part.any(axis=2))
    lines = part[slices, rows]
    first = lines.argmax(axis=1)
    last = lines.shape[1] - 1 - lines[:, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([i, rows, slices], axis=1) for i in (first, last)])
