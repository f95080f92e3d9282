"""How a map, an answer and a mask are set up for display."""

import numpy as np
import pytest

from slicer_phantom import COLD, HOT, SHAPE_IJK, blob, scanArray

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import slicer.util
import vtk

from SlicerAttentionMapsLib import ColorTables, Display, SliceViews, VolumeGeometry

pytestmark = pytest.mark.slicer


def styled(phantom, array_ijk, **options):
    node = Display.createOverlay(phantom.scanNode, array_ijk.T, "Map")
    return node, Display.styleOverlay(node, **options)


def test_overlay_holds_the_map_on_the_grid_of_the_scan(phantom):
    values = np.random.default_rng(1).random(SHAPE_IJK)
    node = Display.createOverlay(phantom.scanNode, values.T, "Map")

    stored = slicer.util.arrayFromVolume(node)
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored.T, values.astype(np.float32))
    np.testing.assert_allclose(VolumeGeometry.ijkToRasArray(node), phantom.affine, atol=1e-12)
    VolumeGeometry.requireSameGrid(node, phantom.scanNode)


def test_reversed_and_read_only_arrays_are_stored_right(phantom):
    values = blob(HOT)[::-1, :, ::-1]
    values.flags.writeable = False
    node = Display.createOverlay(phantom.scanNode, values.T, "Map")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node).T, values.astype(np.float32))


def test_scan_stays_as_it_was(phantom):
    display = phantom.scanNode.GetScalarVolumeDisplayNode()
    before = (display.GetWindow(), display.GetLevel(), display.GetColorNodeID())
    node, _ = styled(phantom, blob(HOT), signed=False)
    Display.addLegend(node, "Grad-CAM\nup3")
    SliceViews.addStandardViews(phantom.scene)
    SliceViews.showInSliceViews(phantom.scanNode, node)

    assert (display.GetWindow(), display.GetLevel(), display.GetColorNodeID()) == before
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(phantom.scanNode).T, scanArray())


@pytest.mark.parametrize("scale", [1.0, 1e-9, 3e7])
def test_positive_map_gets_sequential_colors_from_zero(phantom, scale):
    node, style = styled(phantom, scale * blob(HOT), signed=False)
    display = node.GetScalarVolumeDisplayNode()

    assert style.evidence
    assert display.GetColorNodeID() == "vtkMRMLColorTableNodeFileInferno.txt"
    assert display.GetWindowLevelMin() == pytest.approx(0, abs=1e-12 * scale)
    assert display.GetWindowLevelMax() == pytest.approx(scale, rel=1e-6)
    assert display.GetLowerThreshold() == pytest.approx(0.1 * scale, rel=1e-6)
    assert display.GetUpperThreshold() > style.maximum
    assert display.GetApplyThreshold()


@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_signed_map_gets_diverging_colors_around_zero(phantom, scale):
    values = scale * (0.4 * blob(HOT) - blob(COLD))
    node, style = styled(phantom, values, signed=True, hiddenFraction=0.2)
    display = node.GetScalarVolumeDisplayNode()

    assert style.maximum == pytest.approx(scale, rel=1e-6)
    assert display.GetWindowLevelMin() == pytest.approx(-scale, rel=1e-6)
    assert display.GetWindowLevelMax() == pytest.approx(scale, rel=1e-6)
    assert display.GetLowerThreshold() < -style.maximum
    assert display.GetUpperThreshold() > style.maximum
    rgba = ColorTables.colorsOf(display.GetColorNode())
    share = np.abs(np.linspace(-1, 1, len(rgba)))
    np.testing.assert_array_equal(rgba[:, 3], (share >= 0.2).astype(float))
    assert rgba[0, 2] > 2 * rgba[0, 0]  # blue
    assert rgba[-1, 0] > 2 * rgba[-1, 2]  # red


def test_tables_are_shared_by_maps_with_the_same_threshold(phantom):
    first, _ = styled(phantom, blob(HOT), signed=True)
    second, _ = styled(phantom, -blob(COLD), signed=True)
    other, _ = styled(phantom, -blob(COLD), signed=True, hiddenFraction=0.3)
    ids = [node.GetDisplayNode().GetColorNodeID() for node in (first, second, other)]
    assert ids[0] == ids[1] != ids[2]


def test_tables_close_to_those_of_slicer_and_of_matplotlib(phantom):
    colormaps = pytest.importorskip("matplotlib", reason="reference colors").colormaps
    for node, name, tolerance in (
        (ColorTables.sequentialColorNode(phantom.scene), "inferno", 0.03),
        (ColorTables.divergingBase(phantom.scene), "RdBu_r", 0.06),
    ):
        expected = colormaps[name](np.linspace(0, 1, 256))
        np.testing.assert_allclose(ColorTables.colorsOf(node), expected, atol=tolerance)


def test_zero_map_is_no_evidence(phantom):
    for signed in (False, True):
        node, style = styled(phantom, np.zeros(SHAPE_IJK), signed=signed)
        display = node.GetScalarVolumeDisplayNode()
        assert not style.evidence
        assert node.GetAttribute("AttentionMaps.Evidence") == "none"
        assert display.GetApplyThreshold()
        assert display.GetLowerThreshold() > 0
        assert np.isfinite([display.GetWindow(), display.GetLevel()]).all()
        assert display.GetWindow() > 0
        assert Display.addLegend(node, "Grad-CAM").GetTitleText().endswith("no evidence")
        assert VolumeGeometry.positionOfMaximum(node) is None


