"""Methods with their options, and layers."""

import json

from . import Phantom, Waiting
from .PanelTestCase import PanelTestCase


class LayerTests(PanelTestCase):
    """Choose method, options and layers."""

    def setUp(self) -> None:
        """Choose the phantom and a network."""
        super().setUp()
        self.loadScan()

    def test_tree(self) -> None:
        """Layers are listed with their sizes once the network has run, and can be searched."""
        self.person.explain()
        texts = {self._item(index).text(0): self._item(index).text(2) for index in range(3, 9)
                 if self._item(index) is not None}  # fmt: skip
        self.assertIn("first", texts)
        self.assertIn("24", texts["first"])
        self.ui.layerFilterEdit.setText("sec")
        shown = [item.text(0) for item in map(self._item, range(3, 9))
                 if item is not None and not item.isHidden()]  # fmt: skip
        self.assertEqual(shown, ["second"])
        self.ui.layerFilterEdit.setText("")

    def test_oneLayer(self) -> None:
        """A layer by its name."""
        self.person.chooseLayers("first")
        (mapNode,) = self.person.explain()
        self.assertEqual(mapNode.GetName().split(" | ")[-1], "first")

    def test_severalLayers(self) -> None:
        """They become one map with a slider, from the first layer to the last."""
        self.person.chooseLayers("first", "second")
        (mapNode,) = self.person.explain()
        self.assertNoMessage()
        self.assertFalse(self.ui.layerScrubSlider.isHidden())
        self.assertEqual(self.ui.layerScrubSlider.maximum, 1)
        for index, name in enumerate(("first", "second")):
            self.ui.layerScrubSlider.setValue(index)
            Waiting.pause(0.1)
            self.assertIn(name, self.ui.layerNameLabel.text)
            self.assertEqual(Phantom.hottestOf(mapNode), Phantom.HOT_IJK)

    def test_allLayers(self) -> None:
        """All that can be explained."""
        self.person.chooseLayers("all")
        (mapNode,) = self.person.explain()
        self.assertNoMessage()
        self.assertGreaterEqual(len(self.person.panel.logic.layers(mapNode)), 2)

    def test_options(self) -> None:
        """They are the method's own, are kept, and are set back."""
        self.person.choose(self.ui.methodComboBox, "occlusion")
        self.person.setOption("size", 6)
        self.person.choose(self.ui.methodComboBox, "grad_cam")
        self.person.choose(self.ui.methodComboBox, "occlusion")
        self.assertEqual(self.person.option("size").value, 6)
        (mapNode,) = self.person.explain()
        self.assertNoMessage()
        provenance = json.loads(mapNode.GetAttribute("AttentionMaps.Provenance"))
        self.assertEqual(provenance["options"]["size"], 6)
        self.person.click(self.ui.defaultOptionsButton)
        self.assertEqual(self.person.option("size").value, 0)

    def test_everyMethodIsDescribed(self) -> None:
        """Each has a line that says what it shows, and a reference in its tooltip."""
        for index in range(self.ui.methodComboBox.count):
            name = self.ui.methodComboBox.itemData(index)
            self.person.choose(self.ui.methodComboBox, name)
            self.assertTrue(self.ui.methodDescriptionLabel.text, name)
            self.assertTrue(self.ui.methodComboBox.toolTip, name)

    def _item(self, index: int):
        return self.ui.layerTree.topLevelItem(index)
