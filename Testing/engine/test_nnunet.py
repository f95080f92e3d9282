"""nnU-Net v2 models against nnU-Net's own predictor, and what is refused."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from typer.testing import CliRunner

import attention_maps as am
import nnunet_models
from attention_maps.cli import app
from attention_maps.models.nnunet.network import present_name
from attention_maps.models.nnunet.preparation import header_spacing
from trust_checks import check_trust

os.environ |= {f"nnUNet_{part}": "not used" for part in nnunet_models.NNUNET_FOLDERS}
pytest.importorskip("nnunetv2")
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

DATASETS = {
    "Dataset001_Plain": {
        "configurations": ["2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres"],
        "channels": 2,
        "transpose": [2, 0, 1],
    },
    "Dataset002_Regions": {"configurations": ["3d_fullres"], "regions": True},
    "Dataset003_Trained": {"configurations": ["3d_fullres"], "folds": 2, "epochs": 3},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder with results of all datasets."""
    folder = tmp_path_factory.mktemp("nnunet")
    script = Path(nnunet_models.__file__)
    for name, wanted in DATASETS.items():
        command = [sys.executable, str(script), str(folder), name, json.dumps(wanted)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr[-2000:]
    return folder / "results"


@pytest.fixture
def case(tmp_path):
    """Makes the files of a scan: (paths, array (C, z, y, x), labels (z, y, x))."""

    def make(channels: int):
        images, labels = nnunet_models.scan(77, channels)
        paths = []
        for number, image in enumerate(images):
            paths.append(tmp_path / f"scan_{number:04d}.nii.gz")
            SimpleITK.WriteImage(image, paths[-1])
        read = [SimpleITK.ReadImage(path) for path in paths]
        array = np.stack([SimpleITK.GetArrayFromImage(image) for image in read])
        spacing = list(read[0].GetSpacing())[::-1]
        return paths, array.astype(np.float32), spacing, SimpleITK.GetArrayFromImage(labels)

    return make


def theirs(folder: Path, array, spacing, *, mirror=True, previous=None) -> np.ndarray:
    """nnU-Net's own label map (z, y, x)."""
    predictor = nnUNetPredictor(
        use_mirroring=mirror, device=torch.device("cpu"), allow_tqdm=False, verbose=False
    )
    predictor.initialize_from_trained_model_folder(str(folder), None)
    return predictor.predict_single_npy_array(
        array, {"spacing": list(spacing)}, segmentation_previous_stage=previous
    )


def ours(source, paths, **options) -> np.ndarray:
    """Our label map (z, y, x)."""
    session = am.Explainer(am.load_model(source, **options), paths)
    return session.prediction.array[0].transpose(2, 1, 0)


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize(
    ("dataset", "configuration"),
    [
        ("Dataset001_Plain", "2d"),
        ("Dataset001_Plain", "3d_fullres"),
        ("Dataset001_Plain", "3d_lowres"),
        ("Dataset002_Regions", "3d_fullres"),
        ("Dataset003_Trained", "3d_fullres"),
    ],
)
def test_the_prediction_is_nnunets_own(root, case, dataset, configuration, mirror):
    channels = DATASETS[dataset].get("channels", 1)
    paths, array, spacing, _ = case(channels)
    folder = root / dataset / f"nnUNetTrainer__nnUNetPlans__{configuration}"
    spec = None if mirror else am.load_model(folder).spec.sliding_window.model_dump()
    spec = None if spec is None else {"sliding_window": {**spec, "mirror_axes": ()}}
    expected = theirs(folder, array, spacing, mirror=mirror)
    found = ours(root / dataset, paths, spec=spec, configuration=configuration)
    assert len(np.unique(expected)) > 1
    assert (found == expected).mean() >= 0.9999


def test_a_cascade_computes_its_first_stage(root, case):
    paths, array, spacing, _ = case(2)
    folder = root / "Dataset001_Plain" / "nnUNetTrainer__nnUNetPlans__3d_cascade_fullres"
    first = theirs(
        folder.with_name(folder.name.replace("cascade_fullres", "lowres")), array, spacing
    )
    expected = theirs(folder, array, spacing, previous=first[None].astype(np.int16))
    assert (ours(folder, paths) == expected).mean() >= 0.9999
    zeros = np.zeros_like(first)[None].astype(np.int16)
    other = theirs(folder, array, spacing, previous=zeros)
    given = am.Image(zeros.transpose(0, 3, 2, 1), am.read_image(paths[0]).affine)
    assert (other != expected).any()
    assert (ours(folder, paths, previous_stage=given) == other).mean() >= 0.9999


def test_a_lesion_is_explained_where_it_lies(root, case):
    paths, _, _, labels = case(1)
    session = am.Explainer(am.load_model(root / "Dataset003_Trained"), paths)
    predicted = session.prediction.array[0].transpose(2, 1, 0) == 1
    assert predicted.any()
    layers = [info.name for info in session.model.layers() if info.explainable]
    last = [name for name in layers if name.startswith("decoder.stages.")][-1]
    made = session.explain("grad_cam", last, target="rim")
    heat = made.image.array[0].transpose(2, 1, 0)
    centroid = [(heat * grid).sum() / heat.sum() for grid in np.indices(heat.shape)]
    assert np.abs(centroid - np.argwhere(predicted).mean(0)).max() < 1
    assert made.provenance["windows"]["style"] == "nnunet"
    assert made.provenance["windows"]["networks"] == 2
    assert made.provenance["model"]["file"] == "Dataset003_Trained"
    assert (labels == 1).any()


def test_any_folder_near_the_model_or_a_zip_will_do(root, case, tmp_path):
    paths, array, spacing, _ = case(1)
    folder = root / "Dataset002_Regions" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    expected = theirs(folder, array, spacing)
    archive = Path(shutil.make_archive(str(tmp_path / "export"), "zip", folder.parents[1],
                                       folder.relative_to(folder.parents[1])))  # fmt: skip
    near = ("fold_0", "fold_0/checkpoint_final.pth", "plans.json", "dataset.json")
    for source in (folder, *(folder / name for name in near), archive):
        assert (ours(source, paths) == expected).all()


def test_a_fold_or_a_checkpoint_may_be_named(root):
    folder = root / "Dataset003_Trained" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    named = am.load_model(folder / "fold_1" / "checkpoint_best.pth")
    assert named.sha256 == am.load_model(folder, folds=1, checkpoint="best").sha256
    assert named.sha256 != am.load_model(folder / "fold_1").sha256
    assert am.load_model(folder / "fold_1").sha256 == am.load_model(folder, folds=["1"]).sha256
    assert len(am.load_model(folder / "fold_1", folds=[0, 1, 0]).members) == 2
    with pytest.raises(am.ModelError, match="folds among 0, 1, got none"):
        am.load_model(folder, folds=[])


def test_datasets_are_not_guessed(root, tmp_path):
    """Not even where only one of them has the preferred configuration."""
    for name, kind in (("Dataset001_Plain", "3d_lowres"), ("Dataset002_Regions", "3d_fullres")):
        folder = root / name / f"nnUNetTrainer__nnUNetPlans__{kind}"
        shutil.copytree(folder, tmp_path / name / folder.name)
    with pytest.raises(am.ModelError, match=r"several: .*001_Plain/.*002_Regions/.*name its"):
        am.load_model(tmp_path)
    assert "3d_lowres" in am.load_model(tmp_path, configuration="3d_lowres").line


def test_a_stage_before_something_that_has_none(root, case):
    with pytest.raises(am.ModelError, match="no previous_stage, as '3d_fullres' is no second"):
        am.load_model(root / "Dataset002_Regions", previous_stage=case(1)[0][0])


def test_configuration_folds_and_checkpoint_can_be_chosen(root):
    model = am.load_model(root / "Dataset001_Plain")
    assert model.line == (
        "nnU-Net 3d_fullres, 1 fold, 2 channels (T1, T2), 3 classes, 2 x 1.2 x 1 mm"
    )
    assert model.spec.channels == ("T1", "T2")
    with pytest.raises(am.ModelError, match="configurations 2d, 3d_cascade_fullres, 3d_fullres"):
        am.load_model(root / "Dataset001_Plain", configuration="3d_huge")
    trained = root / "Dataset003_Trained"
    assert len(am.load_model(trained).members) == 2
    assert "1 fold," in am.load_model(trained, folds=[1], checkpoint="best").line
    with pytest.raises(am.ModelError, match="folds among 0, 1, got 7"):
        am.load_model(trained, folds=[7])
    with pytest.raises(am.ModelError, match=r"found checkpoint_best\.pth, checkpoint_final\.pth"):
        am.load_model(trained, checkpoint="latest")


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Runs a command in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return done.exit_code, done.stdout, done.stderr

    return run


def test_folds_on_the_command_line(root, case, call):
    paths, _, _, _ = case(1)
    trained = root / "Dataset003_Trained"
    arguments = ["explain", trained, *paths, "--target", "rim", "-o", "map.nii.gz"]
    code, _, said = call(*arguments, "--folds", "1", "--checkpoint", "best")
    assert code == 0, said
    assert "nnU-Net 3d_fullres, 1 fold, 1 channel (T1), 3 classes" in said
    assert "windows, " in said
    session = am.Explainer(am.load_model(trained, folds=[1], checkpoint="best"), paths)
    expected = session.explain(target="rim").image.array
    assert np.abs(am.read_image("map.nii.gz").array - expected).max() <= 1e-4 * expected.max()
    code, _, said = call(*arguments, "--folds", "0,7")
    assert code == 1
    assert "Error: Expected folds among 0, 1, got 7." in said


def test_a_given_stage_on_the_command_line(root, case, call):
    paths, array, spacing, _ = case(2)
    folder = root / "Dataset001_Plain" / "nnUNetTrainer__nnUNetPlans__3d_cascade_fullres"
    labels = np.zeros(array.shape[1:], np.int16)
    labels[4:9, 10:20, 8:30] = 2
    expected = theirs(folder, array, spacing, previous=labels[None])
    given = am.Image(labels.transpose(2, 1, 0)[None], am.read_image(paths[0]).affine)
    am.write_image(given, "stage.nii.gz")
    code, out, said = call(
        "explain", folder.parent, *paths, "--configuration", "3d_cascade_fullres",
        "--previous-stage", "stage.nii.gz", "--target", "lesion", "--layer", "auto", "--json",
    )  # fmt: skip
    assert code == 0, said
    assert "nnU-Net 3d_cascade_fullres" in said
    model = am.load_model(folder, previous_stage="stage.nii.gz")
    session = am.Explainer(model, paths)
    assert (session.prediction.array[0].transpose(2, 1, 0) == expected).mean() >= 0.999
    score = json.loads(out)["maps"][0]["score"]
    assert score == pytest.approx(session.explain(target="lesion").score, rel=1e-4)


def test_a_first_stage_that_is_not_there(root, case, tmp_path):
    paths, _, _, _ = case(2)
    source = root / "Dataset001_Plain" / "nnUNetTrainer__nnUNetPlans__3d_cascade_fullres"
    shutil.copytree(source, tmp_path / "alone" / source.name)
    with pytest.raises(am.ModelError, match=r"'.*3d_lowres' is not beside it; copy it there, or"):
        am.Explainer(am.load_model(tmp_path / "alone"), paths)


@pytest.mark.parametrize("field", [{"spacing": [1, 1.2, 2]}, {"intensity": [{"kind": "zscore"}]}])
def test_what_the_plans_say_is_not_said_again(root, field):
    name = next(iter(field))
    with pytest.raises(am.SpecError, match=f"no '{name}' .* this model prepares the image itself"):
        am.load_model(root / "Dataset002_Regions", field)


@pytest.mark.parametrize(
    ("length", "spacing"),
    [(1.9999998, 2.0), (0.70000004, 0.7), (1.25, 1.25), (0.123456789, 0.123456789)],
)
def test_spacings_are_those_of_the_header(length, spacing):
    """The length of an affine's axis has noise that would decide how many voxels there are."""
    assert header_spacing(length) == float(np.float32(spacing))


def test_models_of_version_one_are_named(tmp_path):
    folder = tmp_path / "Task001" / "nnUNetTrainerV2__nnUNetPlansv2.1"
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.pkl").write_bytes(b"")
    for source in (folder, folder.parent, tmp_path):
        with pytest.raises(am.ModelError, match=r"holds a model of nnU-Net v1, which is not"):
            am.load_model(source)


def test_orientation_can_be_set(root, case):
    """For models that were trained on turned scans; nnU-Net itself takes them as they come."""
    paths, array, spacing, _ = case(1)
    folder = root / "Dataset002_Regions" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    turned = array[:, ::-1, :, ::-1].copy()
    expected = theirs(folder, turned, spacing)[::-1, :, ::-1]
    assert (expected != theirs(folder, array, spacing)).any()
    code = am.geometry.orientation_of(am.read_image(paths[0]).affine)
    opposite = {"L": "R", "R": "L", "S": "I", "I": "S"}
    wanted = opposite[code[0]] + code[1] + opposite[code[2]]
    assert (ours(folder, paths, spec={"orientation": wanted}) == expected).mean() >= 0.999


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_nothing_in_a_checkpoint_is_executed(root, tmp_path):
    folder, marker = copied(root, tmp_path), tmp_path / "executed"
    path = folder / "fold_0" / "checkpoint_final.pth"
    content = torch.load(path, weights_only=False)
    torch.save({**content, "logging": Malicious(marker)}, path)
    with pytest.raises(am.ModelError, match=r"refused.*system"):
        am.load_model(folder)
    path.write_bytes(pickle.dumps(Malicious(marker)))
    with pytest.raises(am.ModelError, match="refused"):
        am.load_model(folder)
    assert not marker.exists()


@pytest.mark.parametrize("key", ["network_class_name", "nonlin"])
@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "torch.nn.functional.torch.os.system",  # begins within, leads out
        "nnunetv2.paths.os.system",
        "dynamic_network_architectures.architectures.unet.torch.os.system",
        "torch.nn.functional.relu",
    ],
)
def test_nothing_that_plans_name_is_executed(root, tmp_path, key, name):
    folder, marker = copied(root, tmp_path), tmp_path / "executed"

    def change(plans):
        architecture = plans["configurations"]["3d_fullres"]["architecture"]
        keywords = architecture["arch_kwargs"]
        (architecture if key == "network_class_name" else keywords)[key] = name
        keywords["nonlin_kwargs"] = {"command": f"touch {marker}"}

    change_plans(folder, change)
    with pytest.raises(am.ConsentError, match=f"'{name}', which is no network or layer of"):
        am.load_model(folder)
    assert not marker.exists()


