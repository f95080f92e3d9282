"""Nodes become images in the world, and images become nodes in the same place."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from slicer_phantom import HOT, LIBRARY_FOLDER, SHAPE_IJK, obliqueAffine
from slicer_places import PLACES, Place, addSequence, addTransforms, addVolume, rotation, spot

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import slicer.util
import vtk

from attention_maps import ImageError
from SlicerAttentionMapsLib import VolumeBridge

pytestmark = pytest.mark.slicer
LEGS = np.array([(0, 0, 0), (23, 0, 0), (0, 29, 0), (0, 0, 17), (16, 9, 11)])


def worldOfNode(node, ijk) -> np.ndarray:
    """Where Slicer itself says that a voxel is."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    local, world = matrix.MultiplyPoint([*map(float, ijk), 1.0])[:3], [0.0] * 3
    node.TransformPointToWorld(local, world)
    return np.array(world)


def test_image_lies_where_slicer_shows_the_volume(scene, place):
    node = addVolume(scene, spot(), place)
    image = VolumeBridge.imageFromVolumes(node)

    np.testing.assert_array_equal(image.array, spot()[None])
    np.testing.assert_allclose(image.affine, place.world, atol=1e-9)
    for ijk in LEGS:
        np.testing.assert_allclose(image.grid.to_world(ijk), worldOfNode(node, ijk), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_every_type_of_voxel_becomes_float32_without_a_link_to_the_scan(scene, dtype):
    values = np.arange(np.prod(SHAPE_IJK)).reshape(SHAPE_IJK) % 251
    node = addVolume(scene, values.astype(dtype), PLACES["identity"])
    image = VolumeBridge.imageFromVolumes(node)

    assert image.array.dtype == np.float32
    assert image.array.flags.c_contiguous
    np.testing.assert_array_equal(image.array[0], values)
    image.array[:] = -1
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node).T, values)


def test_components_and_label_maps(scene, place):
    colors = np.stack([spot(), 2 * spot(), spot() - 1])
    vector = addVolume(scene, colors, place, className="vtkMRMLVectorVolumeNode")
    image = VolumeBridge.imageFromVolumes(vector)
    np.testing.assert_array_equal(image.array, colors)
    np.testing.assert_allclose(image.affine, place.world, atol=1e-9)

    labels = (spot() > 5).astype(np.uint8)
    node = addVolume(scene, labels, place, className="vtkMRMLLabelMapVolumeNode")
    np.testing.assert_array_equal(VolumeBridge.imageFromVolumes(node).array[0], labels)


def test_several_volumes_are_channels_in_order(scene, place):
    nodes = [addVolume(scene, factor * spot(), place, f"T{factor}") for factor in (1, 2, 3)]
    image = VolumeBridge.imageFromVolumes(nodes)
    np.testing.assert_array_equal(image.array, np.stack([factor * spot() for factor in (1, 2, 3)]))
    np.testing.assert_allclose(image.affine, place.world, atol=1e-9)


def test_channels_on_one_grid_by_different_ways(scene):
    turned = addVolume(scene, spot(), PLACES["turned by its parent"], "T1")
    hardened = addVolume(scene, spot(), Place(PLACES["turned by its parent"].world), "T2")
    assert VolumeBridge.imageFromVolumes([turned, hardened]).channels == 2


@pytest.mark.parametrize(
    "other",
    [
        (spot(), Place(obliqueAffine(), (rotation(1, 0),))),
        (spot()[:, :, 1:], Place(obliqueAffine())),
    ],
)
def test_channels_in_different_places_are_refused(scene, other):
    first = addVolume(scene, spot(), Place(obliqueAffine()), "T1")
    second = addVolume(scene, *other, "T2")
    with pytest.raises(ImageError, match=r"'T2' on the voxels of 'T1'.*resample"):
        VolumeBridge.imageFromVolumes([first, second])


def test_transforms_that_bend_space_are_refused(scene):
    bend = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Bend")
    spline = vtk.vtkThinPlateSplineTransform()
    for points, shift in ((vtk.vtkPoints(), 0), (vtk.vtkPoints(), 5)):
        for n in range(5):
            points.InsertNextPoint(10 * n, (n * n) % 7 + shift * (n == 2), 3 * (n % 3))
        (spline.SetTargetLandmarks if shift else spline.SetSourceLandmarks)(points)
    spline.SetBasisToR()
    bend.SetAndObserveTransformToParent(spline)
    outer = addTransforms(scene, [np.eye(4)])
    outer.SetAndObserveTransformNodeID(bend.GetID())
    node = addVolume(scene, spot(), PLACES["identity"], parent=outer)
    with pytest.raises(ImageError, match=r"'Scan' under linear transforms.*[Hh]arden"):
        VolumeBridge.imageFromVolumes(node)


