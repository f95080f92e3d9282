"""What the methods must be equal to by their mathematics, and what they do where nothing is."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import attention_maps as am
from attention_maps.algorithms.evidence import Evidence
from attention_maps.registry import methods
from tiny_networks import CONV, FlatClassifier, PooledClassifier, picture, seeded

AXES = pytest.mark.parametrize("axes", [2, 3])
CAMS = [name for name, item in methods().items() if item.needs == "layer"]
# Their weights are of the first order in the gradient; Grad-CAM++ alone is not.
PROPORTIONAL = [name for name in CAMS if name not in ("eigen_cam", "grad_cam_pp")]


def maps_of(module, image, layer, target, names):
    found = am.explain(module, image, list(names), layer, target)
    return {item.method: item.raw.array[0].astype(np.float64) for item in found}


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@AXES
@pytest.mark.parametrize("target", [0, 1, 2])
def test_methods_agree_behind_global_average_pooling(axes, target):
    names = ["cam", "grad_cam", "hires_cam", "x_grad_cam", "layer_cam"]
    module = seeded(PooledClassifier(axes), 4)
    found = maps_of(module, picture(axes), "act2", target, names)
    cam, voxels = found["cam"], found["cam"].size
    close(voxels * found["hires_cam"], cam)
    close(voxels * found["grad_cam"], np.maximum(cam, 0))
    close(voxels * found["x_grad_cam"], np.maximum(cam, 0))


@AXES
def test_grad_cam_pp_behind_global_average_pooling(axes):
    """The gradient is w/N everywhere, so that each channel's weight is known in closed form."""
    module, image = seeded(PooledClassifier(axes), 4), picture(axes)
    found = maps_of(module, image, "act2", 1, ["grad_cam_pp"])["grad_cam_pp"]
    with torch.no_grad():
        hidden = module.act1(module.first(torch.from_numpy(image)[None]))
        activations = module.act2(module.second(hidden))[0].double().numpy()
    voxels = activations[0].size
    expected = np.zeros(activations.shape[1:])
    for channel, weight in zip(activations, module.head.weight[1].tolist(), strict=True):
        gradient = weight / voxels
        alpha = 1 / (2 + gradient * channel.sum())
        expected += voxels * alpha * max(gradient, 0) * channel
    close(found, np.maximum(expected, 0))


@AXES
@pytest.mark.parametrize("network", [FlatClassifier, PooledClassifier])
def test_hires_cam_adds_up_to_the_score_of_a_linear_head(axes, network):
    module, image = seeded(network(axes, bias=False), 1), picture(axes)
    for target in range(3):
        result = am.explain(module, image, "hires_cam", "act2", target)
        assert result.raw.array.sum(dtype=np.float64) == pytest.approx(result.score, rel=1e-4)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
@pytest.mark.parametrize("name", PROPORTIONAL)
def test_maps_follow_the_scale_of_the_gradient(name, scale):
    """No constant is added anywhere that would drown small gradients."""
    network = PooledClassifier if name == "cam" else FlatClassifier
    module, image = seeded(network(2), 1), picture(2)
    scaled = copy.deepcopy(module)
    with torch.no_grad():
        scaled.head.weight *= scale
    reference = maps_of(module, image, "act2", 1, [name])[name]
    assert np.abs(reference).max() > 0
    close(maps_of(scaled, image, "act2", 1, [name])[name] / scale, reference)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
@pytest.mark.parametrize("name", PROPORTIONAL)
def test_extreme_gradients_neither_vanish_nor_overflow(name, scale):
    generator = torch.Generator().manual_seed(0)
    activations = torch.rand(1, 4, 5, 6, generator=generator)
    gradients = torch.randn(1, 4, 5, 6, generator=generator)
    if name == "cam":
        gradients = gradients.mean((2, 3), keepdim=True).expand_as(gradients)
    function = methods()[name].function
    expected = function(Evidence([activations], [gradients]))[0].double().numpy()
    found = function(Evidence([activations], [gradients * scale]))[0].double().numpy()
    close(found / scale, expected)


