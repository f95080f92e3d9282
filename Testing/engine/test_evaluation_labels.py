"""Several labels at once: each as if its mask were alone."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

import attention_maps as am

SHAPE = (14, 12, 10)
AFFINE = np.array([[0.8, 0.1, 0, 4], [-0.1, 1.5, 0.2, 0], [0, -0.3, 2.2, 9], [0, 0, 0, 1]])


@pytest.fixture
def shown() -> am.Image:
    values = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    return am.Image(values[None], AFFINE)


def label_array() -> np.ndarray:
    labels = np.zeros(SHAPE)
    labels[2:6, 3:7, 1:5] = 1
    labels[7:12, 2:9, 4:9] = 2
    labels[0, 0, :] = -7
    labels[13, 11, 9] = 300
    return labels


def alone(shown: am.Image, value: int, **options: object) -> am.Scores:
    return am.evaluate(shown, label_array() == value, **options)


@pytest.mark.parametrize("order", ["C", "F"])
def test_all_labels_that_occur(shown, order):
    found = am.evaluate(shown, np.array(label_array(), order=order), labels="all")
    assert list(found) == ["-7", "1", "2", "300"]
    for name, scores in found.items():
        expected = alone(shown, int(name))
        assert scores == expected
        assert (scores.threshold, scores.voxels) == (expected.threshold, expected.voxels)


@pytest.mark.parametrize("labels", [{"tumor": 2, "core": 1}, {"core": 1.0}, [2, 1], (300,)])
def test_chosen_labels_in_the_order_given(shown, labels):
    found = am.evaluate(shown, label_array(), "dice", 0.5, labels=labels)
    pairs = labels.items() if isinstance(labels, dict) else [(str(v), v) for v in labels]
    assert list(found) == [name for name, _ in pairs]
    for name, value in pairs:
        assert found[name] == alone(shown, value, metrics="dice", threshold=0.5)


def test_masks_by_name_may_overlap_and_lie_on_their_own_grids(shown):
    large = label_array() > 0
    shifted = AFFINE.copy()
    shifted[:3, 3] += AFFINE[:3, 0]  # a grid that begins one voxel later
    masks = {"all": large, "two": am.Image((label_array() == 2)[None, 1:], shifted)}
    found = am.evaluate(shown, masks)
    assert list(found) == ["all", "two"]
    assert found["all"] == am.evaluate(shown, large)
    assert found["two"] == alone(shown, 2)


def test_labels_on_another_grid(shown):
    """Each voxel as 2 x 2 x 2 of them, on a grid that is larger at one end."""
    fine = label_array().repeat(2, 0).repeat(2, 1).repeat(2, 2)
    fine = np.pad(fine, ((0, 4), (0, 0), (0, 0)))
    affine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    affine[:3, 3] = AFFINE[:3, 3] - AFFINE[:3, :3] @ [0.25, 0.25, 0.25]
    found = am.evaluate(shown, am.Image(fine[None], affine), labels="all")
    assert found == am.evaluate(shown, label_array(), labels="all")


def test_label_elsewhere_is_undefined_and_says_so(shown, caplog):
    labels = np.zeros((1, 20, 12, 10))
    labels[0, 2:5, 2:5, 2:5], labels[0, 16:] = 1, 2
    found = am.evaluate(shown, am.Image(labels, AFFINE), ["dice", "iou"], labels="all")
    assert not found["1"].reasons
    assert all(math.isnan(value) for value in found["2"].values())
    assert set(found["2"].reasons) == {"dice", "iou"}
    assert "lies elsewhere" in found["2"].reasons["dice"]
    assert "for '2'" in caplog.text


def test_label_that_does_not_occur(shown):
    found = am.evaluate(shown, label_array(), "dice", labels={"none": 5})
    assert math.isnan(found["none"]["dice"])
    assert found["none"].voxels == 0


def test_no_label_at_all(shown, caplog):
    assert am.evaluate(shown, np.zeros(SHAPE), labels="all") == {}
    assert "no label besides 0" in caplog.text


def test_files(shown, tmp_path):
    am.write_image(am.Image(label_array()[None], AFFINE), tmp_path / "labels.nii.gz")
    found = am.evaluate(shown, tmp_path / "labels.nii.gz", "recall", labels=[1])
    assert found["1"] == alone(shown, 1, metrics="recall")


@pytest.mark.parametrize(
    ("mask", "labels", "words"),
    [
        (label_array(), "each", "'all', got 'each'"),
        (label_array(), {"a": 0}, "not 0, got 0 for 'a'"),
        (label_array(), [1.5], "whole numbers"),
        (label_array(), [True], "whole numbers"),
        (label_array(), ["1"], "whole numbers"),
        (label_array(), [math.nan], "whole numbers"),
        (label_array(), [math.inf], "whole numbers"),
        (label_array(), 1, "a list of values or 'all', got 1"),
        (label_array(), {"a": 1, "b": 1}, "under one name"),
        (label_array(), {1: 1, "1": 2}, "'1' twice"),
        ({1: label_array(), "1": label_array()}, None, "'1' twice"),
        (label_array() / 2, "all", "whole numbers up to"),
        (np.full(SHAPE, np.nan), "all", "whole numbers up to"),
        (np.full(SHAPE, 1e9), "all", "whole numbers up to"),
        (am.Image(np.ones((2, *SHAPE))), "all", "one channel, got 2"),
        ({"a": label_array()}, "all", "or a dict of masks, got both"),
    ],
)
def test_refusals(shown, mask, labels, words):
    with pytest.raises(am.ImageError, match=words):
        am.evaluate(shown, mask, labels=labels)


def test_scores_are_a_dict_that_can_be_copied_and_sent(shown):
    scores = am.evaluate(shown, np.ones(SHAPE), ["dice", "roc_auc"], 0.5)
    assert isinstance(scores, dict)
    for other in (copy.deepcopy(scores), pickle.loads(pickle.dumps(scores))):
        assert other["dice"] == scores["dice"]
        assert other.reasons == scores.reasons == {"roc_auc": scores.reasons["roc_auc"]}
        assert other.threshold == scores.threshold
        assert other.voxels == scores.voxels == np.prod(SHAPE)


def test_threshold_is_told_where_it_was_needed(shown):
    assert am.evaluate(shown, np.ones(SHAPE), "energy_inside").threshold is None
    peak = float(shown.array.max())
    assert am.evaluate(shown, np.ones(SHAPE), "dice", 0.25).threshold == pytest.approx(peak / 4)
