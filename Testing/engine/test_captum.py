"""Against captum 0.9, on the same networks, and guided backpropagation beyond ReLU."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import attention_maps as am
from tiny_networks import CONV, FlatClassifier, SmallUNet, picture, seeded, traced

captum = pytest.importorskip("captum.attr")
AXES = pytest.mark.parametrize("axes", [2, 3])
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:captum.*")


def close(found, expected, relative=1e-4):
    expected = expected.detach().numpy() if isinstance(expected, torch.Tensor) else expected
    assert found.shape == expected.shape
    largest = np.abs(expected).max()
    assert largest > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * largest)


class Case:
    """A network, its image, a layer, and the score as captum wants it: (B,) of a batch."""

    def __init__(self, task, axes):
        self.module = seeded((FlatClassifier if task == "classification" else SmallUNet)(axes), 1)
        self.image = picture(axes)
        self.inputs = torch.from_numpy(self.image)[None]
        self.layer, self.target = ("act1", 1) if task == "classification" else ("act2", 2)
        with torch.no_grad():
            predicted = self.module(self.inputs).argmax(1)[0] == 2

        def score(inputs):
            logits = self.module(inputs)
            if task == "classification":
                return logits[:, 1]
            return logits[:, 2].flatten(1)[:, predicted.flatten()].sum(1)

        self.score = score

    def explain(self, method, **options):
        return am.explain(self.module, self.image, method, self.layer, self.target, **options)


@pytest.fixture(params=["classification", "segmentation"])
def task(request):
    return request.param


@AXES
def test_grad_cam(task, axes):
    case = Case(task, axes)
    layer = case.module.get_submodule(case.layer)
    peer = captum.LayerGradCam(case.score, layer).attribute(
        case.inputs, relu_attributions=True, attr_dim_summation=True
    )
    close(case.explain("grad_cam").raw.array, peer[0])


@AXES
def test_hires_cam_is_gradient_times_activation(task, axes):
    case = Case(task, axes)
    layer = case.module.get_submodule(case.layer)
    peer = captum.LayerGradientXActivation(case.score, layer).attribute(case.inputs)
    close(case.explain("hires_cam").raw.array, peer.sum(1))


@AXES
def test_input_gradients(task, axes):
    case = Case(task, axes)
    saliency = captum.Saliency(case.score).attribute(case.inputs.clone().requires_grad_())
    close(case.explain("saliency").raw.array, saliency.amax(1))
    product = captum.InputXGradient(case.score).attribute(case.inputs.clone().requires_grad_())
    close(case.explain("input_x_gradient").raw.array, product.sum(1))


@AXES
@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_integrated_gradients_with_the_same_quadrature(task, axes, baseline):
    case = Case(task, axes)
    peer = captum.IntegratedGradients(case.score).attribute(
        case.inputs, baselines=baseline, n_steps=24, method="gausslegendre"
    )
    found = case.explain("integrated_gradients", steps=24, max_steps=24, baseline=baseline)
    close(found.raw.array, peer.sum(1).float())


@AXES
@pytest.mark.parametrize("baseline", [0.0, 0.7])
@pytest.mark.parametrize("seed", [1, 3, 8])
@pytest.mark.parametrize("network", [FlatClassifier, SmallUNet])
def test_integrated_gradients_are_complete_to_one_percent(network, axes, baseline, seed):
    module, image = seeded(network(axes), seed), picture(axes)
    result = am.explain(module, image, "integrated_gradients", baseline=baseline)
    answer = am.Explainer(module, image).answer()
    with torch.no_grad():
        empty = module(torch.full_like(torch.from_numpy(image)[None], baseline))
    target = answer.ranking()[0]
    if answer.task == "classification":
        change = result.score - float(empty[0, target])
    else:
        change = result.score - float(empty[0, target][answer.predicted(target)].sum())
    assert result.raw.array.sum(dtype=np.float64) == pytest.approx(change, rel=0.01)


class Jumpy(nn.Module):
    """Normalization makes nearly all of the score appear close to an empty image."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.InstanceNorm2d(4)
        self.head = nn.Linear(4 * 234, 2)

    def forward(self, x):
        return self.head(functional.relu(self.norm(self.first(x))).flatten(1))


def test_integrated_gradients_find_where_the_score_changes():
    """Equal steps miss it; halved parts agree with thousands of steps where it happens."""
    module, image = seeded(Jumpy(), 3), picture(2) * 50
    inputs = torch.from_numpy(image)[None].double()
    found = am.explain(module, image, "integrated_gradients", target=1)
    double = module.double()
    with torch.no_grad():
        change = float((double(inputs) - double(inputs * 0))[0, 1])
    total = torch.zeros_like(inputs)
    # Midpoints of steps that grow from the empty image, as the score does all its change there.
    edges = torch.cat([torch.zeros(1), torch.logspace(-7, 0, 3001)]).double()
    for start, end in zip(edges.split(500), edges[1:].split(500), strict=False):
        width = end - start[: len(end)]
        at = (start[: len(end)] + width / 2).reshape(-1, 1, 1, 1)
        points = (at * inputs).requires_grad_()
        gradients = torch.autograd.grad(double(points)[:, 1].sum(), points)[0]
        total += (gradients * width.reshape(-1, 1, 1, 1)).sum(0, keepdim=True)
    expected = (total * inputs)[0].numpy()
    assert expected.sum() == pytest.approx(change, rel=1e-3)
    assert found.raw.array.sum(dtype=np.float64) == pytest.approx(change, rel=0.01)
    close(found.raw.array, expected, 0.02)
    few = am.explain(module.float(), image, "integrated_gradients", target=1, max_steps=32)
    assert abs(few.raw.array.sum() - change) > 0.05 * abs(change)