def test_grad_cam_pp_weighs_small_gradients_by_one_half():
    """For vanishing gradients alpha is 1/2: the map is half the sum of the positive ones."""
    generator = torch.Generator().manual_seed(0)
    activations = torch.rand(1, 4, 5, 6, generator=generator)
    gradients = torch.randn(1, 4, 5, 6, generator=generator) * 1e-12
    found = methods()["grad_cam_pp"].function(Evidence([activations], [gradients]))[0]
    weights = gradients.double().relu().sum((2, 3)) / 2
    expected = (weights[..., None, None] * activations).sum(1)
    close(found.double().numpy(), expected.numpy())


@pytest.mark.parametrize("name", [name for name in CAMS if name != "seg_xres_cam"])
def test_windows_are_pooled_together(name):
    """One layer in two windows gives the same maps as one layer, voxel for voxel.

    Seg-XRes-CAM pools within its own small windows and knows nothing of the others.
    """
    generator = torch.Generator().manual_seed(0)
    a, g = torch.rand(2, 1, 4, 6, 10, generator=generator)
    if name == "cam":
        g = g.mean((2, 3), keepdim=True).expand_as(g)
    function = methods()[name].function
    whole = function(Evidence([a], [g]))[0]
    parts = function(Evidence(a.split([4, 6], 3), g.split([4, 6], 3)))
    close(torch.cat(parts, 2).numpy(), whole.numpy())


@AXES
@pytest.mark.parametrize("name", CAMS)
def test_layer_of_one_channel(name, axes):
    torch.manual_seed(0)
    module = seeded(
        torch.nn.Sequential(
            CONV[axes](1, 1, 3, padding=1), torch.nn.AdaptiveAvgPool2d(1)
            if axes == 2 else torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(),
            torch.nn.Linear(1, 2),
        )
    )  # fmt: skip
    result = am.explain(module, picture(axes), name, "0", 1)
    assert np.isfinite(result.raw.array).all()
    if name == "eigen_cam":
        with torch.no_grad():
            only = module[0](torch.from_numpy(picture(axes))[None])[0, 0].numpy()
        sign = np.sign(module[3].weight[1].item())
        close(result.raw.array[0], sign * (only - only.mean()))


@pytest.mark.parametrize("name", [*CAMS, "guided_grad_cam", "ablation_cam"])
@pytest.mark.parametrize("value", [0.0, 0.1, 1234.5])
def test_constant_activations_give_finite_maps(name, value):
    """An empty picture through a convolution without padding is the same everywhere."""
    module = seeded(torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(3, 2),
    ), 3)  # fmt: skip
    result = am.explain(module, np.full((1, 9, 8), value, np.float32), name, "0", 1)
    found = result.raw.array
    assert np.isfinite(found).all()
    if name != "guided_grad_cam":  # gradients of the input differ at the border
        np.testing.assert_allclose(found, found.flat[0], rtol=1e-4)
    if name.startswith("eigen"):  # nothing varies
        assert not result.has_evidence


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("name", [name for name, item in methods().items() if item.gradients])
def test_an_answer_that_depends_on_nothing_gives_a_map_of_zeros(name, axes):
    module = seeded(PooledClassifier(axes))
    with torch.no_grad():
        module.head.weight[1] = 0
    result = am.explain(module, picture(axes), name, "act2", 1)
    assert np.isfinite(result.raw.array).all()
    if name == "eigen_cam":  # shows where activations vary, whatever is asked
        return
    assert not result.raw.array.any()
    assert not result.image.array.any()
    assert not result.has_evidence
    assert not result.normalized().image.array.any()
    assert "no evidence" in result.provenance["note"]
    assert "no evidence" in repr(result)


def test_only_signed_methods_have_negative_values():
    module, image = seeded(FlatClassifier(2), 1), picture(2)
    for name, item in methods().items():
        if name == "cam":
            continue
        found = am.explain(module, image, name, "act1", 1).raw.array
        assert (found.min() < 0) == item.signed, name