def test_negative_map_needs_a_signed_display(phantom):
    node = Display.createOverlay(phantom.scanNode, -blob(HOT).T, "Map")
    with pytest.raises(ValueError, match="pass signed=True"):
        Display.styleOverlay(node, signed=False)
    assert Display.styleOverlay(node, signed=True).maximum == 1
    np.testing.assert_allclose(VolumeGeometry.positionOfMaximum(node), phantom.worldOf(HOT))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(phantom, bad):
    values = blob(HOT)
    values[3, 4, 5] = bad
    with pytest.raises(ValueError, match=f"1 of {values.size} are NaN or infinite"):
        Display.createOverlay(phantom.scanNode, values.T, "Map")
    node = phantom.addVolume(values, "Map")
    with pytest.raises(ValueError, match="finite"):
        Display.styleOverlay(node, signed=True)


def test_map_of_another_size_or_place_is_refused(phantom):
    with pytest.raises(ValueError, match=r"\(18, 30, 24\), but got \(24, 30, 18\)"):
        Display.createOverlay(phantom.scanNode, blob(HOT), "Map")
    shifted = phantom.addVolume(blob(HOT), "Map")
    shifted.SetOrigin(0, 0, 0)
    with pytest.raises(ValueError, match="resample it first"):
        VolumeGeometry.requireSameGrid(shifted, phantom.scanNode)
    with pytest.raises(ValueError, match="hiddenFraction"):
        styled(phantom, blob(HOT), signed=False, hiddenFraction=1.0)


def test_overlay_follows_the_transform_of_the_scan(phantom):
    transform = phantom.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Move")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 100.0)
    transform.SetMatrixTransformToParent(matrix)
    phantom.scanNode.SetAndObserveTransformNodeID(transform.GetID())
    node, _ = styled(phantom, blob(HOT), signed=False)
    expected = phantom.worldOf(HOT) + np.array([100, 0, 0])
    np.testing.assert_allclose(VolumeGeometry.positionOfMaximum(node), expected)


def test_slice_views_cut_through_the_maximum(phantom):
    node, _ = styled(phantom, blob(HOT) - 2 * blob(COLD), signed=True)
    views = SliceViews.addStandardViews(phantom.scene)
    assert SliceViews.addStandardViews(phantom.scene) == views
    position = SliceViews.showInSliceViews(phantom.scanNode, node, opacity=0.4)

    np.testing.assert_allclose(position, phantom.worldOf(COLD))
    SliceViews.fitStandardViews(phantom.scanNode, position)
    for view in views:
        rasToSlice = np.linalg.inv(slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS()))
        assert (rasToSlice @ [*position, 1])[2] == pytest.approx(0, abs=1e-6)
        composite = phantom.scene.GetSingletonNode(view.GetName(), "vtkMRMLSliceCompositeNode")
        assert composite.GetBackgroundVolumeID() == phantom.scanNode.GetID()
        assert composite.GetForegroundVolumeID() == node.GetID()
        assert composite.GetForegroundOpacity() == pytest.approx(0.4)
    assert [view.GetOrientation() for view in views] == ["Axial", "Coronal", "Sagittal"]


def test_legend_names_method_and_layer_in_the_views_asked_for(phantom):
    node, _ = styled(phantom, 1e-9 * blob(HOT), signed=False)
    legend = Display.addLegend(node, "Grad-CAM\nup3", ["vtkMRMLSliceNodeRed"])
    assert legend.GetTitleText() == "Grad-CAM\nup3"
    assert legend.GetLabelFormat() % 2.5e-10 == "  2.5e-10"
    assert legend.GetViewNodeIDs() == ("vtkMRMLSliceNodeRed",)
    assert legend.GetPrimaryDisplayNode() is node.GetDisplayNode()


def test_every_label_becomes_an_outline_of_its_own_color(phantom):
    labels = (blob(HOT) > 0.5).astype(np.uint8) + 4 * (blob(COLD) > 0.2)
    labelNode = phantom.addVolume(labels.astype(np.uint8), "Labels")
    node = Display.addOutlines(labelNode, "Answer", Display.ANSWER_COLORS)

    segmentation = node.GetSegmentation()
    names = [segmentation.GetNthSegment(n).GetName() for n in range(2)]
    assert names == ["Answer: 1", "Answer: 4"]
    for index, value in enumerate((1, 4)):
        segment = segmentation.GetNthSegment(index)
        assert segment.GetColor() == pytest.approx(Display.ANSWER_COLORS[index])
        image = slicer.vtkOrientedImageData()
        node.GetBinaryLabelmapRepresentation(segmentation.GetNthSegmentID(index), image)
        scalars = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
        kji = np.argwhere(scalars.reshape(image.GetDimensions()[::-1]) != 0)
        ijk = kji[:, ::-1] + image.GetExtent()[::2]
        np.testing.assert_array_equal(
            np.unique(ijk, axis=0), np.unique(np.argwhere(labels == value), axis=0)
        )
    display = node.GetDisplayNode()
    assert display.GetVisibility2DOutline()
    assert not display.GetVisibility2DFill()


def test_an_empty_answer_has_no_segment(phantom):
    labelNode = phantom.addVolume(np.zeros(SHAPE_IJK, np.uint8), "Labels")
    node = Display.addOutlines(labelNode, "Answer", Display.ANSWER_COLORS)
    assert node.GetSegmentation().GetNumberOfSegments() == 0
