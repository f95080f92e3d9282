"""The panel's decisions need neither Slicer nor Qt."""

import subprocess
import sys
from pathlib import Path

MODULE = Path(__file__).parents[2] / "SlicerAttentionMaps"
PANEL = MODULE / "SlicerAttentionMapsLib" / "Panel"


def test_the_panel_models_import_nothing_of_the_application():
    names = [f"SlicerAttentionMapsLib.Panel.{path.stem}" for path in PANEL.glob("[A-Z]*.py")]
    code = (
        f"import importlib, sys; [importlib.import_module(name) for name in {names}];"
        "print({'slicer', 'qt', 'vtk', 'ctk', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=MODULE, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "set()"
    assert len(names) > 7


def test_text_stays_as_it_is_outside_the_application():
    code = "from SlicerAttentionMapsLib.i18n import _; print(_('Explain {name}'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=MODULE, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "Explain {name}"
