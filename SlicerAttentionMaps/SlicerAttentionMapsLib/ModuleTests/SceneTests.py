"""Everything is saved with the scene and restored from it."""

import slicer

from ..Display import legendOf
from . import Phantom, Waiting
from .PanelTestCase import PanelTestCase, nodeNames


class SceneTests(PanelTestCase):
    """Save as MRB, close, load: all as before."""

    def test_saveCloseReload(self) -> None:
        """Nodes, display and panel are as they were, and the panel works on."""
        self._work()
        before = self._seen()
        path = self.folder / "scene.mrb"
        self.assertTrue(slicer.util.saveScene(str(path)))

        slicer.mrmlScene.Clear()
        self.person.settle()
        self.assertNoMessage()
        self.assertEqual(self.person.maps, [])
        self.assertTrue(self.ui.resultBox.isHidden())

        slicer.util.loadScene(str(path))
        self.person.settle()
        self.assertNoMessage()
        after = self._seen()
        self.maxDiff = None
        for what in before:
            self.assertEqual(after[what], before[what], what)
        self.assertExplains()

    def test_closeScene(self) -> None:
        """An empty scene, and the panel is as at the start."""
        self._work()
        slicer.mrmlScene.Clear()
        self.person.settle()
        self.assertNoMessage()
        self.assertFalse(self.ui.explainButton.enabled)
        self.loadScan()
        self.assertExplains()

    def test_otherModules(self) -> None:
        """The panel is left and entered again: nothing is lost."""
        self.loadScan()
        self.person.choose(self.ui.classComboBox, "organ")
        slicer.util.selectModule("Data")
        Waiting.pause(0.2)
        slicer.util.selectModule("SlicerAttentionMaps")
        self.person.settle()
        self.assertEqual(self.person.chosen(self.ui.classComboBox), "organ")
        self.assertExplains()

    def _work(self) -> None:
        """Do a bit of everything."""
        scan = self.loadScan()
        self.person.choose(self.ui.classComboBox, "tumor")
        self.person.explain()
        self.person.choose(self.ui.methodComboBox, "occlusion")
        self.person.setOption("size", 6)
        self.person.choose(self.ui.methodComboBox, "hires_cam")
        self.person.chooseLayers("first", "second")
        self.person.choose(self.ui.whereComboBox, "component")
        self.person.placePoint(Phantom.worldOf(Phantom.OTHER_IJK))
        self.person.explain()
        self.assertNoMessage()
        self.ui.layerScrubSlider.setValue(0)
        self.ui.opacitySlider.setValue(0.7)
        self.ui.hiddenSlider.setValue(0.25)
        self.ui.truthSelector.setCurrentNode(Phantom.addTruth(scan))
        Waiting.pause(0.1)
        self.person.click(self.ui.compareButton)
        Waiting.until(self.person.panel.sections.compare.table, "there is a table", 30.0)
        self.person.settle()
        self.assertNoMessage()

    def _seen(self) -> dict:
        return {
            "nodes": nodeNames(),
            "maps": [self._look(node) for node in self.person.maps],
            "views": self._views(),
            "panel": self._panel(),
        }

    def _look(self, mapNode) -> dict:
        """Return how a map is displayed."""
        display = mapNode.GetDisplayNode()
        table = display.GetColorNode()
        colors = [0.0] * 4
        table.GetColor(table.GetNumberOfColors() - 1, colors)
        legend = legendOf(mapNode)
        return {
            "name": mapNode.GetName(),
            "range": _short(display.GetWindowLevelMin(), display.GetWindowLevelMax()),
            "threshold": (_short(display.GetLowerThreshold()), display.GetApplyThreshold()),
            "smooth": display.GetInterpolate(),
            "colors": (table.GetNumberOfColors(), colors),
            "legend": legend is not None and legend.GetVisibility(),
            "layers": self.person.panel.logic.layers(mapNode),
            "layer": self.person.panel.logic.layerIndex(mapNode),
            "hottest": Phantom.hottestOf(mapNode),
        }

    def _views(self) -> dict:
        """Return which volumes the slice views show, by their names."""
        seen = {}
        for name in ("Red", "Yellow", "Green"):
            logic = slicer.app.layoutManager().sliceWidget(name).sliceLogic()
            node = logic.GetSliceCompositeNode()
            ids = (node.GetBackgroundVolumeID(), node.GetForegroundVolumeID())
            names = [slicer.mrmlScene.GetNodeByID(key).GetName() for key in ids]
            seen[name] = (names, round(node.GetForegroundOpacity(), 3))
        return seen

    def _panel(self) -> dict:
        """Return what the panel shows, as a person reads it."""
        ui = self.ui
        combos = ("whereComboBox", "methodComboBox", "compareMapsComboBox", "plotColumnComboBox")
        selectors = ("volumeSelector", "pointSelector", "truthSelector", "colorTableComboBox")
        sliders = ("opacitySlider", "hiddenSlider", "layerScrubSlider", "regionShareSlider")
        tree = ui.mapsTree
        rows = [tree.topLevelItem(index) for index in range(tree.topLevelItemCount)]
        return {
            **{name: getattr(ui, name).currentText for name in combos},
            **{name: getattr(ui, name).currentNode().GetName() for name in selectors},
            **{name: round(getattr(ui, name).value, 3) for name in sliders},
            "class": self.person.chosen(ui.classComboBox),
            "model": ui.modelPathEdit.currentPath,
            "modelLine": ui.modelLineLabel.text,
            "rows": [(row.text(0), row.text(1), row.checkState(0)) for row in rows],
            "chosen": tree.currentItem().text(0),
            "caption": ui.captionLabel.text,
            "scale": ui.scaleLabel.text,
            "layers": sorted(item.text(0) for item in ui.layerTree.selectedItems()),
            "options": self.person.panel.parameters.options,
            "rowsOfTable": ui.tableView.model().rowCount(),
        }


def _short(*values: float) -> list[str]:
    """Return numbers as a scene file keeps them."""
    return [f"{value:.3g}" for value in values]
