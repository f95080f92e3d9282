"""Loading the module costs little: nothing heavy is imported before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = Path(__file__).parents[2] / "SlicerAttentionMaps"
LIBRARY = MODULE / "SlicerAttentionMapsLib"
HEAVY = (
    "torch", "SimpleITK", "sitkUtils", "pydantic", "nibabel", "matplotlib", "scipy", "typer",
    "rich", "PIL", "attention_maps.", "PyTorchUtils",
)  # fmt: skip
OFFERED = {*sys.stdlib_module_names, "slicer", "vtk", "numpy", "qt", "ctk"}
# Run by Python alone, outside of the application: `make demo`.
FIGURES = {"FigureParts", "SliceFigure", "SliceRenderer"}
FILES = sorted(path for path in MODULE.rglob("*.py") if path.stem not in FIGURES)


def atFileScope(path: Path) -> set[str]:
    """Names of the packages that a file imports when it is imported; "." stands for its own."""
    found = set()
    for node in importsOf(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        else:
            found.add("." if node.level else node.module.split(".")[0])
    return found


def importsOf(tree: ast.AST):
    """Imports outside of functions and of `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        isTyping = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not isTyping and not isinstance(node, ast.FunctionDef | ast.Lambda):
            yield from importsOf(node)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_file_scope_imports_are_the_applications(path):
    assert atFileScope(path) <= {*OFFERED, ".", "SlicerAttentionMapsLib"}


def importedBy(code: str) -> set[str]:
    code += "\nimport sys; print('\\n'.join(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=MODULE, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def names(folder: str, *, without: tuple[str, ...] = ()) -> list[str]:
    """Modules of a folder that need neither qt nor ctk, nor anything that does."""
    found = []
    for path in sorted((MODULE / folder).glob("*.py")):
        if not needsQt(path) and path.stem not in (*FIGURES, "__init__", *without):
            found.append(".".join([*folder.split("/"), path.stem]))
    return found


def needsQt(path: Path) -> bool:
    """Whether a file, or one that it imports, needs the application's Qt."""
    text = path.read_text(encoding="utf-8")
    return bool({"qt", "ctk"} & atFileScope(path)) or "slicer.parameterNodeWrapper" in text


def test_panel_and_library_import_nothing_heavy():
    pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)
    wanted = [*names("SlicerAttentionMapsLib/Panel"), "SlicerAttentionMapsLib.Logic"]
    wanted += ["SlicerAttentionMapsLib.WorkerSession", "SlicerAttentionMapsLib.Dependencies"]
    base = importedBy("import slicer, slicer.util, numpy")
    loaded = importedBy("".join(f"import {name}\n" for name in wanted)) - base
    assert len(wanted) > 12
    assert "SlicerAttentionMapsLib.Logic" in loaded
    assert sorted(name for name in loaded if name.startswith(HEAVY)) == []


def test_start_of_the_application_imports_three_files():
    """Loading the module takes milliseconds: sections and logic come when they are asked for."""
    allowed = {"SlicerAttentionMapsLib.Paths", "SlicerAttentionMapsLib.Widget", "Paths"}
    for path in (MODULE / "SlicerAttentionMaps.py", LIBRARY / "Widget.py", LIBRARY / "Paths.py"):
        own = {
            node.module
            for node in importsOf(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom)
            and (node.level or node.module.startswith("SlicerAttentionMapsLib"))
        }
        assert own <= allowed, path
