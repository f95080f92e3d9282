"""Small nnU-Net v2 models, trained by nnU-Net itself on synthetic scans."""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

SHAPE = (24, 44, 36)  # z, y, x
OBLIQUE = (0.98, -0.17, 0.1, 0.17, 0.985, 0.02, -0.1, 0.0, 0.995)


def scan(seed: int, channels: int = 1) -> tuple[list[sitk.Image], sitk.Image]:
    """A body that is zero outside, with a bright lesion and a rim around it; oblique."""
    rng = np.random.default_rng(seed)
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    body = ((z - 12) / 10) ** 2 + ((y - 22) / 19) ** 2 + ((x - 18) / 15) ** 2 < 1
    center = rng.uniform([9, 15, 13], [15, 29, 23])
    distance = np.sqrt(((z - center[0]) * 1.5) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2)
    labels = np.where(distance < 3, 2, np.where(distance < 6, 1, 0)).astype(np.uint8)
    images = []
    for channel in range(channels):
        values = 100 + 60 * (labels == 1) + (120 if channel == 0 else -40) * (labels == 2)
        values = (values + rng.normal(0, 8, SHAPE)) * body
        images.append(_image(values.astype(np.float32)))
    return images, _image(labels)


def _image(array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.2, 2.0))
    image.SetOrigin((-20.0, 15.0, 7.0))
    direction = np.linalg.qr(np.array(OBLIQUE).reshape(3, 3))[0]
    direction *= np.sign(np.diag(direction))
    image.SetDirection(direction.ravel())
    return image


def train(root: Path, *, name: str, configuration: str, channels: int = 1, regions=False) -> Path:
    """Train for a few seconds; returns the results folder."""
    for variable in ("raw", "preprocessed", "results"):
        (root / variable).mkdir(parents=True, exist_ok=True)
        os.environ[f"nnUNet_{variable}"] = str(root / variable)
    os.environ["nnUNet_n_proc_DA"] = "1"
    os.environ["nnUNet_def_n_proc"] = "1"
    os.environ["nnUNet_compile"] = "f"
    dataset = root / "raw" / name
    for part in ("imagesTr", "labelsTr"):
        (dataset / part).mkdir(parents=True, exist_ok=True)
    for case in range(5):
        images, labels = scan(case, channels)
        for number, image in enumerate(images):
            sitk.WriteImage(image, dataset / "imagesTr" / f"case{case}_{number:04d}.nii.gz")
        sitk.WriteImage(labels, dataset / "labelsTr" / f"case{case}.nii.gz")
    description = {
        "channel_names": {str(n): ("T1", "T2")[n] for n in range(channels)},
        "labels": {"background": 0, "whole": [1, 2], "core": [2]}
        if regions
        else {"background": 0, "rim": 1, "lesion": 2},
        "numTraining": 5,
        "file_ending": ".nii.gz",
    }
    if regions:
        description["regions_class_order"] = [1, 2]
    (dataset / "dataset.json").write_text(json.dumps(description))
    return root


def main() -> None:
    root, name, configurations, channels, regions, axes = sys.argv[1:7]
    train(Path(root), name=name, configuration="", channels=int(channels), regions=regions == "1")
    import torch
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiments,
        preprocess,
    )
    from nnunetv2.run.run_training import get_trainer_from_args

    number = int(name[7:10])
    extract_fingerprints([number], num_processes=1)
    plan_experiments([number])
    path = Path(root) / "preprocessed" / name / "nnUNetPlans.json"
    plans = json.loads(path.read_text())
    if axes:
        plans["transpose_forward"] = [int(a) for a in axes]
        plans["transpose_backward"] = [int(a) for a in np.argsort([int(a) for a in axes])]
        spacing = plans["original_median_spacing_after_transp"]
        del spacing
    for key, configuration in plans["configurations"].items():
        if "architecture" not in configuration:
            continue
        flat = key == "2d"
        configuration["patch_size"] = [32, 24] if flat else [16, 32, 24]
        configuration["batch_size"] = 2
        kw = configuration["architecture"]["arch_kwargs"]
        dims = 2 if flat else 3
        kw.update(
            n_stages=3,
            features_per_stage=[8, 16, 32],
            kernel_sizes=[[3] * dims] * 3,
            strides=[[1] * dims, [2] * dims, [2] * dims],
            n_conv_per_stage=[1, 1, 1],
            n_conv_per_stage_decoder=[1, 1],
        )
    if "3d_fullres" in plans["configurations"] and "cascade" in configurations:
        full = plans["configurations"]["3d_fullres"]
        low = json.loads(json.dumps(full))
        low["data_identifier"] = "nnUNetPlans_3d_lowres"
        low["spacing"] = [v * 1.5 for v in low["spacing"]]
        low["next_stage"] = "3d_cascade_fullres"
        plans["configurations"]["3d_lowres"] = low
        plans["configurations"]["3d_cascade_fullres"] = {
            "inherits_from": "3d_fullres",
            "previous_stage": "3d_lowres",
        }
    path.write_text(json.dumps(plans))
    os.environ["nnUNet_n_proc_DA"] = "0"
    for configuration in configurations.split(","):
        source = "3d_fullres" if configuration == "3d_cascade_fullres" else configuration
        preprocess([number], configurations=(source,), num_processes=(1,))
        for fold in (0, 1) if configuration == "3d_fullres" and channels == "1" else (0,):
            trainer = get_trainer_from_args(name, configuration, fold, device=torch.device("cpu"))
            trainer.num_epochs, trainer.num_iterations_per_epoch = 2, 25
            trainer.num_val_iterations_per_epoch = 2
            trainer.disable_checkpointing = False
            with contextlib.redirect_stdout(io.StringIO()):
                if configuration == "3d_cascade_fullres":  # its training needs all folds before it
                    trainer.initialize()
                    folder = Path(trainer.output_folder)
                    trainer.save_checkpoint(str(folder / "checkpoint_final.pth"))
                    for file, content in (
                        ("plans.json", trainer.plans_manager.plans),
                        ("dataset.json", trainer.dataset_json),
                    ):
                        (folder.parent / file).write_text(json.dumps(content))
                else:
                    trainer.run_training()


if __name__ == "__main__":
    main()
