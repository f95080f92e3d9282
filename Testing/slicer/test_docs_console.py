"""The documentation's snippets for the Python console of 3D Slicer run, from top to bottom."""

import inspect
import json
import re
import sys
from pathlib import Path

import pytest

from slicer_places import PLACES, addVolume, saveNetwork, spot

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import slicer
import slicer.util

from SlicerAttentionMapsLib.Logic import SlicerAttentionMapsLogic

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("viewedScene")]


def snippets(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def isConsole(page: Path) -> bool:
    return any(re.search(r"\b(slicer|logic)\.", code) for code in snippets(page))


PAGES = [page for page in sorted((ROOT / "docs").glob("*.md")) if isConsole(page)]


@pytest.fixture
def console(scene, context, tmp_path, monkeypatch) -> dict:
    """What the pages begin with: T1 and T2 in the application's scene, two networks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    scan = spot()
    scan[3:6, 18:22, 4:7] = 4.0  # what the network takes for an organ
    for name in ("T1", "T2"):
        addVolume(scene, scan, PLACES["nested"], name)
    sidecar = {"class_names": ["nothing", "organ", "tumor"], "task": "segmentation"}
    for name, channels in (("model", 1), ("two_channels", 2)):
        saveNetwork(f"{name}.pt", channels=channels)
        Path(f"{name}.json").write_text(json.dumps(sidecar))
    return {"slicer": slicer, "__name__": "__console__"}


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_snippets_run(page, console):
    for code in snippets(page):
        exec(compile(code, str(page), "exec"), console)


def test_every_call_of_the_logic_has_a_snippet():
    code = "\n".join(snippets(ROOT / "docs" / "slicer_scripting.md"))
    calls = [name for name, _method in inspect.getmembers(SlicerAttentionMapsLogic, callable)]
    missing = [name for name in calls if name[0] != "_" and f"logic.{name}(" not in code]
    assert missing == []


def test_snippets_need_nothing_but_slicer():
    """No page imports what the application's Python has not got."""
    known = {*sys.stdlib_module_names, "SlicerAttentionMapsLib", "attention_maps", "slicer", "vtk"}
    known |= {"numpy", "qt", "ctk"}
    for page in PAGES:
        found = re.findall(r"^(?:import|from) (\w+)", "\n".join(snippets(page)), re.MULTILINE)
        assert set(found) <= known, page
