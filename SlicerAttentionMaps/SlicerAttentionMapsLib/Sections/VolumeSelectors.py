"""One volume selector per channel of the model."""

import qt
import slicer

from .. import Binding
from ..ResultNodes import PROVENANCE_ATTRIBUTE


class VolumeSelectors:
    """Holds the selectors; the first one is in the .ui file, more are made as they are needed.

    Args:
        label: of the first one.
        selector: the first one.
        layout: the QFormLayout that holds them.
        onChosen: called with the selector's position and the node, None for none.
    """

    def __init__(self, label, selector, layout, onChosen) -> None:
        self._layout = layout
        self._onChosen = onChosen
        self._rows = []
        self._add(label, selector)

    def show(self, controls) -> None:
        """Show as many selectors as there are channels.

        Args:
            controls: label and `Control` of each.
        """
        while len(self._rows) < len(controls):
            self._make()
        self._hideMaps()
        for position, (label, selector) in enumerate(self._rows):
            isShown = position < len(controls)
            label.setVisible(isShown)
            selector.setVisible(isShown)
            if isShown:
                text, control = controls[position]
                label.text = f"{text}:"
                Binding.show(selector, control)

    def _make(self) -> None:
        selector = slicer.qMRMLNodeComboBox()
        first = self._rows[0][1]
        selector.nodeTypes = first.nodeTypes
        selector.noneEnabled, selector.addEnabled, selector.removeEnabled = True, False, False
        selector.objectName = f"volumeSelector_{len(self._rows)}"
        Binding.letShrink(selector)
        label = qt.QLabel()
        self._layout.insertRow(len(self._rows), label, selector)
        selector.setMRMLScene(slicer.mrmlScene)
        self._add(label, selector)

    def _add(self, label, selector) -> None:
        position = len(self._rows)
        self._rows.append((label, selector))
        selector.connect(
            "currentNodeChanged(vtkMRMLNode*)", lambda node: self._onChosen(position, node)
        )

    def _hideMaps(self) -> None:
        """Maps are volumes, too, but not what a person wants to explain."""
        nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        hidden = [node.GetID() for node in nodes if node.GetAttribute(PROVENANCE_ATTRIBUTE)]
        for _label, selector in self._rows:
            proxy = selector.sortFilterProxyModel()
            if list(proxy.hiddenNodeIDs) != hidden:
                blocked = selector.blockSignals(True)
                proxy.hiddenNodeIDs = hidden
                selector.blockSignals(blocked)
