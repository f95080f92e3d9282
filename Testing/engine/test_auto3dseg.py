"""Models of MONAIAuto3DSeg against the extension's inference, rebuilt here step by step."""

from __future__ import annotations

import os
import warnings
import zipfile

import numpy as np
import pytest
import torch
from monai.inferers import SlidingWindowInfererAdapt
from monai.networks.nets import SegResNetDS
from monai.transforms import (
    Compose,
    CropForegroundd,
    Invertd,
    LoadImaged,
    Orientationd,
    Spacingd,
)

import attention_maps as am
from attention_maps.errors import ConsentError, ModelError
from monai_bundles import write_scan

NETWORK = {
    "_target_": "SegResNetDS", "init_filters": 4, "blocks_down": [1, 1], "norm": "INSTANCE",
    "in_channels": 1, "out_channels": 3, "dsdepth": 2,
}  # fmt: skip
CONFIG = {
    "network": NETWORK, "roi_size": [16, 16, 16], "normalize_mode": "ct", "sigmoid": False,
    "intensity_bounds": [-50, 350], "resample_resolution": [1.5, 1.2, 1.8], "modality": "ct",
    "crop_foreground": True, "class_names": ["rim", "core"],
}  # fmt: skip


def write_model(folder, config):
    """The model with weights that give several classes, and its network."""
    arguments = {key: value for key, value in config["network"].items() if key != "_target_"}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = SegResNetDS(**arguments)
        for name, weights in network.named_parameters():
            if name.endswith("head.bias"):
                torch.nn.init.zeros_(weights)
    folder.mkdir(parents=True, exist_ok=True)
    content = {"config": config, "state_dict": network.state_dict(), "epoch": 7,
               "best_metric": np.float64(0.9)}  # fmt: skip
    torch.save(content, folder / "model.pt")
    return network.eval()


def normalized(x, mode, bounds):
    """Intensities (C, *spatial) by the formulas of the extension."""
    if mode in ("ct", "range"):
        low, high = bounds
        return torch.sigmoid(2 * (x - low) / (high - low) - 1)
    if mode == "pet":
        return torch.sigmoid((x - x.min()) / x.std())
    if mode == "none":
        return x
    found = x.clone()
    for channel in found:
        inside = channel != 0
        values = channel[inside]
        channel[inside] = (values - values.mean()) / values.std(unbiased=False)
    return found if mode in ("mri", "meanstd") else 3 * torch.tanh(found / 3)


def own_run(files, network, config, stacked=False):
    """Label map as the extension makes it."""
    keys = [f"image{n + 1}" for n in range(len(files))]
    bounds, mode = config["intensity_bounds"], config["normalize_mode"]
    ras = [Orientationd("image", "RAS", labels=None)] if config.get("orientation_ras") else []
    crop = CropForegroundd(
        "image", source_key="image" if stacked else "image1", margin=10, allow_smaller=True
    )
    pixdim = np.array(config["resample_resolution"])
    spacing = Spacingd(
        ["image"], pixdim=list(pixdim), mode=["bilinear"], dtype=torch.float,
        min_pixdim=pixdim * 0.75, max_pixdim=pixdim * 1.25,
    )  # fmt: skip
    chain = Compose([*ras, *([crop] if config["crop_foreground"] else []), spacing])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        if stacked:
            data = LoadImaged("image", ensure_channel_first=True)({"image": [*map(str, files)]})
            data = chain(data)
            data["image"] = normalized(data["image"], mode, bounds)
        else:
            item = {key: str(file) for key, file in zip(keys, files, strict=True)}
            data = LoadImaged(keys, ensure_channel_first=True)(item)
            if len(keys) == 1:
                data["image"] = normalized(data["image1"], mode, bounds)
            else:
                modes = [mode, *config["extra_modalities"].values()]
                for key, own in zip(keys, modes, strict=True):
                    data[key] = normalized(data[key], own, bounds)
                data["image"] = torch.cat([data[key] for key in keys])
            data = chain(data)
        inferer = SlidingWindowInfererAdapt(config["roi_size"], 1, 0.625, "gaussian")
        logits = inferer(data["image"][None], network)
        logits = logits[0] if isinstance(logits, list) else logits
        if config["sigmoid"]:
            pred = (logits[0].sigmoid() >= 0.5).float()
        else:
            pred = logits[0].argmax(0, keepdim=True).float()
        data["pred"] = pred
        back = Invertd("pred", orig_keys="image", transform=chain, nearest_interp=True)
        return back(data)["pred"].numpy()


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return write_scan(tmp_path_factory.mktemp("scan") / "scan", channels=2)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"normalize_mode": "mri"},
        {"normalize_mode": "meanstdtanh", "orientation_ras": True, "crop_foreground": False},
        {"normalize_mode": "pet"},
        {"normalize_mode": "none"},
    ],
    ids=["ct", "mri", "meanstdtanh", "pet", "none"],
)
def test_label_maps(scans, tmp_path, changes):
    config = CONFIG | changes
    network = write_model(tmp_path / "liver", config)
    own = own_run(scans[:1], network, config)[0]
    model = am.load_model(tmp_path / "liver" / "model.pt", device="cpu")
    session = am.Explainer(model, scans[:1])
    assert len(np.unique(own)) > 1
    assert (session.prediction.array[0] == own).mean() >= 0.999
    assert model.spec.class_names == ("background", "rim", "core")
    assert model.spec.sliding_window.overlap == 0.625
    assert model.line == (
        "MONAIAuto3DSeg liver, SegResNetDS, 1 channel (CT), windows of 16 x 16 x 16"
    )
    assert session.explain("hires_cam", target=1).image.array.shape == (1, 34, 29, 17)


