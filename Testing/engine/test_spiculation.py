"""A network with known evidence: only spiculations decide, and the maps and tests must show it."""

import numpy as np
import pytest
import torch

import attention_maps as am
from attention_maps.faithfulness.body import blurred, mean_of_tissue
from attention_maps.faithfulness.orders import random_like, steps_of
from attention_maps.faithfulness.removal import removal
from attention_maps.faithfulness.subject import Subject
from attention_maps.faithfulness.thresholds import ALIKE
from attention_maps.progress import Progress
from spiculation import SHAPE, make_scan, train, trained_network, unseen_scans

CONTROLS = 10


@pytest.fixture(scope="module")
def network():
    return trained_network()


def test_classes_differ_in_spiculations_alone():
    for seed in range(3):
        smooth, spiculated = make_scan(seed, 0), make_scan(seed, 1)
        np.testing.assert_array_equal(smooth.lesion, spiculated.lesion)
        assert not smooth.spiculations.any()
        assert spiculated.spiculations.any()
        assert not (spiculated.spiculations & spiculated.lesion).any()
        differs = (smooth.image.array != spiculated.image.array)[0]
        np.testing.assert_array_equal(differs, spiculated.spiculations)


def test_training_is_the_same_every_time():
    first, second = (train(3, steps=4).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_network_tells_unseen_scans_apart(network):
    scans = [scan for label in (0, 1) for scan in unseen_scans(20, label)]
    images = torch.stack([torch.from_numpy(scan.image.array) for scan in scans])
    with torch.no_grad():
        answers = network(images).argmax(1)
    assert (answers == torch.tensor([scan.label for scan in scans])).float().mean() >= 0.95


def ratio(network, scan) -> float:
    """Share of HiResCAM's positive energy in the spiculations over their share of the volume."""
    found = am.explain(network, scan.image, "hires_cam", target=1)
    energy = am.evaluate(found, scan.spiculations, "energy_inside")["energy_inside"]
    return energy / scan.spiculations.mean()


def test_hires_cam_has_its_energy_in_the_spiculations(network):
    ratios = [ratio(network, scan) for scan in unseen_scans(8)]
    assert min(ratios) >= 3
    assert np.mean(ratios) >= 6


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_so_it_does_in_another_network(seed):
    network = trained_network(seed)
    assert min(ratio(network, scan) for scan in unseen_scans(8)) >= 3


def subject_of(network, scan) -> Subject:
    """What the tests of a map get of class 1 of a scan."""
    session = am.Explainer(network, scan.image)
    item = am.methods()["hires_cam"]
    subject = Subject(session.model, session._passes, item, {}, "5")
    subject.question = am.ClassTarget(1).resolve(session.answer())
    return subject


def curves_of_evidence(network, scan, *, insert):
    """Curves of the true evidence, and of random maps as smooth."""
    subject = subject_of(network, scan)
    fractions = np.geomspace(0.01, 0.5, 8)
    truth = scan.spiculations.astype(np.float32)
    maps = [truth, *(random_like(truth, seed) for seed in range(CONTROLS))]
    orders = [steps_of(values, subject.body, fractions, 0) for values in maps]
    baselines = {
        "blurred": blurred(subject.array, subject.spacing, 0.05),
        "tissue mean": mean_of_tissue(subject.array, subject.tissue),
    }
    probe = subject.probe(Progress(None))
    return removal(probe, orders, baselines, fractions, insert=insert)


@pytest.mark.parametrize("number", range(3))
def test_deletion_of_the_true_evidence_beats_every_random_map(network, number):
    found = curves_of_evidence(network, unseen_scans(3)[number], insert=False)
    for baseline in ("blurred", "tissue mean"):
        assert found.usable(baseline)
        truth, *random = found.areas(baseline)
        assert truth < min(random) - 0.1


@pytest.mark.parametrize("number", range(3))
def test_insertion_of_the_true_evidence_beats_every_random_map(network, number):
    found = curves_of_evidence(network, unseen_scans(3)[number], insert=True)
    for baseline in ("blurred", "tissue mean"):
        truth, *random = found.areas(baseline)
        assert truth > max(random) + 0.05


def test_the_body_is_found(network):
    subject = subject_of(network, unseen_scans(1)[0])
    middle = (np.array(SHAPE) - 1) / 2
    at = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    body = (((at - middle) / (0.47 * np.array(SHAPE))) ** 2).sum(-1) < 1
    assert (subject.body == body).mean() > 0.99


def test_grad_cam_is_found_good(network):
    scan = unseen_scans(1)[0]
    report = am.trust(network, scan.image, "grad_cam", target=1, tests=["deletion", "insertion"])
    deletion, insertion = report.findings
    assert deletion.verdict == "passed"
    assert "rests on what the map marks" in deletion.sentence
    assert insertion.verdict != "failed"


@pytest.mark.parametrize("number", range(2))
def test_cascading_randomization_changes_grad_cam_but_not_the_edge_map(network, number):
    scan = unseen_scans(2)[number]
    report = am.trust(network, scan.image, "grad_cam", target=1, tests="randomization")
    finding = report.finding("randomization")
    assert finding.verdict == "passed"
    key = "rank correlation after all layers"
    assert abs(finding.figures[key]) < ALIKE
    assert finding.controls[key] == pytest.approx(1)
    said = finding.sentence
    assert "the map is another one" in said
    assert "edge map of the image, which cannot, stays the same (1.00)" in said
    assert [row["edge map"] for row in finding.rows] == pytest.approx([1, 1, 1])
    assert [row["down to layer"] for row in finding.rows] == ["9", "3", "0"]
