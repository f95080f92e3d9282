"""Tables of metrics: one row per map, layer and segment; written to files, read back for plots."""

import csv
from dataclasses import dataclass
from pathlib import Path

import vtk

from . import ResultNodes
from .Naming import uniqueName
from .Written import toldInWords

TABLE_ATTRIBUTE = "AttentionMaps.Metrics"
TEXT_COLUMNS = ("Map", "Segment", "Question", "Method", "Layer")
_DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}


@dataclass(frozen=True)
class Row:
    """One map held against one segment.

    Attributes:
        texts: what `TEXT_COLUMNS` name, in their order.
        values: number by label of the metric.
    """

    texts: tuple[str, ...]
    values: dict[str, float]


def rowOf(name: str, segment: str, provenance: dict, values: dict[str, float]) -> Row:
    """Return the row of a map, with its metrics under the names that people read.

    Args:
        name: of the map.
        segment: name of the segment.
        provenance: how the map was made; empty if nobody knows.
        values: number by name of the metric.
    """
    from attention_maps.registry import metrics

    known = metrics()
    labels = {known[key].label if key in known else key: value for key, value in values.items()}
    details = [provenance.get(key, "") for key in ("target", "method_label", "layer")]
    return Row((name, segment, *details), labels)


def addTable(rows: list[Row], besideNode, title: str):
    """Add a table node in the folder of another node.

    Raises:
        MethodError: If there is no row.
    """
    from attention_maps.errors import MethodError

    if not rows:
        raise MethodError("Expected at least one map and one segment, got none.")
    scene = besideNode.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", uniqueName(scene, title))
    node.SetAttribute(TABLE_ATTRIBUTE, "yes")
    node.SetUseColumnTitleAsColumnHeader(True)
    for index, column in enumerate(TEXT_COLUMNS):
        addTexts(node, column, [row.texts[index] for row in rows])
    for label in rows[0].values:
        addNumbers(node, label, [row.values[label] for row in rows])
    ResultNodes.putBeside(node, besideNode)
    return node


def rowsOf(tableNode) -> list[Row]:
    """Return the rows of a table that `addTable` made."""
    table = tableNode.GetTable()
    columns = [table.GetColumn(index) for index in range(table.GetNumberOfColumns())]
    texts, numbers = columns[: len(TEXT_COLUMNS)], columns[len(TEXT_COLUMNS) :]
    return [
        Row(
            tuple(column.GetValue(index) for column in texts),
            {column.GetName(): column.GetVariantValue(index).ToDouble() for column in numbers},
        )
        for index in range(table.GetNumberOfRows())
    ]


def exportTable(tableNode, path) -> Path:
    """Write a table as text, numbers in full; the file's ending says how.

    Raises:
        ValueError: If it ends on nothing known.
        OSError: If it cannot be written there; the message says what to do.
    """
    path = Path(path)
    delimiter = _DELIMITERS.get(path.suffix.lower())
    if delimiter is None:
        raise ValueError(f"A table is saved as .csv or .tsv, but got '{path.name}'.")
    rows = rowsOf(tableNode)
    told = toldInWords(f"'{path.name}' in '{path.absolute().parent}'", "choose another folder")
    with told, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow([*TEXT_COLUMNS, *rows[0].values])
        writer.writerows([*row.texts, *map(repr, row.values.values())] for row in rows)
    return path


def addTexts(tableNode, title: str, texts: list[str]) -> None:
    """Add a column of text."""
    column = vtk.vtkStringArray()
    column.SetName(title)
    for text in texts:
        column.InsertNextValue(text)
    tableNode.AddColumn(column)


def addNumbers(tableNode, title: str, numbers: list[float]) -> None:
    """Add a column of numbers."""
    column = vtk.vtkDoubleArray()
    column.SetName(title)
    for number in numbers:
        column.InsertNextValue(number)
    tableNode.AddColumn(column)