def test_several_images(scans, tmp_path):
    config = CONFIG | {
        "network": NETWORK | {"in_channels": 2},
        "normalize_mode": "mri",
        "extra_modalities": {"pet": "pet"},
    }
    network = write_model(tmp_path / "two", config)
    own = own_run(scans, network, config)[0]
    model = am.load_model(tmp_path / "two", device="cpu")
    assert model.spec.channels == ("CT", "pet")
    found = am.Explainer(model, scans).prediction.array[0]
    assert len(np.unique(own)) > 1
    assert (found == own).mean() >= 0.999


def test_overlapping_tumor_parts(scans, tmp_path):
    """Whole tumor 2, core 1, enhancing 3: as the extension merges what BraTS models give."""
    config = CONFIG | {
        "network": NETWORK | {"in_channels": 2}, "normalize_mode": "mri", "sigmoid": True,
    }  # fmt: skip
    network = write_model(tmp_path / "brats-gli", config)
    seg = own_run(scans, network, config, stacked=True) > 0.5
    own = 2 * seg.any(0).astype(int)
    own[seg[1:].any(0)] = 1
    own[seg[2:].any(0)] = 3
    labels = "LabelValue,Name\n1,core\n2,edema\n3,enhancing\n"
    (tmp_path / "brats-gli" / "labels.csv").write_text(labels)
    model = am.load_model(tmp_path / "brats-gli", device="cpu")
    assert model.spec.class_names == ("edema", "core", "enhancing")
    found = am.Explainer(model, scans).prediction.array[0]
    assert len(np.unique(own)) > 1
    assert (found == own).mean() >= 0.999


def test_archives(scans, tmp_path):
    write_model(tmp_path / "liver", CONFIG)
    path = tmp_path / "liver.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tmp_path / "liver" / "model.pt", "liver-v1/model.pt")
        archive.writestr("liver-v1/labels.csv", "LabelValue,Name,Color\n1,liver,red\n2,tumor,\n")
    model = am.load_model(path, device="cpu")
    assert model.spec.class_names == ("background", "liver", "tumor")
    assert model.spec.name == "liver-v1"


def test_only_the_known_networks_without_consent(tmp_path):
    marker = tmp_path / "executed.txt"
    write_model(tmp_path / "m", CONFIG)
    content = torch.load(tmp_path / "m" / "model.pt", weights_only=False)
    content["config"]["network"] = {
        "_target_": "os.system", "command": f"echo executed > '{marker}'",
    }  # fmt: skip
    torch.save(content, tmp_path / "m" / "model.pt")
    with pytest.raises(ConsentError, match=r"network::_target_ is 'os.system'.*--trust"):
        am.load_model(tmp_path / "m", device="cpu")
    assert not marker.exists()


class Trap:
    def __init__(self, marker) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"echo executed > '{self.marker}'",)


def test_pickles(tmp_path):
    marker = tmp_path / "executed.txt"
    path = tmp_path / "model.pt"
    torch.save({"config": CONFIG | {"x": Trap(marker)}, "state_dict": {}}, path)
    with pytest.raises(ConsentError, match="more than weights"):
        am.load_model(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalize_mode": "other"}, "got 'other'"),
        ({"network": NETWORK | {"init_filters": 8}}, "do not fit its network"),
    ],
)
def test_what_cannot_be_used(tmp_path, changes, message):
    write_model(tmp_path, CONFIG)
    content = torch.load(tmp_path / "model.pt", weights_only=False)
    content["config"] = CONFIG | changes
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ModelError, match=message):
        am.load_model(tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("config"), "to hold 'config'"),
        (lambda content: content.update(state_dict=None), "to hold 'state_dict'"),
        (lambda content: content["config"].pop("roi_size"), "Expected 'roi_size' in the config"),
    ],
)
def test_parts_that_are_missing(tmp_path, change, message):
    write_model(tmp_path, CONFIG)
    content = torch.load(tmp_path / "model.pt", weights_only=False)
    content["note"] = ["config", "state_dict", "roi_size", "normalize_mode"]
    change(content)
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ModelError, match=message):
        am.load_model(tmp_path, device="cpu")
