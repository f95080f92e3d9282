"""The map as it is handed out: its file, its provenance, its scaled copy."""

import copy
import hashlib
import json
import pickle
from datetime import datetime

import nibabel as nib
import numpy as np
import pytest
import torch

import attention_maps as am
from attention_maps.errors import ImageError
from attention_maps.types import Image
from tiny_networks import FlatClassifier, SmallUNet, picture, seeded, traced

AFFINE = np.array(
    [[-1.2, 0.1, 0.0, 31.0], [0.1, -0.9, 0.3, 12.0], [0.0, 0.2, 2.4, -9.0], [0, 0, 0, 1.0]]
)
KEYS = {
    "format_version", "attention_maps", "model", "image", "network_input", "method",
    "method_label", "reference", "remark", "options", "signed", "layer", "placement", "target",
    "classes", "voxels", "task",
    "activation", "score", "evidence", "note", "device", "dtype", "seconds", "created", "versions",
}  # fmt: skip


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "net.pt"
    traced(seeded(SmallUNet(3), 1), picture(3)).save(path)
    path.with_suffix(".json").write_text(
        json.dumps({"format_version": 1, "class_names": ["background", "tumour", "oedema"]})
    )
    return path


@pytest.fixture
def result(model_file):
    return am.explain(model_file, Image(picture(3), AFFINE), "hires_cam", "act2", "oedema")


def test_file_lies_on_the_scans_own_grid(result, tmp_path):
    path = result.save(tmp_path / "map.nii.gz")
    file = nib.load(path)
    assert file.get_data_dtype() == np.float32
    np.testing.assert_allclose(file.affine, AFFINE, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(file.dataobj), result.image.array[0])
    assert file.shape == picture(3).shape[1:]
    assert result.image.array.min() < 0 < result.image.array.max()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.json", "map.nii.gz"]


def test_raw_has_its_own_affine(result):
    """The layer has stride 2 and its first voxel at voxel 0 of the scan."""
    expected = AFFINE @ np.diag([2, 2, 2, 1.0])
    assert result.raw.array.shape == (1, 4, 6, 5)
    np.testing.assert_allclose(result.raw.affine, expected, atol=1e-9)


def test_provenance_is_complete(result, model_file, tmp_path):
    path = result.save(tmp_path / "case.1.nii.gz")
    found = json.loads(path.with_name("case.1.json").read_text())
    assert set(found) == KEYS
    assert found["attention_maps"] == am.__version__
    assert found["model"]["sha256"] == hashlib.sha256(model_file.read_bytes()).hexdigest()
    assert found["model"]["file"] == "net.pt"
    assert found["model"]["specification"]["class_names"] == ["background", "tumour", "oedema"]
    assert (found["method"], found["layer"], found["target"]) == ("hires_cam", "act2", "oedema")
    assert (found["task"], found["activation"]) == ("segmentation", "softmax")
    assert found["voxels"] == int((result.prediction.array == 2).sum())
    assert found["score"] == result.score
    assert found["placement"]["stride"] == [2, 2, 2]
    assert found["image"]["affine"] == AFFINE.tolist()
    assert found["versions"]["torch"] == torch.__version__
    assert (found["device"], found["dtype"]) == ("cpu", "float32")
    assert found["seconds"] >= 0
    assert datetime.fromisoformat(found["created"]).tzinfo is not None


def test_options_are_noted_with_their_defaults(model_file):
    found = am.explain(model_file, picture(3), "smooth_grad", target=1, samples=2)
    assert found.provenance["options"] == {"samples": 2, "noise": 0.15, "seed": 0}
    assert found.provenance["layer"] == "input"


def test_two_runs_give_the_same_map(result, model_file):
    again = am.explain(model_file, Image(picture(3), AFFINE), "hires_cam", "act2", "oedema")
    np.testing.assert_array_equal(again.raw.array, result.raw.array)
    np.testing.assert_array_equal(again.image.array, result.image.array)
    changing = {"seconds", "created"}
    assert {k: v for k, v in again.provenance.items() if k not in changing} == {
        k: v for k, v in result.provenance.items() if k not in changing
    }


