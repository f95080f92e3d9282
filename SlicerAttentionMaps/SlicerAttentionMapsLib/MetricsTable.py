"""Tables of metrics: one row per map, layer and segment."""

from dataclasses import dataclass, field

from . import Attached, Tables
from .Panel.CheckRows import metricTip
from .Tables import Column

TEXT_COLUMNS = ("Map", "Segment", "Question", "Method", "Layer")
REMARKS = "Remarks"


@dataclass(frozen=True)
class Row:
    """One map held against one segment.

    Attributes:
        texts: what `TEXT_COLUMNS` name, in their order.
        values: number by name of the metric that people read.
        remark: why some of them are no numbers; empty where all are.
        scores: what `attention_maps.evaluate` gave; None of a table that is read.
        mapId: ID of the map's node; empty of a table that is read.
    """

    texts: tuple[str, ...]
    values: dict[str, float] = field(default_factory=dict)
    remark: str = ""
    scores: object = None
    mapId: str = ""


def rowOf(name: str, segment: str, provenance: dict, scores, mapId: str) -> Row:
    """Return the row of a map, with its metrics under the names that people read.

    Args:
        name: of the map.
        segment: name of the segment.
        provenance: how the map was made; empty if nobody knows.
        scores: what `attention_maps.evaluate` gave.
        mapId: ID of the map's node.
    """
    details = [provenance.get(key, "") for key in ("target", "method_label", "layer")]
    labels = {_titleOf(key): value for key, value in scores.items()}
    return Row((name, segment, *details), labels, remarkOf(scores.reasons), scores, mapId)


def remarkOf(reasons: dict[str, str]) -> str:
    """Return why metrics are no numbers, each reason once with the metrics it is about."""
    metrics: dict[str, list[str]] = {}
    for key, reason in reasons.items():
        metrics.setdefault(reason, []).append(_titleOf(key))
    if len(metrics) == 1:
        return next(iter(metrics))
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in metrics.items())


def addTable(rows: list[Row], besideNode, title: str, asked: dict):
    """Add a table node in the folder of another node.

    Args:
        rows: of the table.
        besideNode: a node in that folder.
        title: name of the node.
        asked: threshold and sign that the metrics were asked with.

    Raises:
        MethodError: If there is no row.
    """
    from attention_maps.errors import MethodError

    if not rows:
        raise MethodError("Expected at least one map and one segment, got none.")
    columns = [
        Column(column, tuple(row.texts[index] for row in rows))
        for index, column in enumerate(TEXT_COLUMNS)
    ]
    columns += [
        metricColumn(title, [row.values[title] for row in rows]) for title in rows[0].values
    ]
    if any(row.remark for row in rows):
        columns.append(Column(REMARKS, tuple(row.remark for row in rows)))
    node = Tables.addTable(columns, besideNode, title, Tables.METRICS)
    maps = list(dict.fromkeys(row.mapId for row in rows))
    for mapId in maps:
        node.AddNodeReferenceID(Tables.MAP_ROLE, mapId)
    scores = [{"map": maps.index(row.mapId), **_plain(row)} for row in rows]
    Attached.attach(node, {"scores": scores, **asked})
    return node


def scoresOf(tableNode, mapNode, layer: str) -> dict[str, dict]:
    """Return what was measured of one layer of a map, by name of the segment, for reports."""
    return {
        row["segment"]: row
        for row in Attached.attached(tableNode).get("scores", ())
        if row["layer"] == layer
        and tableNode.GetNthNodeReference(Tables.MAP_ROLE, row["map"]) is mapNode
    }


def metricColumn(title: str, values: list[float]) -> Column:
    """Return the column of a metric, with what the registry says of it."""
    from attention_maps.registry import metrics

    known = next((item for item in metrics().values() if item.label == title), None)
    if known is None:
        return Column(title, tuple(values))
    return Column(title, tuple(values), known.unit, metricTip(known))


def rowsOf(tableNode) -> list[Row]:
    """Return the rows of a table that `addTable` made."""
    return [
        Row(
            tuple(row[name] for name in TEXT_COLUMNS),
            {title: value for title, value in row.items() if not isinstance(value, str)},
            row.get(REMARKS, ""),
        )
        for row in Tables.rowsOf(tableNode)
    ]


def _plain(row: Row) -> dict:
    """Return scores as the engine gave them, for reports."""
    return {
        "segment": row.texts[TEXT_COLUMNS.index("Segment")],
        "layer": row.texts[TEXT_COLUMNS.index("Layer")],
        "values": dict(row.scores),
        "reasons": row.scores.reasons,
        "threshold": row.scores.threshold,
        "voxels": row.scores.voxels,
    }


def _titleOf(name: str) -> str:
    from attention_maps.registry import metrics

    known = metrics()
    return known[name].label if name in known else name
