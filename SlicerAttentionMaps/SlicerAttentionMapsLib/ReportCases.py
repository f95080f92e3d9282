"""Maps of the scene, and what was measured of them, as cases of a report."""

from . import Attached, LayerSequence, Maps, ResultNodes, StructureTable, Tables, VolumeBridge
from .EnginePath import ensureEngine


def cases(mapNodes, segmentationNode=None, segmentIds=None) -> list:
    """Return one `attention_maps.ReportCase` per scan.

    Scores, tests, hot spots and the like are those of the scene's last tables.

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


def mapOf(mapNode):
    """Return the layer that a map shows as `attention_maps.AttentionMap`, without the answer."""
    from attention_maps.result import AttentionMap

    image, provenance = StructureTable.imageOf(mapNode), ResultNodes.provenanceOf(mapNode)
    made = AttentionMap(
        image, image.grid, image.grid, provenance["score"], provenance["layer"],
        provenance["method"], provenance["target"], provenance["signed"], provenance, None,
    )  # fmt: skip
    made.__dict__["image"] = image  # it is in its place already
    return made


def _caseOf(scanNode, mapNodes: list, masks: dict):
    from attention_maps.report.case import ReportCase

    image = VolumeBridge.imageFromVolumes([scanNode])
    maps = [mapOf(node) for node in mapNodes]
    tables = Tables.tablesOf(scanNode.GetScene())
    first = mapNodes[0]
    return ReportCase(
        scanNode.GetName(),
        image,
        maps,
        masks,
        [_scoresOf(node, tables, masks) for node in mapNodes],
        [
            report
            for node, made in zip(mapNodes, maps, strict=True)
            for report in _trustOf(node, made, image, tables)
        ],
        _sweepOf(scanNode, tables),
        _measuredOf(first, tables, Tables.SPOTS),
        _measuredOf(first, tables, Tables.STRUCTURES),
    )


def _scoresOf(mapNode, tables: list, masks: dict) -> dict:
    """Return the last scores of a map by name of the segment."""
    from attention_maps.scores import Scores

    name = list(LayerSequence.frames(mapNode))[LayerSequence.layerIndex(mapNode)]
    found: dict = {}
    for table in tables:
        for row in Attached.attached(table).get("scores", ()):
            if row["map"] == name and row["segment"] in masks:
                values = {key: Attached.number(value) for key, value in row["values"].items()}
                found[row["segment"]] = Scores(
                    values, row["reasons"], row["threshold"], row["voxels"]
                )
    return found


def _trustOf(mapNode, made, image, tables: list) -> list:
    """Return the last trust report of a map, if there is one."""
    from attention_maps.faithfulness.findings import Curve, Finding, TrustReport

    from .TrustTable import mapOf as testedMap

    reports = [
        Attached.attached(table)
        for table in tables
        if Tables.kindOf(table) == Tables.TRUST and testedMap(table) is mapNode
    ]
    reports = [report for report in reports if report["layer"] == made.layer]
    found = []
    for report in reports[-1:]:
        findings = tuple(
            Finding(
                **{
                    **item,
                    "figures": _numbers(item["figures"]),
                    "controls": _numbers(item["controls"]),
                    "curves": tuple(Curve(**_curve(curve)) for curve in item["curves"]),
                    "rows": tuple(item["rows"]),
                }
            )
            for item in report["findings"]
        )
        found.append(TrustReport(made, findings, report["provenance"], image))
    return found


def _curve(curve: dict) -> dict:
    return {**curve, **{key: tuple(map(Attached.number, curve[key])) for key in ("x", "y")}}


def _numbers(values: dict) -> dict[str, float]:
    return {name: Attached.number(value) for name, value in values.items()}


def _sweepOf(scanNode, tables: list):
    """Return the last sweep of a scan; None if there is none."""
    from .SweepTable import sweepOf

    found = [
        table
        for table in tables
        if Tables.kindOf(table) == Tables.SWEEP
        and table.GetNodeReference(ResultNodes.SCAN_ROLE) is scanNode
    ]
    return sweepOf(found[-1]) if found else None


def _measuredOf(mapNode, tables: list, kind: str) -> list:
    """Return the last hot spots or structures of a map."""
    from attention_maps.worker.measured import measured_of

    found = [
        Attached.attached(table)
        for table in tables
        if Tables.kindOf(table) == kind
        and table.GetNodeReference(Tables.MAP_ROLE) is mapNode
        and Attached.attached(table)
    ]
    return measured_of(Attached.withNumbers(found[-1])) if found else []
