"""The Live switch asks for every place of the crosshair, and leaves the views as they were."""

from types import SimpleNamespace

import numpy as np
import pytest

from slicer_places import PLACES, addVolume, spot

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

from SlicerAttentionMapsLib import CrosshairFollower, LiveMap, Maps, ShownLayers, SliceViews
from SlicerAttentionMapsLib.Sections.LiveMaps import LiveMaps

pytestmark = pytest.mark.slicer


class Worker:
    """Remembers what it is asked."""

    def __init__(self) -> None:
        self.asked, self.stopped = [], 0

    def live(self, target, **more) -> None:
        self.asked.append((target, more))

    def stopLive(self) -> None:
        self.stopped += 1


class Panel:
    """What the switch needs of the panel."""

    def __init__(self, logic, scan) -> None:
        self.worker, self.logic = Worker(), logic
        self.lines, self.errors, self.woken = [], [], 0
        self.parameters = SimpleNamespace(
            volumes=[scan], modelPath="model.pt", specification="", className="",
            method="hires_cam", layers='["up1", "up2"]', options="{}", opacity=0.7,
            hiddenFraction=0.2, legend=True,
        )  # fmt: skip

    def log(self, text) -> None:
        self.lines.append(text)

    def showError(self, error) -> None:
        self.errors.append(error)

    def requestRefresh(self) -> None:
        pass

    def wakeWorker(self) -> None:
        self.woken += 1


@pytest.fixture
def scan(viewedScene):
    return addVolume(viewedScene, spot(), PLACES["nested"])


@pytest.fixture
def panel(viewedScene, scan):
    from SlicerAttentionMapsLib.Logic import SlicerAttentionMapsLogic

    return Panel(SlicerAttentionMapsLogic(viewedScene), scan)


@pytest.fixture
def crosshair(viewedScene):
    return CrosshairFollower.crosshairNode(viewedScene)


@pytest.fixture
def overlay(panel, scan, network):
    return panel.logic.explain(scan, network, opacity=0.4)


def views(scene):
    return [
        scene.GetNthNodeByClass(n, "vtkMRMLSliceCompositeNode")
        for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode"))
    ]


def test_every_place_is_asked_about_once(panel, crosshair):
    live = LiveMaps(panel)
    live.start()
    assert live.on
    assert crosshair.GetCrosshairMode() == crosshair.ShowBasic
    assert panel.worker.asked == []
    first, second = (tuple(PLACES["nested"].worldOf(voxel)) for voxel in ((1, 2, 3), (4, 5, 6)))
    for position in (first, first, second):
        crosshair.SetCrosshairRAS(*position)
    crosshair.SetCrosshairMode(crosshair.ShowIntersection)  # is no move
    targets = [target for target, _ in panel.worker.asked]
    assert targets == [
        {"kind": "point", "name": None, "ras": first},
        {"kind": "point", "name": None, "ras": second},
    ]
    more = panel.worker.asked[0][1]
    assert (more["method"], more["layer"], more["options"]) == ("hires_cam", "up1", {})
    assert (more["opacity"], more["hiddenFraction"]) == (0.7, 0.2)
    assert panel.woken == 2
    panel.parameters.className = "tumor"
    crosshair.SetCrosshairRAS(*first)
    assert panel.worker.asked[-1][0]["name"] == "tumor"
    live.stop()
    crosshair.SetCrosshairRAS(*second)
    assert len(panel.worker.asked) == 3
    assert (panel.worker.stopped, live.on) == (1, False)
    assert crosshair.GetCrosshairMode() == crosshair.NoCrosshair
    live.stop()
    assert (panel.worker.stopped, len(panel.lines)) == (1, 2)


def test_places_beside_the_scan_are_not_asked_about(panel, crosshair, scan):
    live = LiveMaps(panel)
    live.start()
    last = np.array(scan.GetImageData().GetDimensions()) - 1
    for voxel, count in (
        ((-0.4, 0, 0), 1), ((-0.6, 0, 0), 1), (last + 0.4, 2), (np.add(last, (0, 0, 0.6)), 2)
    ):  # fmt: skip
        crosshair.SetCrosshairRAS(*PLACES["nested"].worldOf(voxel))
        assert len(panel.worker.asked) == count
    panel.parameters.volumes = [None]
    crosshair.SetCrosshairRAS(*PLACES["nested"].worldOf((1, 1, 1)))
    assert len(panel.worker.asked) == 2


def test_crosshair_that_was_shown_stays(panel, crosshair):
    crosshair.SetCrosshairMode(crosshair.ShowSmallBasic)
    live = LiveMaps(panel)
    live.start()
    assert crosshair.GetCrosshairMode() == crosshair.ShowSmallBasic
    live.stop()
    assert crosshair.GetCrosshairMode() == crosshair.ShowSmallBasic


def test_views_show_again_what_they_showed(panel, overlay, scan, viewedScene, network):
    from SlicerAttentionMapsLib import Display

    live = LiveMaps(panel)
    live.start()
    followed = panel.logic.explain(scan, network, method="saliency", opacity=0.9)
    followed.SetAttribute(LiveMap.LIVE_ATTRIBUTE, "yes")
    live._onMap(followed)
    assert Maps.shown(viewedScene) == [followed]
    live.stop()
    assert not viewedScene.IsNodePresent(followed)
    assert Maps.shown(viewedScene) == [overlay]
    assert Display.isLegendShown(overlay)
    for view in views(viewedScene):
        assert view.GetBackgroundVolumeID() == scan.GetID()
        assert view.GetForegroundOpacity() == pytest.approx(0.4)


