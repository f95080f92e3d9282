"""What users of nnU-Net stumble over: each of it is right here, or there is a message."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
import torch

import attention_maps as am
import nnunet_models
from attention_maps.geometry import orientation_of
from attention_maps.models.nnunet.label_maps import label_map
from attention_maps.models.nnunet.preparation import NnunetPreparation
from attention_maps.models.weights import read_weights
from attention_maps.preprocessing import prepare
from attention_maps.spec import ModelSpec

os.environ |= {f"nnUNet_{part}": "not used" for part in nnunet_models.NNUNET_FOLDERS}
pytest.importorskip("nnunetv2")
from nnunetv2.imageio.nibabel_reader_writer import NibabelIOWithReorient
from nnunetv2.inference.export_prediction import (
    convert_predicted_logits_to_segmentation_with_correct_shape as at_once,
)
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

NAME = "Dataset005_Turned"
WANTED = {"configurations": ["3d_fullres"], "transpose": [1, 0, 2]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Folder of a model as it begins: as good for voxels and files."""
    folder = tmp_path_factory.mktemp("stumbles")
    command = [sys.executable, nnunet_models.__file__, str(folder), NAME, json.dumps(WANTED)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[-2000:]
    return folder / "results" / NAME / "nnUNetTrainer__nnUNetPlans__3d_fullres"


@pytest.fixture
def model_with(trained, tmp_path):
    """Makes a copy of the model whose plans say something else."""

    def make(**changes) -> Path:
        folder = tmp_path / "changed" / trained.name
        shutil.copytree(trained, folder)
        plans = json.loads((folder / "plans.json").read_text())
        spacing = changes.pop("spacing", None)
        if spacing is not None:
            plans["configurations"]["3d_fullres"]["spacing"] = spacing
        (folder / "plans.json").write_text(json.dumps(plans | changes))
        return folder

    return make


@pytest.fixture(scope="module")
def scan() -> SimpleITK.Image:
    """Oblique and anisotropic."""
    return nnunet_models.scan(31)[0][0]


def predictor_of(folder: Path) -> nnUNetPredictor:
    made = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False, verbose=False)
    made.initialize_from_trained_model_folder(str(folder), None)
    return made


def turned_over(source: SimpleITK.Image, path: Path) -> Path:
    """The scan as a file whose axes run the other way, in another order: the same patient."""
    SimpleITK.WriteImage(source, path)
    file = nibabel.load(path)
    flipped = nibabel.Nifti1Image(np.asarray(file.dataobj), file.affine)
    codes = nibabel.orientations.axcodes2ornt("IPR")
    ours = nibabel.io_orientation(file.affine)
    nibabel.save(flipped.as_reoriented(nibabel.orientations.ornt_transform(ours, codes)), path)
    return path


def test_a_scan_stored_flipped_is_flipped_for_nnunet_unless_it_is_turned(trained, scan, tmp_path):
    """One patient in two files: nnU-Net answers differently, `orientation` makes it the same."""
    SimpleITK.WriteImage(scan, tmp_path / "plain.nii.gz")
    turned_over(scan, tmp_path / "flipped.nii.gz")
    images = [am.read_image(tmp_path / name) for name in ("plain.nii.gz", "flipped.nii.gz")]
    assert orientation_of(images[0].affine) != orientation_of(images[1].affine) == "IPR"

    def answers(spec) -> list[np.ndarray]:
        model = am.load_model(trained, spec)
        found = [am.Explainer(model, image).prediction for image in images]
        return [am.geometry.reorient(answer, "RAS").array for answer in found]

    plain, flipped = answers(None)
    assert (plain != flipped).mean() > 0.01
    plain, flipped = answers({"orientation": "LPS"})
    assert (plain == flipped).mean() >= 0.9999


def test_plans_that_turn_scans_are_followed(model_with, scan, tmp_path):
    """With nnU-Net's own reader and writer, on a scan stored flipped."""
    folder = model_with(image_reader_writer="NibabelIOWithReorient")
    path = turned_over(scan, tmp_path / "scan.nii.gz")
    reader = NibabelIOWithReorient()
    array, properties = reader.read_images([str(path)])
    labels = predictor_of(folder).predict_single_npy_array(array, properties)
    reader.write_seg(labels, str(tmp_path / "theirs.nii.gz"), properties)
    expected = am.read_image(tmp_path / "theirs.nii.gz")
    found = am.Explainer(am.load_model(folder), path).prediction
    assert len(np.unique(expected.array)) > 1
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-4)
    assert (found.array == expected.array).mean() >= 0.9999


