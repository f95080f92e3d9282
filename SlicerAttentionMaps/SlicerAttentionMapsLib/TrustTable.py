"""Whether a map can be trusted: what was tested and found, as a table, and its curves."""

from . import Attached, LayerSequence, Tables
from .Tables import Column


def addTable(report: dict, mapNode):
    """Add the table of a trust report.

    Args:
        report: `attention_maps.trust(...).to_dict()`.
        mapNode: the map.
    """
    findings = report["findings"]
    columns = [
        Column("Test", tuple(item["label"] for item in findings)),
        Column("Verdict", tuple(item["verdict"] for item in findings)),
        Column("Finding", tuple(sentenceOf(item) for item in findings)),
        Column("Figures", tuple(numbersInWords(item["figures"]) for item in findings)),
        Column("Controls", tuple(numbersInWords(item["controls"]) for item in findings)),
    ]
    title = f"{LayerSequence.nameOf(mapNode)} | trust"
    node = Tables.addTable(columns, mapNode, title, Tables.TRUST)
    Attached.attach(node, report)
    node.SetNodeReferenceID(Tables.MAP_ROLE, mapNode.GetID())
    return node


def mapOf(tableNode):
    """Return the map that a report is about; None if it was removed."""
    return tableNode.GetNodeReference(Tables.MAP_ROLE)


def findingsOf(tableNode) -> list[dict]:
    """Return the findings that a table shows, as the engine gave them."""
    return Attached.attached(tableNode).get("findings", [])


def sentenceOf(finding: dict) -> str:
    """Return what was found in one sentence, or why it was not tested."""
    return finding["sentence"] or finding["reason"]


def numbersInWords(numbers: dict) -> str:
    """Return 'area 0.12, drop 0.5'."""
    known = {name: value for name, value in numbers.items() if value is not None}
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in known.items())
