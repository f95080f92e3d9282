"""What the tests of the panel share."""

import shutil
import tempfile
import unittest
from pathlib import Path

import slicer

from . import Phantom, Waiting
from .Person import Person


class PanelTestCase(unittest.TestCase):
    """A test that begins with an empty scene and the panel in front.

    Attributes:
        person: who uses the panel.
        folder: for files of the test.
    """

    def setUp(self) -> None:
        """Open the panel."""
        slicer.mrmlScene.Clear()
        slicer.app.userSettings().remove("AttentionMaps/LastModel")
        self.person = Person()
        self.ui = self.person.ui
        self.folder = Path(tempfile.mkdtemp(prefix="attention-maps-tests-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.person.panel.dismissErrors()
        self.person.settle()

    def tearDown(self) -> None:
        """Leave nothing that runs."""
        if self.person.isRunning:
            self.ui.cancelButton.click()
        self.person.settle()

    def loadScan(self, network: str = "spots"):
        """Choose the phantom and a network; returns the phantom's volume."""
        scan = Phantom.addScan()
        slicer.util.setSliceViewerLayers(background=scan, fit=True)
        self.person.load(scan, network)
        self.assertNoMessage()
        return scan

    def assertNoMessage(self) -> None:
        """Nothing went wrong."""
        self.assertEqual(self.person.message, "")

    def assertOneMessage(self, *words: str) -> None:
        """One message says what went wrong; it is dismissed."""
        Waiting.until(lambda: self.person.message, f"there is a message on {words}", 20.0)
        message = self.person.message
        for word in words:
            self.assertIn(word, message)
        self.assertNotIn("\n\n", message)  # between two messages
        self.assertNotIn("should not", message)  # of errors that nobody expected
        self.ui.dismissButton.click()
        self.assertNoMessage()

    def assertExplains(self) -> None:
        """The next run works."""
        self.assertEqual(len(self.person.explain()), 1)
        self.assertNoMessage()


def nodeNames() -> list[str]:
    """Return class and name of all nodes that are saved, but not where to; in order."""
    scene = slicer.mrmlScene
    nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    return sorted(
        f"{node.GetClassName()} {node.GetName()}"
        for node in nodes
        if node.GetSaveWithScene() and not node.IsA("vtkMRMLStorageNode")
    )
