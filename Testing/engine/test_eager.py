"""Modules in memory: wrappers, hooks of the caller, tuples, odd devices of style."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import attention_maps as am
from attention_maps.models.eager import EagerNetwork
from networks import TinyClassifier, TinyUNet, seeded, seeded_input


@pytest.fixture
def inputs():
    return seeded_input((1, 1, 16, 16))


def record(module, inputs, name):
    """Logits, activations and gradients of the summed logits."""
    trace = am.load_model(module).run(inputs, [name])
    gradient = trace.gradients(torch.ones_like(trace.logits), [name])[0]
    return trace.logits, trace.layers[name].activations, gradient


@pytest.mark.parametrize(
    "wrap",
    [nn.DataParallel, lambda net: torch.compile(net, backend="eager")],
    ids=["DataParallel", "compile"],
)
def test_wrappers_are_looked_through(wrap, inputs):
    network = seeded(TinyUNet)
    wrapped = wrap(network)
    assert EagerNetwork(wrapped).name == "TinyUNet"
    for ours, expected in zip(
        record(wrapped, inputs, "down"), record(network, inputs, "down"), strict=True
    ):
        assert torch.equal(ours, expected)


def test_evaluation_mode_and_frozen_weights_do_not_matter(inputs):
    expected = record(seeded(TinyClassifier), inputs, "features")
    training = seeded(TinyClassifier).train()
    frozen = seeded(TinyClassifier).requires_grad_(False)
    for network in (training, frozen):
        for ours, theirs in zip(record(network, inputs, "features"), expected, strict=True):
            assert torch.equal(ours, theirs)


def test_hooks_of_the_caller_run_before_ours(inputs):
    """What the caller's hook makes of a layer is what the network goes on with."""
    network = seeded(TinyUNet)
    network.down.register_forward_hook(lambda module, arguments, output: output * 2)
    _, activations, _ = record(network, inputs, "down")
    plain = seeded(TinyUNet)
    torch.testing.assert_close(activations, 2 * plain.down(plain.encoder(inputs)).detach())
    assert torch.equal(record(network, inputs, "down")[0], network(inputs))


class Attention(nn.Module):
    """Recurrent layers and attention return tuples."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, stride=4)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.lstm = nn.LSTM(8, 8, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        mixed, _ = self.attention(tokens, tokens, tokens)
        return self.head(self.lstm(tokens + mixed)[0].mean(1))


def test_layers_that_return_tuples_are_known_by_the_first_tensor(inputs):
    network = seeded(Attention)
    logits, activations, gradient = record(network, inputs, "attention")
    tokens = network.patches(inputs).flatten(2).transpose(1, 2)
    mixed = network.attention(tokens, tokens, tokens)[0].detach().requires_grad_()
    expected = network.head(network.lstm(tokens + mixed)[0].mean(1))
    torch.testing.assert_close(logits, expected.detach())
    torch.testing.assert_close(activations, mixed.detach())
    expected.sum().backward()
    torch.testing.assert_close(gradient, mixed.grad)


class NotWhatItSeems(nn.Module):
    """Lazy, parametrized, without parameters, with parameters that are no leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        parametrize.register_parametrization(self.conv, "weight", nn.Tanh())
        self.norm = nn.LazyBatchNorm2d()
        self.head = nn.Conv2d(2, 2, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.conv(x)))


def test_parametrized_modules(inputs):
    network = NotWhatItSeems()
    network(inputs)
    network.eval()
    logits, activations, _ = record(network, inputs, "conv")
    torch.testing.assert_close(logits, network(inputs).detach())
    torch.testing.assert_close(activations, network.conv(inputs).detach())


def test_networks_without_parameters(inputs):
    network = nn.Sequential(nn.AvgPool2d(2), nn.Upsample(scale_factor=2))
    logits, activations, gradient = record(network, inputs, "0")
    assert torch.equal(logits, network(inputs))
    assert torch.equal(activations, network[0](inputs))
    assert gradient.eq(4).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype, inputs):
    network = seeded(TinyUNet).to(dtype)
    model = am.load_model(network)
    assert model.dtype == dtype
    result = am.explain(model, inputs[0].numpy(), layer="down")
    assert result.raw.array.dtype == "float32"
    exact = am.explain(seeded(TinyUNet).double(), inputs[0].numpy(), layer="down")
    scale = abs(exact.raw.array).max()
    error = abs(result.raw.array - exact.raw.array).max() / scale
    assert error < (1e-6 if dtype == torch.float64 else 0.1)


def test_complex_and_integer_layers_are_listed_with_reason(inputs):
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fourier = nn.Identity()
            self.labels = nn.Identity()
            self.head = nn.Conv2d(1, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            spectrum = self.fourier(torch.fft.fft2(x))
            back = torch.fft.ifft2(spectrum).real
            labels = self.labels((back > 0).long())
            return self.head(back + labels * 0)

    model = am.load_model(Odd())
    layers = {info.name: info for info in model.layers(inputs[0].numpy())}
    assert "complex64" in layers["fourier"].reason
    assert "int64" in layers["labels"].reason
    assert layers["head"].explainable
