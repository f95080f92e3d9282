"""Quantus' published fixtures with the scores that its tests expect.

github.com/understandable-machine-intelligence-lab/Quantus at commit 0029b2d,
tests/metrics/test_localisation_metrics.py: arrays and numbers are typed in from there. Its 1D
arrays are pictures of one column here. torch-cam publishes no fixture for a metric against a mask:
its own metrics ask the network.
"""

from __future__ import annotations

import numpy as np
import pytest

import attention_maps as am

SIDE = 224


def fixture(name: str, ndim: int) -> tuple[am.Image, np.ndarray]:
    """(1, *spatial) map and mask by Quantus' name."""
    mask_from, mask_to, hot, background = {
        "all_in_gt": (50, 150, [(50, 150)] * 2, 0.1),
        "all_in_gt_zeros": (50, 150, [(50, 150)] * 2, 0),
        "all_in_gt_non_normalised": (50, 150, [(50, 150)] * 2, 20),
        "all_in_gt_seg_bigger": (0, 150, [(50, 150)] * 2, 0.1),
        "none_in_gt": (0, 100, [(100, 200)] * 2, 0.1),
        "none_in_gt_zeros": (0, 100, [(100, 200)] * 2, 0),
        "none_in_gt_fourth": (0, 112, [(112, 224)] * 2, 0),
        "half_in_gt": (50, 100, [(0, 100), (75, 100)], 0.1),
        "half_in_gt_zeros": (50, 100, [(0, 100), (75, 100)], 0),
    }[name]
    shape = (SIDE, SIDE) if ndim == 2 else (SIDE, 1)
    values = np.random.default_rng(0).uniform(0, background or 1, shape) * bool(background)
    mask = np.zeros(shape)
    mask[mask_from:mask_to, slice(mask_from, mask_to) if ndim == 2 else slice(None)] = 1
    columns = slice(*hot[1]) if ndim == 2 else slice(None)
    values[slice(*hot[0]), columns] = 25 if name == "all_in_gt_non_normalised" else 1
    return am.Image(values[None].astype(np.float32)), mask


BOTH = (1, 2)
EXPECTED = [
    ("pointing_game", "all_in_gt", BOTH, 1.0),
    ("pointing_game", "none_in_gt", BOTH, 0.0),
    ("pointing_game", "half_in_gt", BOTH, 1.0),
    ("relevance_mass", "all_in_gt_zeros", BOTH, 1.0),
    ("relevance_mass", "none_in_gt_zeros", BOTH, 0.0),
    ("relevance_mass", "half_in_gt_zeros", BOTH, 0.5),
    ("relevance_mass", "all_in_gt_seg_bigger", BOTH, (0.5, 1.0)),
    ("energy_inside", "all_in_gt_zeros", BOTH, 1.0),  # attribution localisation, not weighted
    ("energy_inside", "none_in_gt_zeros", BOTH, 0.0),
    ("energy_inside", "all_in_gt", (1,), (0.8, 0.95)),
    ("energy_inside", "all_in_gt", (2,), (0.8, 0.85)),
    ("roc_auc", "all_in_gt", BOTH, 1.0),
    ("roc_auc", "all_in_gt_non_normalised", BOTH, 1.0),
    ("roc_auc", "none_in_gt_fourth", (1,), 0.0),
    ("roc_auc", "none_in_gt_fourth", (2,), 0.33333333333333337),
    ("relevance_rank", "all_in_gt", BOTH, 1.0),  # top-k intersection, k the mask's size
    ("relevance_rank", "none_in_gt", BOTH, 0.0),
    ("relevance_rank", "half_in_gt_zeros", (2,), 0.5),
]


@pytest.mark.parametrize(
    ("metric", "name", "ndim", "expected"),
    [(*row[:2], ndim, row[3]) for row in EXPECTED for ndim in row[2]],
)
def test_expected(metric, name, ndim, expected):
    found = am.evaluate(*fixture(name, ndim), metric)[metric]
    if isinstance(expected, tuple):
        assert expected[0] < found < expected[1]
    else:
        assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_rank_as_quantus_computes_it(seed):
    """Without ties: the share of the mask among the k voxels that an argsort puts last."""
    generator = np.random.default_rng(seed)
    values = generator.random((9, 10, 11)).astype(np.float32)
    mask = generator.random(values.shape) > 0.8
    best = np.argsort(values.ravel())[-mask.sum() :]
    expected = len(np.intersect1d(best, np.flatnonzero(mask))) / mask.sum()
    found = am.evaluate(am.Image(values[None]), mask, "relevance_rank")
    assert found["relevance_rank"] == pytest.approx(expected, rel=1e-6)


def test_ties_are_shared_fairly_where_quantus_takes_those_that_sort_last():
    """100 equal voxels, 50 of them in a mask of 50: Quantus' fixture gives 0.98."""
    found = am.evaluate(*fixture("half_in_gt_zeros", 1), "relevance_rank")
    assert found["relevance_rank"] == 0.5
