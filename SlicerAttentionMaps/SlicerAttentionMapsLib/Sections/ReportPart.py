"""The report of a case, of the Compare section."""

from ..i18n import _
from ..Panel.ComparePanel import REPORT, mapProblem, truthProblem, workProblem

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
        if mapProblem(state) or workProblem(state):
            return
        filters = ";;".join(f"{name} (*.{ending})" for name, ending in _TYPES)
        path = self._section.askPath(_("Save a report"), _NAME, filters)
        if not path:
            return
        truth = None if truthProblem(state) else panel.parameters.truthNode
        segments = self._section.chosenSegments(state)

        maps = panel.logic.maps()

        def ask(**listeners):
            return panel.worker.saveReport(path, maps, truth, segments, **listeners)

        self._section.measure.start(REPORT, ask, lambda _path: None, _saved)


def _saved(path: str) -> str:
    return _("Saved {path}").format(path=path)
