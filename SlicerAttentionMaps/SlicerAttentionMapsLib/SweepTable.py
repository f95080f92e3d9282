"""Layers against methods for one question: the table of a sweep, and what is best in it."""

from . import Attached, QuestionRecord, Tables
from .EnginePath import ensureEngine
from .Panel.CheckRows import metricTip, withUnit
from .Tables import Column


def addTable(found: dict, scanNode, record):
    """Add the table of a sweep, with the question that it asked.

    Args:
        found: `attention_maps.sweep(...).to_dict()`.
        scanNode: the volume that was explained.
        record: what was asked (`QuestionRecord.Record`).
    """
    from attention_maps.registry import methods

    labels, rows = methods(), found["rows"]
    texts = {
        "Layer": [row["layer"] for row in rows],
        "Method": [labels[row["method"]].label for row in rows],
    }
    if found["labels"]:
        texts["Segment"] = [row["label"] for row in rows]
    columns = [Column(title, tuple(values)) for title, values in texts.items()]
    for name in found["metrics"]:
        known = describedMetric(name)
        values = tuple(Attached.number(row[name]) for row in rows)
        columns.append(Column(known.label, values, known.unit, metricTip(known)))
    if any(row["reason"] for row in rows):
        columns.append(Column("Remarks", tuple(row["reason"] for row in rows)))
    name = f"{scanNode.GetName()} | {found['provenance'].get('target', '')} | sweep"
    node = Tables.addTable(columns, scanNode, name, Tables.SWEEP)
    Attached.attach(node, found)
    QuestionRecord.keep(node, record)
    return node


def sweepOf(tableNode):
    """Return the `attention_maps` Sweep that a table shows, without its maps.

    Raises:
        MethodError: If it is no table of a sweep.
    """
    ensureEngine()
    from attention_maps.errors import MethodError
    from attention_maps.sweep_table import Sweep

    found = Attached.attached(tableNode)
    if Tables.kindOf(tableNode) != Tables.SWEEP or not found:
        raise MethodError(f"Expected the table of a sweep, got '{tableNode.GetName()}'.")
    return Sweep.from_dict(found)


def titles(found: dict) -> dict[str, str]:
    """Return the metrics of a sweep by name, as people read them."""
    return {name: withUnit(describedMetric(name)) for name in found["metrics"]}


def describedMetric(name: str):
    """Return what is known of a metric, or of a figure of the map alone."""
    from attention_maps.sweep_table import described

    return described(name)
