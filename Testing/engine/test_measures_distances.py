"""Distances between voxels: searched and looked up, against brute force, SimpleITK and MONAI."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_hausdorff_distance,
)
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter

import attention_maps as am
from attention_maps.measures import distances as module
from attention_maps.measures.components import bounding_box, label_components, surface
from attention_maps.measures.distances import VoxelSet, distances

SPACING = (0.7, 1.9, 3.1)
SHAPE = (23, 17, 12)
SURFACES = ["hausdorff_distance", "hausdorff_distance_95", "mean_surface_distance"]


def rotation(seed: int) -> np.ndarray:
    """A rotation that is parallel to nothing."""
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return matrix


def affine_of(kind: str) -> np.ndarray:
    """Straight, oblique or sheared axes of anisotropic spacing."""
    axes = {
        "straight": np.eye(3),
        "flipped": np.diag([-1.0, 1, -1])[[1, 2, 0]],
        "oblique": rotation(1),
        "sheared": rotation(2) @ np.array([[1, 0.5, 0.2], [0, 0.8, 0.4], [0, 0, 0.9]]),
        "flat": rotation(3) @ np.array([[1, 0.9, 0.1], [0, 0.2, 0.5], [0, 0, 0.3]]),
    }[kind]
    affine = np.eye(4)
    affine[:3, :3] = axes * SPACING
    affine[:3, 3] = 31, -7, 12
    return affine


AFFINES = ["straight", "flipped", "oblique", "sheared", "flat"]


def blobs(seed: int, level: float) -> np.ndarray:
    """A few smooth blobs, some at the array's ends."""
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    smooth = gaussian_filter(noise, 2.0)
    return smooth > level * smooth.max()


def case(kind: str) -> tuple[am.Image, np.ndarray]:
    """A map of 0 and 1, and a mask."""
    attended, mask = blobs(1, 0.4), blobs(2, 0.6)
    return am.Image(attended[None].astype(np.float32), affine_of(kind)), mask


def face_surface(region: np.ndarray) -> np.ndarray:
    return region & ~binary_erosion(region)