def test_spacings_are_in_the_order_of_the_plans(trained, scan, tmp_path):
    """Plans say z, y, x, transposed; files say x, y, z: each axis gets its own."""
    SimpleITK.WriteImage(scan, tmp_path / "scan.nii.gz")
    image = am.read_image(tmp_path / "scan.nii.gz")
    model = am.load_model(trained)
    plans = json.loads((trained / "plans.json").read_text())
    wanted = plans["configurations"]["3d_fullres"]["spacing"]
    assert len(set(wanted)) == 3
    grid = model.prepare(image).grid
    np.testing.assert_allclose(grid.spacing, wanted, rtol=0.03)
    for axis, origin in enumerate(plans["transpose_forward"]):
        along = grid.affine[:3, axis] / grid.spacing[axis]
        own = image.affine[:3, 2 - origin] / image.grid.spacing[2 - origin]
        np.testing.assert_allclose(along, own, atol=1e-6)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_oblique_files_of_all_formats_are_one_scan(trained, scan, tmp_path, suffix):
    """nnU-Net's answer on the file's voxels; the map has the place that NIfTI gives it."""
    sources = [tmp_path / f"scan{ending}" for ending in (".nii.gz", suffix)]
    for source in sources:
        SimpleITK.WriteImage(scan, source)
    array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(sources[1]))[None]
    spacing = {"spacing": list(scan.GetSpacing())[::-1]}
    expected = predictor_of(trained).predict_single_npy_array(array.astype(np.float32), spacing)
    model = am.load_model(trained)
    first, other = (am.Explainer(model, source) for source in sources)
    answer = other.prediction.array[0].transpose(2, 1, 0)
    assert (answer == expected).mean() >= 0.9999
    plain, found = (item.explain("hires_cam", target="lesion").image for item in (first, other))
    affine = nibabel.load(sources[0]).affine
    assert (np.abs(affine[:3, :3]) > 0.03).sum() > 6  # not along the patient's axes
    np.testing.assert_allclose(found.affine, affine, atol=1e-4)
    assert np.corrcoef(plain.array.ravel(), found.array.ravel())[0, 1] > 0.9999


def manager_of(trained: Path, classes: int, regions: bool, change=None):
    plans = json.loads((trained / "plans.json").read_text())
    plans["configurations"]["3d_fullres"] |= change or {}
    manager = PlansManager(plans)
    labels = {"background": 0, **{f"c{n}": n for n in range(1, classes)}}
    dataset = {"labels": labels, "channel_names": {"0": "T1"}, "file_ending": ".nii.gz"}
    if regions:
        order = list(range(1, classes + 1))
        labels |= {f"c{n}": order[n - 1 :] for n in order}
        dataset["regions_class_order"] = order
    return manager, manager.get_configuration("3d_fullres"), manager.get_label_manager(dataset)


def properties_of(shape: tuple[int, ...], spacing: tuple[float, ...]) -> dict:
    """Of a scan (z, y, x) from which a border was cropped, axes transposed by (1, 0, 2)."""
    moved = [shape[1], shape[0], shape[2]]
    return {
        "spacing": list(spacing),
        "shape_before_cropping": tuple(moved),
        "bbox_used_for_cropping": [[2, moved[0] - 1], [0, moved[1] - 3], [1, moved[2]]],
        "shape_after_cropping_and_before_resampling": (moved[0] - 3, moved[1] - 3, moved[2] - 1),
    }


