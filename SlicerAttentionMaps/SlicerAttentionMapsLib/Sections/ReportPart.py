"""The report of a case, of the Compare section."""

import slicer

from ..i18n import _
from ..Panel.ComparePanel import mapProblem, truthProblem

_NAME = "attention_maps.html"
_TYPES = (("Page", "html"), ("Excel", "xlsx"), ("CSV", "csv"), ("JSON", "json"))


class ReportPart:
    """Binds the button that saves a report.

    Args:
        panel: the module's widget.
        section: the `CompareSection` that this is a part of.
    """

    def __init__(self, panel, section) -> None:
        self._panel, self._section = panel, section
        panel.ui.saveReportButton.connect("clicked()", panel.guarded(self.onSave))

    def onSave(self) -> None:
        """Save a report where the person says."""
        panel, state = self._panel, self._panel.state()
        if mapProblem(state):
            return
        filters = ";;".join(f"{name} (*.{ending})" for name, ending in _TYPES)
        path = self._section.askPath(_("Save a report"), _NAME, filters)
        if not path:
            return
        truth = None if truthProblem(state) else panel.parameters.truthNode
        segments = self._section.chosenSegments(state)

        def save() -> None:
            with slicer.util.WaitCursor():
                panel.logic.saveReport(path, None, truth, segments)

        self._section.remedy.attempt(save)
        panel.log(_("Saved {path}").format(path=path))
