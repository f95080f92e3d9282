"""Where maps of `inject` differ from those of M3d-CAM 0.1.22 on purpose (docs/migration.md)."""

from __future__ import annotations

import copy
import pickle

import nibabel
import numpy as np
import pytest
import torch
from torch import nn

import attention_maps as am
from peer_medcam import batch_of, both, difference, medcam, scaled, tolerated  # noqa: F401
from tiny_networks import CONV, SHAPES, FlatClassifier, SmallUNet, seeded


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
    assert [f"{value:.5f}" for value in (ours.min(), ours.max())] == ["0.00423", "0.00425"]


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
    network, batch = seeded(Twice()), batch_of(1, 2)
    _, theirs = both(medcam, network, batch, "relu", label=0)
    calls = []
    hook = network.relu.register_forward_hook(lambda *call: calls.append(call[2]))
    score = network(batch)[:, 0].sum()
    hook.remove()
    gradients = torch.autograd.grad(score, calls)
    maps = {
        (which, when): (calls[which] * gradients[when].mean((2, 3), keepdim=True)).sum(1).relu()
        for which in (0, 1)
        for when in (0, 1)
    }
    mixed = scaled(maps[1, 0][:, None].detach().numpy())
    assert difference(mixed, theirs) < 1e-5
    for call, name in enumerate(("relu", "relu#2")):
        injected = am.inject(network, layer=name, label=0, data_shape="layer")
        injected(batch)
        expected = maps[call, call][:, None].detach().numpy()
        assert difference(injected.get_attention_map(), expected) < 1e-5
        assert difference(scaled(expected), theirs) > 0.1


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


class Strided(nn.Module):
    """Three convolutions as in nnU-Net's encoders: kernel 3, stride 2, padding 1."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv3d(1, 1, 3, stride=2, padding=1, bias=False) for _ in range(3))
        )
        self.head = nn.Linear(1, 2, bias=False)
        for parameter in self.parameters():
            nn.init.ones_(parameter)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(x).flatten(2).mean(2))


def test_maps_lie_where_the_network_looked(medcam):  # noqa: F811
    """M3d-CAM draws them 3.5 voxels off after three strides of 2."""
    network, batch = Strided().eval(), torch.zeros(1, 1, 48, 48, 48)
    batch[..., 24, 24, 24] = 1
    ours = am.inject(network, layer="layers", label=1, replace=True)(batch)
    peer = medcam.inject(copy.deepcopy(network), layer="layers", label=1, replace=True)
    with tolerated():
        theirs = peer(batch)
    places = np.indices((48, 48, 48))
    centers = []
    for maps in (ours, theirs):
        values = maps[0, 0].detach().numpy()
        centers.append(float((values * places[0]).sum() / values.sum()))
    assert centers == [pytest.approx(24, abs=0.01), pytest.approx(27.5, abs=0.01)]


def test_gradients_are_the_callers(medcam):  # noqa: F811
    """M3d-CAM clears gradients, leaves its own, and frees the caller's graph."""
    batch = batch_of(2, 3)
    results = {}
    for name, inject in (("plain", None), ("ours", am.inject), ("theirs", medcam.inject)):
        network = seeded(SmallUNet(3)).train()
        network.out.bias.grad = torch.ones(3)
        used = network if inject is None else inject(network, layer="merge", label=1)
        with tolerated():
            loss = used(batch).square().mean()
        if name == "theirs":
            with pytest.raises(RuntimeError, match="backward through the graph a second time"):
                loss.backward()
        else:
            loss.backward()
        results[name] = network.out.bias.grad
    assert torch.equal(results["plain"], results["ours"])
    assert torch.equal(results["theirs"], torch.tensor([0.0, 2 * 8 * 11 * 9, 0.0]))


def test_modes_are_the_callers(medcam):  # noqa: F811
    """M3d-CAM switches all submodules to evaluation, those of the original, too."""
    network = SmallUNet(3).train()
    am.inject(network)
    assert all(part.training for part in network.modules())
    medcam.inject(network)
    assert not any(part.training for part in network.children())


def test_batches_of_several_images(medcam):  # noqa: F811
    """The likeliest class of each image; M3d-CAM takes one image at a time for that."""
    network = seeded(FlatClassifier(2))
    with tolerated(), pytest.raises(RuntimeError, match="batch size of one"):
        medcam.inject(copy.deepcopy(network), layer="act2")(batch_of(2, 2))
    injected = am.inject(network, layer="act2")
    injected(batch_of(2, 2))
    assert injected.get_attention_map().shape == (2, 1, 13, 18)


def test_probabilities_are_looked_through(medcam):  # noqa: F811
    """Of a sure network the gradient of the probability is 0, that of the logit is not."""
    network = seeded(FlatClassifier(2))
    with torch.no_grad():
        network.head.bias[1] = 200
    sure = nn.Sequential(network, nn.Softmax(1))
    batch = batch_of(1, 2)
    ours, theirs = both(medcam, sure, batch, "0.act2")
    assert not theirs.any()
    logits, _ = both(medcam, network, batch, "act2")
    np.testing.assert_array_equal(ours, logits)
    assert ours.any()


def test_replicas_have_their_own_weights(medcam):  # noqa: F811
    """As DataParallel makes them; those of M3d-CAM call the module that was injected."""
    batch = batch_of(1, 2)
    for inject in (am.inject, medcam.inject):
        network = seeded(SmallUNet(2))
        injected = inject(network, layer="merge", label=1)
        replica = injected._replicate_for_data_parallel()
        replica.out = copy.deepcopy(network.out)
        with torch.no_grad(), tolerated():
            replica.out.bias.add_(1)
            moved = torch.allclose(replica(batch), network(batch) + 1, atol=1e-5)
            assert moved == (inject is am.inject)


def test_copies_and_pickles(medcam):  # noqa: F811
    batch = batch_of(1, 2)
    for inject in (am.inject, medcam.inject):
        injected = inject(seeded(SmallUNet(2)), layer="merge", label=1)
        with tolerated():
            injected(batch)
        for duplicate in (copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))):
            if inject is am.inject:
                assert torch.equal(duplicate(injected)(batch), injected(batch))
            else:
                with pytest.raises((RuntimeError, AttributeError)):
                    duplicate(injected)


def test_names_that_do_not_exist(medcam):  # noqa: F811
    network = seeded(SmallUNet(2))
    with tolerated(), pytest.raises(KeyError):
        medcam.inject(copy.deepcopy(network), layer="enco", label=1)(batch_of(1, 2))
    with pytest.raises(am.LayerError, match="closest: 'enc'"):
        am.inject(network, layer="enco", label=1)(batch_of(1, 2))


def test_functions_as_metrics(medcam):  # noqa: F811
    """M3d-CAM's page offers them, its code takes their first letter."""

    def peak_inside(attention_map, mask) -> float:
        return float(mask.ravel()[attention_map.argmax()])

    values, mask = np.eye(4, dtype=np.float32), np.eye(4, dtype=np.int64)
    with tolerated(), pytest.raises(TypeError, match="not subscriptable"):
        medcam.compute_score(values, mask, peak_inside)
    assert am.Evaluator("x", metric=peak_inside).comp_score(values, mask) == 1
