"""The shipped specification of the demonstration network against deepbet's own first stage.

Fisch et al., deepbet, Computers in Biology and Medicine 179, 2024; package deepbet 1.0.2.
"""

import nibabel as nib
import numpy as np
import pytest

from attention_maps.preprocessing import prepare
from attention_maps.resampling import resample
from attention_maps.sample_data import find
from attention_maps.spec_sources import shipped_spec
from attention_maps.types import Grid, Image

SPEC = shipped_spec("deepbet_bbox")
SIZE = 128


def sample(name):
    try:
        return find(name)
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def scan():
    """A T1-weighted head as nibabel reads it; its first axis points left."""
    return nib.load(sample("T1.nii.gz"))


@pytest.fixture(scope="module")
def head(scan):
    return Image(scan.get_fdata(dtype=np.float32)[None], scan.affine)


@pytest.fixture(scope="module")
def network():
    """(1, 1, 128, 128, 128) float32 array -> (2, 128, 128, 128) probabilities."""
    torch = pytest.importorskip("torch")
    module = torch.jit.load(sample("bbox_model.pt"), map_location="cpu").eval()

    def run(array):
        with torch.no_grad():
            return module(torch.from_numpy(array)[None])[0].numpy()

    return run


@pytest.fixture(scope="module")
def answer(head, network):
    """Probabilities, and the grid that they lie on."""
    ready = prepare(head, SPEC)
    return network(ready.array), ready.grid


def published_input(scan):
    """What deepbet gives its first network, step by step in numpy, (1, 128, 128, 128)."""
    voxels = nib.as_closest_canonical(scan).get_fdata(dtype=np.float32)
    for axis, size in enumerate(voxels.shape):
        centers = (np.arange(SIZE) + 0.5) * size / SIZE
        voxels = voxels.take(np.floor(centers).astype(int), axis=axis)
    low, high = np.quantile(voxels.astype(np.float64), [0.005, 0.995])
    scaled = np.clip((voxels - low) / (high - low), 0, 1)
    standard = (scaled - scaled.mean()) / scaled.std(ddof=1)
    return (0.226 * standard + 0.449).astype(np.float32)[None]


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def brain_on(probabilities, grid, target):
    """The brain mask on another grid."""
    brain = probabilities[SPEC.class_names.index("brain")][None] > 0.5
    return resample(brain, grid, target, interpolation="nearest", outside=0.0)[0] > 0.5


def test_input_and_mask_are_those_of_the_published_pipeline(scan, head, network, answer):
    reference = published_input(scan)
    np.testing.assert_allclose(prepare(head, SPEC).array, reference, atol=1e-5)
    expected = network(reference)
    probabilities, _ = answer
    np.testing.assert_allclose(probabilities, expected, atol=1e-3)
    assert dice(probabilities[1] > 0.5, expected[1] > 0.5) >= 0.99


def test_answer_is_as_the_specification_says(answer):
    probabilities, _ = answer
    assert len(probabilities) == len(SPEC.class_names)
    assert SPEC.output_is == "probabilities"
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    assert probabilities[SPEC.background, 0, 0, 0] > 0.99


def test_mask_is_a_brain_in_the_middle_of_the_head(head, answer):
    mask = brain_on(*answer, head.grid)
    liters = mask.sum() * np.prod(head.grid.spacing) / 1e6
    assert 1.0 < liters < 2.2
    center = head.grid.to_world(np.argwhere(mask)).mean(axis=0)
    assert np.abs(center - (0, -20, 10)).max() < 25  # the scan is near MNI space


@pytest.mark.parametrize("stored", ["RAS", "LPS", "SRP"])
def test_file_in_another_orientation_has_its_mask_in_the_same_place(
    stored, scan, head, network, answer
):
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(scan.affine), nib.orientations.axcodes2ornt(stored)
    )
    other = scan.as_reoriented(turn)
    assert "".join(nib.aff2axcodes(other.affine)) == stored
    ready = prepare(Image(other.get_fdata(dtype=np.float32)[None], other.affine), SPEC)
    mask = brain_on(network(ready.array), ready.grid, head.grid)
    assert dice(mask, brain_on(*answer, head.grid)) > 0.999


def test_oblique_scan_has_its_mask_in_the_same_place(head, network, answer):
    angle = np.deg2rad(15)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    center = np.append(head.grid.to_world((np.array(head.grid.shape) - 1) / 2), 1)
    turn[:3, 3] = (center - turn @ center)[:3]
    oblique = Grid(head.grid.shape, turn @ head.affine)
    scanned = Image(resample(head.array, head.grid, oblique, outside=0.0), oblique.affine)
    ready = prepare(scanned, SPEC)
    mask = brain_on(network(ready.array), ready.grid, head.grid)
    assert dice(mask, brain_on(*answer, head.grid)) > 0.95
