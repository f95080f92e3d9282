"""What cannot be used is told in one sentence, and what is edited is kept."""

import json

from . import Networks, Phantom, Waiting
from .PanelTestCase import PanelTestCase


class InputTests(PanelTestCase):
    """Models and volumes that do not fit, and the specification."""

    def test_nothingChosen(self) -> None:
        """The panel says what to choose first."""
        self.assertFalse(self.ui.explainButton.enabled)
        self._waitForProblem("Choose a volume.")
        Phantom.addScan()
        self._waitForProblem("Choose a model.")

    def test_missingFile(self) -> None:
        """A file that is not there."""
        self.person.load(Phantom.addScan(), self.folder / "none.pt")
        self._assertRefused("none.pt")

    def test_noModel(self) -> None:
        """A file that is no model."""
        path = self.folder / "broken.pt"
        path.write_bytes(b"this is no network")
        self.person.load(Phantom.addScan(), path)
        self._assertRefused("broken.pt")

    def test_wrongChannels(self) -> None:
        """Two channels, and one volume alone."""
        scan = Phantom.addScan()
        self.person.load(scan, "two")
        self.ui.volumeSelector.setCurrentNode(scan)
        self.person.settle()
        self.assertFalse(self.ui.explainButton.enabled)
        self.assertIn("channel 'T2'", self.ui.explainProblemLabel.text)
        self.person.load(scan, "spots")
        self.assertExplains()

    def test_flatModel(self) -> None:
        """A network of pictures, and a volume."""
        self.person.load(Phantom.addScan(), "flat")
        self._assertRefused("2D")

    def test_specification(self) -> None:
        """It is edited, saved with the scene, written as a sidecar, and reverted."""
        path = Networks.copyOf("spots", self.folder)
        self.person.load(Phantom.addScan(), path)
        self.ui.specificationBox.collapsed = False
        self._edit("class_names", "nothing, liver, tumor")
        self.assertGreaterEqual(self.ui.classComboBox.findData("liver"), 0)
        self.person.click(self.ui.revertButton)
        self.person.settle()
        self.assertGreaterEqual(self.ui.classComboBox.findData("organ"), 0)

        self._edit("class_names", "nothing, spleen, tumor")
        self.person.answerNextQuestion("ok")
        self.person.click(self.ui.saveSidecarButton)
        self.person.settle()
        self.assertNoMessage()
        written = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        self.assertEqual(written["class_names"], ["nothing", "spleen", "tumor"])
        self.assertGreaterEqual(self.ui.classComboBox.findData("spleen"), 0)
        self.ui.specificationBox.collapsed = True

    def test_unreadableSpecification(self) -> None:
        """An entry that makes no sense is told where it stands."""
        self.person.load(Phantom.addScan(), Networks.copyOf("spots", self.folder))
        self._edit("class_names", "one, one, one")
        self.assertFalse(self.ui.explainButton.enabled)
        self.person.click(self.ui.revertButton)
        self.person.settle()
        self.assertExplains()

    def _waitForProblem(self, text: str) -> None:
        label = self.ui.explainProblemLabel
        Waiting.until(lambda: label.text == text, f"the panel says '{text}'", 5.0)

    def _edit(self, name: str, text: str) -> None:
        self.person.editSpecification(name, text)
        self.person.settle()

    def _assertRefused(self, word: str) -> None:
        """The panel says why, and works on with a network that fits."""
        self.assertFalse(self.ui.explainButton.enabled)
        self.assertFalse(self.ui.inputWarningFrame.isHidden())
        self.assertIn(word, self.ui.inputWarningLabel.text)
        self.assertNoMessage()
        self.person.load(self.ui.volumeSelector.currentNode(), "spots")
        self.assertTrue(self.ui.inputWarningFrame.isHidden())
        self.assertExplains()