def copied(root, tmp_path):
    """A copy of a model's folder that may be spoiled."""
    source = root / "Dataset002_Regions" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    return Path(shutil.copytree(source, tmp_path / source.name))


def change_plans(folder, change):
    plans = json.loads((folder / "plans.json").read_text())
    change(plans)
    (folder / "plans.json").write_text(json.dumps(plans))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda plans: plans.update(label_manager="Unknown"), "network"),
        (lambda plans: plans["configurations"].clear(), "plans"),
        (lambda plans: plans.pop("transpose_forward"), "preprocessing"),
        (lambda plans: plans["configurations"]["3d_fullres"].update(preprocessor_name="os"),
         "preprocessing"),
    ],
)  # fmt: skip
def test_plans_that_nnunet_does_not_understand(root, case, tmp_path, change, what):
    folder = copied(root, tmp_path)
    change_plans(folder, change)
    with pytest.raises(am.ModelError, match=f"The {what} of this model cannot be understood"):
        am.load_model(folder).prepare(am.read_image(case(1)[0]))


def older_plans(plans):
    """The same network in the words of nnU-Net 2.0 to 2.3, as in TotalSegmentator's weights."""
    configuration = plans["configurations"]["3d_fullres"]
    keywords = configuration.pop("architecture")["arch_kwargs"]
    configuration |= {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": keywords["features_per_stage"][0],
        "unet_max_num_features": max(keywords["features_per_stage"]),
        "n_conv_per_stage_encoder": keywords["n_conv_per_stage"],
        "n_conv_per_stage_decoder": keywords["n_conv_per_stage_decoder"],
        "num_pool_per_axis": [2, 2, 2],
        "pool_op_kernel_sizes": keywords["strides"],
        "conv_kernel_sizes": keywords["kernel_sizes"],
    }