def test_x_grad_cam_falls_back_where_activations_cancel():
    """Where positive and negative activations cancel, their sum is no divisor."""
    activations = torch.tensor([[[[1.0, -1.0], [2.0, -2.0]], [[1.0, 2.0], [0.0, 1.0]]]])
    gradients = torch.tensor([[[[0.5, 1.5], [1.0, 1.0]], [[1.0, 2.0], [7.0, -1.0]]]])
    found = methods()["x_grad_cam"].function(Evidence([activations], [gradients]))[0]
    mean = 1.0  # of the first channel's gradient
    share = (1 + 4 + 0 - 1) / 4  # of the second channel, by its activations
    expected = mean * activations[0, 0] + share * activations[0, 1]
    close(found[0].numpy(), expected.numpy())


@AXES
def test_occlusion_of_a_score_that_sees_one_patch(axes):
    """The score is the sum of one patch: each cover takes away what it shares with it."""

    class Patch(torch.nn.Module):
        def forward(self, x):
            seen = x[(..., *[slice(4, 8)] * axes)].flatten(1).sum(1, keepdim=True)
            return torch.cat([seen, 2 * seen], 1)

    image = np.full((1, *[12] * axes), 3.0, np.float32)
    options = {"size": 4, "stride": 4, "fill": "zero"}
    found = am.explain(Patch(), am.Image(image), "occlusion", target=1, **options)
    expected = np.zeros([12] * axes)
    expected[(slice(4, 8),) * axes] = 2 * 3.0 * 4**axes
    close(found.raw.array[0], expected)
    assert found.score == pytest.approx(2 * 3.0 * 4**axes)
    half = am.explain(
        Patch(), am.Image(image), "occlusion", target=1, size=4, stride=2, fill="zero"
    )
    drops = {0: 0, 2: 0.5, 4: 1, 6: 0.5, 8: 0}  # share of the patch under a cover at that corner
    along = np.zeros(12)
    for at in range(12):
        covers = [drops[corner] for corner in drops if corner <= at < corner + 4]
        along[at] = sum(covers) / len(covers)
    expected = (
        along[:, None] * along if axes == 2 else along[:, None, None] * along[:, None] * along
    )
    close(half.raw.array[0], expected * 2 * 3.0 * 4**axes)
    nothing = am.explain(Patch(), am.Image(image), "occlusion", target=1, fill="mean")
    assert not nothing.has_evidence  # the picture is its own mean


def test_score_cam_tries_the_most_active_channels_alone():
    module, image = seeded(FlatClassifier(2), 1), picture(2)
    everything = am.explain(module, image, "score_cam", "act1", 1).raw.array
    four = am.explain(module, image, "score_cam", "act1", 1, channels=4).raw.array
    np.testing.assert_allclose(four, everything, rtol=1e-5)
    one = am.explain(module, image, "score_cam", "act1", 1, channels=1).raw.array[0]
    with torch.no_grad():
        hidden = module.act1(module.first(torch.from_numpy(image)[None]))[0]
    close(one, hidden[hidden.flatten(1).std(1).argmax()].numpy())


@pytest.mark.parametrize("method", ["grad_cam", "guided_grad_cam"])
@AXES
def test_grad_cam_says_where_gradients_cancel(axes, method, caplog):
    """What an instance normalization takes away has a gradient whose sum is zero."""
    norm = nn.InstanceNorm2d(4) if axes == 2 else nn.InstanceNorm3d(4)
    conv, head = CONV[axes](1, 4, 3, padding=1), CONV[axes](4, 2, 1)
    module = seeded(nn.Sequential(conv, norm, nn.ReLU(), head), 4)
    image = picture(axes)
    am.explain(module, image, method, "2", 1)
    assert not caplog.messages
    am.explain(module, image, method, "0", 1)
    assert [text.partition(" here")[0] for text in caplog.messages] == [
        "Grad-CAM shows rounding errors"
    ]
    caplog.clear()
    am.explain(module, np.zeros_like(image), "grad_cam", "0", am.ClassTarget(1))
    assert not caplog.messages  # no gradient at all
