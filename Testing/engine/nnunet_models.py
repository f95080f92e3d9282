"""Makes small nnU-Net v2 models by nnU-Net itself, on synthetic scans.

`python nnunet_models.py FOLDER DATASET JSON` runs in a process of its own: nnU-Net takes its
folders from the environment when it is imported.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import SimpleITK

SHAPE = (24, 44, 36)  # z, y, x
SPACING = (1.0, 1.2, 2.0)  # x, y, z
OBLIQUE = ((0.98, -0.17, 0.1), (0.17, 0.985, 0.02), (-0.1, 0.0, 0.995))
NNUNET_FOLDERS = ("raw", "preprocessed", "results")


def scan(seed: int, channels: int = 1) -> tuple[list[SimpleITK.Image], SimpleITK.Image]:
    """A body, zero outside, with a bright lesion and a rim around it; oblique and anisotropic.

    Returns:
        One image per channel, and the labels: 1 rim, 2 lesion.
    """
    rng = np.random.default_rng(seed)
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    body = ((z - 12) / 10) ** 2 + ((y - 22) / 19) ** 2 + ((x - 18) / 15) ** 2 < 1
    center = rng.uniform([9, 15, 13], [15, 29, 23])
    distance = np.sqrt(((z - center[0]) * 2) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2)
    labels = np.where(distance < 4, 2, np.where(distance < 7, 1, 0)).astype(np.uint8)
    images = []
    for channel in range(channels):
        values = 100 + 60 * (labels == 1) + (140 if channel == 0 else -40) * (labels == 2)
        images.append(_image(((values + rng.normal(0, 8, SHAPE)) * body).astype(np.float32)))
    return images, _image(labels)


def _image(array: np.ndarray) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    image.SetOrigin((-20.0, 15.0, 7.0))
    direction = np.linalg.qr(np.array(OBLIQUE))[0]
    image.SetDirection((direction * np.sign(np.diag(direction))).ravel())
    return image


def write_dataset(root: Path, name: str, wanted: dict) -> None:
    """Five cases in nnU-Net's raw format."""
    folder = root / "raw" / name
    channels, regions = wanted.get("channels", 1), wanted.get("regions", False)
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for case in range(5):
        images, labels = scan(case, channels)
        for number, image in enumerate(images):
            path = folder / "imagesTr" / f"case{case}_{number:04d}.nii.gz"
            SimpleITK.WriteImage(image, path)
        SimpleITK.WriteImage(labels, folder / "labelsTr" / f"case{case}.nii.gz")
    labels = {"background": 0, "rim": 1, "lesion": 2}
    if regions:
        labels = {"background": 0, "whole": [1, 2], "core": [2]}
    description = {
        "channel_names": {str(number): ("T1", "T2")[number] for number in range(channels)},
        "labels": labels,
        "numTraining": 5,
        "file_ending": ".nii.gz",
        **({"regions_class_order": [1, 2]} if regions else {}),
    }
    (folder / "dataset.json").write_text(json.dumps(description))


def shrink(plans: dict, wanted: dict) -> None:
    """Make plans small, transposed, and with a cascade where they shall be."""
    if "transpose" in wanted:
        order = wanted["transpose"]
        plans["transpose_forward"] = order
        plans["transpose_backward"] = [int(axis) for axis in np.argsort(order)]
    full = plans["configurations"]["3d_fullres"]
    for name in ("2d", "3d_fullres"):
        configuration = plans["configurations"][name]
        axes = 2 if name == "2d" else 3
        configuration["patch_size"] = [16, 32, 24][-axes:]
        configuration["batch_size"] = 2
        configuration["architecture"]["arch_kwargs"].update(
            n_stages=3,
            features_per_stage=[8, 16, 32],
            kernel_sizes=[[3] * axes] * 3,
            strides=[[1] * axes, [2] * axes, [2] * axes],
            n_conv_per_stage=[1, 1, 1],
            n_conv_per_stage_decoder=[1, 1],
        )
    low = json.loads(json.dumps(full))
    low["data_identifier"] = "nnUNetPlans_3d_lowres"
    low["spacing"] = [value * 1.5 for value in low["spacing"]]
    low["next_stage"] = "3d_cascade_fullres"
    cascade = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    plans["configurations"] |= {"3d_lowres": low, "3d_cascade_fullres": cascade}


def make(root: Path, name: str, wanted: dict) -> None:
    """Plan, preprocess, and train or only initialize each configuration."""
    import torch
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api
    from nnunetv2.run.run_training import get_trainer_from_args

    number = int(name[7:10])
    api.extract_fingerprints([number], num_processes=1)
    api.plan_experiments([number])
    path = root / "preprocessed" / name / "nnUNetPlans.json"
    plans = json.loads(path.read_text())
    shrink(plans, wanted)
    path.write_text(json.dumps(plans))
    os.environ |= {"nnUNet_n_proc_DA": "0"}  # training loads its data in this process
    epochs = wanted.get("epochs", 0)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002, nnU-Net draws from there
    for configuration in wanted["configurations"]:
        if epochs:
            api.preprocess([number], configurations=(configuration,), num_processes=(1,))
        for fold in range(wanted.get("folds", 1)):
            trainer = get_trainer_from_args(name, configuration, fold, device=torch.device("cpu"))
            trainer.num_epochs, trainer.num_iterations_per_epoch = max(1, epochs), 30
            trainer.num_val_iterations_per_epoch = 2
            if epochs:
                trainer.run_training()
            else:
                save_untrained(trainer)


def save_untrained(trainer) -> None:
    """A checkpoint of the network as it begins: as good for comparing predictions."""
    data = Path(trainer.preprocessed_dataset_folder)
    data.mkdir(exist_ok=True)
    (data / "case.b2nd").touch()  # its ending tells the trainer how data would be read
    trainer.initialize()
    folder = Path(trainer.output_folder)
    trainer.save_checkpoint(str(folder / "checkpoint_final.pth"))
    (folder.parent / "plans.json").write_text(json.dumps(trainer.plans_manager.plans))
    (folder.parent / "dataset.json").write_text(json.dumps(trainer.dataset_json))


if __name__ == "__main__":
    folder, dataset, request = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    for part in NNUNET_FOLDERS:
        (folder / part).mkdir(parents=True, exist_ok=True)
        os.environ[f"nnUNet_{part}"] = str(folder / part)
    os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1", "nnUNet_compile": "f"}
    write_dataset(folder, dataset, request)
    with contextlib.redirect_stdout(io.StringIO()):
        make(folder, dataset, request)
