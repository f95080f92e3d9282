"""A scene saved as .mrb comes back with the same voxels, places, colors and settings."""

import numpy as np
import pytest

from slicer_phantom import COLD, HOT, blob, makePhantom, obliqueAffine, scanArray

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import slicer.util

from SlicerAttentionMapsLib import ColorTables, Display, SceneFile, SliceViews, VolumeGeometry
from SlicerAttentionMapsLib.SceneSetup import nodesByClass

pytestmark = pytest.mark.slicer


def fillScene(phantom, values, *, signed: bool):
    """Show a map, an answer and a mask, as the demonstration does."""
    overlay = Display.createOverlay(phantom.scanNode, values.T, "Attention map")
    Display.styleOverlay(overlay, signed=signed)
    views = SliceViews.addStandardViews(phantom.scene)
    position = SliceViews.showInSliceViews(phantom.scanNode, overlay)
    SliceViews.fitStandardViews(phantom.scanNode, position)
    Display.addLegend(overlay, "Grad-CAM\nup3", [views[0].GetID()])
    labels = phantom.addVolume((blob(HOT) > 0.3).astype(np.uint8), "Labels")
    Display.addOutlines(labels, "Model answer", Display.ANSWER_COLORS)
    phantom.scene.RemoveNode(labels)
    return overlay


def byName(scene, name):
    nodes = nodesByClass(scene, "vtkMRMLScalarVolumeNode")
    return next(node for node in nodes if node.GetName() == name)


def worldValues(node) -> tuple[np.ndarray, np.ndarray]:
    """Return a volume's array (I, J, K) and affine with the first axis pointing as in the file."""
    return slicer.util.arrayFromVolume(node).T, VolumeGeometry.ijkToRasArray(node)


@pytest.mark.parametrize("scale", [1.0, 1e-9])
@pytest.mark.parametrize("signed", [False, True])
def test_round_trip(tmp_path, phantom, signed, scale):
    values = scale * (blob(HOT) - (0.7 * blob(COLD) if signed else 0))
    overlay = fillScene(phantom, values, signed=signed)
    SceneFile.saveScene(phantom.scene, tmp_path / "scene.mrb")
    reloaded = SceneFile.loadScene(tmp_path / "scene.mrb")

    array, affine = worldValues(byName(reloaded.scene, "Attention map"))
    np.testing.assert_allclose(array, values, atol=1e-6 * scale)
    np.testing.assert_allclose(affine, phantom.affine, atol=1e-6)
    array, affine = worldValues(byName(reloaded.scene, "Scan"))
    np.testing.assert_array_equal(array, scanArray())
    np.testing.assert_allclose(affine, phantom.affine, atol=1e-6)

    old = overlay.GetScalarVolumeDisplayNode()
    new = byName(reloaded.scene, "Attention map").GetScalarVolumeDisplayNode()
    assert new.GetColorNode().GetName() == old.GetColorNode().GetName()
    np.testing.assert_allclose(
        ColorTables.colorsOf(new.GetColorNode()), ColorTables.colorsOf(old.GetColorNode())
    )
    for name in ("GetWindow", "GetLevel", "GetLowerThreshold", "GetUpperThreshold"):
        assert getattr(new, name)() == pytest.approx(
            getattr(old, name)(), rel=1e-5, abs=1e-12 * scale
        )
    assert new.GetUpperThreshold() > np.abs(values).max()
    assert new.GetApplyThreshold()
    lines = SceneFile.compareScenes(phantom.scene, reloaded.scene)
    assert [line.split(" ")[0] for line in lines] == ["2", "1", "1", "3", "3"]


def test_left_handed_volume_stays_in_its_place(tmp_path):
    phantom = makePhantom(obliqueAffine(leftHanded=True))
    fillScene(phantom, blob(HOT), signed=False)
    SceneFile.saveScene(phantom.scene, tmp_path / "scene.mrb")
    reloaded = SceneFile.loadScene(tmp_path / "scene.mrb")
    SceneFile.compareScenes(phantom.scene, reloaded.scene)
    np.testing.assert_allclose(
        VolumeGeometry.positionOfMaximum(byName(reloaded.scene, "Attention map")),
        phantom.worldOf(HOT),
        atol=1e-6,
    )


def changeVoxel(scene):
    slicer.util.arrayFromVolume(byName(scene, "Scan"))[2, 3, 4] += 1


def changePlace(scene):
    node = byName(scene, "Attention map")
    r, a, s = node.GetOrigin()
    node.SetOrigin(r, a, s + 0.01)


def changeWindow(scene):
    byName(scene, "Attention map").GetDisplayNode().SetWindowLevelMinMax(0, 1.01)


def changeThreshold(scene):
    byName(scene, "Attention map").GetDisplayNode().SetLowerThreshold(0.11)


def changeColors(scene):
    display = byName(scene, "Attention map").GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")


def changeOpacity(scene):
    nodesByClass(scene, "vtkMRMLSliceCompositeNode")[0].SetForegroundOpacity(0.4)


def changePlane(scene):
    nodesByClass(scene, "vtkMRMLSliceNode")[0].SetSliceOffset(1.0)


def changeLegend(scene):
    nodesByClass(scene, "vtkMRMLColorLegendDisplayNode")[0].SetTitleText("another")


def changeSegment(scene):
    segmentation = nodesByClass(scene, "vtkMRMLSegmentationNode")[0].GetSegmentation()
    segmentation.GetNthSegment(0).SetColor(1, 0, 0)


def removeScan(scene):
    scene.RemoveNode(byName(scene, "Scan"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changeVoxel, "array of 'Scan'"),
        (changePlace, "geometry of 'Attention map'"),
        (changeWindow, "window of 'Attention map'"),
        (changeThreshold, "threshold of 'Attention map'"),
        (changeColors, "color node of 'Attention map' is Grey instead of Inferno"),
        (changeOpacity, "opacity of 'Red'"),
        (changePlane, "plane of 'Red'"),
        (changeLegend, "title of "),
        (changeSegment, "color of Model answer of 'Model answer'"),
        (removeScan, "vtkMRMLScalarVolumeNode 'Scan' is missing"),
    ],
)
def test_comparison_names_what_changed(tmp_path, phantom, change, message):
    fillScene(phantom, blob(HOT), signed=False)
    SceneFile.saveScene(phantom.scene, tmp_path / "scene.mrb")
    reloaded = SceneFile.loadScene(tmp_path / "scene.mrb")
    change(reloaded.scene)
    with pytest.raises(ValueError, match=message):
        SceneFile.compareScenes(phantom.scene, reloaded.scene)


def test_only_the_finished_file_appears(tmp_path, phantom):
    SceneFile.saveScene(phantom.scene, tmp_path / "scene.mrb")
    assert [path.name for path in tmp_path.iterdir()] == ["scene.mrb"]


def test_what_is_no_scene_is_refused(tmp_path, phantom):
    with pytest.raises(ValueError, match=r"\.mrb"):
        SceneFile.saveScene(phantom.scene, tmp_path / "scene.zip")
    with pytest.raises(FileNotFoundError, match="no scene file"):
        SceneFile.loadScene(tmp_path / "scene.mrb")
    (tmp_path / "scene.mrb").write_bytes(b"no archive")
    with pytest.raises(OSError, match="not a Slicer scene"):
        SceneFile.loadScene(tmp_path / "scene.mrb")
