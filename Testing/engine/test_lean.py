"""Convolutions that keep their weight alone: the same gradients, in less memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional

from attention_maps.tracing.lean import LeanConvolutions

MODULES = [
    nn.Conv1d(4, 6, 3, padding=1),
    nn.Conv2d(4, 6, (3, 5), stride=(2, 1), padding=(0, 2), dilation=(1, 1)),
    nn.Conv3d(4, 6, 3, padding=2, dilation=2, groups=2, bias=False),
    nn.Conv3d(4, 6, 3, padding="same"),
    nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
    nn.ConvTranspose1d(4, 6, 2, stride=2),
    nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
    nn.ConvTranspose3d(4, 6, 3, stride=(1, 2, 2), padding=1, dilation=1, bias=False),
]


def input_of(module: nn.Module) -> torch.Tensor:
    axes = module.weight.ndim - 2
    shape = (2, 4, *(9, 8, 7)[:axes])
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()


def gradient_and_kept(run, inputs):
    """The gradient of a weighted sum of the output, and the shapes of what was kept for it."""
    kept = []

    def keep(tensor):
        kept.append(tuple(tensor.shape))
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        output = run(inputs)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    return torch.autograd.grad(output, inputs, weights)[0], kept


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_gradient_is_the_same(module):
    module = module.requires_grad_(False)
    inputs = input_of(module)
    expected, _ = gradient_and_kept(module, inputs)
    with LeanConvolutions():
        found, kept = gradient_and_kept(module, inputs)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    if not isinstance(module.padding, str) and module.padding_mode == "zeros":
        assert kept == [tuple(module.weight.shape)]


@pytest.mark.parametrize("operator", ["_convolution", "convolution", "conv2d"])
def test_operators(operator):
    """As TorchScript and exported programs call them."""
    weight = torch.randn(6, 2, 3, 3, generator=torch.Generator().manual_seed(2))
    inputs = torch.randn(2, 4, 9, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    first = (inputs, weight, None, [2, 1], [1, 1], [1, 1])
    more = {
        "conv2d": (2,),
        "convolution": (False, [0, 0], 2),
        "_convolution": (False, [0, 0], 2, False, False, True, True),
    }[operator]
    function = getattr(torch.ops.aten, operator).default
    plain = functional.conv2d(inputs, weight, None, (2, 1), 1, 1, 2)
    expected = torch.autograd.grad(plain.square().sum(), inputs)[0]
    with LeanConvolutions():
        output = function(*first, *more)
    assert type(output.grad_fn).__name__ == "_ConvolutionBackward"
    torch.testing.assert_close(
        torch.autograd.grad(output.square().sum(), inputs)[0], expected, rtol=0, atol=0
    )


def test_weights_that_learn_are_left_alone():
    module, inputs = nn.Conv2d(4, 6, 3), torch.randn(1, 4, 8, 8, requires_grad=True)
    with LeanConvolutions():
        module(inputs).sum().backward()
    assert module.weight.grad is not None
    assert module.bias.grad is not None
    module.weight.requires_grad_(False)
    module.bias.grad = None
    with LeanConvolutions():
        module(inputs).sum().backward()
    assert module.bias.grad is not None


def test_mixed_precision_is_left_alone():
    module = nn.Conv2d(4, 6, 3).requires_grad_(False)
    inputs = torch.randn(1, 4, 8, 8, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = torch.autograd.grad(module(inputs).float().sum(), inputs)[0]
        with LeanConvolutions():
            found = torch.autograd.grad(module(inputs).float().sum(), inputs)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_unbatched_inputs_and_keywords():
    weight = torch.randn(6, 4, 3, 3)
    inputs = torch.randn(4, 9, 8, requires_grad=True)
    expected = torch.autograd.grad(functional.conv2d(inputs, weight).sum(), inputs)[0]
    with LeanConvolutions():
        found = torch.autograd.grad(functional.conv2d(inputs, weight=weight).sum(), inputs)[0]
        batch = inputs[None]
        named = functional.conv2d(batch, weight, bias=None, stride=1, padding=0)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(named.sum(), inputs)[0], expected)
