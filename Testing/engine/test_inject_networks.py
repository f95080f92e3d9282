"""`inject` on networks of every kind: predictions, maps, and training steps beside them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import attention_maps as am
from networks import ZOO, build, tensors_in


@pytest.mark.parametrize("name", ZOO)
def test_maps_beside_the_prediction(name):
    """In evaluation, without gradients."""
    network, inputs = build(name)
    injected = am.inject(network, label=am.ClassTarget(0), layer="auto")
    with torch.no_grad():
        expected = tensors_in(network(inputs))
        found = tensors_in(injected(inputs))
    assert all(torch.equal(first, second) for first, second in zip(found, expected, strict=True))
    alone = am.explain(network, am.Image(inputs[0].numpy()), target=0)
    made = injected.get_attention_map()[0]
    limit = 1e-4 * np.abs(alone.image.array).max()
    np.testing.assert_allclose(made, alone.image.array, rtol=1e-3, atol=limit)


@pytest.mark.parametrize("name", ZOO)
def test_a_training_step_beside_maps(name):
    """Predictions, gradients, running statistics and random numbers, to the last bit."""
    network, inputs = build(name)
    batch = torch.cat([inputs, inputs.flip(-1)])
    results = []
    for inject in (False, True):
        trained = copy.deepcopy(network).train()
        used = am.inject(trained, label=0) if inject else trained
        torch.manual_seed(1)
        answers = tensors_in(used(batch))
        sum(answer.float().square().mean() for answer in answers).backward()
        gradients = [parameter.grad for parameter in trained.parameters()]
        results.append([*answers, *gradients, *trained.buffers(), torch.rand(2)])
    for plain, injected in zip(*results, strict=True):
        assert (plain is None and injected is None) or torch.equal(plain, injected)
