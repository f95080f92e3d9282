"""How Sphinx builds the documentation: `make docs`."""

import re
import sys
from pathlib import Path

import attention_maps

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "SlicerAttentionMaps"))

project = "AttentionMaps"
author = "AttentionMaps contributors"
release = version = attention_maps.__version__
copyright = author

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["*.py", "__pycache__"]
html_theme = "furo"
html_title = f"AttentionMaps {release}"
html_logo = "../Resources/Icons/AttentionMaps.png"
html_copy_source = False
html_show_copyright = False

myst_enable_extensions = ["attrs_inline", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the signature and the docstring say it
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
# Only docstrings are read of the module's logic, nothing of it runs: 3D Slicer need not be at hand.
autodoc_mock_imports = ["slicer", "vtk", "qt", "ctk"]
napoleon_use_rtype = False
napoleon_use_ivar = True


def escape_axes(app, what, name, obj, options, lines):
    """In (C, *spatial) the asterisk is none of reStructuredText's."""
    lines[:] = [re.sub(r"(?<!\\)\*(?=spatial|grid)", r"\\*", line) for line in lines]


def mark_snippets(app, what, name, obj, options, lines):
    """Show the console snippets of the module's logic as code."""
    if not name.startswith("SlicerAttentionMapsLib"):
        return
    found = []
    for line in lines:
        if re.match(r"(\w+ = )?.*\blogic\.\w+\(", line.strip()) and not line.startswith("Args"):
            if not found or not found[-1].startswith("    "):
                found += ["", "::", ""]
            found.append("    " + line.strip())
        else:
            if found and found[-1].startswith("    "):
                found.append("")
            found.append(line)
    lines[:] = found


def setup(app):
    """Connect what Sphinx calls."""
    app.connect("autodoc-process-docstring", escape_axes, priority=400)
    app.connect("autodoc-process-docstring", mark_snippets, priority=400)