def brute(grid: am.Grid, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distance of each voxel of one set to the nearest of another, pair by pair."""
    a, b = (grid.to_world(np.argwhere(item)) for item in (first, second))
    return np.linalg.norm(a[:, None] - b[None], axis=-1).min(axis=1)


@pytest.mark.parametrize("level", [0.2, 0.7])
def test_surface_is_what_an_erosion_removes(level):
    for order in ("C", "F"):
        region = np.array(blobs(3, level), order=order)
        found = surface(region)
        assert found.strides == region.strides
        np.testing.assert_array_equal(found, face_surface(region))


@pytest.mark.parametrize("kind", AFFINES)
def test_surface_distances_pair_by_pair(kind):
    image, mask = case(kind)
    edges = face_surface(image.array[0] > 0), face_surface(mask)
    forth, back = brute(image.grid, *edges), brute(image.grid, *edges[::-1])
    expected = {
        "hausdorff_distance": max(forth.max(), back.max()),
        "hausdorff_distance_95": max(np.quantile(forth, 0.95), np.quantile(back, 0.95)),
        "mean_surface_distance": np.concatenate([forth, back]).mean(),
    }
    assert am.evaluate(image, mask, SURFACES, 0.5) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", AFFINES)
def test_peak_and_centroid_pair_by_pair(kind):
    """The nearest voxel of the mask, with or without a face to the outside."""
    image, mask = case(kind)
    generator = np.random.default_rng(4)
    for _ in range(5):
        values = generator.random(SHAPE).astype(np.float32) * ~mask
        shown = am.Image(values[None], image.affine)
        places = shown.grid.to_world(np.argwhere(mask))
        peak = np.unravel_index(values.argmax(), SHAPE)
        weights = values.astype(np.float64)
        center = (np.argwhere(np.ones(SHAPE)) * weights.reshape(-1, 1)).sum(0) / weights.sum()
        inside = mask[tuple(np.rint(center).astype(int))]
        away = [np.linalg.norm(shown.grid.to_world(x) - places, axis=1).min()
                for x in (peak, center)]  # fmt: skip
        found = am.evaluate(shown, mask, ["peak_distance", "centroid_distance"])
        assert found["peak_distance"] == pytest.approx(away[0], rel=1e-6)
        assert found["centroid_distance"] == pytest.approx(0 if inside else away[1], rel=1e-6)


@pytest.mark.parametrize("kind", ["straight", "flipped", "oblique"])
@pytest.mark.parametrize("margins", [None, (), (0, 1, 2, 4)])
def test_search_and_distance_map_agree(kind, margins, monkeypatch):
    """Also where the sets are thick, touch the ends, or are one voxel; in growing boxes, too."""
    monkeypatch.setattr(module, "VOXELS_PER_SEARCH", 0 if margins is None else 1e9)
    monkeypatch.setattr(module, "MARGINS", margins or ())
    shape = (23, 9, 8)
    grid = am.Grid(shape, affine_of(kind))
    single, ends = np.zeros((2, *shape), bool)
    single[4, 8, 0] = ends[0, 0, 0] = ends[:, 8, 7] = True
    sets = [blobs(5, 0.1)[:, :9, :8], blobs(6, 0.5)[:9, :9, :8], single, ends, ~single]
    for first, second in itertools.permutations(sets, 2):
        pair = []
        for item in (first, second):
            box = bounding_box(item)
            pair.append(VoxelSet(item[box], box, grid))
        np.testing.assert_allclose(
            distances(*pair), brute_within(grid, first, second), rtol=1e-6, atol=1e-6
        )


def brute_within(grid: am.Grid, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The same of sets of different shapes, cut from one corner."""
    sets = [np.pad(item, [(0, n - m) for n, m in zip(grid.shape, item.shape, strict=True)])
            for item in (first, second)]  # fmt: skip
    return brute(grid, *sets)


def test_what_is_nearer_beyond_the_first_box_is_found(monkeypatch):
    """One step of 4 mm away lies another voxel; five steps of 0.5 mm away lies a nearer one."""
    monkeypatch.setattr(module, "VOXELS_PER_SEARCH", 1e9)
    grid = am.Grid((64, 64), np.diag([0.5, 4, 1, 1]))
    one, others = np.zeros((2, 64, 64), bool)
    one[32, 32] = others[32, 33] = others[37, 32] = others[0, 0] = others[63, 63] = True
    box = bounding_box(one)
    found = distances(
        VoxelSet(one[box], box, grid), VoxelSet(others, (slice(0, 64), slice(0, 64)), grid)
    )
    assert found == pytest.approx([2.5])


def test_a_line_of_voxels_in_a_distance_map(monkeypatch):
    """Boxes that are one voxel thick."""
    monkeypatch.setattr(module, "VOXELS_PER_SEARCH", 1e9)
    grid = am.Grid((9, 1, 1), affine_of("oblique"))
    box = (slice(0, 1), slice(0, 1), slice(0, 1)), (slice(2, 9), slice(0, 1), slice(0, 1))
    first, second = (VoxelSet(np.ones([s.stop - s.start for s in item], bool), item, grid)
                     for item in box)  # fmt: skip
    np.testing.assert_allclose(distances(second, first), 0.7 * np.arange(2, 9), rtol=1e-6)


def test_exact_far_from_the_first_voxel():
    """A step of 0.3123 mm between 100 and 200 mm, where float32 knows no hundred-thousandths."""
    grid = am.Grid((600, 40, 4), np.diag([0.3123, 0.7, 2, 1]))
    attended, mask = np.zeros((2, *grid.shape), bool)
    attended[350:, :, 1], mask[351:, :, 1], mask[0, 0] = True, True, True
    found = am.evaluate(am.Image(attended[None], grid.affine), mask, SURFACES, 0.5)
    edges = face_surface(attended), face_surface(mask)
    forth, back = brute(grid, *edges), brute(grid, *edges[::-1])
    expected = max(np.quantile(forth, 0.95), np.quantile(back, 0.95))
    assert found["hausdorff_distance_95"] == pytest.approx(expected, rel=1e-12)
    assert found["hausdorff_distance"] == pytest.approx(max(forth.max(), back.max()), rel=1e-12)
    mean = np.concatenate([forth, back]).mean()
    assert found["mean_surface_distance"] == pytest.approx(mean, rel=1e-12)


def test_scipys_distance_map():
    image, mask = case("straight")
    attended = image.array[0] > 0
    edge = face_surface(mask)
    forth = distance_transform_edt(~edge, sampling=SPACING)[face_surface(attended)]
    found = am.evaluate(image, mask, SURFACES, 0.5)
    back = distance_transform_edt(~face_surface(attended), sampling=SPACING)[edge]
    assert found["hausdorff_distance"] == pytest.approx(max(forth.max(), back.max()), rel=1e-6)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI's own call
@pytest.mark.parametrize("seed", range(4))
def test_monai(seed):
    """Its distances are of surfaces by the same definition, here of a right-angled grid."""
    attended, mask = blobs(10 + seed, 0.4), blobs(20 + seed, 0.55)
    image = am.Image(attended[None].astype(np.float32), affine_of("straight"))
    found = am.evaluate(image, mask, SURFACES, 0.5)
    pair = [torch.tensor(item[None, None].astype(np.float32)) for item in (attended, mask)]
    options = {"include_background": True, "spacing": list(SPACING)}
    expected = {
        "hausdorff_distance": compute_hausdorff_distance(*pair, **options),
        "hausdorff_distance_95": compute_hausdorff_distance(*pair, percentile=95, **options),
        "mean_surface_distance": compute_average_surface_distance(*pair, symmetric=True, **options),
    }
    assert found == pytest.approx({name: float(x) for name, x in expected.items()}, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_simpleitk(seed):
    """Its Hausdorff distance is one of all voxels; of the surfaces' voxels it is this one."""
    attended, mask = blobs(30 + seed, 0.4), blobs(40 + seed, 0.5)
    image = am.Image(attended[None].astype(np.float32), affine_of("straight"))
    edges = []
    for item in (attended, mask):
        edge = SimpleITK.GetImageFromArray(face_surface(item).astype(np.uint8))
        edge.SetSpacing(SPACING[::-1])
        edges.append(edge)
    filter_ = SimpleITK.HausdorffDistanceImageFilter()
    filter_.Execute(*edges)
    found = am.evaluate(image, mask, "hausdorff_distance", 0.5)["hausdorff_distance"]
    assert found == pytest.approx(filter_.GetHausdorffDistance(), rel=1e-6)


def test_pictures():
    """Rows 2 mm, columns 3 mm apart: two pixels, 3 rows and 4 columns from each other."""
    array = np.zeros((1, 8, 9), np.float32)
    array[0, 1, 2] = 1
    mask = np.zeros((8, 9))
    mask[4, 6] = 1
    expected = np.hypot(6, 12)
    found = am.evaluate(am.Image(array, np.diag([2.0, 3, 1, 1])), mask)
    for name in [*SURFACES, "peak_distance", "centroid_distance"]:
        assert found[name] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("order", ["C", "F"])
def test_components_hang_together_through_faces(order):
    region = np.array(blobs(7, 0.2), order=order)
    labels, count = label_components(region)
    assert labels.strides == tuple(4 * stride for stride in region.strides)
    expected = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(region.astype(np.uint8)))
    pairs = np.stack([labels.ravel(), SimpleITK.GetArrayFromImage(expected).ravel()])
    assert len(np.unique(pairs, axis=1).T) == count + 1 == expected_count(expected) + 1


def expected_count(labels: SimpleITK.Image) -> int:
    return int(SimpleITK.GetArrayViewFromImage(labels).max())
