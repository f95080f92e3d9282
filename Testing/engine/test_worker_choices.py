"""What may be chosen of a folder of trained networks, and windows through a worker."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import attention_maps as am
from attention_maps.stamps import stamp
from attention_maps.worker.choices import choices_of
from attention_maps.worker.client import WorkerClient
from attention_maps.worker.summaries import answer_summary
from monai_bundles import write_bundle
from tiny_networks import SmallUNet, picture, seeded, traced

FOLDER = "Dataset001_Spots"


def put(folder: Path, *checkpoints: str) -> None:
    """A folder as nnU-Net leaves it, without contents."""
    folder.mkdir(parents=True)
    for name in ("plans.json", "dataset.json"):
        (folder / name).write_text("{}")
    for name in checkpoints:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.touch()


class NnunetModel:
    """As much of a loaded model as is looked at."""

    class network:  # noqa: N801
        kind = "nnU-Net v2"


def test_configurations_folds_and_checkpoints_of_a_folder(tmp_path):
    trainer = "nnUNetTrainer__nnUNetPlans__"
    put(tmp_path / FOLDER / f"{trainer}2d", "fold_0/checkpoint_final.pth")
    put(
        tmp_path / FOLDER / f"{trainer}3d_fullres",
        "fold_0/checkpoint_final.pth",
        "fold_0/checkpoint_best.pth",
        "fold_2/checkpoint_final.pth",
        "fold_2/checkpoint_best.pth",
        "fold_all/checkpoint_final.pth",
        "fold_all/checkpoint_best.pth",
        "fold_all/checkpoint_latest.pth",
    )
    found = choices_of(NnunetModel(), str(tmp_path), {})
    assert found == {
        "configurations": ["2d", "3d_fullres"],
        "configuration": "3d_fullres",
        "folds": ["0", "2", "all"],
        "checkpoints": ["final", "best"],
    }
    found = choices_of(NnunetModel(), str(tmp_path), {"configuration": "2d"})
    assert found["configuration"] == "2d"
    assert found["folds"] == ["0"]
    assert found["checkpoints"] == ["final"]


def test_configurations_that_are_there_twice_are_told_apart(tmp_path):
    for plans in ("nnUNetPlans", "nnUNetResEncUNetLPlans"):
        put(tmp_path / FOLDER / f"nnUNetTrainer__{plans}__2d", "fold_0/checkpoint_final.pth")
    put(tmp_path / "Dataset002_X" / "nnUNetTrainer__nnUNetPlans__2d", "fold_0/checkpoint_best.pth")
    names = [
        f"{FOLDER}/nnUNetTrainer__nnUNetPlans__2d",
        "nnUNetTrainer__nnUNetResEncUNetLPlans__2d",
        "Dataset002_X/nnUNetTrainer__nnUNetPlans__2d",
    ]
    for name in names:
        found = choices_of(NnunetModel(), str(tmp_path), {"configuration": name})
        assert found["configurations"] == names
        assert found["configuration"] == name


def test_a_file_of_a_folder_that_changes_is_noticed(tmp_path):
    (tmp_path / "configs").mkdir()
    config, log = tmp_path / "configs" / "inference.json", tmp_path / "run.log"
    config.write_text("{}")
    before = stamp(tmp_path)
    log.write_text("written while it was loaded")
    assert stamp(tmp_path) == before
    config.write_text("{ }")
    assert stamp(tmp_path) != before
    os.utime(config, ns=(5, 5))
    assert stamp(tmp_path) == (5, 3)
    assert stamp(log) == (log.stat().st_mtime_ns, 27)
    assert stamp(tmp_path / "none") == (0, 0)


def test_configurations_and_weights_of_a_bundle(tmp_path):
    root = write_bundle(tmp_path / "bundle")
    (root / "configs" / "another.yaml").write_text("{}")
    (root / "models" / "five.pt").touch()

    class Model:
        class network:  # noqa: N801
            kind = "MONAI bundle"

    expected = {
        "configurations": ["inference", "another"],
        "configuration": "inference",
        "checkpoints": ["model.pt", "five.pt"],
    }
    assert choices_of(Model(), str(root), {}) == expected
    chosen = choices_of(Model(), str(root / "models" / "five.pt"), {"configuration": "another"})
    assert chosen["configuration"] == "another"
    assert chosen["checkpoints"] == ["five.pt", "model.pt"]


@pytest.fixture(scope="module")
def windowed(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("windowed") / "model.pt"
    traced(seeded(SmallUNet(3), 1), picture(3)).save(str(path))
    spec = {"patch_size": [8, 8, 8], "label_values": [0, 4, 2]}
    path.with_suffix(".json").write_text(json.dumps(spec))
    return path


def test_other_models_have_no_choices(windowed):
    assert choices_of(am.load_model(windowed), str(windowed), {}) == {}


def test_values_of_labels_are_told(windowed):
    explainer = am.Explainer(windowed, am.Image(picture(3), np.eye(4)))
    summary, labels = answer_summary(explainer.answer())
    assert summary["label_values"] == [0, 4, 2]
    assert set(np.unique(labels)) <= {0, 4, 2}


def test_windows_are_estimated_and_limited(windowed):
    image = am.Image(np.tile(picture(3), (1, 2, 2, 2)), np.eye(4))
    mask = np.zeros(image.array.shape, dtype=np.float32)
    mask[0, 1, 1, 1] = 1
    explainer = am.Explainer(windowed, image, region=am.Image(mask, image.affine))
    expected = explainer.explain("hires_cam", target=1)
    threads = str(torch.get_num_threads())
    with WorkerClient(environment={"OMP_NUM_THREADS": threads}) as client:
        loaded = client.load_model(windowed)
        client.set_image(image)
        whole = client.wait(client.estimate())
        assert client.wait(loaded)["windows"] is True
        client.set_region(am.Image(mask, image.affine))
        limited = client.wait(client.estimate())
        assert whole["windows"] > limited["windows"] == explainer.estimate().windows
        assert limited["line"].startswith(f"{limited['windows']} windows") or (
            limited["windows"] == 1
        )
        (found,) = client.wait(client.explain("hires_cam", target=1))
        np.testing.assert_array_equal(found.raw.array, expected.raw.array)

        client.set_region(am.Image(mask.copy(), image.affine))  # the same one
        messages = []
        client.wait(
            client.explain("hires_cam", target=2, on_progress=lambda _, m: messages.append(m))
        )
        assert not any("Running the network" in text for text in messages)
        client.set_region(None)
        assert client.wait(client.estimate())["windows"] == whole["windows"]
