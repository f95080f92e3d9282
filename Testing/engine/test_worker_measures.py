"""What the worker measures equals what one process measures."""

import json
import math

import numpy as np
import pytest

import attention_maps as am
from attention_maps.sweep_table import Sweep
from attention_maps.worker.client import WorkerClient
from attention_maps.worker.reporting import KeptCase, KeptMap
from worker_models import write_models

AFFINE = np.array(
    [[0.8, -0.9, 0.2, -20.0], [0.6, 1.2, -0.3, 15.0], [0.1, 0.3, 2.4, -8.0], [0, 0, 0, 1.0]]
)


@pytest.fixture(scope="module")
def client():
    with WorkerClient(environment={"OMP_NUM_THREADS": "1"}) as client:
        yield client


@pytest.fixture(scope="module")
def shown() -> am.Image:
    rng = np.random.default_rng(0)
    return am.Image(rng.normal(size=(1, 9, 8, 7)).astype(np.float32) ** 3, AFFINE)


@pytest.fixture(scope="module")
def masks() -> dict[str, am.Image]:
    first, second = np.zeros((2, 1, 9, 8, 7), dtype=np.float32)
    first[0, 1:5, 2:6, 1:4] = 1
    second[0, 4:8, 3:7, 2:6] = 1
    return {"tumour": am.Image(first, AFFINE), "edema": am.Image(second, AFFINE)}


@pytest.mark.parametrize("threshold", ["otsu", 0.3, "quantile:0.9+largest", "value:0.5"])
def test_metrics_with_options_and_reasons(client, shown, masks, threshold):
    found = client.wait(
        client.evaluate(shown, masks["tumour"], None, threshold, options={"tolerance": 3.0})
    )
    expected = am.evaluate(shown, masks["tumour"], None, threshold, tolerance=3.0)
    assert dict(found) == pytest.approx(dict(expected), nan_ok=True)
    assert (found.reasons, found.threshold) == (expected.reasons, expected.threshold)


def test_reasons_of_what_is_no_number(client, shown):
    empty = am.Image(np.zeros((1, 9, 8, 7)), AFFINE)
    found = client.wait(client.evaluate(shown, empty, ["iou", "dice"]))
    assert all(map(math.isnan, found.values()))
    assert found.reasons == am.evaluate(shown, empty, ["iou", "dice"]).reasons
    assert set(found.reasons) == {"iou", "dice"}


def test_evidence_and_hot_spots(client, shown, masks, tmp_path):
    path = am.write_image(masks["edema"], tmp_path / "edema.nii.gz")
    mixed = {"tumour": masks["tumour"], "edema": path}
    assert repr(client.wait(client.evidence(shown, mixed))) == repr(am.evidence_table(shown, masks))
    for most in (None, 2):
        found = client.wait(client.hot_spots(shown, 0.2, minimum_ml=0.003, most=most, masks=masks))
        expected = am.hot_spots(shown, 0.2, minimum_ml=0.003, most=most, segments=masks)
        assert found
        assert repr(found) == repr(expected)  # areas are NaN
    for sign in ("negative", "absolute"):
        against = client.wait(client.evidence(shown, mixed, sign=sign))
        assert repr(against) == repr(am.evidence_table(shown, masks, sign=sign))
        found = client.wait(client.hot_spots(shown, 0.2, sign=sign))
        assert repr(found) == repr(am.hot_spots(shown, 0.2, sign=sign))


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))["segmenter"]


def test_sweep(client, network, masks):
    image = am.Image(np.random.default_rng(1).random((1, 9, 8, 7)).astype(np.float32), AFFINE)
    client.load_model(network)
    client.set_image(image)
    progress = []
    request = client.sweep(
        masks, layers=["act1", "act2"], methods=["grad_cam", "hires_cam"], target=1,
        metrics=["iou", "energy_inside"], threshold=0.4,
        on_progress=lambda fraction, _: progress.append(fraction),
    )  # fmt: skip
    found = Sweep.from_dict(client.wait(request))
    expected = am.sweep(
        network, image, masks, layers=["act1", "act2"], methods=["grad_cam", "hires_cam"], target=1,
        metrics=["iou", "energy_inside"], threshold=0.4,
    )  # fmt: skip
    for row, other in zip(found.rows, expected.rows, strict=True):
        assert row == pytest.approx(other, nan_ok=True)
    assert progress == sorted(progress)
    assert progress
    alone = Sweep.from_dict(client.wait(client.sweep(layers=["act1"], target=1)))
    assert alone.labels == ()


def test_report_of_what_was_kept(client, network, masks, tmp_path):
    image = am.Image(np.random.default_rng(2).random((1, 9, 8, 7)).astype(np.float32), AFFINE)
    session = am.Explainer(network, image)
    made = session.explain("hires_cam", "act2", 0)
    scores = {
        name: {"values": dict(found), "reasons": found.reasons, "threshold": found.threshold,
               "voxels": found.voxels}
        for name, found in am.evaluate(made, masks).items()
    }  # fmt: skip
    trust = session.trust("hires_cam", "act2", 0, tests=["deletion"])
    kept = KeptMap(made.image, made.provenance, scores, [trust.to_dict()])
    swept = am.sweep(session, mask=masks, layers=["act2"], methods=["hires_cam"], target=0)
    spots = [spot.to_dict() for spot in am.hot_spots(made, 0.2)]
    evidence = [row.to_dict() for row in am.evidence_table(made, masks)]
    case = KeptCase("A case", image, [kept], masks, swept.to_dict(), spots, evidence)
    for ending in ("html", "json"):
        path = tmp_path / f"report.{ending}"
        assert client.wait(client.report(path, [case], title="All")) == {"path": str(path)}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "A case" in page
    assert "data:image/" in page
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    row = next(row for row in written["scores"] if row["label"] == "edema")
    assert row["dice"] == pytest.approx(scores["edema"]["values"]["dice"])
    with pytest.raises(am.ImageError, match="ends in"):
        client.wait(client.report(tmp_path / "report.doc", [case]))


def test_errors_name_what_is_wrong(client, network, shown, masks):
    client.load_model(network)
    client.set_image(shown)
    with pytest.raises(am.MethodError, match="threshold"):
        client.wait(client.evaluate(shown, masks["tumour"], None, "li"))
    with pytest.raises(am.LayerError):
        client.wait(client.sweep(masks, layers=["nonsense"], target=1))
    with pytest.raises(TypeError, match="Expected an Image or a path"):
        client.wait(client.evidence(shown, {"tumour": 3}))
