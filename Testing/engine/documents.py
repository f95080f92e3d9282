"""The documentation's pages and snippets, and the files that they speak of."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from torch import nn

import attention_maps as am

ROOT = Path(__file__).parents[2]
SIDECAR = re.compile(r"`(\w+\.json)`[^`\n]*\n\n```json\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))


def snippets(document: str, language: str) -> list[str]:
    """Code blocks of a document in one language."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def is_console(document: str) -> bool:
    """Whether a page's snippets are for the Python console of 3D Slicer."""
    return any(re.search(r"\b(slicer|logic)\.", code) for code in snippets(document, "python"))


def make_other_kinds(folder: Path, page: str, net: nn.Module) -> None:
    """Write the models of other kinds that a page speaks of.

    Args:
        folder: Where they go.
        page: The page.
        net: Module of the model.
    """
    text = (ROOT / page).read_text(encoding="utf-8")
    for name, content in SIDECAR.findall(text):
        (folder / name).write_text(content, encoding="utf-8")
    if "cases.csv" in text:
        shutil.copy(folder / "t1.nii.gz", folder / "t1_002.nii.gz")
        lines = ["case,image,mask", "001,t1.nii.gz,tumour_mask.nii.gz"]
        lines.append("002,t1_002.nii.gz,tumour_mask.nii.gz")
        (folder / "cases.csv").write_text("\n".join(lines), encoding="utf-8")
    if "knee.pt" in text:
        write_networks_of_pictures(folder)
    if "Dataset501_Lesion" in text:
        shutil.copytree(small_nnunet(folder.parent), folder / "Dataset501_Lesion")
        labels = np.random.default_rng(1).integers(0, 3, (1, 32, 32, 32))
        first_stage = am.Image(labels, am.read_image(folder / "t1.nii.gz").affine)
        am.write_image(first_stage, folder / "first_stage.nii.gz")
    if "spleen_ct_segmentation" in text:
        from monai_bundles import METADATA, SEGMENTATION, UNET, changed, write_bundle

        coarse = json.loads(json.dumps(SEGMENTATION).replace("[1.4, 1.3, 1.5]", "[4, 4, 4]"))
        config = changed(coarse, network_def={**UNET, "out_channels": 2})
        metadata = json.loads(json.dumps(METADATA))
        names = {"channel_def": {"0": "background", "1": "spleen"}}
        metadata["network_data_format"]["outputs"]["pred"] = names
        write_bundle(folder / "spleen_ct_segmentation", config, metadata)
    if "exported.pt2" in text:
        example = torch.zeros(1, 1, 32, 32, 32)
        torch.export.save(torch.export.export(net, (example,)), folder / "exported.pt2")


def small_nnunet(folder: Path) -> Path:
    """An untrained nnU-Net with all configurations for scans of few voxels; made once."""
    made = folder / "nnunet_of_the_pages"
    name = "Dataset501_Lesion"
    if made.exists():
        return made / "results" / name
    pytest.importorskip("nnunetv2", reason="its models need it")
    configurations = ["2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres"]
    wanted = json.dumps({"configurations": configurations, "folds": 2})
    script = Path(__file__).with_name("nnunet_models.py")
    command = [sys.executable, "-W", "ignore", str(script), str(made), name, wanted]
    subprocess.run(command, capture_output=True, check=True)
    for path in (made / "results" / name).glob("*/plans.json"):
        plans = json.loads(path.read_text())
        for configuration, spacing in (("2d", 4), ("3d_fullres", 4), ("3d_lowres", 6)):
            axes = len(plans["configurations"][configuration]["patch_size"])
            plans["configurations"][configuration]["spacing"] = [spacing] * axes
        path.write_text(json.dumps(plans))
    return made / "results" / name


class OnePicture(nn.Module):
    """A coarse and a fine answer for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3, padding=1)
        self.fine = nn.Conv2d(4, 2, 1)
        nn.init.constant_(self.fine.bias[1:], 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.features(x).relu()
        return features[:, :2, ::2, ::2], self.fine(features)


class Series(nn.Module):
    """One diagnosis of a series of color slices, by the strongest of them."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU())
        self.classifier = nn.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = self.features(x.squeeze(0)).mean((2, 3))
        return self.classifier(pooled.max(0, keepdim=True)[0])


def write_networks_of_pictures(folder: Path) -> None:
    """Write lesions.pt, knee.pt, chest.pt, chest.png and chest.dcm."""
    xray = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2),
    )  # fmt: skip
    picture = torch.zeros(1, 3, 64, 64)
    torch.jit.trace(OnePicture().eval(), picture).save(folder / "lesions.pt")
    torch.jit.trace(Series().eval(), picture.repeat(8, 1, 1, 1)[None]).save(folder / "knee.pt")
    torch.jit.trace(xray.eval(), picture).save(folder / "chest.pt")
    gray = np.random.default_rng(0).integers(0, 255, (80, 72), dtype=np.uint8)
    Picture.fromarray(gray).save(folder / "chest.png")
    xray_file(folder / "chest.dcm", gray.astype("<u2") * 16)


def xray_file(path: Path, stored: np.ndarray) -> None:
    """Write a DICOM picture of 12 bits with a window, as a detector does."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    kind = DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = kind
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.Modality = "1.2", "1.2.4", "DX"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation, dataset.ImagerPixelSpacing = 0, [0.2, 0.2]
    dataset.WindowCenter, dataset.WindowWidth = 2000, 1500
    dataset.PixelData = stored.tobytes()
    dataset.save_as(path, enforce_file_format=True)


def make_files(folder: Path, **changes: object) -> nn.Module:
    """Write model.pt with its sidecar, t1.nii.gz and masks, and return the model's module.

    Args:
        folder: Where they go.
        changes: Of the README's sidecar.
    """
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv3d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.ConvTranspose3d(4, 3, 2, stride=2)
    ).eval()
    torch.jit.trace(net, torch.zeros(1, 1, 16, 16, 16)).save(folder / "model.pt")
    sidecar = {**json.loads(snippets("README.md", "json")[0]), **changes}
    (folder / "model.json").write_text(json.dumps(sidecar))
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = [-60, -90, -30]
    scan = np.random.default_rng(0).normal(size=(1, 32, 32, 32))
    am.write_image(am.Image(scan, affine), folder / "t1.nii.gz")
    mask = np.zeros((1, 32, 32, 32))
    mask[:, 8:16, 8:16, 8:16] = 1
    am.write_image(am.Image(mask, affine), folder / "tumour_mask.nii.gz")
    mask[:, 20:28, 4:12, 4:12] = 2
    am.write_image(am.Image(mask, affine), folder / "structures.nii.gz")
    return net