def test_plans_of_older_versions(root, case, tmp_path):
    paths = case(1)[0]
    folder = copied(root, tmp_path)
    expected = ours(folder, paths)
    change_plans(folder, older_plans)
    assert (ours(folder, paths) == expected).all()


def test_networks_that_moved_are_found_where_they_are():
    """Without nnU-Net's search, which imports networks that need other packages."""
    home = "dynamic_network_architectures.architectures"
    now = f"{home}.unet.ResidualEncoderUNet"
    for name in (f"{home}.residual_unet.ResidualEncoderUNet", now):
        assert present_name(name) == now
    for name in (f"{home}.gone.os", f"{home}.gone.nn", "gone.PlainConvUNet"):
        assert present_name(name) == name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"network_weights": {}, "init_args": {}}, "names no configuration"),
        ({"network_weights": {}, "init_args": "3d_fullres"}, "names no configuration"),
        ({"network_weights": [], "init_args": {"configuration": "2d"}}, "weights by name.*list"),
        ({"network_weights": {}, "init_args": {"configuration": "other"}}, "other not found"),
    ],
)
def test_checkpoints_with_something_else_in_them(root, tmp_path, content, message):
    folder = copied(root, tmp_path)
    torch.save(content, folder / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(am.ModelError, match=message):
        am.load_model(folder)


@pytest.mark.parametrize("trust", [False, True])
def test_an_empty_checkpoint(root, tmp_path, trust):
    folder = copied(root, tmp_path)
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(b"")
    with pytest.raises(am.ModelError, match="cannot be read"):
        am.load_model(folder, trust=trust)


def test_broken_folders_are_told_apart(root, tmp_path):
    folder = copied(root, tmp_path)
    path = folder / "fold_0" / "checkpoint_final.pth"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(am.ModelError, match="damaged or cut short"):
        am.load_model(folder)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(am.ModelError, match="nnU-Net v1"):
        am.load_model(folder)
    (folder / "plans.json").write_text("{")
    with pytest.raises(am.ModelError, match=r"plans\.json"):
        am.load_model(folder)
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("x/plans.json", "{}")
        archive.writestr("x/dataset.json", "{}")
        archive.writestr("../outside.txt", "x")
    with pytest.raises(am.ModelError, match="leads outside"):
        am.load_model(tmp_path / "evil.zip")
    assert not (tmp_path.parent / "outside.txt").exists()


def test_a_map_of_two_folds_can_be_tested(root, case):
    paths, *_ = case(1)
    model = am.load_model(root / "Dataset003_Trained")
    assert len(model.members) == 2
    check_trust(model, paths, ["randomization"])
