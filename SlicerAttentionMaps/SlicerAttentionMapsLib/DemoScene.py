"""Make `scene.mrb` and `overview.png` of a folder that holds a scan and its attention map.

Usage: python DemoScene.py FOLDER

FOLDER holds `scan.nii.gz`, `attention_map.nii.gz` (signed float32 on the scan's grid),
`attention_map.json` (its provenance), `prediction.nii.gz` (the model's answer, a label map) and, if
there is one, `brain_mask.nii.gz`. Where slicer-core or OpenGL is missing, what can be made is made,
one line says why the rest was not, and the exit status is 0.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

_INPUTS = ("scan.nii.gz", "attention_map.nii.gz", "attention_map.json", "prediction.nii.gz")
_LIBRARY = Path(__file__).resolve().parent
# Drawn by a process of its own: without OpenGL some builds of VTK end the process that asks.
_OPENGL_PROBE = """
import vtk
window = vtk.vtkRenderWindow()
window.SetOffScreenRendering(True)
renderer = vtk.vtkRenderer()
renderer.SetBackground(0, 1, 0)
window.AddRenderer(renderer)
window.SetSize(8, 8)
window.Render()
grabber = vtk.vtkWindowToImageFilter()
grabber.SetInput(window)
grabber.ReadFrontBufferOff()
grabber.Update()
color = [grabber.GetOutput().GetScalarComponentAsDouble(4, 4, 0, channel) for channel in range(3)]
raise SystemExit(0 if color == [0, 255, 0] else 1)
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with scan, attention map and its JSON")
    folder = parser.parse_args(arguments).folder.resolve()
    try:
        import slicer  # noqa: F401
        from PIL import Image  # noqa: F401
    except ImportError as error:
        _say(f"No scene.mrb, and overview.png stays as it is: {error} (pip install slicer-core).")
        return 0
    missing = [name for name in _INPUTS if not (folder / name).is_file()]
    if missing:
        sys.stderr.write(f"'{folder}' lacks {', '.join(missing)}: run the explanation first.\n")
        return 2
    try:
        _makeAll(folder)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    return 0


def _makeAll(folder: Path) -> None:
    sys.path.insert(0, str(_LIBRARY.parent))
    import vtk

    from SlicerAttentionMapsLib import DemoNodes, SceneFile

    # Where there is no screen VTK warns about it, and then draws without one.
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_ERROR)
    provenance = json.loads((folder / "attention_map.json").read_text(encoding="utf-8"))
    demo = DemoNodes.load(folder, provenance)
    SceneFile.saveScene(demo.context.scene, folder / "scene.mrb")
    reloaded = SceneFile.loadScene(folder / "scene.mrb")
    compared = SceneFile.compareScenes(demo.context.scene, reloaded.scene)
    _say("scene.mrb written, reloaded into a fresh scene, and equal in " + ", ".join(compared))
    if not hasOpenGl():
        _say("OpenGL is missing here (no EGL, OSMesa or display): overview.png stays as it is.")
        return
    figure = DemoNodes.figure(demo, provenance)
    partial = folder / ".overview.partial.png"
    figure.save(partial)
    partial.replace(folder / "overview.png")
    _say(f"overview.png rendered by real slice views, {figure.width} x {figure.height} pixels.")


def hasOpenGl() -> bool:
    """Return whether VTK can draw off screen here."""
    probe = subprocess.run(
        [sys.executable, "-c", _OPENGL_PROBE], capture_output=True, timeout=120, check=False
    )
    return probe.returncode == 0


def _say(message: str) -> None:
    sys.stdout.write(f"{message}\n")


if __name__ == "__main__":
    sys.exit(main())
