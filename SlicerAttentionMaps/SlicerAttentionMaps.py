"""Attention Maps: shows where a trained network looked."""

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

from SlicerAttentionMapsLib.Logic import SlicerAttentionMapsLogic
from SlicerAttentionMapsLib.Paths import resourcePath
from SlicerAttentionMapsLib.Widget import SlicerAttentionMapsWidget

__all__ = ["SlicerAttentionMaps", "SlicerAttentionMapsLogic", "SlicerAttentionMapsWidget"]


class SlicerAttentionMaps(ScriptedLoadableModule):
    """The module, as 3D Slicer lists it."""

    def __init__(self, parent) -> None:
        super().__init__(parent)
        parent.title = _("Attention Maps")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Machine Learning")]
        parent.dependencies = []
        parent.contributors = ["AttentionMaps contributors"]
        parent.helpText = _("Shows which part of a scan a trained network looked at.")
        parent.acknowledgementText = ""
        icon = resourcePath("Icons/SlicerAttentionMaps.svg")
        if icon.is_file():
            parent.icon = qt.QIcon(str(icon))
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData() -> None:
    """List head and network in the Sample Data module."""
    from SlicerAttentionMapsLib import SampleScan

    SampleScan.register()
