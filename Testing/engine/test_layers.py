"""Names, order, values and gradients of layers; the same for every kind of model."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import attention_maps as am
from attention_maps.errors import LayerError
from attention_maps.tracing.outputs import select_output
from networks import (
    ZOO,
    TinyClassifier,
    TinyUNet,
    as_torchscript,
    build,
    nnunet,
    relative_difference,
    seeded,
    seeded_input,
)
from networks_scripted import SharedModules

KINDS = [
    pytest.param(name, kind, id=f"{name}-{kind}")
    for name, (_, _, scriptable) in ZOO.items()
    for kind in ("eager", "traced", *(("scripted",) if scriptable else ()))
]


def out_of_place(network):
    """A copy whose activation modules do not overwrite their input."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False
    return network


def hooked(network, inputs):
    """Plain forward hooks: outputs of all modules in the order in which they end, with #2, #3."""
    found, calls = {}, {}

    def hook(name):
        def keep(module, arguments, output):
            calls[name] = calls.get(name, 0) + 1
            key = name if calls[name] == 1 else f"{name}#{calls[name]}"
            if isinstance(output, torch.Tensor):
                unchanged = any(output is item for item in arguments)
                if output.requires_grad:
                    output.retain_grad()
                found[key] = output, unchanged
                return output.clone()  # so that `x += y` behind it changes the clone
            return output

        return keep

    network = out_of_place(network)
    for name, module in network.named_modules():
        if name:
            module.register_forward_hook(hook(name))
    return found, network(inputs)


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_layers_are_those_of_plain_hooks(name, kind):
    network, inputs = build(name)
    reference, answer = hooked(network, inputs.clone().requires_grad_())
    logits = select_output(answer, None)
    seed = seeded_input(tuple(logits.shape)).sign()
    (seed * logits).sum().backward()

    eager = am.load_model(network)
    model = eager if kind == "eager" else am.load_model(as_torchscript(network, inputs, kind))
    geometry = model.geometry(inputs)
    names = [info.name for info in geometry.infos]
    first = [_first_name(name, eager.network.aliases) for name in names]
    expected = list(reference)
    if kind == "traced":  # a trace has no calls of modules that hand on their input
        expected = [key for key in expected if key in first]
        assert all(reference[key][1] for key in set(reference) - set(expected))
    assert [key for key in first if key in reference] == expected

    usable = [info.name for info in geometry.infos if info.explainable]
    trace = model.run(inputs, usable)
    torch.testing.assert_close(trace.logits, logits.detach(), rtol=1e-5, atol=1e-6)
    checked = 0
    for own in usable:
        values, _ = reference.get(_first_name(own, eager.network.aliases), (None, None))
        if values is None:
            continue  # returns several tensors
        assert relative_difference(trace.layers[own].activations, values.detach()) < 1e-5
        if values.grad is None:
            with pytest.raises(LayerError, match="no gradient reaches"):
                trace.gradients(seed, [own])
            continue
        gradient = trace.gradients(seed, [own])[0]
        scale = float(values.grad.abs().max())
        assert float((gradient - values.grad).abs().max()) <= 1e-5 * scale + 1e-9
        checked += 1
    assert checked > 3


def _first_name(name, aliases):
    name, mark, call = name.partition("#")
    return aliases.get(name, name) + mark + call


