"""The demonstration's files as nodes in a scene, and the words of its figure."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer

from . import Display, SceneSetup, SliceFigure, SliceViews, VolumeGeometry

OPACITY = 0.5
HIDDEN_FRACTION = 0.1
_KEYS = ("model", "layer", "method_label", "signed", "target", "score", "reference")
_NAMING_KEYS = ("target", "method_label", "layer")


@dataclass(frozen=True)
class Demo:
    """What the scene shows."""

    context: SceneSetup.SlicerContext
    scanNode: object
    overlayNode: object
    style: Display.OverlayStyle


def load(folder: Path, provenance: dict) -> Demo:
    """Fill a fresh scene with the folder's scan, map, answer and mask, as they are to be seen."""
    missing = [key for key in _KEYS if key not in provenance]
    if missing:
        raise ValueError(f"'{folder / 'attention_map.json'}' lacks {', '.join(missing)}.")
    context = SceneSetup.createContext()
    scene = context.scene
    scanNode = _readVolume(scene, folder / "scan.nii.gz", "Scan")
    scanNode.CreateDefaultDisplayNodes()
    _requireFinite(folder / "attention_map.nii.gz")
    overlayName = " | ".join(["Scan", *(provenance[key] for key in _NAMING_KEYS)])
    overlayNode = _readVolume(scene, folder / "attention_map.nii.gz", overlayName)
    VolumeGeometry.requireSameGrid(overlayNode, scanNode)
    style = Display.styleOverlay(
        overlayNode, signed=bool(provenance["signed"]), hiddenFraction=HIDDEN_FRACTION
    )
    _addOutlines(scene, folder / "prediction.nii.gz", "Model answer", Display.ANSWER_COLORS, 4)
    maskFile = folder / "brain_mask.nii.gz"
    if maskFile.is_file():
        _addOutlines(scene, maskFile, "Brain mask", [Display.MASK_COLOR], 2)
    views = SliceViews.addStandardViews(scene)
    position = SliceViews.showInSliceViews(scanNode, overlayNode, opacity=OPACITY)
    if position is None:
        position = VolumeGeometry.worldBounds(scanNode).mean(axis=0)
    SliceViews.fitStandardViews(scanNode, position)
    title = f"{provenance['method_label']}\n{provenance['layer']}"
    Display.addLegend(overlayNode, title, [views[0].GetID()])
    return Demo(context, scanNode, overlayNode, style)


def figure(demo: Demo, provenance: dict):
    """Render the overview as a `PIL.Image.Image`."""
    return SliceFigure.renderFigure(
        demo.context,
        demo.scanNode,
        demo.overlayNode,
        demo.style,
        caption(demo, provenance),
        opacity=OPACITY,
    )


def caption(demo: Demo, provenance: dict) -> SliceFigure.Caption:
    """Return the figure's words."""
    method, layer = provenance["method_label"], provenance["layer"]
    notes = [
        f"Rendered by 3D Slicer slice views ({SliceFigure.slicerVersion()})",
        "radiological convention, all planes at one scale",
    ]
    if demo.style.evidence:
        position = VolumeGeometry.positionOfMaximum(demo.overlayNode)
        place = ", ".join(map(SliceFigure.patientPosition, position, range(3)))
        notes += [
            f"strokes mark the largest absolute value, {demo.style.maximum:.3g}, at {place} mm",
            f"map over the scan at {100 * OPACITY:g} % opacity, "
            f"below {100 * HIDDEN_FRACTION:g} % of the largest absolute value hidden",
        ]
    notes.append(f"{method}: {provenance['reference']}")
    notes.append("Research use only")
    return SliceFigure.Caption(
        title=f"{method} at layer {layer} of {provenance['model']['name']}",
        details=(f"Target: {provenance['target']}. Score: {provenance['score']:.6g}.",),
        smallPrint="; ".join(notes) + ".",
        barTitle=(method, layer),
    )


def _readVolume(scene, path: Path, name: str):
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetScene(scene)
    storage.SetFileName(str(path))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    if not storage.ReadData(node):
        raise OSError(f"Slicer cannot read '{path}' as a volume.")
    return node


def _requireFinite(path: Path) -> None:
    """Raise ValueError if a float32 NIfTI file holds NaN or infinity: Slicer reads them as 0."""
    content = gzip.decompress(path.read_bytes())
    headerSize, dataType = np.frombuffer(content, "<i4", 1)[0], np.frombuffer(content[70:72], "<i2")
    if headerSize != 348 or dataType != 16:
        raise ValueError(f"'{path}' must be a little-endian float32 NIfTI-1 file.")
    offset = int(np.frombuffer(content[108:112], "<f4")[0])
    values = np.frombuffer(content, "<f4", offset=offset)
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise ValueError(
            f"'{path}' holds {bad} NaN or infinite values of {values.size}: the run that made it "
            "went wrong; do not display it."
        )


def _addOutlines(scene, path: Path, name: str, colors, thickness: int) -> None:
    labelNode = _readVolume(scene, path, f"{name} labels")
    Display.addOutlines(labelNode, name, colors, thickness=thickness)
    scene.RemoveNode(labelNode)
