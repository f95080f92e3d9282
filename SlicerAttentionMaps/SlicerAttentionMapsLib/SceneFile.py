"""Scenes as one file, `scene.mrb`, that 3D Slicer opens; and the proof that it came out right."""

import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from . import ColorTables, SceneSetup, VolumeGeometry
from .SceneSetup import nodesByClass

# Relative to the largest number compared.
_TOLERANCE = 1e-6
# The scene's XML keeps six digits of these.
_SIX_DIGITS = {"window": 1e-5, "threshold": 1e-5, "field of view": 1e-5, "plane": 1e-5}


def saveScene(scene, path) -> None:
    """Write the scene with all its data to an `.mrb` file, which appears whole or not at all."""
    path = Path(path).resolve()
    if path.suffix != ".mrb":
        raise ValueError(f"A scene is saved as an .mrb file, but got '{path.name}'.")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".scene-") as folder:
        partial = Path(folder) / path.name
        if not scene.WriteToMRB(str(partial)) or not partial.exists():
            raise OSError(f"The scene could not be written to '{path}': is the disk full?")
        shutil.move(partial, path)


def loadScene(path) -> SceneSetup.SlicerContext:
    """Read an `.mrb` file into a fresh scene."""
    path = Path(path).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"There is no scene file '{path}'.")
    if not zipfile.is_zipfile(path):
        raise OSError(f"'{path}' is not a Slicer scene: an .mrb file is a zip archive.")
    context = SceneSetup.createContext()
    ColorTables.addFileColorNodes(context.scene)
    # `ReadFromMRB` needs the application's cache folder; the file is a zip archive.
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        description = next(Path(folder).rglob("*.mrml"), None)
        if description is None:
            raise OSError(f"'{path}' is not a Slicer scene: it holds no .mrml file.")
        context.scene.SetURL(str(description))
        if not context.scene.Import():
            raise OSError(f"'{path}' could not be read as a Slicer scene (.mrb).")
    return context


def compareScenes(expected, actual) -> list[str]:
    """Compare what a reader of the picture relies on, between a scene and its reloaded copy.

    Args:
        expected: the scene that was saved.
        actual: the scene read back. Nodes are matched by name.

    Returns:
        One line for each kind of thing compared, such as '2 volumes: geometry, arrays, ...'.

    Raises:
        ValueError: naming everything that differs.
    """
    differences: list[str] = []
    counts = {}
    for className, describe in _DESCRIPTIONS.items():
        nodes = {node.GetName(): node for node in nodesByClass(actual, className)}
        originals = [n for n in nodesByClass(expected, className) if n.GetSaveWithScene()]
        counts[className] = len(originals)
        for original in originals:
            copy = nodes.get(original.GetName())
            if copy is None:
                differences.append(f"{className} '{original.GetName()}' is missing")
                continue
            differences += _differences(original.GetName(), describe(original), describe(copy))
    if differences:
        raise ValueError("The reloaded scene differs: " + "; ".join(differences))
    return [f"{count} {_NOUNS[className]}" for className, count in counts.items() if count]


def _differences(name: str, expected: dict, actual: dict) -> list[str]:
    if expected.keys() != actual.keys():
        return [f"'{name}' has {sorted(actual)} instead of {sorted(expected)}"]
    return [
        f"{key} of '{name}' is {_short(actual[key])} instead of {_short(value)}"
        for key, value in expected.items()
        if not _equal(value, actual[key], _SIX_DIGITS.get(key, _TOLERANCE))
    ]


def _equal(expected, actual, tolerance: float) -> bool:
    if not isinstance(expected, np.ndarray):
        return expected == actual
    if expected.shape != actual.shape:
        return False
    if expected.dtype.kind in "iub":
        return np.array_equal(expected, actual)
    scale = np.abs(expected).max(initial=0.0)
    return bool(np.abs(expected - actual).max(initial=0.0) <= tolerance * scale)


def _short(value) -> str:
    return f"an array {value.shape}" if getattr(value, "size", 0) > 16 else str(value)


def _describeVolume(node) -> dict:
    array, ijkToRas = VolumeGeometry.rightHanded(
        slicer.util.arrayFromVolume(node), VolumeGeometry.ijkToRasArray(node)
    )
    display = node.GetScalarVolumeDisplayNode()
    colorNode = display.GetColorNode()
    return {
        "array": array,
        "type": array.dtype,
        "geometry": ijkToRas,
        "color node": colorNode.GetName(),
        "colors": ColorTables.colorsOf(colorNode),
        "window": np.array([display.GetWindowLevelMin(), display.GetWindowLevelMax()]),
        "threshold": np.array([display.GetLowerThreshold(), display.GetUpperThreshold()]),
        "threshold applied": display.GetApplyThreshold(),
    }


def _describeSegmentation(node) -> dict:
    display = node.GetDisplayNode()
    segmentation = node.GetSegmentation()
    content = {
        "outline": (display.GetVisibility2DOutline(), display.GetVisibility2DFill()),
        "thickness": display.GetSliceIntersectionThickness(),
    }
    for index in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(index)
        content[f"color of {segment.GetName()}"] = np.array(segment.GetColor())
        voxels, geometry = _segmentVoxels(node, segmentation.GetNthSegmentID(index))
        content[f"voxels of {segment.GetName()}"] = voxels
        content[f"geometry of {segment.GetName()}"] = geometry
    return content


def _segmentVoxels(node, segmentId: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a segment cropped to its voxels, bool (K, J, I), and the crop's index -> RAS matrix.

    How much empty space is kept around a segment is up to Slicer, so it is no difference.
    """
    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segmentId, image)
    mask = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1]) != 0
    box = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    first = np.array(image.GetExtent()[::2]) + [indices[0] for indices in box[::-1]]
    toFirst = np.eye(4)
    toFirst[:3, 3] = first
    crop = mask[tuple(slice(indices[0], indices[-1] + 1) for indices in box)]
    return VolumeGeometry.rightHanded(crop, slicer.util.arrayFromVTKMatrix(matrix) @ toFirst)


def _describeLegend(node) -> dict:
    shown = node.GetPrimaryDisplayNode().GetDisplayableNode()
    return {"title": node.GetTitleText(), "volume": shown.GetName()}


def _describeComposite(node) -> dict:
    scene = node.GetScene()
    layers = (node.GetBackgroundVolumeID(), node.GetForegroundVolumeID())
    return {
        "layers": [scene.GetNodeByID(layer).GetName() if layer else None for layer in layers],
        "opacity": np.array([node.GetForegroundOpacity()]),
    }


def _describeSlice(node) -> dict:
    return {
        "plane": slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()),
        "field of view": np.array(node.GetFieldOfView()),
    }


_DESCRIPTIONS = {
    "vtkMRMLScalarVolumeNode": _describeVolume,
    "vtkMRMLSegmentationNode": _describeSegmentation,
    "vtkMRMLColorLegendDisplayNode": _describeLegend,
    "vtkMRMLSliceCompositeNode": _describeComposite,
    "vtkMRMLSliceNode": _describeSlice,
}
_NOUNS = {
    "vtkMRMLScalarVolumeNode": "volumes (array, geometry, color node, colors, window, threshold)",
    "vtkMRMLSegmentationNode": "segmentations (voxels, colors, outlines)",
    "vtkMRMLColorLegendDisplayNode": "color legends",
    "vtkMRMLSliceCompositeNode": "slice layers (background, foreground, opacity)",
    "vtkMRMLSliceNode": "slice planes",
}