def test_what_is_no_volume_is_refused(scene):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    model = scene.AddNewNodeByClass("vtkMRMLModelNode", "Model")
    for node, words in ((None, "nothing"), (model, "'Model'"), (empty, "'Empty' holds no")):
        with pytest.raises(ImageError, match=words):
            VolumeBridge.imageFromVolumes(node)
    with pytest.raises(ImageError, match="empty list"):
        VolumeBridge.imageFromVolumes([])


def test_frames_of_a_sequence(scene):
    centers = [(16, 9, 11), (3, 20, 6)]
    node, choose = addSequence(scene, [spot(c) for c in centers], PLACES["oblique, anisotropic"])
    for frame, center in enumerate(centers):
        choose(frame)
        image = VolumeBridge.imageFromVolumes(node)
        np.testing.assert_array_equal(image.array[0], spot(center))
        np.testing.assert_allclose(image.affine, obliqueAffine(), atol=1e-9)


@pytest.mark.parametrize("through", [0, 1, 2])
def test_single_slices_become_pictures_and_come_back(scene, place, through):
    shape = [5, 7, 4]
    shape[through] = 1
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    node = addVolume(scene, values, place)
    image = VolumeBridge.imageFromVolumes(node, axes=2)

    columns, rows = (axis for axis in range(3) if axis != through)
    assert image.array.shape == (1, shape[rows], shape[columns])
    index = [0, 0, 0]
    index[rows], index[columns] = 2, 3
    assert image.array[0, 2, 3] == values[tuple(index)]
    np.testing.assert_allclose(image.grid.to_world((2, 3)), place.worldOf(index), atol=1e-9)
    np.testing.assert_array_equal(
        VolumeBridge.voxelsOnVolume(image.array[0], image.affine, node).T, values
    )
    assert VolumeBridge.imageFromVolumes(node).ndim == 3


def test_overlay_lies_on_the_scan_and_moves_with_it(scene, place):
    scan = addVolume(scene, spot(), place)
    image = VolumeBridge.imageFromVolumes(scan)
    overlay = VolumeBridge.overlayFromImage(image, scan, "Map")

    np.testing.assert_array_equal(slicer.util.arrayFromVolume(overlay).T, spot())
    np.testing.assert_allclose(worldOfNode(overlay, HOT), place.worldOf(HOT), atol=1e-6)
    parent = addTransforms(scene, [rotation(70, 0)])
    if scan.GetParentTransformNode() is not None:
        scan.GetParentTransformNode().SetAndObserveTransformNodeID(parent.GetID())
        np.testing.assert_allclose(worldOfNode(overlay, HOT), worldOfNode(scan, HOT), atol=1e-6)


def test_map_of_a_volume_that_has_changed_is_refused(scene):
    scan = addVolume(scene, spot(), PLACES["oblique, anisotropic"])
    image = VolumeBridge.imageFromVolumes(scan)
    scan.SetAndObserveTransformNodeID(addTransforms(scene, [rotation(5, 1)]).GetID())
    with pytest.raises(ImageError, match=r"'Scan'.*explain it again"):
        VolumeBridge.overlayFromImage(image, scan, "Map")


def test_arrays_go_through_unchanged_whatever_the_number_of_slices(scene):
    for slices in (1, 15, 16, 17, 33):
        values = np.random.default_rng(slices).random((3, 4, slices)).astype(np.float32)
        node = addVolume(scene, values, PLACES["identity"])
        image = VolumeBridge.imageFromVolumes(node)
        np.testing.assert_array_equal(image.array[0], values)
        np.testing.assert_array_equal(
            VolumeBridge.voxelsOnVolume(values, np.eye(4), node).T, values
        )


def needsTheApplication(path) -> bool:
    parts = ("import qt", "from slicer.parameterNodeWrapper", "from .Sections")
    return any(line.startswith(parts) for line in path.read_text(encoding="utf-8").splitlines())


def test_loading_the_library_brings_nothing_heavy_along():
    files = sorted((LIBRARY_FOLDER / "SlicerAttentionMapsLib").glob("*.py"))
    names = [path.stem for path in files if not needsTheApplication(path)]
    assert "Logic" in names
    code = (
        f"import sys; sys.path.insert(0, {str(LIBRARY_FOLDER)!r}); import importlib\n"
        f"for name in {names!r}: importlib.import_module('SlicerAttentionMapsLib.' + name)\n"
        "heavy = [name for name in sys.modules if name.split('.')[0] in"
        " ('torch', 'SimpleITK', 'attention_maps', 'nibabel', 'matplotlib')]\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_engine_is_found_in_the_source_tree(tmp_path):
    code = (
        f"import sys; sys.path[:] = [p for p in sys.path if 'Engine' not in p]\n"
        f"sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
        f"sys.path.insert(0, {str(LIBRARY_FOLDER)!r})\n"
        "from SlicerAttentionMapsLib import EnginePath\n"
        "EnginePath.ensureEngine(); import attention_maps; print(attention_maps.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert Path(done.stdout.strip()).parts[-3:] == ("Engine", "attention_maps", "__init__.py")
