"""The pages of docs/ tell the truth: snippets run, files exist, messages are those of the code."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import attention_maps as am
import attention_maps.errors
from attention_maps import registry
from attention_maps.cli import app
from documents import PAGES, ROOT, is_console, make_files, make_other_kinds, snippets
from spec_table import spec_tables, tables_in_page

PYTHON_PAGES = [page for page in PAGES if snippets(page, "python") and not is_console(page)]
SHELL_PAGES = [page for page in (*PAGES, "README.md") if snippets(page, "sh")]
JSON_PAGES = [page for page in PAGES if snippets(page, "json")]
QUICK = {"spacing": None}  # as the scan is
COMMAND_LINE = re.compile(r"attention-maps \S")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_TRUST_TESTS", am.trust_tests())  # a page adds one
    return tmp_path


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_python_runs(page, folder):
    """From top to bottom, as a reader would paste it."""
    namespace = {"net": make_files(folder, **QUICK)}
    make_other_kinds(folder, page, namespace["net"])
    for code in snippets(page, "python"):
        exec(compile(code, page, "exec"), namespace)


@pytest.mark.parametrize("page", SHELL_PAGES)
def test_command_lines_run(page, folder):
    make_other_kinds(folder, page, make_files(folder, **QUICK))
    for name in ("traced.pt", "traced.json"):
        source = folder / name.replace("traced", "model")
        (folder / name).write_bytes(source.read_bytes())
    lines = [line for code in snippets(page, "sh") for line in code.splitlines()]
    for line in filter(COMMAND_LINE.match, lines):
        result = CliRunner().invoke(app, shlex.split(line, comments=True)[1:])
        assert result.exit_code == 0, (line, result.output)


@pytest.mark.parametrize("page", JSON_PAGES)
def test_sidecars_are_valid(page):
    for text in snippets(page, "json"):
        am.ModelSpec.from_dict(json.loads(text))


@pytest.mark.parametrize("page", PAGES)
def test_pictures_and_pages_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    given = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    given += [f"{name}.md" for name in re.findall(r"\{doc\}`(\w+)`", text)]
    missing = [name for name in given if not ((ROOT / page).parent / name).exists()]
    assert missing == []


def test_pages_show_all_pictures_that_exist():
    script = ROOT / "docs" / "pictures.py"
    code = {"__file__": str(script), "__name__": "pictures"}
    exec(script.read_text(encoding="utf-8"), code)
    for page, top in code["pages"]().items():
        text = page.read_text(encoding="utf-8")
        assert code["with_pictures"](text, top) == text, f"run python docs/pictures.py for {page}"


def test_pictures_of_the_readme_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    given = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    assert [name for name in given if not (ROOT / name).exists()] == []


def test_fields_are_those_of_the_sidecar():
    assert tables_in_page() == spec_tables(), "run python Testing/engine/spec_table.py"


def test_stitching_is_that_of_the_methods():
    """The page on whole volumes names every method in the row that it belongs to."""
    text = (ROOT / "docs" / "whole_volumes.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (blending|adding|neither|blending, then .*?) \| (.*?) \|", text, re.MULTILINE
    )
    found = {name: how for how, names in rows for name in re.findall(r"`(\w+)`", names)}
    expected = {}
    for item in am.methods().values():
        how = {"add": "adding", "blend": "blending"}[item.stitch] if item.has_layer else "neither"
        expected[item.name] = how
    expected["guided_grad_cam"] = "blending, then multiplied"
    assert found == expected


def test_messages_are_those_of_the_code():
    """Each message of the troubleshooting page, with ... for what differs, is in the code."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^(?:### |\| )`([^`]+)`", text, re.MULTILINE)
    assert len(messages) > 30
    known = texts_in_code()
    wrong = []
    for message in messages:
        pattern = ".*?".join(re.escape(part) for part in message.split("..."))
        if not any(re.search(pattern, known_text, re.DOTALL) for known_text in known):
            wrong.append(message)
    assert wrong == []


def test_pages_build_without_warnings(tmp_path):
    """As `make docs` does, where its packages are installed."""
    pytest.importorskip("sphinx", reason="`make docs` installs Sphinx")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", tmp_path / "trees"]
    command += [ROOT / "docs", tmp_path / "html"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_tutorial_names_controls_that_exist():
    """What is printed in italics is on the screen; words of 3D Slicer's own are listed here."""
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    slicers = {"Install", "Data", "Attention Maps"}
    named = {name.strip("?") for name in re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", page)}
    named = {name for name in named if " > " not in name} - slicers
    screen = (ROOT / "Resources" / "UI" / "SlicerAttentionMaps.ui").read_text(encoding="utf-8")
    shown = {*re.findall(r"<string>([^<]+)</string>", screen), *texts_in_code()}
    assert len(named) > 15
    assert sorted(name for name in named if not any(name in text for text in shown)) == []


def test_reference_has_all_public_names():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    errors = {name for name in am.__all__ if name in dir(am.errors)}
    names = {*am.__all__} - errors - {"__version__"}
    assert sorted(name for name in names if f"attention_maps.{name}\n" not in text) == []


def texts_in_code() -> list[str]:
    """Every text of the code; what is filled in appears as an ellipsis."""
    found = []
    for folder in ("Engine", "SlicerAttentionMaps"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = [part.value if isinstance(part, ast.Constant) else "..."
                             for part in node.values]  # fmt: skip
                    found.append("".join(parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(re.sub(r"\{\w+(:\w+)?\}", "...", node.value))
                elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
                    found.append(joined(node))
    return found


def joined(node: ast.AST) -> str:
    """A text put together of several."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return joined(node.left) + joined(node.right)
    if isinstance(node, ast.JoinedStr):
        return "".join(joined(part) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "..."
