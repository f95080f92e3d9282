"""One recorded forward pass: activations, gradients, in-place operators, outputs, answers."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import attention_maps as am
from attention_maps.errors import LayerError, ModelError, ModelRunError
from attention_maps.tracing.outputs import select_output
from attention_maps.tracing.trace import INPUT
from networks import TinyClassifier, TinyUNet, as_torchscript, seeded, seeded_input


class Chain(nn.Module):
    """A layer, what comes behind it in place or not, and a head."""

    def __init__(self, behind, norm=False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.layer = nn.InstanceNorm2d(4) if norm else nn.Conv2d(4, 4, 3, padding=1)
        self.behind = behind
        self.head = nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.behind(self.layer(self.stem(x))))


class Call(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def add_in_place(x):
    x += 0.5 * x.detach().clone() + x.mean()
    return x


def write_a_part(x):
    x[:, :2] = x[:, 2:] * 2
    x[..., ::2].mul_(3)
    return x


def write_a_part_of_a_clone(x):
    y = x.clone()
    y[:, :2] = y[:, 2:].clone() * 2
    return torch.cat([y[..., ::2] * 3, y[..., 1::2]], -1)[..., REORDER]


REORDER = [i // 2 if i % 2 == 0 else 6 + i // 2 for i in range(12)]
# in place, and the same out of place
PAIRS = {
    "relu_": (F.relu_, F.relu),
    "leaky_relu_": (lambda x: F.leaky_relu_(x, 0.1), lambda x: F.leaky_relu(x, 0.1)),
    "elu_ of a view": (lambda x: F.elu_(x.flatten(2)).view_as(x), F.elu),
    "silu inplace": (lambda x: F.silu(x, inplace=True), F.silu),
    "+=": (add_in_place, lambda x: x + 0.5 * x.detach() + x.mean()),
    "mul_ chain": (
        lambda x: x.mul_(2).add_(1).clamp_(min=0),
        lambda x: (x * 2 + 1).clamp(min=0),
    ),
    "parts": (write_a_part, write_a_part_of_a_clone),
    "relu of a part": (
        lambda x: (F.relu_(x[:, 1:]), x)[1],
        lambda x: torch.cat([x[:, :1], F.relu(x[:, 1:])], 1),
    ),
}


@pytest.mark.parametrize("norm", [False, True], ids=["convolution", "instance norm"])
@pytest.mark.parametrize("also", [(), ("stem",)], ids=["alone", "behind another"])
@pytest.mark.parametrize("kind", ["eager", "traced"])
@pytest.mark.parametrize("pair", PAIRS)
def test_in_place_operators_behind_a_recorded_layer(pair, kind, also, norm):
    in_place, reference = (
        seeded(lambda function=function: Chain(Call(function), norm)) for function in PAIRS[pair]
    )
    inputs = seeded_input((1, 1, 12, 12))
    model = am.load_model(
        in_place if kind == "eager" else as_torchscript(in_place, inputs, "traced")
    )
    trace = model.run(inputs, [*also, "layer"])
    values = reference.layer(reference.stem(inputs)).detach().requires_grad_()
    logits = reference.head(reference.behind(values))
    seed = seeded_input(tuple(logits.shape))
    (expected,) = torch.autograd.grad(logits, values, seed)
    torch.testing.assert_close(trace.logits, logits.detach())
    torch.testing.assert_close(trace.layers["layer"].activations, values.detach())
    torch.testing.assert_close(trace.gradients(seed, ["layer"])[0], expected)
    for name in also:
        stem = reference.stem(inputs).detach().requires_grad_()
        logits = reference.head(reference.behind(reference.layer(stem)))
        (expected,) = torch.autograd.grad(logits, stem, seed)
        torch.testing.assert_close(trace.gradients(seed, [name])[0], expected)


def test_the_input_itself_may_be_overwritten():
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(1, 2, 3))
    inputs = seeded_input((1, 1, 6, 6))
    kept = inputs.clone()
    trace = am.load_model(network).run(inputs, [INPUT])
    leaf = kept.clone().requires_grad_()
    logits = network[1](F.relu(leaf))
    logits.sum().backward()
    gradient = trace.gradients(torch.ones_like(trace.logits), [INPUT])[0]
    torch.testing.assert_close(gradient, leaf.grad)
    torch.testing.assert_close(trace.layers[INPUT].activations, kept)


def test_the_image_is_not_overwritten_by_the_network():
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(1, 2, 3))
    array = seeded_input((1, 6, 6)).numpy()
    kept = array.copy()
    image = am.Image(array)
    session = am.Explainer(network, image)
    first = session.explain(layer="1").raw.array
    second = am.explain(network, image, layer="1").raw.array
    assert (array == kept).all()
    assert (first == second).all()
    assert (
        session.explain("saliency").raw.array == am.explain(network, image, "saliency").raw.array
    ).all()


def test_nothing_before_the_first_layer_is_recorded():
    trace = am.load_model(seeded(TinyUNet)).run(seeded_input((1, 1, 16, 16)), ["down", "decoder"])
    with pytest.raises(KeyError):
        trace.gradients(torch.ones_like(trace.logits), [INPUT])
    nodes, stack = set(), [trace._root.node]
    while stack:
        node = stack.pop()
        if node is not None and node not in nodes:
            nodes.add(node)
            stack += [parent for parent, _ in node.next_functions]
    kinds = sorted(type(node).__name__ for node in nodes)
    assert kinds.count("_ConvolutionBackward") == 3  # up, decoder, head; not the encoder's two
    assert not any(node.name().startswith("InstanceNorm") for node in nodes)


def test_several_layers_and_questions_from_one_forward():
    network = seeded(TinyClassifier)
    inputs = seeded_input((1, 1, 16, 16))
    trace = am.load_model(network).run(inputs, ["features.0", "features"])
    for index in range(3):
        seed = F.one_hot(torch.tensor([index]), 3).float()
        both = trace.gradients(seed, ["features.0", "features"])
        for name, gradient in zip(["features.0", "features"], both, strict=True):
            torch.testing.assert_close(trace.gradients(seed, [name])[0], gradient)
        values = network.features(inputs).detach().requires_grad_()
        network.head(values.flatten(2).mean(2))[0, index].backward()
        torch.testing.assert_close(both[1], values.grad)


class Ending(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.function = function

    def forward(self, x: torch.Tensor):
        return self.function(self.conv(x))


SEEN_THROUGH = {
    "softmax": (lambda y: y.softmax(1), "softmax"),
    "log_softmax": (lambda y: y.log_softmax(1), "softmax"),
    "sigmoid": (torch.sigmoid, "sigmoid"),
    "sigmoid in place": (lambda y: y.sigmoid_(), "sigmoid"),
    "log sigmoid": (F.logsigmoid, "sigmoid"),
    "softmax in half and back": (lambda y: y.softmax(1, dtype=torch.float32), "softmax"),
    "detour": (lambda y: y.softmax(1).contiguous(), "softmax"),
}


@pytest.mark.parametrize("kind", ["eager", "traced"])
@pytest.mark.parametrize("name", SEEN_THROUGH)
def test_probabilities_are_seen_through(name, kind):
    function, activation = SEEN_THROUGH[name]
    network = seeded(lambda: Ending(function))
    inputs = seeded_input((1, 1, 6, 6))
    module = network if kind == "eager" else as_torchscript(network, inputs, "traced")
    trace = am.load_model(module).run(inputs, ["conv"])
    assert trace.activation == activation
    torch.testing.assert_close(trace.logits, network.conv(inputs).detach())
    seed = seeded_input((1, 3, 6, 6))
    torch.testing.assert_close(trace.gradients(seed, ["conv"])[0], seed)


@pytest.mark.parametrize(
    "function",
    [
        lambda y: y.softmax(2),  # over space, not over classes
        lambda y: y.softmax(1) * 2,
        lambda y: torch.sigmoid(y) + y,
        lambda y: y * torch.sigmoid(y),
    ],
    ids=["over space", "scaled", "added", "gate"],
)
def test_other_endings_are_the_answer_themselves(function):
    network = seeded(lambda: Ending(function))
    inputs = seeded_input((1, 1, 6, 6))
    trace = am.load_model(network).run(inputs, ["conv"])
    assert trace.activation is None
    torch.testing.assert_close(trace.logits, network(inputs).detach())
    values = network.conv(inputs).detach().requires_grad_()
    seed = seeded_input((1, 3, 6, 6))
    (expected,) = torch.autograd.grad(function(values), values, seed)
    torch.testing.assert_close(trace.gradients(seed, ["conv"])[0], expected)


def test_a_sigmoid_in_the_middle_is_not_the_end():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Sigmoid(), nn.Conv2d(2, 2, 1))
    inputs = seeded_input((1, 1, 6, 6))
    trace = am.load_model(network).run(inputs)
    assert trace.activation is None
    torch.testing.assert_close(trace.logits, network(inputs).detach())


def test_layers_of_which_the_answer_is_independent():
    class Blind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.side = nn.Conv2d(1, 2, 1)
            self.main = nn.Conv2d(1, 2, 1)
            self.cut = nn.Conv2d(1, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.side(x)
            return self.main(x + self.cut(x).detach())

    model = am.load_model(Blind())
    trace = model.run(seeded_input((1, 1, 4, 4)), ["side", "cut", "main"])
    seed = torch.ones_like(trace.logits)
    assert trace.gradients(seed, ["main"])[0].eq(1).all()
    for name in ("side", "cut"):
        with pytest.raises(LayerError, match=f"no gradient reaches '{name}'"):
            trace.gradients(seed, [name])


def test_replacing_a_layers_output():
    network = seeded(TinyClassifier)
    inputs = seeded_input((1, 1, 16, 16))
    trace = am.load_model(network).run(
        inputs, gradients=False, replace={"features": lambda values: values * 0}
    )
    torch.testing.assert_close(trace.logits, network.head.bias[None].detach())


def test_layers_that_did_not_run():
    with pytest.raises(LayerError, match="'unused' exists but did not run"):
        am.load_model(seeded(TinyClassifier)).run(seeded_input((1, 1, 8, 8)), ["unused"])


@pytest.mark.parametrize("shape", [(1, 2, 16, 16), (1, 1, 16)])
def test_inputs_that_do_not_fit(shape):
    with pytest.raises(ModelRunError, match=r"failed on an input of shape .* Check channels"):
        am.load_model(seeded(TinyUNet)).run(seeded_input(shape))


A, B, LARGE = (torch.full(shape, 1.0) for shape in ((1, 2, 4), (1, 2, 4), (1, 2, 8)))
LABELS = torch.zeros(1, 2, 4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("raw", "selector", "expected"),
    [
        (A, None, A),
        ((A, B), None, A),
        ([A, LARGE], None, LARGE),
        ((A, B), 1, B),
        ([A, [B, LARGE]], None, LARGE),
        ({"aux": B, "out": A}, None, A),
        ({"aux": A, "seg": B}, None, B),
        ({"aux": A, "other": LARGE}, None, LARGE),
        ({"aux": A, "out": B}, "aux", A),
        ({"out": [A, LARGE]}, "out", LARGE),
        ((A, None), None, A),
        ([A, (LARGE, "text")], 0, A),
    ],
)
def test_choice_of_output(raw, selector, expected):
    assert select_output(raw, selector) is expected


@pytest.mark.parametrize(
    ("raw", "selector", "message"),
    [
        ((A, B), 2, "an output 2, but the network returns a tuple of 2 items"),
        ({"out": A}, "seg", "returns a dict with keys 'out'"),
        ("text", None, "Expected a tensor as the network's output, got a str"),
        ([], None, "got a list of 0 items"),
        (LABELS, None, "labels have no gradient"),
    ],
)
def test_outputs_that_are_refused(raw, selector, message):
    with pytest.raises(ModelError, match=message):
        select_output(raw, selector)


def test_a_forward_pass_is_ticked_before_every_operator():
    model = am.load_model(seeded(TinyUNet))
    ticks = []
    trace = model.run(seeded_input((1, 1, 16, 16)), tick=lambda: ticks.append(1))
    assert len(ticks) == trace.operators > 10


def test_copies_of_a_network_agree():
    network = seeded(TinyUNet)
    inputs = seeded_input((1, 1, 16, 16))
    first = am.load_model(network).run(inputs).logits
    assert torch.equal(first, am.load_model(copy.deepcopy(network)).run(inputs).logits)
    assert torch.equal(first, network(inputs))