# what a person would choose: the last decoder stage before the head for segmentation, the last
# spatial layer before pooling for classification, and the coarsest one
CHOICES = {
    "classifier": ("features", "features"),
    "classifier 3D": ("features", "features"),
    "unet": ("decoder", "down"),
    "unet 3D": ("decoder", "down"),
    "nnU-Net plain": ("decoder.stages.1", "encoder.stages.2"),
    "nnU-Net deep supervision": ("decoder.stages.1", "encoder.stages.2"),
    "nnU-Net residual": ("decoder.stages.1", "encoder.stages.2"),
    "MONAI UNet": ("model.1", "model.1.submodule.1"),
    "MONAI BasicUNet": ("upcat_1", "down_4"),
    "MONAI SegResNet": ("act_mod", "up_samples.0.0"),
    "MONAI DynUNet": ("skip_layers", "bottleneck"),
    "MONAI AttentionUnet": ("model.1", "model.1.submodule.1.submodule"),
    "MONAI VNet": ("up_tr32", "down_tr256"),
    "MONAI DenseNet": ("class_layers.relu", "class_layers.relu"),
    "MONAI ResNet": ("layer4", "layer4"),
    "MONAI EfficientNet": ("_swish#2", "_swish#2"),
    "MONAI ViT": ("blocks.1.norm1", "blocks.1.norm1"),
    "MONAI UNETR": ("decoder2", "vit"),
    "MONAI SwinUNETR": ("decoder1", "encoder10"),
}


@pytest.mark.parametrize("name", ZOO)
def test_chosen_layers(name):
    network, inputs = build(name)
    model = am.load_model(network)
    geometry = model.geometry(inputs)
    chosen = [model.resolve_layers(which, geometry)[0] for which in ("auto", "auto:bottleneck")]
    assert tuple(chosen) == CHOICES[name]
    infos = {info.name: info for info in geometry.infos}
    if geometry.layout is not None:
        assert infos[chosen[0]].shape[1] != geometry.classes
    trace = model.run(inputs, chosen)
    for gradient in trace.gradients(torch.ones_like(trace.logits), list(dict.fromkeys(chosen))):
        assert gradient.abs().max() > 0


@pytest.mark.parametrize("name", ZOO)
def test_no_place_is_guessed(name):
    """Every operator of these networks has a rule."""
    network, inputs = build(name)
    geometry = am.load_model(network).geometry(inputs)
    guessed = [n for n, layout in geometry.layouts.items() if layout and not layout.exact]
    assert guessed == []
    for info in geometry.infos:
        layout = geometry.layouts[info.name]
        if layout is None:
            assert not info.explainable
            assert info.stride is None
        else:
            assert info.stride == layout.stride
            assert info.offset == layout.offset
            assert len(layout.grid) == inputs.ndim - 2
    if geometry.layout is not None:
        assert geometry.layout.stride == (1.0,) * (inputs.ndim - 2)


@pytest.mark.parametrize("kind", ["eager", "traced", "scripted"])
def test_listing_in_execution_order_with_reasons(kind):
    inputs = seeded_input((1, 1, 24, 20))
    network = seeded(TinyClassifier)
    model = am.load_model(network if kind == "eager" else as_torchscript(network, inputs, kind))
    layers = {info.name: info for info in model.layers(am.Image(inputs[0].numpy()))}
    assert list(layers) == [
        *(f"features.{i}" for i in range(6)), "features", "head", "unused",
    ]  # fmt: skip
    assert layers["features.0"].kind == "Conv2d"
    assert layers["features.0"].shape == (1, 4, 12, 10)
    assert layers["features.0"].stride == (2, 2)
    assert layers["features.5"].shape == (1, 6, 6, 5)
    assert layers["features.5"].stride == (4, 4)
    assert layers["features"].explainable
    assert layers["features"].reason == ""
    assert "fully connected" in layers["head"].reason
    assert "did not run" in layers["unused"].reason
    assert not layers["head"].explainable
    assert not layers["unused"].explainable


def test_one_voxel_is_no_place():
    network = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.AvgPool2d(4), nn.Flatten())
    layers = am.load_model(network).layers(am.Image(np.ones((1, 8, 8), np.float32)))
    assert "one voxel only" in layers[1].reason
    assert layers[0].explainable