@AXES
def test_guided_backprop_on_relu(task, axes):
    case = Case(task, axes)

    class Scored(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = case.module

        def forward(self, inputs):
            return case.score(inputs)

    peer = captum.GuidedBackprop(Scored()).attribute(case.inputs.clone().requires_grad_())
    close(case.explain("guided_backprop").raw.array, peer.sum(1))


def test_occlusion_where_patches_fill_the_image():
    """captum cuts the last patch off at the border, the engine moves it inward: equal where the
    patches fill the image."""
    case = Case("classification", 2)
    image = picture(2, shape=(12, 18))
    module = seeded(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(480, 2)))
    inputs = torch.from_numpy(image)[None]
    peer = captum.Occlusion(module).attribute(
        inputs, sliding_window_shapes=(1, 3, 3), strides=(1, 3, 3), baselines=0, target=1
    )
    found = am.explain(module, image, "occlusion", target=1, size=3, stride=3, fill="zero")
    close(found.raw.array, peer.sum(1), 1e-3)
    assert case.image.shape[1] % 3  # where they do not, the last row is covered all the same
    found = case.explain("occlusion", size=3, stride=3, fill="zero").raw.array
    covered = case.inputs.clone()
    covered[..., -3:, :3] = 0
    with torch.no_grad():
        drop = float(case.score(case.inputs) - case.score(covered))
    assert found[0, -1, 0] == pytest.approx(drop, rel=1e-3)


class FunctionalRelu(nn.Module):
    def forward(self, x):
        return functional.relu(x)


class TensorRelu(nn.Module):
    def forward(self, x):
        return x.relu_()


def _gelu_slope(x):
    below = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    return below + x * torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _silu_slope(x):
    share = torch.sigmoid(x)
    return share * (1 + x * (1 - share))


PRELU = (0.1, -0.2, 0.3, 0.05)
SLOPES = {
    "relu": (nn.ReLU, lambda x: (x > 0).double()),
    "in place": (lambda: nn.ReLU(inplace=True), lambda x: (x > 0).double()),
    "functional": (FunctionalRelu, lambda x: (x > 0).double()),
    "method": (TensorRelu, lambda x: (x > 0).double()),
    "leaky": (lambda: nn.LeakyReLU(0.2), lambda x: torch.where(x > 0, 1.0, 0.2).double()),
    "leaky in place": (
        lambda: nn.LeakyReLU(0.2, inplace=True), lambda x: torch.where(x > 0, 1.0, 0.2).double(),
    ),
    "prelu": (
        lambda: nn.PReLU(4),
        lambda x: torch.where(x > 0, 1.0, torch.tensor(PRELU)[:, None, None].double()),
    ),
    "elu": (nn.ELU, lambda x: torch.where(x > 0, 1.0, torch.exp(x))),
    "gelu": (nn.GELU, _gelu_slope),
    "silu": (nn.SiLU, _silu_slope),
}  # fmt: skip


def guided_by_hand(convolutions, activate, slope, inputs, weight):
    """Forward and backward pass written out: negative gradients stop in front of every slope."""
    kept = []
    x = inputs.double()
    for convolution in convolutions:
        x = functional.conv2d(x, convolution.weight.double(), convolution.bias.double(), padding=1)
        kept.append(x)
        x = activate(x.clone())
    gradient = weight.double().reshape(x.shape)
    for convolution, before in zip(reversed(convolutions), reversed(kept), strict=True):
        gradient = gradient.clamp(min=0) * slope(before)
        gradient = functional.conv_transpose2d(gradient, convolution.weight.double(), padding=1)
    return gradient.sum(1)


@pytest.mark.parametrize("form", ["eager", "traced", "scripted"])
@pytest.mark.parametrize("name", SLOPES)
def test_guided_backprop_keeps_the_local_slope(name, form):
    make, slope = SLOPES[name]
    module = seeded(nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), make(), nn.Conv2d(4, 4, 3, padding=1), make(), nn.Flatten(),
        nn.Linear(4 * 7 * 6, 2),
    ), 3)  # fmt: skip
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.PReLU):
                part.weight.copy_(torch.tensor(PRELU))
    image = picture(2, 2, shape=(7, 6))
    inputs = torch.from_numpy(image)[None]
    activate = make().double()
    if name == "prelu":
        activate.weight.data = torch.tensor(PRELU).double()
    expected = guided_by_hand([module[0], module[2]], activate, slope, inputs, module[5].weight[1])
    model = {
        "eager": lambda: module,
        "traced": lambda: traced(module, image),
        "scripted": lambda: torch.jit.script(module),
    }[form]()
    close(am.explain(model, image, "guided_backprop", target=1).raw.array, expected)


def test_guided_backprop_after_instance_norm_in_place():
    """`relu_` on the view that instance normalization gives hides from hooks on autograd nodes."""
    parts = [CONV[2](1, 4, 3, padding=1), nn.InstanceNorm2d(4), nn.Flatten(), nn.Linear(252, 2)]
    image = picture(2, shape=(9, 7))
    found = []
    for inplace in (False, True):
        activation = nn.LeakyReLU(0.01, inplace=inplace)
        module = seeded(nn.Sequential(*parts[:2], activation, *parts[2:]), 2)
        for model in (module, traced(module, image), torch.jit.script(module)):
            found.append(am.explain(model, image, "guided_backprop", target=1).raw.array)
    plain = am.explain(module, image, "input_x_gradient", target=1).raw.array / image
    assert np.abs(found[0] - plain).max() > 0.1 * np.abs(plain).max()
    for other in found[1:]:
        close(other, found[0])