@pytest.mark.parametrize("method", ["smooth_grad", "guided_grad_cam", "score_cam", "occlusion"])
def test_methods_with_chance_or_batches_are_reproducible(method):
    module, image = seeded(FlatClassifier(2), 1), picture(2)
    first, second = (am.explain(module, image, method, "act1", 1) for _ in range(2))
    np.testing.assert_array_equal(first.raw.array, second.raw.array)


def test_normalized_has_one_as_largest_absolute_value(result, tmp_path):
    scaled = result.normalized()
    largest = np.abs(result.image.array).max()
    assert np.abs(scaled.image.array).max() == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(scaled.image.array * largest, result.image.array, rtol=1e-6)
    np.testing.assert_allclose(scaled.raw.array * largest, result.raw.array, rtol=1e-6)
    np.testing.assert_array_equal(np.sign(scaled.image.array), np.sign(result.image.array))
    assert scaled.provenance["normalized_by"] == pytest.approx(largest)
    assert "normalized_by" not in result.provenance
    saved = scaled.save(tmp_path / "map.nii")
    np.testing.assert_allclose(am.read_image(saved).array, scaled.image.array)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_normalized_at_any_scale(scale):
    module = seeded(FlatClassifier(2, bias=False), 1)
    with torch.no_grad():
        module.head.weight *= scale
    result = am.explain(module, picture(2), "hires_cam", "act2", 1)
    assert np.abs(result.normalized().image.array).max() == pytest.approx(1, rel=1e-5)


def test_zeros_stay_zeros(tmp_path):
    module = seeded(FlatClassifier(2), 1)
    with torch.no_grad():
        module.head.weight[1] = 0
    result = am.explain(module, picture(2), "grad_cam", "act2", 1)
    assert not result.normalized().image.array.any()
    assert not result.has_evidence
    assert repr(result).endswith("no evidence)")
    found = json.loads(result.save(tmp_path / "map.nii").with_name("map.json").read_text())
    assert found["evidence"] is False
    assert "no evidence" in found["note"]
    assert am.read_image(tmp_path / "map.nii").array.max() == 0


def test_repr_tells_question_method_layer_and_grids(result):
    text = repr(result)
    for word in ("oedema", "hires_cam", "act2", "(4, 6, 5) -> (8, 11, 9)", f"{result.score:.4g}"):
        assert word in text


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_results_can_be_copied_and_sent(result, clone):
    found = clone(result)
    np.testing.assert_array_equal(found.image.array, result.image.array)
    np.testing.assert_array_equal(found.prediction.array, result.prediction.array)
    assert found.provenance == result.provenance


def test_a_picture_keeps_its_grid(tmp_path):
    result = am.explain(seeded(FlatClassifier(2), 1), picture(2), "hires_cam", "act1", 1)
    assert result.image.array.shape == picture(2).shape
    found = am.read_image(result.save(tmp_path / "map.nii.gz"))
    np.testing.assert_array_equal(found.array, result.image.array)


def test_nothing_is_left_where_saving_fails(result, tmp_path):
    with pytest.raises(ImageError, match="ends in"):
        result.save(tmp_path / "map.docx")
    with pytest.raises(FileNotFoundError, match="create it first"):
        result.save(tmp_path / "nowhere" / "map.nii.gz")
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(IsADirectoryError, match="add a name"):
        result.save(tmp_path / "folder.nii")
    assert [p.name for p in tmp_path.iterdir()] == ["folder.nii"]


def test_a_failing_disk_leaves_the_old_files(result, tmp_path, monkeypatch):
    result.save(tmp_path / "map.nii.gz")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nib.Nifti1Image, "to_filename", full)
    monkeypatch.setattr("attention_maps.image_io.writing._WRITERS", {".nii.gz": full})
    with pytest.raises(OSError, match="No space left"):
        result.normalized().save(tmp_path / "map.nii.gz")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
