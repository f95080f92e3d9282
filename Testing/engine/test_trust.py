"""Can a map be trusted: every test against an independent computation, on every kind of model."""

import copy
import json
import math
import re
from dataclasses import replace

import captum.metrics
import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import attention_maps as am
from attention_maps.errors import MethodError
from attention_maps.faithfulness import body, thresholds
from attention_maps.faithfulness.orders import random_like, steps_of
from attention_maps.models.eager import EagerNetwork
from attention_maps.registry import find_trust_test, trust_test, trust_tests
from attention_maps.resampling import mask_on_grid
from documents import ROOT
from networks import TinyClassifier, TinyUNet, as_torchscript, through_file
from networks import seeded as seeded_network
from tiny_networks import FlatClassifier, PooledClassifier, SmallUNet, picture, seeded

NAMES = [
    "deletion", "insertion", "randomization", "noise_sensitivity", "residual", "method_agreement",
    "layer_agreement",
]  # fmt: skip
VERDICTS = {"passed", "failed", "note", "not tested"}
SHAPE = (10, 12, 11)
PATCHES = {"patch_size": [8, 8, 8], "sliding_window": {"overlap": 0.5}}


@pytest.fixture(scope="module")
def image():
    return am.Image(picture(3, shape=SHAPE), np.diag([2.0, 1.0, 1.5, 1.0]))


def inside_of(image) -> np.ndarray:
    return body.filled(body.tissue_of(image.array))


def spearman(first, second, inside) -> float:
    return stats.spearmanr(first[inside], second[inside]).statistic


def shown_by(maps, inside) -> np.ndarray:
    """Voxels that are not zero in all maps."""
    return inside & np.any([values != 0 for values in maps], axis=0)


