"""Runs that do not come to their end, and what is left of them: one message, and nothing else."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import slicer

from . import Networks, Phantom, Waiting
from .PanelTestCase import PanelTestCase, nodeNames

_PREFIX = "attention-maps-worker-"


class InterruptionTests(PanelTestCase):
    """Something happens in mid-run; the scene stays intact, and the next run works."""

    def test_workerKilled(self) -> None:
        """The worker dies."""
        worker = self.person.workerId()
        self._start()
        before = nodeNames()
        os.kill(worker, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        self._waitForTheEnd()
        self.assertOneMessage("worker")
        self.assertEqual(nodeNames(), before)
        self._assertNextRunWorks()

    def test_outOfMemory(self) -> None:
        """The network asks for more memory than there is."""
        self.person.load(Phantom.addScan(), "hungry")
        before = nodeNames()
        self.person.click(self.ui.explainButton)
        self._waitForTheEnd()
        self.assertOneMessage("memory")
        self.assertEqual(nodeNames(), before)
        self.person.load(self.ui.volumeSelector.currentNode(), "spots")
        self.assertExplains()

    def test_modelDeleted(self) -> None:
        """The file of the model goes; what the worker has read it keeps."""
        path = Networks.copyOf("slow", self.folder)
        self._start(path)
        path.unlink()
        Waiting.pause(1.0)
        self.assertTrue(self.person.isRunning)
        self.assertNoMessage()
        self.person.click(self.ui.cancelButton)
        self._waitForTheEnd()
        self.assertNoMessage()
        Waiting.until(lambda: not self.ui.explainButton.enabled, "Explain is gray", 5.0)
        self.assertIn("slow.pt", self.ui.explainProblemLabel.text)
        Networks.copyOf("slow", self.folder)
        self.person.load(self.ui.volumeSelector.currentNode(), path)
        self._assertNextRunWorks()

    def test_volumeDeleted(self) -> None:
        """The scan is removed from the scene."""
        self._start()
        slicer.mrmlScene.RemoveNode(self.ui.volumeSelector.currentNode())
        self._waitForTheEnd()
        self.assertOneMessage("removed", "Scan")
        self.person.settle()
        self.assertEqual(self.person.maps, [])
        self.loadScan()
        self._assertNextRunWorks()

    def test_sceneClosed(self) -> None:
        """The scene is closed."""
        self._start()
        slicer.mrmlScene.Clear()
        self._waitForTheEnd()
        self.assertOneMessage("removed")
        self.person.settle()
        self.assertEqual(self.person.maps, [])
        self.loadScan()
        self._assertNextRunWorks()

    def _start(self, network="slow") -> None:
        """Start a run that takes long."""
        scan = Phantom.addScan()
        slicer.util.setSliceViewerLayers(background=scan, fit=True)
        self.person.load(scan, network)
        self.person.choose(self.ui.methodComboBox, "occlusion")
        self.person.setOption("size", 2)
        self.person.setOption("stride", 1)
        self.person.startExplaining()
        Waiting.until(lambda: "Occlusion" in self.ui.explainMessageLabel.text, "it has begun")

    def _waitForTheEnd(self) -> None:
        Waiting.until(lambda: not self.person.isRunning, "the run has ended", 20.0)

    def _assertNextRunWorks(self) -> None:
        self.person.choose(self.ui.methodComboBox, "grad_cam")
        self.assertExplains()


class LeftoverTests(PanelTestCase):
    """Nothing is left when the module goes away."""

    def test_reload(self) -> None:
        """The worker ends with the panel, its files go, and the new panel works."""
        self.loadScan()
        self.person.explain()
        worker = self.person.workerId()
        self.assertTrue(_runs(worker))
        files = _files()
        self.assertTrue(files)
        self.person.panel.onReload()
        Waiting.until(lambda: not _runs(worker), "the worker has ended", 5.0)
        self.assertEqual([file for file in files if Path(file).exists()], [])
        self.ui = self.person.ui
        self.person.settle()
        self.assertExplains()


def _runs(process: int) -> bool:
    """Return whether a process is there; one that has ended and was not waited for is not."""
    if os.name == "nt":  # there `os.kill` asks nothing, but ends
        command = ["tasklist", "/FI", f"PID eq {process}", "/NH"]
        listed = subprocess.run(command, capture_output=True, text=True, check=False)
        return str(process) in listed.stdout.split()
    status = Path(f"/proc/{process}/stat")
    if Path("/proc/self").exists():
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


def _files() -> list[str]:
    """Return what this application shares with workers."""
    places = {Path("/dev/shm"), Path(tempfile.gettempdir())}
    mine = f"{_PREFIX}{os.getpid()}-*"
    return [str(path) for place in places if place.is_dir() for path in place.glob(mine)]
