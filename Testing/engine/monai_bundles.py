"""Small MONAI bundles, and MONAI's own run of them on files."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.data import DataLoader, Dataset, decollate_batch

OBLIQUE = np.array([[0.98, -0.17, 0.1], [0.17, 0.985, 0.02], [-0.1, 0.0, 0.995]])


def oblique_affine(spacing=(1.1, 0.9, 2.0), origin=(-21.0, 14.0, 6.5)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(OBLIQUE)[0] * np.array([1, -1, 1]) @ np.diag(spacing)
    affine[:3, 3] = origin
    return affine


def write_scan(path: Path, shape=(34, 29, 17), channels: int = 1, seed: int = 0) -> list[Path]:
    """Bright blobs in noise, one NIfTI file per channel."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    blobs = sum(
        np.exp(-((grid - center) ** 2).sum(-1) / (2 * width**2))
        for center, width in zip(
            rng.uniform(5, np.array(shape) - 5, (4, 3)), (3, 4, 5, 3), strict=True
        )
    )
    paths = []
    for number in range(channels):
        values = 400 * blobs * (1 - 0.5 * number) + rng.normal(0, 20, shape)
        values[:3] = values[-2:] = 0  # nothing outside the body
        file = nibabel.Nifti1Image(values.astype(np.float32), oblique_affine())
        target = path.with_name(f"{path.name}_{number}.nii.gz")
        nibabel.save(file, target)
        paths.append(target)
    return paths


UNET = {
    "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3,
    "channels": [4, 6, 8], "strides": [2, 2], "num_res_units": 1, "norm": "batch",
}  # fmt: skip
SEGMENTATION: dict[str, Any] = {
    "imports": ["$import glob", "$import os"],
    "bundle_root": ".",
    "output_dir": "$@bundle_root + '/eval'",
    "datalist": "$list(sorted(glob.glob(@bundle_root + '/imagesTs/*.nii.gz')))",
    "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    "image_key": "image",
    "network_def": UNET,
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "@image_key"},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "image", "pixdim": [1.4, 1.3, 1.5],
             "mode": "bilinear"},
            {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -50, "a_max": 400,
             "b_min": 0, "b_max": 1, "clip": True},
            {"_target_": "CropForegroundd", "keys": "image", "source_key": "image",
             "allow_smaller": True},
            {"_target_": "EnsureTyped", "keys": "image", "device": "@device"},
        ],
    },
    "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]",
                "transform": "@preprocessing"},
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 12], "sw_batch_size": 4,
                "overlap": 0.5, "mode": "gaussian"},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing",
             "orig_keys": "@image_key", "nearest_interp": False, "to_tensor": True},
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
        ],
    },
}  # fmt: skip
METADATA: dict[str, Any] = {
    "version": "0.1.0",
    "name": "Blobs",
    "description": "Finds blobs.",
    "network_data_format": {
        "inputs": {"image": {"type": "image", "num_channels": 1, "spatial_shape": ["8*n"] * 3,
                             "channel_def": {"0": "T1"}, "is_patch_data": True}},
        "outputs": {"pred": {"type": "image", "num_channels": 3,
                             "channel_def": {"0": "background", "1": "rim", "2": "core"}}},
    },
}  # fmt: skip


def changed(config: dict[str, Any], **items: Any) -> dict[str, Any]:
    """A copy with other items."""
    return {**json.loads(json.dumps(config)), **items}


def write_bundle(root: Path, config=SEGMENTATION, metadata=METADATA, suffix="json") -> Path:
    """A bundle with weights that see blobs, in a folder."""
    (root / "configs").mkdir(parents=True)
    (root / "models").mkdir()
    (root / "configs" / "metadata.json").write_text(json.dumps(metadata))
    name = root / "configs" / f"inference.{suffix}"
    if suffix == "json":
        name.write_text(json.dumps(config))
    else:
        import yaml

        name.write_text(yaml.safe_dump(config))
    torch.save(network_of(config).state_dict(), root / "models" / "model.pt")
    return root


def network_of(config: dict[str, Any], seed: int = 0) -> torch.nn.Module:
    """The network with weights that give several classes."""
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        network = ConfigParser(json.loads(json.dumps({"n": config["network_def"]})))
        made = network.get_parsed_content("n")
        for name, weights in made.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(weights, 0, 0.1)
    return made.eval()


def own_run(root: Path, images: Any, config: dict[str, Any], network=None) -> torch.Tensor:
    """What MONAI's own evaluator does with a bundle and files, step by step.

    Returns:
        What postprocessing makes of the prediction, before it is saved.
    """
    config = json.loads(json.dumps(config))
    post = config.get("postprocessing", {"_target_": "Compose", "transforms": []})
    post["transforms"] = [t for t in post["transforms"] if "Save" not in t["_target_"]]
    config["postprocessing"] = post
    config["device"] = "cpu"
    config["bundle_root"] = str(root)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        parser = ConfigParser(config)
        made = {
            name: parser.get_parsed_content(name)
            for name in ("preprocessing", "inferer", "postprocessing")
        }
        if network is None:
            network = parser.get_parsed_content("network_def")
            network.load_state_dict(torch.load(root / "models" / "model.pt", weights_only=True))
        network.eval()
        item = images if isinstance(images, dict) else {"image": images}
        batch = next(iter(DataLoader(Dataset([item], made["preprocessing"]), batch_size=1)))
        batch["pred"] = made["inferer"](batch["image"], network)
        return made["postprocessing"](decollate_batch(batch)[0])["pred"]
