"""Every intensity step against its formula in float64."""

import logging

import numpy as np
import pytest

from attention_maps.errors import SpecError
from attention_maps.intensity import (
    Clip,
    MinMax,
    Percentile,
    Scale,
    Step,
    Window,
    ZScore,
    apply_steps,
)


@pytest.fixture
def array():
    """Two channels of different ranges with a zero margin, (2, 7, 6, 5) float32."""
    rng = np.random.default_rng(3)
    values = rng.normal([[[[100.0]]], [[[-3.0]]]], [[[[40.0]]], [[[0.5]]]], (2, 7, 6, 5))
    values[:, :2] = 0
    return values.astype(np.float32)


def joint_percentile(x, low, high):
    a, b = np.percentile(x, [low, high])
    return np.clip((x - a) / (b - a), 0, 1)


def each(function):
    """The formula for each channel on its own."""
    return lambda x: np.stack([function(channel) for channel in x])


def inside(function):
    """The formula for voxels that are not zero; the others stay."""

    def changed(x):
        result = x.copy()
        result[x != 0] = function(x[x != 0])
        return result

    return changed


def standard(x):
    return (x - x.mean()) / x.std()


FORMULAS = [
    (Window(low=20, high=120), lambda x: np.clip((x - 20) / 100, 0, 1)),
    (Window(level=70, width=100), lambda x: np.clip((x - 20) / 100, 0, 1)),
    (Window(low=20, high=120, clip=False), lambda x: (x - 20) / 100),
    (Window(low=0, high=90, out=(-1, 3)), lambda x: np.clip(x / 90, 0, 1) * 4 - 1),
    (Clip(low=-2.5, high=90), lambda x: np.clip(x, -2.5, 90)),
    (Clip(low=5), lambda x: np.maximum(x, 5)),
    (Clip(high=5), lambda x: np.minimum(x, 5)),
    (Percentile(), each(lambda x: joint_percentile(x, 0.5, 99.5))),
    (Percentile(lower=10, upper=60, per_channel=False), lambda x: joint_percentile(x, 10, 60)),
    (
        Percentile(lower=5, upper=95, region="nonzero"),
        each(inside(lambda x: joint_percentile(x, 5, 95))),
    ),
    (
        Percentile(lower=5, upper=95, out=None),
        each(lambda x: np.clip(x, *np.percentile(x, [5, 95]))),
    ),
    (
        Percentile(lower=5, upper=95, clip=False, out=(0, 255)),
        each(
            lambda x: 255 * (x - np.percentile(x, 5)) / (np.percentile(x, 95) - np.percentile(x, 5))
        ),
    ),
    (ZScore(), each(standard)),
    (ZScore(per_channel=False), standard),
    (ZScore(region="nonzero"), each(inside(standard))),
    (ZScore(region="nonzero", per_channel=False), inside(standard)),
    (ZScore(mean=10, std=4), lambda x: (x - 10) / 4),
    (ZScore(mean=10), each(lambda x: (x - 10) / x.std())),
    (
        ZScore(mean=(10, 20), std=(4, 5)),
        lambda x: np.stack([(x[0] - 10) / 4, (x[1] - 20) / 5]),
    ),
    (MinMax(), each(lambda x: (x - x.min()) / np.ptp(x))),
    (MinMax(out=(-1, 1), per_channel=False), lambda x: 2 * (x - x.min()) / np.ptp(x) - 1),
    (MinMax(region="nonzero"), each(inside(lambda x: (x - x.min()) / np.ptp(x)))),
    (Scale(multiply=0.25, add=7), lambda x: x * 0.25 + 7),
    (Scale(add=7, region="nonzero"), inside(lambda x: x + 7)),
    (Scale(add=7, channels=(1,)), lambda x: np.stack([x[0], x[1] + 7])),
    (ZScore(mean=(5,), channels=(1,)), lambda x: np.stack([x[0], (x[1] - 5) / x[1].std()])),
]


@pytest.mark.parametrize(
    ("step", "formula"), FORMULAS, ids=[repr(step)[:90] for step, _ in FORMULAS]
)
def test_step_is_its_formula(step, formula, array):
    before = array.copy()
    result = apply_steps(array, [step])
    expected = formula(array.astype(np.float64))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=2e-6 * np.abs(expected).max())
    assert result.dtype == np.float32
    np.testing.assert_array_equal(array, before)


def test_every_kind_of_step_has_a_formula():
    kinds = {kind for base in Step.__subclasses__() for kind in (base, *base.__subclasses__())}
    tested = {type(step) for step, _ in FORMULAS}
    assert {kind for kind in kinds if "kind" in kind.__annotations__} == tested


def test_steps_follow_each_other(array):
    result = apply_steps(array, [Clip(low=0), Scale(multiply=2), Scale(add=1)])
    np.testing.assert_allclose(result, np.maximum(array, 0) * 2 + 1, rtol=1e-6)


def test_non_zero_is_judged_when_the_step_begins(array):
    result = apply_steps(array, [Window(low=50, high=150), Scale(add=5, region="nonzero")])
    windowed = np.clip((array - 50) / 100, 0, 1)
    np.testing.assert_allclose(result, np.where(windowed > 0, windowed + 5, 0), atol=1e-6)


def test_channels_need_not_be_neighbors():
    array = np.arange(3 * 8, dtype=np.float32).reshape(3, 2, 2, 2)
    result = apply_steps(array, [MinMax(channels=(0, 2), per_channel=False)])
    np.testing.assert_allclose(result[[0, 2]], array[[0, 2]] / 23, rtol=1e-6)
    np.testing.assert_array_equal(result[1], array[1])


@pytest.mark.parametrize("region", ["everywhere", "nonzero"])
@pytest.mark.parametrize("value", [0.0, 0.1, -1000.0])
@pytest.mark.parametrize("kind", [ZScore, MinMax, Percentile])
def test_constant_image_is_all_zero_and_said_so(kind, value, region, caplog):
    array = np.full((1, 9, 9, 9), value, dtype=np.float32)
    with caplog.at_level(logging.WARNING, logger="attention_maps"):
        result = apply_steps(array, [kind(region=region)])
    np.testing.assert_array_equal(result, 0)
    assert ("constant image" in caplog.text) == (value != 0 or region == "everywhere")


def test_constant_image_goes_to_the_lower_end_of_another_range():
    array = np.full((1, 3, 3, 3), 4.0)
    np.testing.assert_array_equal(apply_steps(array, [MinMax(out=(-1, 1))]), -1)


def test_deviation_of_many_voxels_in_parts(monkeypatch):
    monkeypatch.setattr("attention_maps.intensity.PART_VOXELS", 100)
    array = np.random.default_rng(0).normal(1000, 3, (1, 11, 13, 17)).astype(np.float32)
    expected = standard(array.astype(np.float64))
    np.testing.assert_allclose(apply_steps(array, [ZScore()]), expected, atol=5e-5)


def test_channels_that_do_not_exist(array):
    with pytest.raises(SpecError, match=r"clip: expected channels below 2.*got \[2\]"):
        apply_steps(array, [Clip(low=0, channels=(2,))])
    with pytest.raises(SpecError, match=r"expected 2 numbers in 'std'.*got 3"):
        apply_steps(array, [ZScore(std=(1, 2, 3))])


def test_no_step_is_no_copy(array):
    assert apply_steps(array, []) is array
