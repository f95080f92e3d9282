"""Synthetic scans in which only spiculations decide the class, and a network trained on them.

Each scan is a body with one lesion, a bright irregular blob. Lesions of class 1 have spiculations:
thin lines of the blob's own brightness that run outward from it. All other voxels are the same for
both classes of a seed, partial volume included, so the evidence is known to the voxel: neither the
lesion's size nor its brightness tells the class.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from scipy import ndimage
from torch import nn

import attention_maps as am

SHAPE = (20, 22, 20)
CLASSES = ("smooth", "spiculated")
SPACING = (1.5, 1.0, 1.0)  # mm
TRAINING_SCANS, STEPS, BATCH = 160, 150, 16
QUIET = 2.0  # what it costs when features are not silent almost everywhere
FEATURES = 6  # modules in front of the pooling
FIRST_UNSEEN = 1_000_000  # seeds of scans that no network was trained on
KEPT = Path(__file__).parents[2] / ".pytest_cache" / "d" / "spiculation"


@dataclass(frozen=True)
class Scan:
    """A synthetic scan.

    Args:
        image: (1, *SHAPE) intensities.
        lesion: (*SHAPE) bool, the blob.
        spiculations: (*SHAPE) bool, the lines outside of the blob; empty in class 0.
        label: 0 smooth, 1 spiculated.
    """

    image: am.Image
    lesion: np.ndarray
    spiculations: np.ndarray
    label: int


def make_scan(seed: int, label: int) -> Scan:
    """A scan of a class, always the same for the same seed."""
    rng = np.random.default_rng(seed)
    at = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1).astype(float)
    middle = (np.array(SHAPE) - 1) / 2
    body = (((at - middle) / (0.47 * np.array(SHAPE))) ** 2).sum(-1) < 1
    values = np.where(body, 0.4, 0.0)
    values += body * 0.05 * _smooth_noise(rng, 2.0)
    center = middle + rng.uniform(-2, 2, 3)
    radius = rng.uniform(2.5, 3.5) * (1 + 0.12 * _smooth_noise(rng, 2.5))
    lesion = np.linalg.norm(at - center, axis=-1) < radius
    directions = rng.standard_normal((rng.integers(12, 18), 3))
    lengths = rng.uniform(3, 5, len(directions))
    lines = _lines(center, directions, lengths, lesion)  # drawn in both classes, shown in one
    spiculations = lines & ~lesion & (label == 1)
    without, within = (
        ndimage.gaussian_filter(np.where(bright, 0.85, values), 0.4)
        for bright in (lesion, lesion | spiculations)
    )
    values = np.where(spiculations, within, without) + 0.02 * rng.standard_normal(SHAPE)
    image = am.Image(values[None].astype(np.float32), np.diag([*SPACING, 1.0]))
    return Scan(image, lesion, spiculations, label)


def _smooth_noise(rng: np.random.Generator, sigma: float) -> np.ndarray:
    noise = ndimage.gaussian_filter(rng.standard_normal(SHAPE), sigma, mode="wrap")
    return noise / noise.std()


def _lines(
    center: np.ndarray, directions: np.ndarray, lengths: np.ndarray, lesion: np.ndarray
) -> np.ndarray:
    """Lines of one voxel's width from the lesion's surface outward."""
    found = np.zeros(SHAPE, dtype=bool)
    for direction, length in zip(directions, lengths, strict=True):
        points = center + np.arange(0, 16, 0.25)[:, None] * direction / np.linalg.norm(direction)
        voxels = np.rint(points).astype(int)
        voxels = voxels[((voxels >= 0) & (voxels < SHAPE)).all(1)]
        outside = ~lesion[tuple(voxels.T)]
        first = int(outside.argmax()) if outside.any() else len(voxels)
        shown = voxels[first : first + int(4 * length)]
        found[tuple(shown.T)] = True
    return found


def make_network() -> nn.Module:
    """A small 3D classifier."""
    return nn.Sequential(
        nn.Conv3d(1, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(),
        nn.Conv3d(8, 12, 3, padding=1), nn.BatchNorm3d(12), nn.ReLU(),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, len(CLASSES)),
    )  # fmt: skip


def train(seed: int = 0, steps: int = STEPS) -> nn.Module:
    """A network trained on scans of its own; the same for the same seed.

    Ten seconds on one core. Without the cost of features that are not silent, the network counts
    as evidence what both classes share; the classes are told apart as well.
    """
    scans = [make_scan(10_000 * seed + n, n % 2) for n in range(TRAINING_SCANS)]
    images = torch.stack([torch.from_numpy(scan.image.array) for scan in scans])
    labels = torch.tensor([scan.label for scan in scans])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in the same order on every machine
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = make_network().train()
            optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps)
            for _ in range(steps):
                chosen = torch.randint(len(scans), (BATCH,))
                features = network[:FEATURES](images[chosen])
                answer = network[FEATURES:](features)
                loss = nn.functional.cross_entropy(answer, labels[chosen])
                loss = loss + QUIET * _spread(features)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    finally:
        torch.set_num_threads(threads)
    return network.eval()


def _spread(features: torch.Tensor) -> torch.Tensor:
    """Mean over root mean square of each channel: small where it is silent almost everywhere."""
    channels = features.transpose(0, 1).flatten(1)
    return (channels.mean(1) / (channels.square().mean(1) + 1e-12).sqrt()).mean()


@cache
def trained_weights(seed: int = 0, folder: Path = KEPT) -> dict[str, torch.Tensor]:
    """Weights of the network, from a file where this very script has trained it before.

    Processes that need the same one wait for each other.

    Args:
        seed: Of scans and weights.
        folder: Where files are kept.
    """
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    path = folder / f"{seed}-{digest}-torch-{torch.__version__.partition('+')[0]}.pt"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            part = path.with_suffix(".part")
            torch.save(train(seed).state_dict(), part)
            part.replace(path)
    return torch.load(path, weights_only=True)


def trained_network(seed: int = 0) -> nn.Module:
    """The trained network, a new module each time."""
    network = make_network()
    network.load_state_dict(trained_weights(seed))
    return network.eval()


def unseen_scans(count: int, label: int = 1) -> list[Scan]:
    """Scans that no network was trained on."""
    return [make_scan(FIRST_UNSEEN + 2 * number + label, label) for number in range(count)]
