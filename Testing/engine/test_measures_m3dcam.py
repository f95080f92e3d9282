"""M3d-CAM's metrics against its own code (medcam 0.1.22, evaluation/).

M3d-CAM scales a map to 0..1 by its extremes first. That changes nothing for a map that reaches from
0 to 1, and of those both say the same; where it would, its scaling is taken out.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import attention_maps as am

pytest.importorskip("medcam", reason="M3d-CAM is not installed")

from medcam import medcam_utils
from medcam.evaluation.evaluator import Evaluator

NAMES = ["wioa", "ioa", "iou", "wiou"]


@pytest.fixture
def m3d_cam(monkeypatch):
    """The score of its Evaluator, with what NumPy 1.24 and pandas 2 took away from it."""
    monkeypatch.setitem(np.__dict__, "float", float)
    monkeypatch.setattr(Evaluator, "_add", lambda *_: None)  # its table grows by DataFrame.append

    def score(values, mask, metric, threshold):
        return Evaluator("", metric, threshold).comp_score(values, mask)

    return score


def case(shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A map that reaches from 0 to 1, as after a ReLU, and a mask."""
    generator = np.random.default_rng(seed)
    values = np.maximum(gaussian_filter(generator.normal(size=shape), 2), 0)
    mask = values + gaussian_filter(generator.normal(size=shape), 2) > values.mean()
    values /= values.max()
    return values.astype(np.float32), mask


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("threshold", ["otsu", 0.3, 0.6])
@pytest.mark.parametrize("shape", [(24, 31), (15, 14, 13)])
@pytest.mark.parametrize("seed", range(3))
def test_same_numbers(m3d_cam, name, threshold, shape, seed):
    values, mask = case(shape, seed)
    expected = m3d_cam(values, mask.astype(int), name, threshold)
    found = am.evaluate(am.Image(values[None]), mask, name, threshold)
    assert found[name] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_negative_values_count_with_their_absolute_value(m3d_cam, name):
    """As guided backpropagation gives them."""
    values = np.random.default_rng(5).normal(size=(12, 13, 14)).astype(np.float32)
    values[0, 0, 0] = 0
    _, mask = case((12, 13, 14), 5)
    expected = m3d_cam(values, mask.astype(int), name, "otsu")
    found = am.evaluate(am.Image(values[None]), mask, name, sign="absolute")
    assert found[name] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("threshold", [0.5, 0.6])
@pytest.mark.parametrize("name", NAMES)
def test_map_above_zero_everywhere_with_their_scaling_taken_out(
    m3d_cam, name, threshold, monkeypatch
):
    values, mask = case((15, 14, 13), 7)
    values = 0.4 + 0.6 * values
    scaled = m3d_cam(values, mask.astype(int), name, threshold)
    monkeypatch.setattr(medcam_utils, "normalize", lambda x: x)
    expected = m3d_cam(values, mask.astype(int), name, threshold)
    found = am.evaluate(am.Image(values[None]), mask, name, threshold)[name]
    assert found == pytest.approx(expected, rel=1e-6)
    assert found != pytest.approx(scaled, rel=1e-3)


def test_a_map_without_evidence_is_undefined_and_no_division_by_zero(m3d_cam):
    """M3d-CAM divides 0 by 0 there."""
    nothing = np.zeros((1, 8, 8), np.float32)
    found = am.evaluate(am.Image(nothing), np.ones((8, 8)), NAMES)
    assert all(np.isnan(value) for value in found.values())
    assert set(found.reasons) == set(NAMES)