def test_all_tests_are_registered_in_order():
    assert list(am.trust_tests()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_test_describes_itself(name):
    item = find_trust_test(name)
    assert item.label
    assert item.description.endswith("?")
    assert "arXiv:" in item.reference
    for option in item.options.values():
        assert option.help
        assert option.checked(option.default) == option.default


def test_options_of_tests_are_not_those_of_methods():
    of_tests = {option for item in am.trust_tests().values() for option in item.options}
    of_methods = {option for item in am.methods().values() for option in item.options}
    assert not of_tests & of_methods


# --- values ---------------------------------------------------------------------------------------


def reinitialized(network, names, seed=0):
    """A copy whose layers were drawn anew, one after the other."""
    changed = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in names:
            part = changed.get_submodule(name)
            weight = torch.empty(part.weight.shape)
            nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
            part.weight.copy_(weight)
            part.bias.zero_()
    return changed


@pytest.mark.parametrize(
    "method", ["grad_cam", "hires_cam", "saliency", "smooth_grad", "occlusion"]
)
def test_the_cascade_is_that_of_networks_drawn_anew(image, method):
    network = seeded(FlatClassifier(3))
    network.head = seeded(nn.Linear(5 * 5 * 6 * 6, 3), 3)
    report = am.trust(network, image, method, target=2, tests="randomization", seed=5)
    finding = report.findings[0]
    layers = ["head", "second", "first"]
    assert [row["down to layer"] for row in finding.rows] == layers
    original = report.map.raw
    mask = am.Image(inside_of(image)[None].astype(np.float32), image.affine)
    inside = mask_on_grid(mask, original.grid)
    changed = [reinitialized(network, layers[:count], seed=5) for count in (1, 2, 3)]
    others = [am.explain(item, image, method, target=2).raw.array[0] for item in changed]
    own = original.array[0]
    inside = shown_by([own, *others], inside)
    for count, (row, other) in enumerate(zip(finding.rows, others, strict=True), start=1):
        expected = spearman(own, other, inside)
        assert row["rank correlation"] == pytest.approx(expected, abs=1e-6, nan_ok=True)
        sizes = spearman(np.abs(own), np.abs(other), inside)
        assert row["of absolute values"] == pytest.approx(sizes, abs=1e-6, nan_ok=True)
        assert row["edge map"] == pytest.approx(1)
        assert row["layers"] == count


def test_the_cascade_over_windows_and_several_networks(image):
    networks = [seeded(SmallUNet(3), number) for number in range(2)]
    model = am.load_model(networks[0], PATCHES)
    model = replace(model, members=tuple(EagerNetwork(item) for item in networks))
    target = am.RegionTarget(1, image.array[0] > 1)
    report = am.trust(model, image, "hires_cam", target=target, tests="randomization", blocks=5)
    layers = ["out", "merge", "up", "down", "enc"]
    assert [row["down to layer"] for row in report.findings[0].rows] == layers
    others = []
    for count in range(1, 6):
        changed = [reinitialized(net, layers[:count], seed) for seed, net in enumerate(networks)]
        other = replace(model, members=tuple(EagerNetwork(item) for item in changed))
        others.append(am.explain(other, image, "hires_cam", "act3", target).raw.array[0])
    own = report.map.raw.array[0]
    inside = shown_by([own, *others], inside_of(image))
    for row, other in zip(report.findings[0].rows, others, strict=True):
        expected = spearman(own, other, inside)
        assert row["rank correlation"] == pytest.approx(expected, abs=1e-5)


def test_layers_of_a_network_with_normalization_come_in_blocks(image):
    network = seeded_network(lambda: TinyClassifier(3))
    report = am.trust(network, image, target=1, tests="randomization", blocks=2)
    assert [row["down to layer"] for row in report.findings[0].rows] == ["features.3", "features.0"]
    assert [row["layers"] for row in report.findings[0].rows] == [2, 3]


@pytest.mark.parametrize("insert", [False, True])
@pytest.mark.parametrize("kind", ["classifier", "segmentation", "windows"])
def test_curves_are_those_of_images_made_by_hand(image, insert, kind):
    if kind == "classifier":
        model, target = am.load_model(seeded(FlatClassifier(3)), None), 2
        model.network.module.head = seeded(nn.Linear(5 * 5 * 6 * 6, 3), 3)
    else:
        model = am.load_model(seeded(SmallUNet(3)), PATCHES if kind == "windows" else None)
        target = am.RegionTarget(1, np.arange(np.prod(SHAPE)).reshape(SHAPE) < 700)
    test = "insertion" if insert else "deletion"
    report = am.trust(
        model, image, "input_x_gradient", target=target, tests=test, seed=3, removal_steps=3,
        controls=2, blur=0.1,
    )  # fmt: skip
    finding = report.findings[0]
    values, inside = report.map.raw.array[0], inside_of(image)
    session = am.Explainer(model, image)
    question = (target if kind != "classifier" else am.ClassTarget(target)).resolve(
        session.answer()
    )
    if kind == "windows":  # voxels that no window of the question meets do not matter
        inside = inside & reach_by_hand(session, question)
    fractions = np.geomspace(0.01, 0.5, 3)
    orders = [steps_of(m, inside, fractions, 3)
              for m in (values, random_like(values, 4), random_like(values, 5))]  # fmt: skip
    baselines = {
        "blurred": body.blurred(image.array, (2, 1, 1.5), 0.1),
        "tissue mean": body.mean_of_tissue(image.array, body.tissue_of(image.array)),
    }

    def score(array):
        other = am.Explainer(model, am.Image(array, image.affine))
        return float(question.score(other.answer().logits)[0])

    full = score(image.array)
    assert finding.figures["score"] == pytest.approx(full, rel=1e-4)
    for name, filling in baselines.items():
        empty = score(np.where(inside, filling, image.array))
        assert finding.figures[f"score, {name}"] == pytest.approx(empty, rel=1e-4)
        areas = [row["area"] for row in finding.rows if row["baseline"] == name]
        if full - empty <= thresholds.LEAST_DROP * max(abs(full), abs(empty)):
            assert areas == []
            continue
        for order, area in zip(orders, areas, strict=True):
            scores = []
            for number in range(3):
                taken = order <= number
                here = (inside & ~taken) if insert else taken
                scores.append(score(np.where(here, filling, image.array)))
            ends = [empty, *scores, full] if insert else [full, *scores, empty]
            curve = (np.array(ends) - empty) / (full - empty)
            expected = np.trapezoid(curve, [0, *fractions, 1])
            assert area == pytest.approx(expected, rel=2e-3, abs=2e-3)
    if finding.verdict != "not tested":
        assert {curve.name.partition(",")[0] for curve in finding.curves} == {
            "map", "random map 1", "random map 2"
        }  # fmt: skip


def reach_by_hand(session, question):
    """Voxels in windows in which something is asked."""
    seen = np.zeros(SHAPE, dtype=bool)
    asked = question.terms[0].where.numpy()
    for start in session._passes.plan.starts:
        window = tuple(slice(at, at + 8) for at in start)
        seen[window] |= asked[window].any()
    return seen


@pytest.mark.parametrize("method", ["saliency", "hires_cam"])
def test_sensitivity_to_noise_is_captums(image, method):
    network = seeded(PooledClassifier(3))
    report = am.trust(
        network, image, method, target=1, tests="noise_sensitivity", noise_level=0.1,
        noise_samples=4, seed=2,
    )  # fmt: skip
    finding = report.findings[0]
    low, high = np.percentile(image.array, (0.5, 99.5))
    noisy = []
    for number in range(4):
        noise = torch.rand((1, 1, *SHAPE), generator=torch.Generator().manual_seed(2 + number))
        noisy.append(torch.from_numpy(image.array)[None] + 0.1 * (high - low) * (2 * noise - 1))
    queue = iter(noisy)

    def explained(inputs):
        inputs = inputs[0] if isinstance(inputs, tuple) else inputs
        maps = [
            am.explain(network, am.Image(row, image.affine), method, target=1) for row in inputs
        ]
        return torch.stack([torch.from_numpy(item.raw.array) for item in maps])

    found = captum.metrics.sensitivity_max(
        explained, torch.from_numpy(image.array)[None], lambda inputs: next(queue),
        n_perturb_samples=4, max_examples_per_batch=1,
    )  # fmt: skip
    assert finding.figures["max sensitivity"] == pytest.approx(float(found), rel=1e-4)
    with torch.no_grad():
        scores = [float(network(item)[0, 1]) for item in noisy]
    change = max(abs(score - report.map.score) for score in scores) / abs(report.map.score)
    assert finding.figures["largest relative change of the score"] == pytest.approx(
        change, rel=1e-3
    )


@pytest.mark.parametrize(("steps", "verdict"), [(2, None), (64, "passed")])
def test_residual_of_integrated_gradients(image, steps, verdict):
    network = seeded(FlatClassifier(3))
    network.head = seeded(nn.Linear(5 * 5 * 6 * 6, 3), 3)
    report = am.trust(
        network, image, "integrated_gradients", target=1, tests="residual", steps=steps,
        max_steps=steps, tolerance=0.0, baseline=0.5,
    )  # fmt: skip
    finding = report.findings[0]
    with torch.no_grad():
        full = network(torch.from_numpy(image.array)[None])[0, 1]
        none = network(torch.full((1, 1, *SHAPE), 0.5))[0, 1]
    change = float(full - none)
    expected = abs(report.map.raw.array.sum() - change) / abs(change)
    assert finding.figures["residual"] == pytest.approx(expected, abs=1e-4)
    limit = {"passed": thresholds.COMPLETE, "note": thresholds.INCOMPLETE, "failed": math.inf}
    assert finding.figures["residual"] <= limit[finding.verdict]
    assert verdict in (None, finding.verdict)


def test_agreement_is_that_of_the_maps(image):
    network = seeded(SmallUNet(3))
    tests = ["method_agreement", "layer_agreement"]
    report = am.trust(
        network, image, "hires_cam", "act3", 1, tests=tests, hottest=0.1, other_layers=3
    )
    inside = inside_of(image)
    own = np.maximum(report.map.image.array[0], 0)
    methods, layers = report.findings
    assert [row["method"] for row in methods.rows] == ["grad_cam", "layer_cam", "x_grad_cam"]
    assert len(layers.rows) == 3
    assert "act3" not in [row["layer"] for row in layers.rows]
    for row in (*methods.rows, *layers.rows):
        other = am.explain(network, image, row["method"], row["layer"], 1).image.array[0]
        other = np.maximum(other, 0)
        expected = spearman(own, other, inside)
        assert row["rank correlation"] == pytest.approx(expected, abs=1e-5, nan_ok=True)
    row = methods.rows[0]
    other = np.maximum(am.explain(network, image, "grad_cam", "act3", 1).image.array[0], 0)[inside]
    count = round(0.1 * inside.sum())
    hottest = [set(np.argsort(values)[-count:]) for values in (own[inside], other)]
    expected = len(hottest[0] & hottest[1]) / count
    assert row["overlap of the hottest"] == pytest.approx(expected)


# --- verdicts -------------------------------------------------------------------------------------


class Wide(nn.Module):
    """Many filters, of which guided backpropagation restores the picture (Nie et al., 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv3d(1, 64, 3, padding=1), nn.ReLU(), nn.Conv3d(64, 64, 3, padding=1), nn.ReLU()
        )
        self.head = nn.Linear(64, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).flatten(2).mean(2))


@pytest.mark.parametrize("method", ["guided_backprop", "saliency"])
def test_guided_backpropagation_fails_where_it_shows_the_picture(image, method):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = Wide().eval()
    report = am.trust(network, image, method, target=1, tests="randomization")
    finding = report.findings[0]
    after = finding.figures["rank correlation after all layers"]
    if method == "saliency":
        assert finding.verdict == "passed"
        assert abs(after) < 0.3
        assert report.remark == ""
        return
    assert finding.verdict == "failed"
    assert after > thresholds.ALIKE
    assert "it does not depend on what the network learnt" in finding.sentence
    assert "The edge map of the image stays the same, too (1.00)" in finding.sentence
    assert "sanity checks" in report.remark
    assert report.to_dict()["remark"] == report.remark


def test_images_without_edges_are_no_control():
    even = am.Image(np.ones((1, *SHAPE)), np.eye(4))
    report = am.trust(seeded(SmallUNet(3), 1), even, "hires_cam", target=1, tests="randomization")
    (finding,) = report.findings
    assert finding.verdict != "not tested"
    assert "The image has no edges" in finding.sentence
    assert "nan" not in finding.sentence


def test_a_map_that_does_not_ask_the_head_is_unchanged(image):
    report = am.trust(seeded(SmallUNet(3)), image, "eigen_cam", tests="randomization")
    finding = report.findings[0]
    assert finding.verdict == "failed"
    assert "After randomizing the last block (out) the map is unchanged (rank correlation 1.00): " \
        "it does not depend on what the network learnt there." in finding.sentence  # fmt: skip


def test_what_the_question_rules_out_does_not_count(image):
    """In front of the last convolution of kernel 1, every map is zero outside of the region."""
    region = np.zeros(SHAPE)
    region[2:7, 3:9, 2:9] = 1
    target = am.RegionTarget(1, region)
    report = am.trust(seeded(SmallUNet(3)), image, "hires_cam", "act3", target,
                      tests="randomization")  # fmt: skip
    assert not report.map.raw.array[0][region == 0].any()
    everywhere = [row["rank correlation"] for row in report.findings[0].rows]
    assert max(everywhere) < 0.9
    point = am.PointTarget(1, ras=(4.0, 3.0, 3.0))
    report = am.trust(seeded(SmallUNet(3)), image, "hires_cam", "act3", point,
                      tests="randomization")  # fmt: skip
    assert report.findings[0].verdict == "not tested"
    assert "less than 8 voxels" in report.findings[0].reason


def test_random_networks_that_overflow_are_not_judged(image, monkeypatch):
    monkeypatch.setattr("attention_maps.faithfulness.randomization.initialize", explode)
    network = seeded(SmallUNet(3))
    before = bits(network.state_dict)
    finding = am.trust(network, image, "hires_cam", tests="randomization").findings[0]
    assert finding.verdict == "not tested"
    assert "NaN or Inf after out" in finding.reason
    assert bits(network.state_dict) == before


def explode(stage, tensors, generator):
    for name in stage.tensors:
        tensors[name].fill_(torch.inf)


def test_a_map_of_zeros_is_not_tested(image):
    class Silent(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv3d(1, 2, 3, padding=1)

        def forward(self, x):
            return self.conv(x).relu().mul(0).mean((2, 3, 4))

    report = am.trust(Silent(), image)
    assert {item.verdict for item in report.findings} == {"not tested"}
    assert all("zero everywhere" in item.reason for item in report.findings)
    assert [item.test for item in report.findings] == NAMES


def test_a_users_own_question(image):
    def edge_of_class_one(logits):
        return logits[:, 1].flatten(1).logsumexp(1)

    for spec in (None, PATCHES):
        model = am.load_model(seeded(SmallUNet(3)), spec)
        report = am.trust(model, image, "hires_cam", target=edge_of_class_one)
        assert report.map.target == "edge_of_class_one"
        verdicts = {item.test: item.verdict for item in report.findings}
        assert verdicts.pop("residual") == "not tested"
        assert set(verdicts.values()) <= VERDICTS
        assert verdicts["randomization"] != "not tested"


# --- every kind of model --------------------------------------------------------------------------


def model_of_kind(kind, tmp_path, image):
    """A model, and the tensors that must be as before."""
    network = seeded_network(lambda: TinyUNet(3))
    inputs = torch.from_numpy(image.array)[None]
    if kind == "eager":
        return am.load_model(network), network.state_dict
    if kind in ("traced", "scripted"):
        script = through_file(as_torchscript(network, inputs, kind), tmp_path)
        return am.load_model(script), script.state_dict
    if kind == "pt2":
        torch.export.save(torch.export.export(network, (inputs,)), tmp_path / "model.pt2")
        model = am.load_model(tmp_path / "model.pt2", trust=True)
        return model, model.network.module.state_dict
    if kind == "windows":
        return am.load_model(network, PATCHES), network.state_dict
    if kind == "folds":
        other = seeded(TinyUNet(3), 7)
        model = am.load_model(network, PATCHES)
        both = nn.ModuleList([network, other])
        members = (EagerNetwork(network), EagerNetwork(other))
        return replace(model, members=members), both.state_dict
    pictures = seeded_network(lambda: TinyUNet(2))
    return am.load_model(pictures, {"slices": {}}), pictures.state_dict


KINDS = ["eager", "traced", "scripted", "pt2", "windows", "folds", "slices"]


def bits(state):
    return {name: tensor.clone().numpy().tobytes() for name, tensor in state().items()}


@pytest.fixture
def even():
    """Sizes that the networks take."""
    return am.Image(picture(3, shape=(8, 12, 8)), np.diag([2.0, 1.0, 1.5, 1.0]))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_tested_and_put_back(kind, even, tmp_path):
    model, state = model_of_kind(kind, tmp_path, even)
    before = bits(state)
    session = am.Explainer(model, even)
    first = session.explain("hires_cam")
    shares = []

    def progress(share, _):
        shares.append(share)

    report = session.trust("hires_cam", progress=progress)
    assert bits(state) == before
    assert shares == sorted(shares)
    assert shares[-1] == 1
    verdicts = {item.test: item.verdict for item in report.findings}
    assert verdicts["randomization"] in ("passed", "failed", "note")
    assert verdicts["noise_sensitivity"] in ("passed", "failed", "note")
    assert verdicts["method_agreement"] in ("passed", "note")
    again = session.explain("hires_cam")
    np.testing.assert_array_equal(first.raw.array, again.raw.array)
    fresh = am.Explainer(model, even).explain("hires_cam")
    np.testing.assert_array_equal(first.raw.array, fresh.raw.array)
    same = session.trust("hires_cam", tests=["randomization", "noise_sensitivity"])
    for item in same.findings:
        assert item.to_dict() == report.finding(item.test).to_dict()


def test_kinds_give_the_same_report(even, tmp_path):
    reports = []
    for kind in ("eager", "traced", "pt2"):
        model, _ = model_of_kind(kind, tmp_path, even)
        reports.append(am.trust(model, even, target=1, tests=["randomization", "deletion"]))
    for report in reports[1:]:
        for one, other in zip(reports[0].findings, report.findings, strict=True):
            assert other.verdict == one.verdict
            assert other.figures == pytest.approx(one.figures, abs=1e-5, nan_ok=True)


def test_a_frozen_program_has_no_weights_to_change(even, tmp_path):
    network = seeded_network(lambda: TinyUNet(3))
    frozen = as_torchscript(network, torch.from_numpy(even.array)[None], "frozen traced")
    report = am.trust(through_file(frozen, tmp_path), even, target=1)
    finding = report.finding("randomization")
    assert finding.verdict == "not tested"
    assert "constants of a frozen program" in finding.reason
    assert report.finding("noise_sensitivity").verdict != "not tested"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["cancelled", "failed"])
def test_weights_come_back_whatever_ends_the_test(kind, ending, even, tmp_path, monkeypatch):
    model, state = model_of_kind(kind, tmp_path, even)
    before = bits(state)
    changed = []

    def interrupt(*arguments):
        changed.append(bits(state) != before)
        if ending == "failed" and changed[-1]:
            raise ZeroDivisionError
        return not changed[-1]

    expected = {"cancelled": am.Cancelled, "failed": ZeroDivisionError}[ending]
    with pytest.raises(expected):
        am.trust(model, even, tests="randomization", progress=interrupt)
    assert changed[-1]  # it was in the middle of it
    assert bits(state) == before


def test_it_works_in_inference_mode(even):
    network = seeded(TinyUNet(3))
    before = bits(network.state_dict)
    expected = am.trust(network, even, tests="randomization").findings[0].figures
    with torch.inference_mode():
        found = am.trust(network, even, tests="randomization").findings[0].figures
    assert found == expected
    assert bits(network.state_dict) == before
    network(torch.from_numpy(even.array)[None]).sum().backward()


def test_the_module_is_left_as_it_was(even):
    network = seeded(TinyUNet(3)).train()
    network.encoder[0].weight.requires_grad_(False)
    inputs = torch.from_numpy(even.array)[None]
    pending = network(inputs).sum()  # somebody else's graph
    expected = torch.autograd.grad(network(inputs).sum(), network.head.weight)[0]
    flags = [p.requires_grad for p in network.parameters()]
    am.trust(network, even, target=1, tests=["randomization", "deletion", "noise_sensitivity"])
    assert network.training
    assert [p.requires_grad for p in network.parameters()] == flags
    assert all(p.grad is None for p in network.parameters())
    found = torch.autograd.grad(pending, network.head.weight)[0]
    torch.testing.assert_close(found, expected)


# --- the call -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tests": "deleton"}, "closest: deletion"),
        ({"tests": []}, "at least one test"),
        ({"method": ["grad_cam", "hires_cam"]}, "one method and one layer"),
        ({"layer": "all"}, "one method and one layer"),
        ({"target": [0, 1]}, "one question, got 2"),
        ({"seed": -1}, "seed"),
        ({"blocks": -1}, "'blocks'"),
        ({"bloks": 1}, "'bloks' is not known"),
        ({"tests": "deletion", "blocks": 1}, "'blocks' is not known"),
    ],
)
def test_wrong_calls_say_so(image, arguments, message):
    with pytest.raises(MethodError, match=message):
        am.trust(seeded(PooledClassifier(3)), image, **arguments)


def test_passes_are_counted_before(image):
    session = am.Explainer(seeded(SmallUNet(3)), image)
    counted = session.trust_passes("hires_cam")
    assert list(counted) == NAMES
    # image and baselines, then 8 steps of 6 maps on both
    assert counted["deletion"] == 1 + 2 * (1 + 6 * 8)
    assert counted["randomization"] == 5 * (3 + 1)
    assert counted["noise_sensitivity"] == 5 * (3 + 1)
    assert session.trust_passes(tests="deletion", removal_steps=20, controls=1) == {
        "deletion": 1 + 2 * (1 + 2 * 20)
    }
    windows = am.Explainer(am.load_model(seeded(SmallUNet(3)), PATCHES), image).trust_passes()
    assert windows["deletion"] == 1 + 2 * (1 + 4 * 4)
    assert windows["randomization"] == 3 * (3 + 1)
    report = session.trust("hires_cam")
    assert report.provenance["trust"]["passes"] == counted


def test_reports_are_plain_values(image, tmp_path):
    report = am.trust(seeded(SmallUNet(3)), image, tests=["deletion", "layer_agreement"], seed=4)
    given = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [item["test"] for item in given["findings"]] == ["deletion", "layer_agreement"]
    tested = given["provenance"]["trust"]
    assert tested["seed"] == 4
    assert tested["tests"]["deletion"]["blur"] == 0.05
    assert tested["thresholds"]["alike"] == thresholds.ALIKE
    report.save(tmp_path / "trust.json")
    assert json.loads((tmp_path / "trust.json").read_text()) == given
    assert report.finding("deletion") is report.findings[0]
    with pytest.raises(KeyError, match="only: deletion, layer_agreement"):
        report.finding("insertion")
    assert "deletion" in repr(report)


@pytest.mark.parametrize("ending", ["html", "xlsx", "csv"])
def test_reports_are_written(image, tmp_path, ending):
    report = am.trust(
        seeded(SmallUNet(3)), image, "guided_backprop", tests=["deletion", "residual"]
    )
    path = report.save(tmp_path / f"trust.{ending}")
    assert path.stat().st_size > 0
    if ending == "html":
        text = path.read_text(encoding="utf-8")
        assert "Completeness" in text
        assert "sanity checks" in text


def test_a_new_test_is_one_function(image, monkeypatch):
    from attention_maps import registry

    monkeypatch.setattr(registry, "_TRUST_TESTS", dict(trust_tests()))

    @trust_test("size", "Size", passes=lambda subject: 1, reference="none")
    def size(subject):
        """Is the map large?"""
        return am.Finding(
            "size", "Size", "note", "It is.", {"sum": float(subject.map.raw.array.sum())}
        )

    report = am.trust(seeded(PooledClassifier(3)), image, tests="size")
    assert report.findings[0].figures["sum"] == pytest.approx(float(report.map.raw.array.sum()))


def test_the_page_on_trust_names_tests_options_and_limits():
    text = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", text, re.MULTILINE))
    options = {name: option for item in am.trust_tests().values()
               for name, option in item.options.items()}  # fmt: skip
    assert set(listed) == {*NAMES, *options}
    for name, option in options.items():
        row = re.search(rf"^\| `{name}` \| .+? \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
        if option.default == 0:  # 0 for 8, or 4 over windows
            said = re.search(r"0 for (\d+), or (\d+) over windows", option.help)
            assert row.groups() == said.groups()
        else:
            assert [float(value) for value in row.groups()] == [option.default] * 2
    limits = [value for name, value in vars(thresholds).items() if name.isupper()]
    for value in limits:
        assert f"{value:g}" in text or f"{100 * value:g} %" in text
