"""The attention in every structure, against SimpleITK's label statistics and by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import SimpleITK

import attention_maps as am

SHAPE = (12, 11, 10)
AFFINE = np.array([[0.9, 0.3, 0, 1], [0, 1.4, 0.5, 2], [0.1, 0, 2.5, 3], [0, 0, 0, 1]])
VOXEL_ML = abs(np.linalg.det(AFFINE[:3, :3])) / 1000


def values(order: str = "C") -> am.Image:
    array = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    return am.Image(np.array(array[None], order=order), AFFINE)


def labels(order: str = "C") -> np.ndarray:
    array = np.random.default_rng(1).choice([0, 0, 0, 1, 2, 9, -4], SHAPE)
    return np.array(array, order=order)


@pytest.mark.parametrize("order", ["C", "F"])
def test_simpleitk(order):
    image = values(order)
    evidence = np.maximum(image.array[0], 0)
    measured = SimpleITK.LabelStatisticsImageFilter()
    measured.Execute(
        SimpleITK.GetImageFromArray(evidence.astype(np.float64)),
        SimpleITK.GetImageFromArray(labels().astype(np.int32)),
    )
    table = am.evidence_table(image, labels())
    assert [row.name for row in table] == ["-4", "1", "2", "9", "outside all"]
    total = sum(measured.GetSum(n) for n in (-4, 0, 1, 2, 9))
    for row, label in zip(table, (-4, 1, 2, 9, 0), strict=True):
        count = measured.GetCount(label)
        share = measured.GetSum(label) / total
        assert row.voxels == count
        assert row.share == pytest.approx(share, rel=1e-6)
        assert row.ml == pytest.approx(count * VOXEL_ML, rel=1e-6)
        assert row.share_per_ml == pytest.approx(share / (count * VOXEL_ML), rel=1e-6)
        assert row.concentration == pytest.approx(share * evidence.size / count, rel=1e-6)
        assert row.mean == pytest.approx(measured.GetMean(label), rel=1e-6)
        assert row.peak == pytest.approx(measured.GetMaximum(label), rel=1e-6)
        assert row.reason == ""
        assert math.isnan(row.mm2)
    assert sum(row.share for row in table) == pytest.approx(1)
    json.dumps(table[0].to_dict())


def test_share_is_the_energy_inside():
    image = values()
    for row in am.evidence_table(image, labels(), {"a": 9, "b": 1})[:-1]:
        inside = labels() == {"a": 9, "b": 1}[row.name]
        assert row.share == pytest.approx(
            am.evaluate(image, inside, "energy_inside")["energy_inside"], rel=1e-6
        )


@pytest.mark.parametrize("order", ["C", "F"])
def test_masks_by_name_say_the_same(order):
    image = values(order)
    masks = {str(n): labels(order) == n for n in (-4, 1, 2, 9)}
    for row, other in zip(
        am.evidence_table(image, masks), am.evidence_table(image, labels()), strict=True
    ):
        assert row.name == other.name
        numbers = [[x for x in r.to_dict().values() if isinstance(x, float)] for r in (row, other)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-6, nan_ok=True)


def test_masks_that_overlap():
    """Shares of both count what lies in both; outside is what lies in neither."""
    array = np.zeros((1, 1, 1, 10), np.float32)
    array[0, 0, 0] = range(10)
    first, second = np.zeros((2, 1, 1, 10))
    first[..., 2:6], second[..., 4:8] = 1, 1
    table = am.evidence_table(am.Image(array), {"first": first, "second": second})
    assert [row.share for row in table] == pytest.approx([14 / 45, 22 / 45, 18 / 45])
    assert [row.peak for row in table] == [5, 7, 9]


def test_labels_that_are_not_asked_are_outside():
    table = am.evidence_table(values(), labels(), [1])
    expected = am.evidence_table(values(), {"1": labels() == 1})
    assert [row.share for row in table] == pytest.approx([row.share for row in expected])


def test_label_that_does_not_lie_in_the_map():
    row, outside = am.evidence_table(values(), labels(), {"far": 77})
    assert (row.voxels, row.ml, row.share) == (0, 0, 0)
    assert math.isnan(row.share_per_ml)
    assert math.isnan(row.mean)
    assert "no voxel" in row.reason
    assert outside.share == pytest.approx(1)


def test_segmentation_that_covers_everything():
    table = am.evidence_table(values(), np.ones(SHAPE))
    assert [row.share for row in table] == pytest.approx([1, 0])
    assert table[-1].voxels == 0
    assert table[-1].reason == ""


def test_map_without_evidence():
    rows = am.evidence_table(am.Image(-np.ones((1, *SHAPE)), AFFINE), labels())
    assert all(math.isnan(row.share) and math.isnan(row.share_per_ml) for row in rows)
    assert all("no positive value" in row.reason for row in rows)
    assert [row.voxels for row in rows] == [row.voxels for row in am.evidence_table(
        values(), labels())]  # fmt: skip


def test_sign():
    image = values()
    against = am.evidence_table(image, labels(), sign="negative")
    flipped = am.evidence_table(am.Image(-image.array, AFFINE), labels())
    assert [row.share for row in against] == [row.share for row in flipped]


def test_pictures_have_an_area():
    array = np.zeros((1, 4, 5), np.float32)
    array[0, 1, 1], array[0, 2, 2] = 3, 1
    mask = np.zeros((4, 5))
    mask[1, 1:3] = 1
    row, _ = am.evidence_table(am.Image(array, np.diag([2.0, 3, 1, 1])), mask)
    assert (row.share, row.mm2, row.share_per_mm2) == pytest.approx((0.75, 12, 0.0625))
    assert math.isnan(row.ml)


def test_label_map_on_another_grid():
    """One that covers the upper half of the map's first axis, with voxels twice as long."""
    coarse = np.ones((1, 3, *SHAPE[1:]))
    step = np.diag([2.0, 1, 1, 1])
    step[0, 3] = 6.5
    table = am.evidence_table(values(), am.Image(coarse, AFFINE @ step))
    upper = np.zeros(SHAPE)
    upper[6:] = 1
    assert table == am.evidence_table(values(), upper)
