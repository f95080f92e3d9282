"""The script that turns a folder of results into a scene and a picture."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from slicer_phantom import COLD, HOT, LIBRARY_FOLDER, blob, obliqueAffine, scanArray

SCRIPT = LIBRARY_FOLDER / "SlicerAttentionMapsLib" / "DemoScene.py"
OLD_PICTURE = b"drawn before"

pytestmark = pytest.mark.slicer


@pytest.fixture
def folder(tmp_path):
    """A folder as the command-line demonstration leaves it, on a left-handed grid."""
    nibabel = pytest.importorskip("nibabel", reason="writes the input")
    arrays = {
        "scan": scanArray(),
        "attention_map": (blob(HOT) - 0.5 * blob(COLD)).astype(np.float32),
        "prediction": (blob(HOT) > 0.4).astype(np.uint8),
        "brain_mask": (blob(HOT, sigma=5) > 0.2).astype(np.uint8),
    }
    for name, array in arrays.items():
        image = nibabel.Nifti1Image(array, obliqueAffine(leftHanded=True))
        nibabel.save(image, tmp_path / f"{name}.nii.gz")
    provenance = {
        "model": {"name": "phantom.pt"},
        "layer": "up3",
        "method": "hires_cam",
        "method_label": "HiResCAM",
        "signed": True,
        "target": "ball",
        "score": 12.5,
        "reference": "a phantom",
    }
    (tmp_path / "attention_map.json").write_text(json.dumps(provenance), encoding="utf-8")
    (tmp_path / "overview.png").write_bytes(OLD_PICTURE)
    return tmp_path


def runScript(folder, **environment):
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )


def test_scene_and_picture_are_made_and_checked(folder, openGl):
    pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)
    image = pytest.importorskip("PIL.Image", reason="draws the figure")
    result = runScript(folder)
    assert result.returncode == 0, result.stderr
    assert "reloaded into a fresh scene, and equal in 2 volumes" in result.stdout
    assert "rendered by real slice views" in result.stdout
    with image.open(folder / "overview.png") as picture:
        assert picture.width >= 1500

    from SlicerAttentionMapsLib import SceneFile, VolumeGeometry
    from SlicerAttentionMapsLib.SceneSetup import nodesByClass

    scene = SceneFile.loadScene(folder / "scene.mrb").scene
    volumes = {n.GetName(): n for n in nodesByClass(scene, "vtkMRMLScalarVolumeNode")}
    expected = (obliqueAffine(leftHanded=True) @ [*HOT, 1])[:3]
    overlay = volumes["Scan | ball | HiResCAM | up3"]
    np.testing.assert_allclose(VolumeGeometry.positionOfMaximum(overlay), expected, atol=1e-4)
    segmentations = nodesByClass(scene, "vtkMRMLSegmentationNode")
    assert [node.GetName() for node in segmentations] == ["Model answer", "Brain mask"]


def test_without_slicer_the_old_picture_stays(folder, tmp_path):
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "slicer.py").write_text("raise ImportError('no slicer-core here')", encoding="utf-8")
    result = runScript(folder, PYTHONPATH=str(stub))
    assert result.returncode == 0
    assert result.stdout.count("\n") == 1
    assert "no slicer-core here" in result.stdout
    assert (folder / "overview.png").read_bytes() == OLD_PICTURE
    assert not (folder / "scene.mrb").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="hides OpenGL by a Linux setting")
def test_without_opengl_the_scene_is_still_written(folder):
    pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)
    result = runScript(folder, VTK_DEFAULT_OPENGL_WINDOW="vtkXOpenGLRenderWindow", DISPLAY="")
    assert result.returncode == 0, result.stderr
    assert "OpenGL is missing" in result.stdout
    assert (folder / "scene.mrb").exists()
    assert (folder / "overview.png").read_bytes() == OLD_PICTURE


def test_nan_is_refused_before_anything_is_written(folder):
    pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)
    nibabel = pytest.importorskip("nibabel", reason="writes the input")
    values = blob(HOT).astype(np.float32)
    values[1, 2, 3] = np.nan
    image = nibabel.Nifti1Image(values, obliqueAffine(leftHanded=True))
    nibabel.save(image, folder / "attention_map.nii.gz")
    result = runScript(folder)
    assert result.returncode == 1
    assert "1 NaN or infinite values" in result.stderr
    assert "Traceback" not in result.stderr
    assert (folder / "overview.png").read_bytes() == OLD_PICTURE
    assert not (folder / "scene.mrb").exists()


def test_missing_files_and_keys_are_named(folder):
    pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)
    (folder / "attention_map.json").write_text('{"layer": "up3"}', encoding="utf-8")
    result = runScript(folder)
    assert result.returncode == 1
    assert "lacks model, method_label, signed" in result.stderr
    (folder / "prediction.nii.gz").unlink()
    result = runScript(folder)
    assert result.returncode == 2
    assert "lacks prediction.nii.gz" in result.stderr