def test_all_is_every_explainable_layer_from_one_forward():
    network, inputs = build("unet")
    model = am.load_model(network)
    runs = []
    network.register_forward_hook(lambda *_: runs.append(1))
    session = am.Explainer(model, am.Image(inputs[0].numpy()))
    maps = session.explain(layer="all")
    expected = [info.name for info in model.layers() if info.explainable]
    assert [item.layer for item in maps] == expected
    assert len(expected) == 12
    assert len(runs) == 2  # one to find the layers, one to record them all


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("decoder.9", r"'decoder.9' is not in this model; closest: 'decoder"),
        ("zzz", r"is not in this model; model.layers\(\)"),
        ("auto:top", r"Expected 'auto' or 'auto:bottleneck'"),
        ([], "at least one layer"),
        ([3], "layer's name, got 3"),
    ],
)
def test_wrong_names_are_refused(asked, message):
    network, inputs = build("unet")
    with pytest.raises(LayerError, match=message):
        am.explain(network, am.Image(inputs[0].numpy()), layer=asked)


@pytest.mark.parametrize("asked", ["head", "unused"])
def test_layers_without_place_are_refused(asked):
    network, inputs = build("classifier")
    with pytest.raises(LayerError, match=r"cannot be explained|did not run"):
        am.explain(network, am.Image(inputs[0].numpy()), layer=asked)


@pytest.mark.parametrize("kind", ["eager", "traced", "scripted"])
def test_calls_of_shared_modules_are_explained_one_by_one(kind):
    inputs = seeded_input((1, 1, 12, 10))
    network = seeded(SharedModules)
    model = am.load_model(network if kind == "eager" else as_torchscript(network, inputs, kind))
    names = ["block", "block#2", "block#3"]
    trace = model.run(inputs, names)
    x = network.lift(inputs)
    expected = []
    for _ in range(2):
        expected.append(network.block(x))
        x = x + expected[-1]
    expected.append(network.block(x))
    for name, values in zip(names, expected, strict=True):
        torch.testing.assert_close(trace.layers[name].activations, values.detach())


def test_deep_supervision_explains_the_full_resolution():
    network, inputs = build("nnU-Net deep supervision")
    traced = as_torchscript(network, inputs, "traced")
    for model in (am.load_model(network), am.load_model(traced)):
        assert model.run(inputs).logits.shape[2:] == inputs.shape[2:]
    coarse = am.load_model(network, {"output": 1})
    torch.testing.assert_close(coarse.run(inputs).logits, network(inputs)[1])


def test_names_of_nnunet_survive_the_trace():
    """nnU-Net registers its encoder twice; the trace calls it by the second name."""
    inputs = seeded_input((1, 1, 16, 16, 16))
    network = seeded(nnunet)
    image = am.Image(inputs[0].numpy())
    traced = as_torchscript(network, inputs, "traced")
    for layer in ("encoder.stages.1", "decoder.stages.0", "encoder.stages.0.0.convs.0.conv"):
        maps = [am.explain(model, image, layer=layer).raw for model in (network, traced)]
        torch.testing.assert_close(*(torch.from_numpy(item.array) for item in maps))
        np.testing.assert_array_equal(maps[0].affine, maps[1].affine)


def test_flattened_maps_are_chosen_last():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
    model = am.load_model(network)
    geometry = model.geometry(seeded_input((1, 1, 8, 8)))
    assert model.resolve_layers("auto", geometry) == ["1"]


def test_single_channel_sigmoid_is_explained_behind_the_scenes():
    network = nn.Sequential(seeded(lambda: TinyUNet(classes=1)), nn.Sigmoid())
    inputs = seeded_input((1, 1, 16, 16))
    trace = am.load_model(network).run(inputs)
    assert trace.activation == "sigmoid"
    torch.testing.assert_close(trace.logits, network[0](inputs))


