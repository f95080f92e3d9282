"""Every registered method against its paper's formula, on eager and traced networks."""

from functools import cache

import numpy as np
import pytest

import attention_maps as am
from attention_maps.registry import methods
from attention_maps.types import Image
from reference_methods import REFERENCES, Case
from tiny_networks import (
    FlatClassifier,
    PooledClassifier,
    SmallUNet,
    TokenClassifier,
    picture,
    seeded,
    traced,
)

METHODS = sorted(methods())
RELATIVE = 1e-4
# One quadrature over the whole path; what is done where that is incomplete is in test_captum.
OPTIONS = {"integrated_gradients": {"max_steps": 32}}


def explain(model, image, method, layer, target):
    return am.explain(model, image, method, layer, target, **OPTIONS.get(method, {}))


def by_input(name):
    return methods()[name].needs == "input"


def pairs(layers):
    """Methods with layers; methods that work on the input come once."""
    return [
        (name, layer)
        for name in METHODS
        for layer in (layers[:1] if by_input(name) else layers)
        if name != "cam"
    ]


# How the layers of the tiny networks lie in the input: stride 2 with padding 1 starts at voxel 0.
STRIDES = {"first": 2, "act1": 2, "second": 2, "act2": 2}


@cache
def classification(layer, axes, network=FlatClassifier):
    module = seeded(network(axes), 1)
    return Case(module, picture(axes), layer, lambda z: z[0, 1], STRIDES[layer]), 1


@cache
def segmentation(layer, axes):
    """The sum of a class over where it is predicted, the default question."""
    module = seeded(SmallUNet(axes), 1)

    def ask(logits):
        return logits[0, 2][logits[0].argmax(0) == 2].sum()

    case = Case(module, picture(axes), layer, ask, STRIDES.get(layer, 1))
    fixed = case.network(case.inputs)[0].argmax(0) == 2  # the question does not move with the image
    assert 0 < int(fixed.sum()) < fixed.numel()
    case.ask = lambda logits: logits[0, 2][fixed].sum()
    return case, 2


@cache
def expected(method, make, layer, axes):
    return REFERENCES[method](make(layer, axes)[0])


def assert_close(found, expected, relative=RELATIVE):
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    largest = np.abs(expected).max()
    assert largest > 0
    assert np.abs(found - expected).max() <= relative * largest


def test_every_method_has_a_reference():
    assert set(REFERENCES) == set(METHODS), "write a reference for the new method"


@pytest.mark.parametrize("kind", ["eager", "traced"])
@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize(("method", "layer"), pairs(["act1", "second"]))
def test_classification(method, layer, axes, kind):
    case, target = classification(layer, axes)
    model = case.module if kind == "eager" else traced(case.module, case.image)
    result = explain(model, case.image, method, layer, target)
    assert_close(result.raw.array[0], expected(method, classification, layer, axes))
    assert result.score == pytest.approx(case.score(case.inputs), rel=RELATIVE)


@pytest.mark.parametrize("kind", ["eager", "traced"])
@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize(("method", "layer"), pairs(["act2", "enc", "act3"]))
def test_segmentation(method, layer, axes, kind):
    case, target = segmentation(layer, axes)
    model = case.module if kind == "eager" else traced(case.module, case.image)
    result = explain(model, case.image, method, layer, target)
    assert_close(result.raw.array[0], expected(method, segmentation, layer, axes))
    assert result.score == pytest.approx(case.score(case.inputs), rel=RELATIVE)


@pytest.mark.parametrize("kind", ["eager", "traced"])
@pytest.mark.parametrize("axes", [2, 3])
def test_cam_uses_the_weights_of_the_head(axes, kind):
    case, target = classification("act2", axes, PooledClassifier)
    case.head = case.module.head.weight[target].detach().double().numpy()
    model = case.module if kind == "eager" else traced(case.module, case.image)
    result = explain(model, case.image, "cam", "act2", target)
    assert_close(result.raw.array[0], REFERENCES["cam"](case))


@cache
def tokens(layer, lead):
    image = picture(2, shape=(16, 24))
    module = seeded(TokenClassifier(with_token=bool(lead)), 1)
    return Case(module, image, layer, lambda z: z[0, 1], 4, 1.5, tokens=(4, 6), lead=lead), 1


@pytest.mark.parametrize("kind", ["eager", "traced"])
@pytest.mark.parametrize("lead", [0, 1], ids=["tokens", "with class token"])
@pytest.mark.parametrize("method", [n for n in METHODS if n != "cam" and not by_input(n)])
def test_layers_of_tokens(method, lead, kind):
    case, target = tokens("mix", lead)
    model = case.module if kind == "eager" else traced(case.module, case.image)
    result = explain(model, Image(case.image), method, "mix", target)
    assert_close(result.raw.array[0], expected(method, tokens, "mix", lead))


@cache
def two_channels(_layer, axes):
    module = seeded(FlatClassifier(axes, channels=2), 1)
    return Case(module, picture(axes, 2), "act1", lambda z: z[0, 1], 2), 1


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("method", [n for n in METHODS if n != "cam"])
def test_images_of_two_channels(method, axes):
    case, target = two_channels("act1", axes)
    result = explain(case.module, case.image, method, "act1", target)
    assert_close(result.raw.array[0], expected(method, two_channels, "act1", axes))


def test_all_methods_from_one_call_equal_single_calls():
    case, target = classification("act1", 2)
    names = [name for name in METHODS if name != "cam"]
    together = am.explain(case.module, case.image, names, "act1", target)
    assert sorted(item.method for item in together) == names
    for item in together:
        alone = am.explain(case.module, case.image, item.method, "act1", target)
        np.testing.assert_array_equal(item.raw.array, alone.raw.array)
