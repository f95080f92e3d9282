"""Tables of what was measured: nodes of the scene, with units and descriptions, and files."""

import csv
from dataclasses import dataclass
from pathlib import Path

import vtk

from . import ResultNodes
from .EnginePath import ensureEngine
from .Naming import uniqueName
from .SceneSetup import nodesByClass
from .Written import toldInWords

KIND_ATTRIBUTE = "AttentionMaps.Table"
MAP_ROLE = "AttentionMaps.Map"
METRICS, STRUCTURES, SPOTS, SWEEP, TRUST = "metrics", "structures", "hot spots", "sweep", "trust"
_DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_BY_ENGINE = (".xlsx", ".json")
# Spreadsheets take text that begins like this for a formula, which may run programs.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: what is read above it.
        values: all texts, or all numbers.
        unit: of the numbers.
        description: what they are.
    """

    title: str
    values: tuple
    unit: str = ""
    description: str = ""

    @property
    def heading(self) -> str:
        """Title and unit, for places that do not add the unit by themselves as table views do."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def isText(self) -> bool:
        """Whether it holds texts."""
        return any(isinstance(value, str) for value in self.values)


def addTable(columns: list[Column], besideNode, title: str, kind: str):
    """Add a table node in the folder of another node.

    Args:
        columns: from left to right; each title once.
        besideNode: a node in that folder.
        title: name of the node.
        kind: METRICS, STRUCTURES, SPOTS, SWEEP or TRUST.
    """
    scene = besideNode.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", uniqueName(scene, title))
    node.SetAttribute(KIND_ATTRIBUTE, kind)
    node.SetUseColumnTitleAsColumnHeader(True)
    for column in columns:
        if column.isText:
            addTexts(node, column.title, column.values)
        else:
            addNumbers(node, column.title, column.values)
        # Else all that is read of a saved scene is text.
        node.SetColumnType(column.title, vtk.VTK_STRING if column.isText else vtk.VTK_DOUBLE)
        if column.unit:
            node.SetColumnUnitLabel(column.title, column.unit)
        if column.description:
            # A saved table keeps one line of it.
            node.SetColumnDescription(column.title, " ".join(column.description.split()))
    ResultNodes.putBeside(node, besideNode)
    return node


def addTexts(tableNode, title: str, texts) -> None:
    """Add a column of text."""
    column = vtk.vtkStringArray()
    column.SetName(title)
    for text in texts:
        column.InsertNextValue(text)
    tableNode.AddColumn(column)


def addNumbers(tableNode, title: str, numbers) -> None:
    """Add a column of numbers."""
    column = vtk.vtkDoubleArray()
    column.SetName(title)
    for number in numbers:
        column.InsertNextValue(number)
    tableNode.AddColumn(column)


def tablesOf(scene) -> list:
    """Return the tables of a scene that this module made, the oldest first."""
    return [node for node in nodesByClass(scene, "vtkMRMLTableNode") if kindOf(node)]


def kindOf(tableNode) -> str:
    """Return what a table is about; empty for tables of others."""
    return tableNode.GetAttribute(KIND_ATTRIBUTE) or ""


def columnsOf(tableNode) -> list[Column]:
    """Return the columns of a table."""
    table = tableNode.GetTable()
    arrays = [table.GetColumn(index) for index in range(table.GetNumberOfColumns())]
    return [
        Column(
            array.GetName(),
            tuple(_valuesOf(array)),
            tableNode.GetColumnUnitLabel(array.GetName()) or "",
            tableNode.GetColumnDescription(array.GetName()) or "",
        )
        for array in arrays
    ]


def numberTitles(tableNode) -> tuple[str, ...]:
    """Return the titles of the columns that hold numbers; the panel asks for them often."""
    table = tableNode.GetTable()
    arrays = (table.GetColumn(index) for index in range(table.GetNumberOfColumns()))
    return tuple(a.GetName() for a in arrays if not isinstance(a, vtk.vtkStringArray))


def titles(tableNode) -> tuple[str, ...]:
    """Return the titles of all columns."""
    return tuple(tableNode.GetColumnName(n) for n in range(tableNode.GetNumberOfColumns()))


def rowsOf(tableNode) -> list[dict]:
    """Return the rows of a table: text or number by title of the column."""
    columns = columnsOf(tableNode)
    titles = [column.title for column in columns]
    return [
        dict(zip(titles, values, strict=True))
        for values in zip(*(column.values for column in columns), strict=True)
    ]


def exportTable(tableNode, path) -> Path:
    """Write a table, numbers in full; the file's ending says how.

    Raises:
        ImageError: If it ends on nothing known.
        MissingPackageError: If a package is missing that writes such files.
        OSError: If it cannot be written there; the message says what to do.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in (*_DELIMITERS, *_BY_ENGINE):
        ensureEngine()
        from attention_maps.errors import ImageError

        raise ImageError(f"A table is saved as .csv, .tsv, .xlsx or .json, but got '{path.name}'.")
    with toldInWords(f"'{path.name}' in '{path.absolute().parent}'", "choose another folder"):
        if ending in _BY_ENGINE:
            ensureEngine()
            from attention_maps.report.writing import write_tables

            write_tables(path, {kindOf(tableNode) or "table": _rowsToWrite(tableNode)})
        else:
            _writeText(tableNode, path, _DELIMITERS[ending])
    return path


def _writeText(tableNode, path: Path, delimiter: str) -> None:
    columns = columnsOf(tableNode)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow([_safe(column.heading) for column in columns])
        for row in zip(*(column.values for column in columns), strict=True):
            writer.writerow(_safe(item) if isinstance(item, str) else repr(item) for item in row)


def _rowsToWrite(tableNode) -> list[dict]:
    headings = [column.heading for column in columnsOf(tableNode)]
    return [dict(zip(headings, row.values(), strict=True)) for row in rowsOf(tableNode)]


def _safe(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _valuesOf(array):
    indices = range(array.GetNumberOfValues())
    if isinstance(array, vtk.vtkStringArray):
        return (array.GetValue(index) for index in indices)
    return (array.GetVariantValue(index).ToDouble() for index in indices)
