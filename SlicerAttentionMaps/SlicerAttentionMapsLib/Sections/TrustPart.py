"""Whether a map can be trusted, of the Compare section."""

import qt

from .. import Asked, Attached, LayerSequence, QuestionRecord, Tables, TrustTable
from ..EnginePath import ensureEngine
from ..Panel import TrustPanel
from ..Panel.CheckRows import stored, testRows
from ..Panel.ComparePanel import TRUST
from ..Panel.TrustPanel import TrustState
from .CheckList import CheckList

_ICONS = {
    "passed": "SP_DialogApplyButton",
    "failed": "SP_MessageBoxCritical",
    "note": "SP_MessageBoxInformation",
    "not tested": "SP_MessageBoxQuestion",
}


class TrustPart:
    """Binds the widgets of the trust report.

    Args:
        panel: the module's widget.
        section: the `CompareSection` that this is a part of.
    """

    def __init__(self, panel, section) -> None:
        self._panel, self._section = panel, section
        self._known = _knownTests()
        self._chosen = ""
        self._shown: tuple = ()
        ui, guarded = panel.ui, panel.guarded
        self._list = CheckList(ui.trustTestsList, self.onTests, panel)
        ui.trustButton.connect("clicked()", guarded(self.onTest))
        ui.findingsList.connect("currentRowChanged(int)", guarded(self.onFinding))
        ui.trustCurvesButton.connect("clicked()", guarded(self.onCurves))

    def table(self):
        """Return the last report on the current map, or None."""
        mapNode = self._panel.sections.result.currentMap()
        if mapNode is None:
            return None
        found = [
            node
            for node in self._panel.logic.tables()
            if Tables.kindOf(node) == Tables.TRUST and TrustTable.mapOf(node) is mapNode
        ]
        layer = LayerSequence.layers(mapNode)[LayerSequence.layerIndex(mapNode)]
        found = [node for node in found if Attached.attached(node)["layer"] in (layer, "input")]
        return found[-1] if found else None

    def state(self) -> TrustState:
        """Return what is known of the current map."""
        tests = testRows(self._known, Asked.parsed(self._panel.parameters.trustTests, list))
        mapNode, table = self._panel.sections.result.currentMap(), self.table()
        about = self._about(mapNode)
        if table is None:
            return TrustState(**about, tests=tests)
        found = tuple(
            TrustPanel.foundOf(item, TrustTable.numbersInWords)
            for item in TrustTable.findingsOf(table)
        )
        remark = Attached.attached(table)["remark"]
        return TrustState(**about, tests=tests, remark=remark, findings=found, chosen=self._chosen)

    def show(self, state) -> None:
        """Show tests and findings."""
        trust = state.compare.trust
        self._list.show(trust.tests)
        if trust.findings == self._shown:
            return
        widget = self._panel.ui.findingsList
        style = widget.style()
        blocked = widget.blockSignals(True)
        widget.clear()
        for found in trust.findings:
            icon = style.standardIcon(getattr(qt.QStyle, _ICONS[found.verdict]))
            item = qt.QListWidgetItem(icon, found.text, widget)
            item.setToolTip(found.toolTip)
        widget.blockSignals(blocked)
        self._shown, self._chosen = trust.findings, ""

    def onTests(self, keys: list[str]) -> None:
        """Run these tests."""
        self._panel.parameters.trustTests = stored(keys, list(self._known))

    def onFinding(self, row: int) -> None:
        """Take the curves of this finding."""
        self._chosen = self._shown[row].test if 0 <= row < len(self._shown) else ""
        self._panel.requestRefresh()

    def onTest(self) -> None:
        """Ask the worker."""
        panel, state = self._panel, self._panel.state()
        if TrustPanel.problem(state):
            return
        mapNode = panel.sections.result.currentMap()
        record = QuestionRecord.of(mapNode)
        tests = [row.key for row in state.compare.trust.tests if row.checked]

        def ask(**listeners):
            panel.sections.input.choose(state)
            return panel.worker.trust(mapNode, record, tests, **listeners)

        self._section.measure.start(TRUST, ask, self._section.tableMade)

    def onCurves(self) -> None:
        """Plot the curves of the chosen finding."""
        found = TrustPanel.plotted(self._panel.state().compare.trust)
        if found is not None:
            self._panel.logic.plotTable(self.table(), found.test)

    def _about(self, mapNode) -> dict:
        """Return whether the panel's choices are those of a map, and what is said where not."""
        if mapNode is None:
            return {}
        try:
            record = QuestionRecord.of(mapNode)
        except ValueError as error:
            return {"about": TrustPanel.UNKNOWN, "why": str(error)}
        path = self._panel.parameters.modelPath
        if not path or QuestionRecord.resolved(path) != QuestionRecord.resolved(record.modelPath):
            return {"about": TrustPanel.OTHER_MODEL, "modelPath": record.modelPath}
        volumes = [node for node in self._panel.sections.input.volumeNodes() if node is not None]
        isSame = volumes == list(record.volumeNodes)
        return {"about": TrustPanel.SAME if isSame else TrustPanel.OTHER_VOLUMES}


def _knownTests() -> dict:
    """Return the engine's tests; this does not import torch."""
    ensureEngine()
    from attention_maps.registry import trust_tests

    return trust_tests()
