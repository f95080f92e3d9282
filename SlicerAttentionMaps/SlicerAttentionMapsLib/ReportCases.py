"""Maps of the scene, and what was measured of them, as cases of a report."""

from . import (
    Attached,
    Maps,
    MetricsTable,
    ResultNodes,
    Signs,
    StructureTable,
    Tables,
    VolumeBridge,
)
from .EnginePath import ensureEngine


def cases(mapNodes, segmentationNode=None, segmentIds=None) -> list:
    """Return one `attention_maps.worker.reporting.KeptCase` per scan.

    Scores, tests, hot spots and the like are those of the scene's last tables about what speaks
    for the answer.

    Args:
        mapNodes: the maps, each at the layer that it shows.
        segmentationNode: ground truth that is drawn into the pictures; None for none.
        segmentIds: of its segments that count; None for all.
    """
    ensureEngine()
    masks = {}
    if segmentationNode is not None:
        masks = StructureTable.masksOf(segmentationNode, segmentIds)
    scans = dict.fromkeys(Maps.scanOf(node) for node in mapNodes)
    return [
        _caseOf(scan, [node for node in mapNodes if Maps.scanOf(node) is scan], masks)
        for scan in scans
    ]


def _caseOf(scanNode, mapNodes: list, masks: dict):
    from attention_maps.worker.reporting import KeptCase, KeptMap

    tables = [node for node in Tables.tablesOf(scanNode.GetScene()) if _isAboutFor(node)]
    first = mapNodes[0]
    return KeptCase(
        scanNode.GetName(),
        VolumeBridge.imageFromVolumes([scanNode]),
        [
            KeptMap(
                StructureTable.imageOf(node),
                ResultNodes.provenanceOf(node),
                _scoresOf(node, tables, masks),
                _trustOf(node, tables),
            )
            for node in mapNodes
        ],
        masks,
        _lastOf(tables, Tables.SWEEP, ResultNodes.SCAN_ROLE, scanNode),
        _lastOf(tables, Tables.SPOTS, Tables.MAP_ROLE, first).get("hot_spots", []),
        _lastOf(tables, Tables.STRUCTURES, Tables.MAP_ROLE, first).get("evidence", []),
        _thresholdOf(tables),
    )


def _isAboutFor(table) -> bool:
    """Return whether a table is about what speaks for the answer, as all that a report says."""
    return Attached.attached(table).get("sign", Signs.POSITIVE) == Signs.POSITIVE


def _scoresOf(mapNode, tables: list, masks: dict) -> dict:
    """Return the last scores of the layer that a map shows, by name of the segment."""
    layer = ResultNodes.provenanceOf(mapNode).get("layer", "")
    found: dict = {}
    for table in tables:
        found.update(MetricsTable.scoresOf(table, mapNode, layer))
    return {
        segment: {key: row[key] for key in ("values", "reasons", "threshold", "voxels")}
        for segment, row in found.items()
        if segment in masks
    }


def _thresholdOf(tables: list) -> str | float:
    """Return the threshold of the last metrics."""
    found = [Attached.attached(table).get("threshold") for table in tables]
    return next((item for item in reversed(found) if item is not None), "otsu")


def _trustOf(mapNode, tables: list) -> list:
    """Return the last trust report of the layer that a map shows, if there is one."""
    layer = ResultNodes.provenanceOf(mapNode).get("layer")
    found = [
        Attached.attached(table)
        for table in tables
        if Tables.kindOf(table) == Tables.TRUST
        and table.GetNodeReference(Tables.MAP_ROLE) is mapNode
    ]
    return [report for report in found if report["layer"] == layer][-1:]


def _lastOf(tables: list, kind: str, role: str, node) -> dict:
    """Return what the last table of a kind about a node shows; empty where there is none."""
    found = [
        table
        for table in tables
        if Tables.kindOf(table) == kind and table.GetNodeReference(role) is node
    ]
    return Attached.attached(found[-1]) if found else {}
