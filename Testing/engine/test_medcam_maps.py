"""Maps of `inject` beside those of M3d-CAM 0.1.22, and where they differ on purpose."""

from __future__ import annotations

import copy

import nibabel
import numpy as np
import pytest
import torch
from torch import nn

import attention_maps as am
from peer_medcam import difference, medcam, scaled, tolerated  # noqa: F401, a fixture
from tiny_networks import CONV, SHAPES, FlatClassifier, PooledClassifier, SmallUNet, seeded

NETWORKS = (PooledClassifier, FlatClassifier, SmallUNet)
CASES = [(cls, axes) for cls in NETWORKS for axes in (2, 3)]


def batch_of(images: int, axes: int, seed: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, 1, *SHAPES[axes], generator=generator)


def both(medcam, network, batch, layer, backend="gcam", label=1, calls=1):  # noqa: F811
    """Maps of both on the layer's own grid, of the last of several calls."""
    injected = am.inject(network, backend=backend, layer=layer, label=label, data_shape="layer")
    peer = medcam.inject(copy.deepcopy(network), backend=backend, layer=layer, label=label)
    with tolerated():
        for _ in range(calls):
            assert torch.equal(injected(batch), peer(batch.clone()))
    return injected.get_attention_map(), peer.get_attention_map()


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
    assert difference(first, theirs) > 0.01


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


# What differs on purpose; the figures are those of docs/migration.md.


def test_nothing_stays_nothing(medcam):  # noqa: F811
    """Where one map of a batch is empty, M3d-CAM divides zero by zero."""
    network = seeded(FlatClassifier(2))
    with torch.no_grad():
        network.second.bias.fill_(-0.4)
    batch = torch.stack([torch.zeros(1, *SHAPES[2]), batch_of(1, 2)[0]])
    with torch.no_grad():
        network.first.bias.zero_()
    ours, theirs = both(medcam, network, batch, "act1")
    assert np.isnan(theirs[0]).all()
    assert not ours[0].any()


class Bright(nn.Module):
    """Its activations lie between 0.99 and 1 wherever one looks."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 1, 1)
        self.act = nn.Sigmoid()
        self.head = nn.Linear(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.act(self.first(x)).flatten(2).mean(2))


def test_maps_keep_their_values(medcam):  # noqa: F811
    """M3d-CAM's smallest value is 0 and its largest 1, whatever they were."""
    network = Bright().eval()
    with torch.no_grad():
        network.first.weight.fill_(0.1)
        network.first.bias.fill_(5)
        network.head.weight.fill_(1)
    ours, theirs = both(medcam, network, batch_of(1, 2), "act")
    assert (theirs.min(), theirs.max()) == (0, 1)
    assert 0.99 < ours.min() / ours.max() < 1


class Twice(nn.Module):
    """One ReLU that is called two times, as in the residual blocks of torchvision."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.relu = nn.ReLU()
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.second(self.relu(self.first(x))))
        return self.head(x.flatten(2).mean(2))


def test_layer_that_is_called_twice(medcam):  # noqa: F811
    """M3d-CAM mixes activations of the second call with gradients of the first."""
    network = seeded(Twice())
    batch = batch_of(1, 2)
    first, theirs = both(medcam, network, batch, "relu")
    second = am.inject(network, layer="relu#2", label=1, data_shape="layer")
    second(batch)
    assert difference(scaled(first), theirs) > 0.1
    assert difference(scaled(second.get_attention_map()), theirs) > 0.1


def test_grad_cam_pp_does_not_overflow(medcam):  # noqa: F811
    """M3d-CAM multiplies by exp(logit), which is infinite from 89 on."""
    network = seeded(FlatClassifier(2))
    with torch.no_grad():
        network.head.bias[1] = 100
    ours, theirs = both(medcam, network, batch_of(1, 2), "act2", "gcampp")
    assert np.isnan(theirs).all()
    assert np.isfinite(ours).all()
    assert ours.any()


class LeakyInPlace(nn.Module):
    """As nnU-Net's blocks: the activation overwrites what the norm gave."""

    def __init__(self, axes: int = 3) -> None:
        super().__init__()
        norm = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[axes]
        self.conv = CONV[axes](1, 4, 3, padding=1)
        self.norm = norm(4, affine=True)
        self.act = nn.LeakyReLU(inplace=True)
        self.out = CONV[axes](4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.act(self.norm(self.conv(x))))


@pytest.mark.parametrize("layer", ["norm", "full"])
def test_in_place_activations(medcam, layer):  # noqa: F811
    """M3d-CAM refuses a layer whose output is overwritten, and all layers with it."""
    network = seeded(LeakyInPlace())
    batch = batch_of(1, 3)
    injected = am.inject(network, layer=layer, label=1)
    injected(batch)
    maps = injected.get_attention_map()
    shown = maps if layer == "norm" else maps["norm"]
    apart = copy.deepcopy(network)
    apart.act = nn.LeakyReLU()
    reference = am.inject(apart, layer="norm", label=1)
    reference(batch)
    np.testing.assert_allclose(shown, reference.get_attention_map(), rtol=1e-6)
    peer = medcam.inject(copy.deepcopy(network), layer=layer, label=1)
    with tolerated(), pytest.raises((ValueError, RuntimeError)):
        peer(batch)


def test_guided_backprop_gates_leaky_activations(medcam):  # noqa: F811
    """M3d-CAM gates nn.ReLU alone, so that its map is the plain gradient; and says nothing."""
    network = seeded(LeakyInPlace())
    network.act = nn.LeakyReLU()
    batch = batch_of(1, 3)
    ours, theirs = both(medcam, network, batch, "auto", "gbp", label=1)
    inputs = batch.clone().requires_grad_()
    network(inputs)[:, 1].sum().backward()
    assert difference(scaled(inputs.grad.numpy()), theirs) < 1e-5
    assert difference(scaled(ours), theirs) > 0.1


def test_volumes_are_where_they_were(medcam, tmp_path):  # noqa: F811
    """M3d-CAM writes bytes with axes (j, k, i) and no place."""
    network = seeded(SmallUNet(3))
    batch = batch_of(1, 3)
    options = {"layer": "down", "label": 1, "save_maps": True}
    injected = am.inject(network, output_dir=tmp_path / "ours", **options)
    injected(batch)
    with tolerated():
        medcam.inject(copy.deepcopy(network), output_dir=str(tmp_path / "theirs"), **options)(batch)
    ours, theirs = (
        nibabel.load(tmp_path / who / "down" / "attention_map_0_0_0.nii.gz")
        for who in ("ours", "theirs")
    )
    assert ours.get_data_dtype() == np.float32
    assert ours.shape == SHAPES[3]
    np.testing.assert_array_equal(ours.get_fdata(), injected.get_attention_map()[0, 0])
    assert theirs.get_data_dtype() == np.uint8
    own = tuple((n + 1) // 2 for n in SHAPES[3])  # of the layer
    assert theirs.shape == (own[1], own[2], own[0])
