"""Models that look through windows, that need consent, and that know pictures only."""

import slicer

from . import Networks, Phantom, Waiting
from .PanelTestCase import PanelTestCase


class ModelTests(PanelTestCase):
    """What the panel says of a model before anything is explained."""

    def test_windows(self) -> None:
        """What they take is said before, and a box leaves some of them out."""
        self.loadScan("windows")
        whole = self._windows()
        box = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Limits")
        box.SetCenter(*Phantom.worldOf(Phantom.HOT_IJK))
        box.SetSize(2, 2, 2)
        self.ui.regionSelector.setCurrentNode(box)
        self.assertLess(self._windows(), whole)
        (limited,) = self.person.explain()
        self.assertNoMessage()
        self.assertEqual(Phantom.hottestOf(limited), Phantom.HOT_IJK)
        self.assertEqual(self.person.panel.worker.answer.labels[Phantom.OTHER_IJK], 0)

        self.ui.regionSelector.setCurrentNode(None)
        self.assertEqual(self._windows(), whole)
        self.assertExplains()
        self.assertEqual(self.person.panel.worker.answer.labels[Phantom.OTHER_IJK], 2)

    def test_boxIsSaved(self) -> None:
        """It comes back with the scene."""
        self.loadScan("windows")
        box = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Limits")
        self.ui.regionSelector.setCurrentNode(box)
        path = self.folder / "scene.mrb"
        slicer.util.saveScene(str(path))
        slicer.mrmlScene.Clear()
        self.person.settle()
        self.assertIsNone(self.ui.regionSelector.currentNode())
        slicer.util.loadScene(str(path))
        self.person.settle()
        self.assertEqual(self.ui.regionSelector.currentNode().GetName(), "Limits")

    def test_consent(self) -> None:
        """Nothing of a file is executed before a person has said so."""
        path = Networks.path("windows").with_name("exported.pt2")
        self.person.load(Phantom.addScan(), path)
        self.assertFalse(self.ui.explainButton.enabled)
        self.assertIn("exported.pt2", self.ui.inputWarningLabel.text)
        self.person.answerNextQuestion("cancel")
        self.person.click(self.ui.remedyButton)
        self.person.settle()
        self.assertIsNone(self.person.panel.worker.model)
        self.person.answerNextQuestion("ok")
        self.person.click(self.ui.remedyButton)
        self.person.settle()
        self.assertTrue(self.ui.inputWarningFrame.isHidden())
        self.assertExplains()
        kept = slicer.app.userSettings().value("AttentionMaps/TrustedModels", "")
        self.assertNotIn("exported.pt2", str(kept))

    def test_slices(self) -> None:
        """A network of pictures looks slice by slice once it is told to."""
        self.person.load(Phantom.addScan(), "flat")
        self.person.click(self.ui.remedyButton)
        self.person.settle()
        self.assertTrue(self.ui.inputWarningFrame.isHidden())
        (made,) = self.person.explain()
        self.assertNoMessage()
        self.assertEqual(Phantom.hottestOf(made), Phantom.HOT_IJK)

    def _windows(self) -> int:
        """Return how many windows the panel says."""
        self.person.settle()
        label = self.ui.estimateLabel
        Waiting.until(lambda: not label.isHidden(), "the panel says what it takes", 20.0)
        return int(label.text.split()[1])
