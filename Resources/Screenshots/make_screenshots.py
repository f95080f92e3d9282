"""Makes the pictures of README and tutorial, inside 3D Slicer on the sample data (`make data`).

Slicer --no-splash --additional-module-paths SlicerAttentionMaps \
    --python-script Resources/Screenshots/make_screenshots.py [folder] [name ...]

Pictures go to the folder, else beside this file; with names, only those are written.
"""

import logging
import os
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

import slicer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WINDOW = (1500, 960)
FLAT = 700  # height for two slice views side by side
PANEL_WIDTH = 480
BRAIN_RAS = (4.0, -12.0, 22.0)
LIVE_RAS = (24.0, -12.0, 22.0)
LAYERS = ("up1", "up2", "up3", "conv")


class Pictures:
    """Where pictures go.

    Args:
        folder: of the pictures.
        names: of those that are wanted; empty for all.
    """

    def __init__(self, folder: Path, names: list[str]) -> None:
        self._folder = folder
        self._names = names
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, name: str, widget, height: int = 0) -> None:
        """Write what a widget looks like now, or its upper part, with few colors."""
        from SlicerAttentionMapsLib.ModuleTests import Waiting

        if not name or (self._names and name not in self._names):
            return
        slicer.util.forceRenderAllViews()
        Waiting.pause(0.3)
        path = self._folder / f"{name}.png"
        picture = widget.grab()
        picture.copy(0, 0, picture.width(), height or picture.height()).save(str(path))
        _shrink(path)
        logging.info("%s: %d kB", path.name, path.stat().st_size // 1000)


def _shrink(path: Path) -> None:
    """Take a palette, where Pillow is installed."""
    try:
        from PIL import Image
    except ImportError:
        return
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(256, kmeans=3)
    small.save(path, optimize=True)


class Tour:
    """Goes through the panel, section by section.

    Args:
        pictures: takes them.
    """

    def __init__(self, pictures: Pictures) -> None:
        from SlicerAttentionMapsLib.ModuleTests.Person import Person

        self.pictures = pictures
        self.person = Person()
        self.ui = self.person.ui
        self.window = slicer.util.mainWindow()

    def panel(self, name: str, *sections: str) -> None:
        """Take sections, one below the other, at the width that they have in the window."""
        from SlicerAttentionMapsLib.ModuleTests import Waiting

        for section in ("setup", "input", "question", "method", "explain", "result", "compare"):
            widget = getattr(self.ui, f"{section}Section")
            widget.collapsed = section not in sections
        Waiting.pause(0.3)
        if len(sections) == 1:
            self.pictures.take(name, getattr(self.ui, f"{sections[0]}Section"))

    def views(self):
        """The part of the window with slice, 3D and plot views."""
        return slicer.app.layoutManager().viewport()

    def look(self, layout: int) -> None:
        """Look at the same place of the head in a layout."""
        from SlicerAttentionMapsLib.ModuleTests import Waiting

        slicer.app.layoutManager().setLayout(layout)
        Waiting.pause(0.5)  # until the views have their sizes
        slicer.util.resetSliceViews()
        slicer.modules.markups.logic().JumpSlicesToLocation(*BRAIN_RAS, False)

    def setup(self) -> None:
        """What is installed."""
        self.person.click(self.ui.checkWorkerButton)
        self.person.settle()
        self.panel("panel_setup", "setup")

    def input(self) -> None:
        """Head and network."""
        from attention_maps import sample_data
        from SlicerAttentionMapsLib.ModuleTests import Waiting

        self.scan = slicer.util.loadVolume(str(sample_data.find("T1.nii.gz")), {"name": "T1"})
        network = Path("models", "bbox_model.pt")  # a path that tells nothing of this computer
        network.parent.mkdir()
        shutil.copy(sample_data.find("bbox_model.pt"), network)
        specification = ROOT / "Engine" / "attention_maps" / "specs" / "deepbet_bbox.json"
        shutil.copy(specification, network.with_suffix(".json"))
        self.person.load(self.scan, network)
        Waiting.pause(0.5)
        self.panel("panel_input", "input")

    def question(self) -> None:
        """Classes with their volumes, once the network has run."""
        self.person.click(self.ui.runNetworkButton)
        self.person.settle()
        self.person.choose(self.ui.classComboBox, "brain")
        self.panel("panel_question", "question")

    def method(self) -> None:
        """A method with options, and the tree of layers."""
        self.panel("", "method")
        self.person.choose(self.ui.methodComboBox, "seg_xres_cam")
        self.person.chooseLayers("up1")
        self.panel("panel_method", "method")

    def explain(self) -> None:
        """A run on its way."""
        from SlicerAttentionMapsLib.ModuleTests import Waiting

        self.panel("", "explain")
        self.person.choose(self.ui.methodComboBox, "occlusion")
        self.person.startExplaining()
        Waiting.until(lambda: "left" in self.ui.explainMessageLabel.text, "time left is known", 300)
        Waiting.pause(3.0)
        self.panel("panel_explain", "explain")
        self.person.click(self.ui.cancelButton)
        self.person.settle()

    def result(self) -> None:
        """A map of several layers over the scan, and a signed one below it."""
        self.person.choose(self.ui.methodComboBox, "hires_cam")
        self.person.chooseLayers(*LAYERS)
        self.person.explain()
        self.person.choose(self.ui.methodComboBox, "layer_cam")
        self.person.chooseLayers(*LAYERS)
        self.person.explain()
        self.ui.layerScrubSlider.setValue(LAYERS.index("conv"))
        self.panel("panel_result", "result")
        self.window.resize(WINDOW[0], FLAT)
        self.look(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
        self.pictures.take("views_overlay", self.views())
        self.window.resize(*WINDOW)

    def render(self) -> None:
        """The map in the 3D view."""
        self.look(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.ui.hiddenSlider.setValue(0.55)
        self.person.click(self.ui.render3DCheckBox)
        view = slicer.app.layoutManager().threeDWidget(0).threeDView()
        view.cameraNode().GetCamera().Zoom(1.6)
        self.pictures.take("views_3d", self.views())
        self.ui.hiddenSlider.setValue(0.2)
        self.panel("", "input", "question", "explain", "result")
        self.pictures.take("overview_slicer", self.window)
        self.person.click(self.ui.render3DCheckBox)
        self.ui.hiddenSlider.setValue(0.1)

    def compare(self) -> None:
        """All layers against the network's answer."""
        from SlicerAttentionMapsLib.ModuleTests import Waiting

        answer = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0]
        self.panel("", "compare")
        self.ui.truthSelector.setCurrentNode(answer)
        Waiting.pause(0.2)
        self.person.measure(self.ui.compareButton, 300.0)
        self.box("panel_compare", "metricsChoiceBox")
        self.person.choose(self.ui.plotColumnComboBox, "Energy inside")
        self.person.click(self.ui.plotButton)
        Waiting.pause(0.5)
        self.pictures.take("plot_compare", slicer.app.layoutManager().plotWidget(0))

    def box(self, name: str, *boxes: str) -> None:
        """Take the section Compare with some of its boxes open."""
        for other in ("metricsChoiceBox", "spotsBox", "sweepBox", "trustBox"):
            getattr(self.ui, other).collapsed = other not in boxes
        self.panel(name, "compare")

    def spots(self) -> None:
        """Hot spots in the slice and 3D views."""
        self.box("", "spotsBox")
        self.person.choose(self.ui.compareThresholdComboBox, "share")
        self.ui.spotsMostSpinBox.setValue(3)
        self.person.measure(self.ui.structuresButton, 120.0)
        table = self.person.measure(self.ui.spotsButton, 120.0)
        self.box("panel_spots", "spotsBox")
        self.look(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.pictures.take("views_spots", self.views())
        for box in self.person.panel.logic.boxesOf(table):
            box.SetDisplayVisibility(False)  # not in the pictures that follow
        self.person.choose(self.ui.compareThresholdComboBox, "otsu")

    def sweep(self) -> None:
        """Some layers and methods, and the best of them."""
        self.person.chooseLayers(*LAYERS)
        self.box("", "sweepBox")
        self.person.choose(self.ui.sweepLayersComboBox, "chosen")
        self.person.check(self.ui.sweepMethodsList, "Grad-CAM", "HiResCAM", "LayerCAM", "Eigen-CAM")
        self.person.measure(self.ui.sweepButton, 600.0)
        self.person.choose(self.ui.sweepMetricComboBox, "energy_inside")
        self.box("panel_sweep", "sweepBox")

    def trust(self) -> None:
        """Findings on a map, and their curves."""
        self.box("", "trustBox")
        self.person.check(self.ui.trustTestsList, "Deletion", "Cascading randomization")
        self.person.measure(self.ui.trustButton, 1800.0)
        self.box("panel_trust", "trustBox")
        self.person.click(self.ui.trustCurvesButton)
        self.pictures.take("plot_trust", slicer.app.layoutManager().plotWidget(0))
        self.box("", "metricsChoiceBox")

    def live(self) -> None:
        """The map follows the crosshair."""
        from SlicerAttentionMapsLib.ModuleTests import Waiting

        self.look(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.person.choose(self.ui.methodComboBox, "hires_cam")
        self.person.chooseLayers("up3")
        self.person.click(self.ui.liveCheckBox)
        crosshair = slicer.util.getNode("Crosshair")
        crosshair.SetCrosshairRAS(*LIVE_RAS)
        slicer.modules.markups.logic().JumpSlicesToLocation(*LIVE_RAS, False)
        Waiting.until(self._sees_live, "there is a map", 60.0)
        Waiting.pause(1.0)
        self.panel("", "question")
        self.pictures.take("views_live", self.window)
        self.person.click(self.ui.liveCheckBox)

    def _sees_live(self) -> bool:
        from SlicerAttentionMapsLib.LiveMap import isLive

        return any(isLive(node) for node in self.person.panel.logic.shownMaps())

    def error(self) -> None:
        """What is said when something goes wrong: a point beside the scan."""
        self.person.choose(self.ui.whereComboBox, "point")
        self.person.placePoint(BRAIN_RAS)
        self.ui.pointSelector.currentNode().SetNthControlPointPosition(0, 300.0, 0.0, 0.0)
        self.person.click(self.ui.explainButton)
        self.panel("", "question", "explain")
        panel = self.ui.messageFrame.parent()
        last = self.ui.compareSection.geometry
        self.pictures.take("panel_error", panel, last.y() + last.height() + 6)


def _arrange() -> None:
    """Take a window of the same size everywhere, without what does not matter here."""
    window = slicer.util.mainWindow()
    window.showNormal()
    window.resize(*WINDOW)
    window.statusBar().hide()
    slicer.util.findChild(window, "PanelDockWidget").setMinimumWidth(PANEL_WIDTH)
    for name in ("DataProbeCollapsibleWidget",):
        slicer.util.findChild(window, name).collapsed = True


def main() -> None:
    """Take all pictures."""
    from SlicerAttentionMapsLib.EnginePath import ensureEngine

    ensureEngine()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    _arrange()
    with tempfile.TemporaryDirectory() as kept:
        tour = Tour(Pictures(folder.resolve(), sys.argv[2:]))
        os.chdir(kept)
        for part in ("setup", "input", "question", "method", "explain", "result", "render",
                     "compare", "spots", "sweep", "trust", "live", "error"):  # fmt: skip
            getattr(tour, part)()


try:
    main()
    slicer.util.exit(0)
except BaseException:
    traceback.print_exc()
    slicer.util.exit(1)