def test_legend_names_the_method_that_is_followed(panel, overlay, scan, network):
    from SlicerAttentionMapsLib import Display, ResultNodes

    live = LiveMaps(panel)
    live.start()
    live._onMap(overlay)
    assert Display.legendOf(overlay).GetTitleText() == Maps.legendTitle(overlay)
    other = panel.logic.explain(scan, network, method="saliency", show=False)
    provenance = other.GetAttribute(ResultNodes.PROVENANCE_ATTRIBUTE)
    overlay.SetAttribute(ResultNodes.PROVENANCE_ATTRIBUTE, provenance)
    live._onMap(overlay)
    assert Display.legendOf(overlay).GetTitleText().startswith("Saliency")
    live.stop()
    panel.parameters.legend = False
    live.start()
    live._onMap(overlay)
    assert not Display.isLegendShown(overlay)


def test_views_without_overlay_and_a_map_that_comes_too_late(panel, scan, viewedScene, network):
    live = LiveMaps(panel)
    live.start()
    live.stop()
    late = panel.logic.explain(scan, network)
    live._onMap(late)
    assert not viewedScene.IsNodePresent(late)
    assert Maps.shown(viewedScene) == []


def test_overlay_that_was_removed_meanwhile_is_left_out(panel, overlay, viewedScene):
    live = LiveMaps(panel)
    live.start()
    viewedScene.RemoveNode(overlay)
    live.stop()
    assert SliceViews.stacked(viewedScene) == []


def test_another_subject_ends_it(panel):
    live = LiveMaps(panel)
    live.start()
    live.stopIfAboutOthers()
    assert live.on
    for change in ({"modelPath": "other.pt"}, {"specification": "{}"}, {"volumes": []}):
        live.start()
        for name, value in change.items():
            setattr(panel.parameters, name, value)
        live.stopIfAboutOthers()
        assert not live.on


def test_an_error_is_said_once(panel, overlay):
    live = LiveMaps(panel)
    live.start()
    for error in (ValueError("a"), ValueError("b"), TypeError("c")):
        live._onError(error)
    assert [str(error) for error in panel.errors] == ["a", "c"]
    live._onMap(overlay)
    live._onError(TypeError("d"))
    assert str(panel.errors[-1]) == "d"


def test_layers_come_back_in_their_order(viewedScene, scan):
    others = [addVolume(viewedScene, spot(), PLACES["nested"]) for _ in range(2)]
    SliceViews.stack(scan, others, 0.3)
    before = ShownLayers.shownLayers(viewedScene)
    SliceViews.stack(others[0], [scan], 1.0)
    for layers in before:
        layers.bringBack()
    assert SliceViews.stacked(viewedScene) == others
    for view in views(viewedScene):
        assert view.GetBackgroundVolumeID() == scan.GetID()
        assert view.GetForegroundOpacity() == pytest.approx(0.3)
    np.testing.assert_allclose(SliceViews.opacityOf(viewedScene), 0.3)


def test_scan_that_cannot_be_placed_is_said_once(panel, crosshair, scan, viewedScene):
    bent = viewedScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "Bent")
    scan.SetAndObserveTransformNodeID(bent.GetID())
    live = LiveMaps(panel)
    live.start()
    for voxel in ((1, 2, 3), (4, 5, 6)):
        crosshair.SetCrosshairRAS(*PLACES["nested"].worldOf(voxel))
    assert panel.worker.asked == []
    assert len(panel.errors) == 1
    assert "bends space" in str(panel.errors[0])


def test_a_scene_saved_meanwhile_knows_nothing_of_it(
    panel, crosshair, overlay, scan, viewedScene, network, tmp_path
):
    import attention_maps as am
    from SlicerAttentionMapsLib import SceneFile, VolumeBridge
    from SlicerAttentionMapsLib.Logic import SlicerAttentionMapsLogic

    found = am.explain(network, VolumeBridge.imageFromVolumes(scan), method="saliency", target=1)
    live = LiveMaps(panel)
    live.start()
    followed = LiveMap.update(_asMade(found), scan, opacity=0.5, hiddenFraction=0.1)
    assert Maps.shown(viewedScene) == [followed]
    assert panel.logic.maps() == [overlay]
    SceneFile.saveScene(viewedScene, tmp_path / "scene.mrb")
    context = SceneFile.loadScene(tmp_path / "scene.mrb")
    again = context.scene
    loaded = SlicerAttentionMapsLogic(again)
    assert [node.GetName() for node in Maps.mapsOf(again)] == [overlay.GetName()]
    assert again.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 2
    assert again.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 1
    itsCrosshair = CrosshairFollower.crosshairNode(again)
    assert itsCrosshair.GetCrosshairMode() == crosshair.ShowBasic
    LiveMaps(Panel(loaded, scan))
    assert itsCrosshair.GetCrosshairMode() == crosshair.NoCrosshair
    for view in views(again):
        assert again.GetNodeByID(view.GetForegroundVolumeID() or "") is None
    live.stop()
    assert Maps.shown(viewedScene) == [overlay]
    assert crosshair.GetCrosshairMode() == crosshair.NoCrosshair
    assert not viewedScene.IsNodePresent(followed)


def _asMade(result):
    """Return a map of one process as the worker's."""
    array = result.image.array
    return SimpleNamespace(
        image=result.image, extremes=(float(array.min()), float(array.max())), target="here",
        layer=result.layer, signed=result.signed, provenance=result.provenance,
    )  # fmt: skip
