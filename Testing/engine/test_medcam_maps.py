"""Maps of `inject` beside those of M3d-CAM 0.1.22: the same where both make them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import attention_maps as am
from peer_medcam import batch_of, both, difference, medcam, scaled  # noqa: F401, a fixture
from tiny_networks import FlatClassifier, PooledClassifier, SmallUNet, seeded

NETWORKS = (PooledClassifier, FlatClassifier, SmallUNet)
CASES = [(cls, axes) for cls in NETWORKS for axes in (2, 3)]


def above_mean(logits: torch.Tensor) -> torch.Tensor:
    return logits > logits.mean()


@pytest.mark.parametrize(("cls", "axes"), CASES)
@pytest.mark.parametrize("images", [1, 3])
def test_grad_cam_is_the_same(medcam, cls, axes, images):  # noqa: F811
    """Every layer with voxels, every form of a label."""
    network = seeded(cls(axes))
    batch = batch_of(images, axes)
    compared = 0
    for layer in am.load_model(network).layers(am.Image(batch[0].numpy())):
        if not layer.explainable:
            continue
        for label in (0, 2, "best", above_mean):
            if label == "best" and images > 1:
                continue  # M3d-CAM refuses it, see below
            ours, theirs = both(medcam, network, batch, layer.name, label=label)
            assert ours.shape == theirs.shape
            shown = [not np.isnan(image).any() and image.any() for image in theirs]
            if any(shown):
                assert difference(scaled(ours)[shown], theirs[shown]) < 1e-5
                compared += 1
    assert compared > 8


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("images", [1, 2])
def test_guided_backprop_is_the_same(medcam, axes, images):  # noqa: F811
    """On networks of ReLU modules; M3d-CAM takes the channels' mean, we their sum."""
    network = seeded(SmallUNet(axes))
    ours, theirs = both(medcam, network, batch_of(images, axes), "auto", "gbp", label=None)
    assert difference(scaled(ours), theirs) < 1e-5


@pytest.mark.parametrize("axes", [2, 3])
def test_guided_grad_cam_is_the_same(medcam, axes):  # noqa: F811
    """The product of both maps, the factors scaled in M3d-CAM; from its second call on.

    In its first, the plain gradient of Grad-CAM is added to the guided one.
    """
    network, batch = seeded(SmallUNet(axes)), batch_of(1, axes)
    ours, theirs = both(medcam, network, batch, "act3", "ggcam", label=2, calls=2)
    maps = {}
    for backend in ("gcam", "gbp"):
        injected = am.inject(network, backend=backend, layer="act3", label=2)
        injected(batch)
        maps[backend] = injected.get_attention_map()
    np.testing.assert_allclose(ours, maps["gcam"] * maps["gbp"], rtol=1e-5, atol=1e-9)
    assert difference(scaled(scaled(maps["gcam"]) * maps["gbp"]), theirs) < 1e-5
    _, first = both(medcam, network, batch, "act3", "ggcam", label=2)
    assert difference(first, theirs) > (0.6 if axes == 3 else 0.05)


@pytest.mark.parametrize("cls", [FlatClassifier, SmallUNet])
def test_no_label_asks_the_same(medcam, cls):  # noqa: F811
    """Classification: the likeliest class; segmentation: all logits."""
    network = seeded(cls(3))
    layer = "second" if cls is FlatClassifier else "enc"
    ours, theirs = both(medcam, network, batch_of(1, 3), layer, label=None)
    assert difference(scaled(ours), theirs) < 1e-5


def test_layers_are_listed_the_same(medcam):  # noqa: F811
    network = nn.Sequential(SmallUNet(2), nn.Sequential(nn.ReLU(), nn.ReLU()))
    assert am.inject(network).get_layers() == medcam.get_layers(network)
    assert am.inject(network).get_layers(reverse=True) == medcam.get_layers(network, reverse=True)
