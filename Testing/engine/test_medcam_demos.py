"""Ports of M3d-CAM's two demos: with only the import changed they write the same files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import PIL.Image
import pytest
import SimpleITK
import torch

import attention_maps as am
import nnunet_models
from peer_medcam import difference, medcam, scaled, tolerated  # noqa: F401, a fixture

os.environ |= {f"nnUNet_{part}": "not used" for part in nnunet_models.NNUNET_FOLDERS}

IMPORTS = {"theirs": "from medcam import medcam", "ours": "from attention_maps import medcam"}

CLASSIFICATION = """
import cv2
import torch
from monai.networks.nets import resnet10
from torch.utils.data import DataLoader, Dataset
{medcam}

class Pictures(Dataset):
    def __init__(self):
        self.names = ["cat.0.png", "cat.1.png", "dog.0.png"]
    def __len__(self):
        return len(self.names)
    def __getitem__(self, index):
        picture = cv2.resize(cv2.imread(self.names[index]), (64, 64))[..., ::-1] / 255.0
        return torch.tensor(picture.copy(), dtype=torch.float32).permute(2, 0, 1), index % 2

torch.manual_seed(0)
model = resnet10(spatial_dims=2, n_input_channels=3, num_classes=2)
model.eval()
model = medcam.inject(model, output_dir="attention_maps", backend="gcam", layer="layer4",
                      label="best", save_maps=True)
for batch in DataLoader(Pictures(), batch_size=1, shuffle=False):
    output = model(batch[0])
"""

NNUNET = """
import nibabel
import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
{medcam}

predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
predictor.initialize_from_trained_model_folder("model", (0,))
predictor.network.load_state_dict(predictor.list_of_parameters[0])
predictor.network.eval()
network = medcam.inject(predictor.network, label=2, replace=True, backend="gcam",
                        layer="decoder.seg_layers.1")
data = torch.from_numpy(np.load("case.npy"))
weights = compute_gaussian((16, 32, 24), device=torch.device("cpu"))
total, count, patches = torch.zeros(1, *data.shape[1:]), torch.zeros(data.shape[1:]), []
with torch.no_grad():
    for window in predictor._internal_get_sliding_window_slicers(data.shape[1:]):
        patches.append(network(data[window][None])[0])
        total[window] += patches[-1] * weights
        count[window[1:]] += weights
nibabel.save(nibabel.Nifti1Image((total[0] / count).numpy(), np.eye(4)), "case.nii.gz")
"""


def run(port: str, who: str, folder: Path, monkeypatch) -> dict:
    """Run a port in its folder, with one of the imports; returns its variables."""
    monkeypatch.chdir(folder)
    variables: dict = {"__name__": "port"}
    with tolerated():
        exec(compile(port.format(medcam=IMPORTS[who]), f"port of {who}", "exec"), variables)
    return variables


def written(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_classification(medcam, tmp_path, monkeypatch):  # noqa: F811
    """One picture per image, in a folder named after the layer."""
    rng = np.random.default_rng(0)
    outputs = {}
    for who in IMPORTS:
        folder = tmp_path / who
        folder.mkdir()
        for name in ("cat.0", "cat.1", "dog.0"):
            pixels = np.uint8(rng.integers(0, 255, (48, 40, 3)))
            PIL.Image.fromarray(pixels).save(folder / f"{name}.png")
        rng = np.random.default_rng(0)
        outputs[who] = run(CLASSIFICATION, who, folder, monkeypatch)["output"]
    maps = {f"attention_maps/layer4/attention_map_{i}_0_0.png" for i in range(3)}
    assert written(tmp_path / "ours") == written(tmp_path / "theirs")
    assert {name for name in written(tmp_path / "ours") if "map_" in name} == maps
    assert torch.equal(outputs["ours"], outputs["theirs"].detach())
    for name in maps:
        shown = [np.asarray(PIL.Image.open(tmp_path / who / name)) for who in IMPORTS]
        assert shown[0].dtype == shown[1].dtype == np.uint8
        assert min(*shown[0].shape[:2], *shown[1].shape[:2]) >= 500


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder of a small nnU-Net."""
    pytest.importorskip("nnunetv2")
    root, name = tmp_path_factory.mktemp("nnunet_demo"), "Dataset002_Demo"
    script = Path(nnunet_models.__file__)
    wanted = json.dumps({"configurations": ["3d_fullres"]})
    command = [sys.executable, "-W", "ignore", str(script), str(root), name, wanted]
    subprocess.run(command, capture_output=True, check=True)
    return root / "results" / name / "nnUNetTrainer__nnUNetPlans__3d_fullres"