FAST = {
    "resampling_fn_probabilities": "resample_torch_fornnunet",
    "resampling_fn_probabilities_kwargs": {"is_seg": False, "memefficient_seg_resampling": False},
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("regions", [False, True], ids=["softmax", "regions"])
@pytest.mark.parametrize(
    ("spacing", "change"),
    [((2.0, 1.2, 1.0), {}), ((6.0, 0.7, 0.7), {}), ((2.0, 1.2, 1.0), FAST),
     ((1.7, 1.2, 1.0), {"spacing": [0.9, 0.8]})],
    ids=["isotropic", "thick slices", "torch", "2d"],
)  # fmt: skip
def test_class_by_class_the_label_map_is_the_same(trained, spacing, change, regions, dtype):
    plans, configuration, labels = manager_of(trained, 5, regions, change)
    shape = (22, 31, 27)
    properties = properties_of(shape, spacing)
    slices = properties["shape_after_cropping_and_before_resampling"][0]
    grid = (slices if len(configuration.spacing) == 2 else 15, 13, 19)
    logits = torch.randn(5, *grid, generator=torch.Generator().manual_seed(3)).to(dtype)
    expected = at_once(logits.clone(), plans, configuration, labels, properties)
    found = label_map(logits, plans, configuration, labels, properties)
    assert len(np.unique(expected)) == 5 + regions
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_a_hundred_classes_take_the_memory_of_a_few_volumes(trained):
    plans, configuration, labels = manager_of(trained, 100, False)
    shape = (40, 50, 60)
    properties = properties_of(shape, (2.0, 1.2, 1.0))
    logits = torch.randn(100, 8, 10, 12, generator=torch.Generator().manual_seed(3))
    tracemalloc.start()
    label_map(logits, plans, configuration, labels, properties)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * np.prod(shape) * 8  # of a hundred in its own way


def test_a_map_brings_no_class_onto_the_scan(trained, scan, tmp_path, monkeypatch):
    """Only the map itself is resampled; the label map waits until somebody asks for it."""
    SimpleITK.WriteImage(scan, tmp_path / "scan.nii.gz")
    session = am.Explainer(am.load_model(trained), tmp_path / "scan.nii.gz")
    called, own = [], NnunetPreparation._labels
    monkeypatch.setattr(
        NnunetPreparation, "_labels", lambda *given: called.append(1) or own(*given)
    )
    made = session.explain(target="lesion")
    made.save(tmp_path / "map.nii.gz")
    assert made.image.grid.shape == scan.GetSize()
    assert not called
    assert session.prediction.grid.shape == scan.GetSize()
    assert called == [1]


def checkpoint_of(path: Path, **more) -> Path:
    content = {"network_weights": {"w": torch.ones(2)}, "init_args": {"configuration": "2d"}}
    torch.save(content | more, path)
    return path


def test_numbers_of_old_and_new_numpy_are_read_as_data(tmp_path):
    """What nnU-Net logs; `weights_only` alone refuses it."""
    logged = {"loss": [np.float64(0.5), np.float32(0.25)], "epoch": np.int64(7)}
    new = checkpoint_of(tmp_path / "new.pth", logging=logged)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(new, weights_only=True)
    old = tmp_path / "old.pth"
    with zipfile.ZipFile(new) as source, zipfile.ZipFile(old, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("data.pkl"):
                assert b"numpy._core" in content
                content = content.replace(b"numpy._core", b"numpy.core")
            target.writestr(name, content)
    for path in (new, old):
        found = read_weights(path)
        assert found["logging"] == logged
        assert found["network_weights"]["w"].tolist() == [1, 1]


def test_other_objects_are_named_and_read_only_with_consent(tmp_path):
    path = checkpoint_of(tmp_path / "more.pth", folder=Path("results"))
    with pytest.raises(am.ConsentError, match=r"holds more than weights.*PosixPath.*trust=True"):
        read_weights(path)
    assert read_weights(path, trust=True)["folder"] == Path("results")


def test_files_of_version_one_are_named(tmp_path):
    folder = tmp_path / "Task001" / "nnUNetTrainerV2__nnUNetPlansv2.1" / "fold_0"
    folder.mkdir(parents=True)
    (folder.parent / "plans.pkl").write_bytes(b"")
    file = folder / "model_final_checkpoint.model"
    torch.save({"state_dict": {}}, file)
    file.with_name(f"{file.name}.pkl").write_bytes(b"")
    archive = Path(shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path, "Task001"))
    for source in (file, archive, tmp_path):
        with pytest.raises(am.ModelError, match=r"holds a model of nnU-Net v1, which is not"):
            am.load_model(source)


def oblique(spacing: tuple[float, ...]) -> np.ndarray:
    """Affine whose axes have these lengths, but for the noise of single precision."""
    turn = np.linalg.qr(np.array([[1, 0.31, -0.17], [-0.3, 1, 0.07], [0.2, -0.1, 1]]))[0]
    affine = np.eye(4)
    affine[:3, :3] = (turn * spacing).astype(np.float32)
    return affine


@pytest.mark.parametrize("seed", range(4))
def test_noise_of_spacings_does_not_decide_how_many_voxels_there_are(model_with, seed):
    """45 voxels of 1 mm are 22.5 of 2 mm; the length of an oblique axis is 1 mm but for 1e-7."""
    rng = np.random.default_rng(seed)
    spacing, shape = (1.0, 1.2, 2.0), (45, 35, 25)
    affine = oblique(spacing)
    affine[:3, :3] *= 1 + rng.uniform(-1e-7, 1e-7, (3, 3))
    assert (np.linalg.norm(affine[:3, :3], axis=0) != spacing).any()
    folder = model_with(spacing=[4.0, 2.4, 2.0], transpose_forward=[0, 1, 2],
                        transpose_backward=[0, 1, 2])  # fmt: skip
    model = am.load_model(folder)
    array = rng.uniform(1, 2, (1, *shape)).astype(np.float32)
    grid = model.prepare(am.Image(array, affine)).grid
    expected = compute_new_shape(shape[::-1], spacing[::-1], (4.0, 2.4, 2.0))
    assert grid.shape == tuple(expected) == (12, 18, 22)


@pytest.mark.parametrize("seed", range(4))
def test_noise_does_not_decide_for_models_with_a_specification(seed):
    rng = np.random.default_rng(seed)
    affine = oblique((1.0, 1.2, 2.0))
    affine[:3, :3] *= 1 + rng.uniform(-1e-7, 1e-7, (3, 3))
    image = am.Image(np.zeros((1, 45, 35, 25), np.float32), affine)
    straight = am.Image(image.array, np.diag([1.0, 1.2, 2.0, 1]))
    spec = ModelSpec(spacing=(2.0, 2.4, 4.0))
    assert prepare(image, spec).grid.shape == prepare(straight, spec).grid.shape