class Supervised(nn.Module):
    """Deep supervision: a second answer beside the one that is explained."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv3d(1, 4, 3, padding=1)
        self.down = nn.Conv3d(4, 6, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose3d(6, 4, 2, stride=2)
        self.coarse = nn.Conv3d(6, 3, 1)
        self.fine = nn.Conv3d(4, 3, 1)

    def forward(self, x):
        deep = torch.relu_(self.down(torch.relu_(self.stem(x))))
        answer = self.fine(self.up(deep))
        return answer, self.coarse(deep)


@pytest.mark.parametrize("kind", ["eager", "traced", "scripted"])
def test_auxiliary_heads_are_unused_and_left_out_of_all(kind):
    network = seeded(Supervised)
    inputs = seeded_input((1, 1, 8, 10, 12))
    model = am.load_model(as_torchscript(network, inputs, kind))
    listed = {info.name: info for info in model.layers(inputs)}
    assert not listed["coarse"].explainable
    assert listed["coarse"].reason == "unused, the answer does not depend on it"
    target = am.RegionTarget(1, np.ones((8, 10, 12)))
    results = am.explain(model, inputs, "hires_cam", "all", target)
    assert [result.layer for result in results] == ["stem", "down", "up", "fine"]
    activations = torch.relu(network.down(torch.relu(network.stem(inputs)))).detach()
    activations.requires_grad_()
    score = network.fine(network.up(activations))[:, 1].sum()
    (gradient,) = torch.autograd.grad(score, activations)
    pre_activation = network.down(torch.relu(network.stem(inputs))).detach()
    expected = (gradient * (pre_activation > 0) * pre_activation).sum(1)
    np.testing.assert_allclose(results[1].raw.array, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_what_comes_after_the_logits_is_left_out_of_all():
    network = seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1), nn.Softmax(1)
        )
    )
    inputs = seeded_input((1, 1, 9, 11))
    model = am.load_model(as_torchscript(network, inputs, "frozen scripted"))
    reasons = {info.name: info.reason for info in model.layers(inputs)}
    assert reasons.pop("softmax_1") == "comes after the logits"
    assert list(reasons.values()) == ["", "", ""]
    layers = [result.layer for result in am.explain(model, inputs, layer="all")]
    assert layers == list(reasons)


def test_automatic_layer_is_one_that_the_answer_depends_on():
    class Sizes(nn.Module):
        """Runs its features a second time to look at their size only."""

        def __init__(self):
            super().__init__()
            self.features = nn.Conv2d(1, 4, 3)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            y = self.features(x)
            return self.head(nn.functional.avg_pool2d(y, self.features(x).shape[2:]).flatten(1))

    assert am.explain(seeded(Sizes), seeded_input((1, 1, 8, 8))).layer == "features"


class SliceWise(nn.Module):
    """A volume's slices through a 2D network, the largest answer of all (MRNet)."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(1, 6, 3, stride=2, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        slices = x[0].permute(3, 0, 1, 2)
        pooled = self.pool(torch.relu(self.features(slices))).flatten(1)
        return self.head(pooled.max(0, keepdim=True)[0])


@pytest.mark.parametrize("kind", ["eager", "traced", "scripted"])
def test_networks_that_take_a_volume_slice_by_slice(kind):
    network = seeded(SliceWise)
    inputs = seeded_input((1, 1, 12, 10, 7))
    model = am.load_model(as_torchscript(network, inputs, kind))
    result = am.explain(model, am.Image(inputs[0].numpy()), "hires_cam", target=1)
    assert result.layer == "features"
    activations = network.features(inputs[0].permute(3, 0, 1, 2)).detach().requires_grad_()
    pooled = torch.relu(activations).mean((2, 3)).max(0)[0]
    (gradient,) = torch.autograd.grad(network.head(pooled)[1], activations)
    expected = (gradient * activations).sum(1).detach().permute(1, 2, 0)[None]
    np.testing.assert_allclose(result.raw.array, expected.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.diag(result.raw.affine), [2, 2, 1, 1])


def test_adaptive_pool_belongs_to_the_head():
    """As VGG ends: features that close with a pool, and an adaptive pool to a few voxels."""
    features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU())
    features.append(nn.MaxPool2d(2))
    net = nn.Sequential(features, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 3)).eval()
    model = am.load_model(net)
    geometry = model.geometry(torch.zeros(1, 1, 24, 24))
    assert model.resolve_layers("auto", geometry) == ["0"]
    assert model.resolve_layers("auto:bottleneck", geometry) == ["0"]
