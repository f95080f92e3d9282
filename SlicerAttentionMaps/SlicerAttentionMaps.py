"""Attention Maps: shows where a trained network looked.

3D Slicer loads this file at its start, whether the module is used or not: the rest is imported when
it is asked for.
"""

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest

from SlicerAttentionMapsLib.Paths import resourcePath
from SlicerAttentionMapsLib.Widget import SlicerAttentionMapsWidget

__all__ = ["SlicerAttentionMaps", "SlicerAttentionMapsWidget"]

HOMEPAGE = "https://github.com/AttentionMaps/SlicerAttentionMaps"


def __getattr__(name: str):
    if name == "SlicerAttentionMapsLogic":
        from SlicerAttentionMapsLib.Logic import SlicerAttentionMapsLogic

        return SlicerAttentionMapsLogic
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


class SlicerAttentionMaps(ScriptedLoadableModule):
    """The module, as 3D Slicer lists it."""

    def __init__(self, parent) -> None:
        super().__init__(parent)
        parent.title = _("Attention Maps")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Machine Learning")]
        parent.dependencies = []
        parent.contributors = ["AttentionMaps contributors"]
        parent.helpText = _(
            "Shows which part of a scan a trained network looked at: choose a volume and a model "
            "file, then Explain. Research use only: a map shows what a network computed with, it "
            "is no proof of disease. See the <a href='{url}'>documentation</a>."
        ).format(url=HOMEPAGE)
        parent.acknowledgementText = _(
            "Please cite the paper of the method that you used; its tooltip names it. The sample "
            "network is that of deepbet (Fisch et al., 2024, doi:10.1016/j.compbiomed.2024.108845)."
        )
        icon = resourcePath("Icons/SlicerAttentionMaps.svg")
        if icon.is_file():
            parent.icon = qt.QIcon(str(icon))
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData() -> None:
    """List head and network in the Sample Data module."""
    from SlicerAttentionMapsLib import SampleScan

    SampleScan.register()


class SlicerAttentionMapsTest(ScriptedLoadableModuleTest):
    """The tests inside 3D Slicer: the panel is used as a person would (see `ModuleTests`)."""

    def runTest(self) -> None:
        """Run all of them; each is reported by itself."""
        from SlicerAttentionMapsLib.ModuleTests import Suite

        result = Suite.run()
        self.assertTrue(result.wasSuccessful(), "A test failed; the log says which and why.")