@pytest.fixture
def case() -> np.ndarray:
    """(1, z, y, x) scan as nnU-Net normalizes it, a few windows large."""
    array = SimpleITK.GetArrayFromImage(nnunet_models.scan(5)[0][0])
    return ((array - array.mean()) / array.std())[None].astype(np.float32)


def test_nnunet(medcam, trained, case, tmp_path, monkeypatch):  # noqa: F811
    """The logits' layer of its demo, window by window; M3d-CAM scales each window to 0..1."""
    variables = {}
    for who in IMPORTS:
        folder = tmp_path / who
        folder.mkdir()
        (folder / "model").symlink_to(trained)
        np.save(folder / "case.npy", case)
        variables[who] = run(NNUNET, who, folder, monkeypatch)
    assert written(tmp_path / "ours") == written(tmp_path / "theirs") == {"case.npy", "case.nii.gz"}
    patches = [np.stack([p.detach().numpy() for p in variables[who]["patches"]]) for who in IMPORTS]
    assert len(patches[0]) > 4
    theirs, ours = patches
    assert ours.shape == theirs.shape
    assert difference(scaled(ours), theirs) < 1e-5
    made = nibabel.load(tmp_path / "ours" / "case.nii.gz")
    assert made.shape == case.shape[1:]
    assert made.get_fdata().max() > 0


def predictor_of(folder: Path):
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False, use_mirroring=True)
    predictor.initialize_from_trained_model_folder(str(folder), (0,))
    return predictor


def test_nnunets_own_predictor(trained, case):
    """Under inference mode, mirrored; with maps beside the prediction, and in its place."""
    data = torch.from_numpy(case)
    expected = predictor_of(trained).predict_logits_from_preprocessed_data(data)
    beside = predictor_of(trained)
    beside.network = am.inject(beside.network, label=1, layer="decoder.stages.1")
    found = beside.predict_logits_from_preprocessed_data(data)
    assert torch.equal(found, expected)
    assert beside.network.get_attention_map().shape[2:] == (16, 32, 24)
    instead = predictor_of(trained)
    instead.network = am.inject(instead.network, label=1, layer="auto", replace=True)
    maps = instead.predict_logits_from_preprocessed_data(data)
    assert maps.shape == expected.shape
    assert torch.equal(maps[0], maps[1])
    assert maps.max() > 0


def test_m3d_cam_in_nnunets_predictor(medcam, trained, case):  # noqa: F811
    """It fails under inference mode, on in-place activations, and on layers that return lists."""
    predictor = predictor_of(trained)
    predictor.network = medcam.inject(predictor.network, label=1, layer="decoder.seg_layers.1")
    with tolerated(), pytest.raises(RuntimeError, match="does not require grad"):
        predictor.predict_logits_from_preprocessed_data(torch.from_numpy(case))
    patch = torch.from_numpy(case[None, :, :16, :32, :24])
    for layer in ("full", "encoder.stages.0.0.convs.0.norm", "encoder"):
        peer = medcam.inject(predictor_of(trained).network, label=1, layer=layer)
        with tolerated(), pytest.raises((ValueError, TypeError)):
            peer(patch)
        ours = am.inject(predictor_of(trained).network, label=1, layer=layer)
        ours(patch)
        maps = ours.get_attention_map()
        assert len(maps) == (43 if layer == "full" else 1)


def test_layers_of_nnunet(medcam, trained, case):  # noqa: F811
    """The same maps where M3d-CAM makes them; "auto" takes the logits there, features here."""
    patch = torch.from_numpy(case[None, :, :16, :32, :24])
    network = predictor_of(trained).network.eval()
    for layer in ("encoder.stages.1", "decoder.transpconvs.1", "decoder.stages.1"):
        ours = am.inject(network, label=1, layer=layer, data_shape="layer")
        peer = medcam.inject(network, label=1, layer=layer)
        with tolerated():
            assert torch.equal(ours(patch), peer(patch))
        assert difference(scaled(ours.get_attention_map()), peer.get_attention_map()) < 1e-5
    chosen = {}
    for name, inject in (("ours", am.inject), ("theirs", medcam.inject)):
        automatic = inject(network, label=1)
        with tolerated():
            automatic(patch)
        chosen[name] = automatic.get_attention_map()
    logits = medcam.inject(network, label=1, layer="decoder")
    features = am.inject(network, label=1, layer="decoder.stages.1")
    with tolerated():
        logits(patch)
    features(patch)
    np.testing.assert_array_equal(chosen["theirs"], logits.get_attention_map())
    np.testing.assert_array_equal(chosen["ours"], features.get_attention_map())
