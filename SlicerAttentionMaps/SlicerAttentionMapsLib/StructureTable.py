"""Where the attention of a map is: its share in every segment, and outside all of them."""

import slicer.util

from . import Attached, LayerSequence, PlaceBridge, Signs, Tables, VolumeBridge
from .EnginePath import ensureEngine
from .Tables import Column


def masksOf(segmentationNode, segmentIds=None) -> dict:
    """Return the mask Images of segments by name; of all of them where none are given.

    Raises:
        TargetError: If a segment is not there, or there is none.
    """
    ensureEngine()
    from attention_maps.errors import TargetError

    segmentation = segmentationNode.GetSegmentation()
    count = segmentation.GetNumberOfSegments()
    ids = list(segmentIds or [segmentation.GetNthSegmentID(n) for n in range(count)])
    if not ids:
        raise TargetError(
            f"'{segmentationNode.GetName()}' has no segments; choose another, or draw one."
        )
    found: dict = {}
    for key in ids:
        mask = PlaceBridge.maskFromSegment(segmentationNode, key)
        found[_free(segmentation.GetSegment(key).GetName(), found)] = mask
    return found


def masksFor(volumeNode, axes: int | None, segmentationNode, segmentIds=None) -> dict:
    """Return the masks of segments as a network with so many spatial axes sees the volume.

    Args:
        volumeNode: the volume that is explained.
        axes: 2 for a network of pictures.
        segmentationNode: holds the segments; None for no masks.
        segmentIds: of those that count; None for all.
    """
    if segmentationNode is None:
        return {}
    masks = masksOf(segmentationNode, segmentIds)
    isPicture = axes == 2 and 1 in volumeNode.GetImageData().GetDimensions()
    if not isPicture:
        return masks
    return {name: VolumeBridge.maskOnPicture(mask, volumeNode) for name, mask in masks.items()}


def imageOf(mapNode):
    """Return the layer that a map shows as an Image (1, i, j, k) in the world, without a copy."""
    ensureEngine()
    from attention_maps.types import Image

    voxels = slicer.util.arrayFromVolume(mapNode).T[None]
    return Image(voxels, VolumeBridge.worldAffine(mapNode))


def addTable(evidence, mapNode, sign="positive"):
    """Add the table of what `attention_maps.evidence_table` found.

    Args:
        evidence: a list of `StructureEvidence`.
        mapNode: the map.
        sign: what counted of the map.
    """
    number = {
        "Share": ([row.share for row in evidence], "", "Share of the attention, 0 to 1."),
        "Volume": ([row.ml for row in evidence], "ml", "Volume of the structure on the map."),
        "Share per ml": (
            [row.share_per_ml for row in evidence], "1/ml", "Share of the attention per volume."
        ),
        "Concentration": (
            [row.concentration for row in evidence], "",
            "Share of the attention over share of the volume; 1 where it is spread evenly.",
        ),
        "Mean": ([row.mean for row in evidence], "", "Mean of the map in the structure."),
        "Peak": ([row.peak for row in evidence], "", "Largest value of the map in the structure."),
    }  # fmt: skip
    columns = [Column("Structure", tuple(row.name for row in evidence))]
    columns += [Column(title, tuple(values), *more) for title, (values, *more) in number.items()]
    if any(row.reason for row in evidence):
        columns.append(Column("Remarks", tuple(row.reason for row in evidence)))
    title = f"{LayerSequence.nameOf(mapNode)} | structures{Signs.inWords(sign)}"
    table = Tables.addTable(columns, mapNode, title, Tables.STRUCTURES)
    Attached.attach(table, {"evidence": [row.to_dict() for row in evidence], "sign": sign})
    table.SetNodeReferenceID(Tables.MAP_ROLE, mapNode.GetID())
    return table


def _free(name: str, taken: dict) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free
