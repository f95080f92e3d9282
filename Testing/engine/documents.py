"""The documentation's pages and snippets, and the files that they speak of."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import torch
from torch import nn

import attention_maps as am

ROOT = Path(__file__).parents[2]
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


def make_files(folder: Path, **changes: object) -> nn.Module:
    """Write model.pt with its sidecar, t1.nii.gz and a mask, and return the model's module.

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
    return net
