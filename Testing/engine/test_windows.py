"""Whole volumes under windows, against autograd through MONAI's own stitched inference."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers import sliding_window_inference

import attention_maps as am
from attention_maps.estimate import Estimate
from attention_maps.registry import methods
from attention_maps.sliding_window import SlidingWindow
from attention_maps.windows import looks, passes, plan

PATCH = (8, 10, 6)
SHAPE = (17, 13, 11)


class Net(torch.nn.Module):
    """A small U-Net with stride, skip and nonlinearity."""

    def __init__(self, axes: int = 3, classes: int = 3) -> None:
        super().__init__()
        conv = {2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[axes]
        up = {2: torch.nn.ConvTranspose2d, 3: torch.nn.ConvTranspose3d}[axes]
        torch.manual_seed(1)
        self.first = conv(1, 4, 3, padding=1)
        self.down = conv(4, 6, 3, stride=2, padding=1)
        self.up = up(6, 4, 2, stride=2)
        self.last = conv(8, 5, 3, padding=1)
        self.head = conv(5, classes, 1)
        self.act = torch.nn.ELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.act(self.first(x))
        deep = self.act(self.down(first))
        both = torch.cat([first, self.act(self.up(deep))], 1)
        return self.head(self.act(self.last(both)))


def image_of(shape=SHAPE, seed=0) -> am.Image:
    values = np.random.default_rng(seed).normal(size=(1, *shape)).astype(np.float32)
    return am.Image(values, np.diag([1.0, 1.5, 2.0, 1.0]))


class Reference:
    """MONAI's stitched inference, mirrored where asked for, with all layers recorded."""

    def __init__(self, net, image, overlap, blending, mirror, patch=PATCH) -> None:
        self.net = net
        self.records = []
        self.inputs = torch.from_numpy(image.array)[None].double().requires_grad_()
        flips = [f for n in range(len(mirror) + 1) for f in combinations(mirror, n)]
        self.logits = 0
        for flip in flips:
            axes = [2 + axis for axis in flip]

            def predictor(window, axes=axes):
                seen = window.flip(axes) if axes else window
                self.records.append({"flip": axes})
                answer = self.net(seen)
                return answer.flip(axes) if axes else answer

            hooks = [self._hook(name) for name in ("down", "last")]
            part = sliding_window_inference(
                self.inputs, patch, 1, predictor, overlap=overlap, mode=blending,
                sigma_scale=0.125, padding_mode="constant", cval=0.0,
            )  # fmt: skip
            for hook in hooks:
                hook.remove()
            self.logits = self.logits + part / len(flips)

    def _hook(self, name):
        def keep(module, inputs, output):
            output.retain_grad()
            self.records[-1][name] = output

        return getattr(self.net, name).register_forward_hook(keep)


CASES = [
    (0.25, "constant", ()),
    (0.5, "gaussian", ()),
    (0.5, "gaussian", (0, 2)),
    (0.6, "constant", (0, 1, 2)),
]


@pytest.mark.parametrize(("overlap", "blending", "mirror"), CASES)
def test_gradients_and_pooled_weights(overlap, blending, mirror):
    net, image = Net().double(), image_of()
    reference = Reference(net, image, overlap, blending, mirror)
    how = SlidingWindow(overlap=overlap, blending=blending, mirror_axes=mirror)
    spec = am.ModelSpec(patch_size=PATCH, sliding_window=how)
    session = am.Explainer(am.load_model(net, spec), image)
    answer = session.answer()
    assert relative(answer.logits.numpy(), reference.logits.detach().numpy()) < 1e-6
    index = answer.ranking()[0]
    mask = reference.logits.argmax(1, keepdim=True)[0, 0] == index
    score = reference.logits[0, index][mask].sum()
    score.backward()
    found = session.explain("input_x_gradient", target=index)
    assert found.score == pytest.approx(float(score.detach()), rel=1e-9)
    expected = (reference.inputs.grad * reference.inputs.detach())[0, 0].numpy()
    assert relative(found.raw.array[0], expected) < 1e-6
    for name in ("down", "last"):
        kept = [record[name] for record in reference.records]
        weights = sum(a.grad.sum((2, 3, 4)) for a in kept)
        weights /= sum(a[0, 0].numel() for a in kept)
        assert len(kept) > 1
        evidence = evidence_of(session, name, index)
        ours = evidence.total(lambda a, g: g.sum(2)) / evidence.voxels
        assert relative(ours.numpy(), weights.numpy()) < 1e-7


@pytest.mark.parametrize(("overlap", "blending", "mirror"), CASES)
@pytest.mark.parametrize("method", ["grad_cam", "hires_cam", "layer_cam", "grad_cam_pp"])
def test_stitched_maps(method, overlap, blending, mirror, monkeypatch):
    """Pooled over all windows, stitched with their sign, what is negative dropped at the end."""
    # MONAI holds its weights in single precision, which Grad-CAM++'s quotients would show.
    monkeypatch.setattr(plan, "blending_weights", lambda *_: weights_of(blending))
    net, image = Net().double(), image_of()
    reference = Reference(net, image, overlap, blending, mirror)
    how = SlidingWindow(overlap=overlap, blending=blending, mirror_axes=mirror)
    session = am.Explainer(net, image, spec=am.ModelSpec(patch_size=PATCH, sliding_window=how))
    index = session.answer().ranking()[0]
    mask = reference.logits.argmax(1)[0] == index
    reference.logits[0, index][mask].sum().backward()
    found = session.explain(method, "last", index)
    pairs = [(r["last"].detach()[0], r["last"].grad[0]) for r in reference.records]
    weights = {
        "grad_cam": sum(g.sum((1, 2, 3)) for _, g in pairs) / sum(g[0].numel() for _, g in pairs),
        "grad_cam_pp": plus_plus(pairs),
    }
    drawn = []
    for (a, g), record in zip(pairs, reference.records, strict=True):
        if method == "hires_cam":
            picture = (a * g).sum(0)
        elif method == "layer_cam":
            picture = (a * g.relu()).sum(0)
        else:
            picture = torch.einsum("k,k...->...", weights[method], a)
        axes = [axis - 2 for axis in record["flip"]]
        drawn.append((picture.flip(axes) if axes else picture).numpy())
    expected = stitch(drawn, overlap, blending, blend=method.startswith("grad_cam"))
    expected /= 2 ** len(mirror) if method.startswith("grad_cam") else 1
    if method != "hires_cam":
        expected = np.maximum(expected, 0)
    assert relative(found.raw.array[0], expected) < 1e-6
    np.testing.assert_allclose(found.raw.affine, image.affine)


def plus_plus(pairs):
    """Grad-CAM++ with sums over all windows."""
    sums = sum(a.sum((1, 2, 3)) for a, _ in pairs)[:, None, None, None]
    total = 0
    for _, g in pairs:
        alpha = torch.where(g != 0, 1 / (2 + g * sums), 0)
        total = total + (alpha * g.relu()).sum((1, 2, 3))
    return total


def weights_of(blending):
    return compute_importance_map(PATCH, mode=blending, sigma_scale=0.125).double().numpy()


def stitch(pictures, overlap, blending, *, blend):
    """What MONAI does with window after window of one volume, or their plain sum."""
    slices = dense_patch_slices(SHAPE, PATCH, [max(1, int(p * (1 - overlap))) for p in PATCH])
    weight = weights_of(blending)
    total, count = np.zeros(SHAPE), np.zeros(SHAPE)
    for number, picture in enumerate(pictures):
        where = slices[number % len(slices)]
        total[where] += picture * (weight if blend else 1)
        if number < len(slices):
            count[where] += weight
    return total / count if blend else total


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("method", [name for name in methods() if name != "cam"])
def test_one_window_is_the_whole_image(method, axes):
    """Every method gives the same through a window as large as the image."""
    shape = (8, 10, 6)[:axes]
    net = Net(axes)
    image = am.Image(image_of((8, 10, 6)).array[(..., *[0] * (3 - axes))])
    options = {"score_cam": {"channels": 2}, "smooth_grad": {"samples": 2}}.get(method, {})
    whole = am.explain(net, image, method, "last", 1, **options)
    windowed = am.explain(net, image, method, "last", 1, spec={"patch_size": shape}, **options)
    assert windowed.raw.array.shape == whole.raw.array.shape
    assert relative(windowed.raw.array, whole.raw.array) < 1e-4
    assert windowed.score == pytest.approx(whole.score, rel=1e-6)
    assert windowed.provenance["windows"]["count"] == 1


@pytest.mark.parametrize("layer", ["first", "down", "last"])
def test_windows_without_the_question_are_not_run(layer):
    net, image = Net(), image_of()
    session = am.Explainer(net, image, spec={"patch_size": PATCH})
    session.answer()
    runs = []
    hook = net.first.register_forward_hook(lambda *_: runs.append(1))
    made = session.explain("hires_cam", layer, am.PointTarget(1, ras=(0.0, 0.0, 0.0)))
    hook.remove()
    assert len(runs) == 1  # of the 3 x 2 x 3 windows one holds the corner
    touched = np.argwhere(made.raw.array[0] != 0)
    assert (touched.max(0) < PATCH).all()
    assert made.has_evidence


@pytest.mark.parametrize("method", [name for name in methods() if name != "cam"])
def test_a_class_that_is_predicted_nowhere_has_no_evidence(method):
    net = Net()
    with torch.no_grad():
        net.head.bias[2] = -1e3
    session = am.Explainer(net, image_of(), spec={"patch_size": PATCH})
    options = {"score_cam": {"channels": 2}, "smooth_grad": {"samples": 1}}.get(method, {})
    made = session.explain(method, "last", 2, **options)
    assert made.raw.array.shape == (1, *SHAPE)
    assert not made.has_evidence
    assert made.score == 0


def test_evidence_is_the_same_whether_it_is_kept_or_made_again(monkeypatch):
    net, image = Net(), image_of()
    spec = {"patch_size": PATCH}
    names = ["grad_cam", "x_grad_cam", "eigen_cam", "hires_cam"]
    kept = am.explain(net, image, names, "last", 1, spec=spec)
    for share in (0.0, 0.4, 1.5):
        room = share * 18 * 5 * 480 * 4
        monkeypatch.setattr(passes, "room_for_activations", lambda *_, room=room: room)
        again = am.explain(net, image, names, "last", 1, spec=spec)
        for one, other in zip(kept, again, strict=True):
            np.testing.assert_array_equal(one.raw.array, other.raw.array)


@pytest.mark.parametrize(("windows", "runs"), [(0, 36), (7, 29), (18, 18)])
def test_as_many_windows_are_kept_as_there_is_room_for(monkeypatch, windows, runs):
    net = Net()
    session = am.Explainer(net, image_of(), spec={"patch_size": PATCH})
    session.answer()
    size = math.prod(next(i.shape for i in session.geometry().infos if i.name == "last")) * 4
    monkeypatch.setattr(passes, "room_for_activations", lambda *_: windows * size)
    count = []
    net.first.register_forward_hook(lambda *_: count.append(1))
    session.explain(layer="last", target=lambda logits: logits[:, 1].flatten(1).sum(1))
    assert len(count) == runs


@pytest.mark.parametrize("at_once", [2, 4, 5])
def test_several_windows_at_once_give_the_same(monkeypatch, at_once):
    net, image = Net(), image_of()
    spec = {"patch_size": PATCH, "sliding_window": {"mirror_axes": [0]}}
    names = ["grad_cam", "hires_cam", "saliency"]
    alone = am.explain(net, image, names, ["down", "last"], 1, spec=spec)
    sizes = []
    net.first.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    monkeypatch.setitem(looks.MOST_AT_ONCE, "cpu", at_once)
    together = am.explain(net, image, names, ["down", "last"], 1, spec=spec)
    assert max(sizes) == at_once
    for one, other in zip(alone, together, strict=True):
        assert relative(other.raw.array, one.raw.array) < 1e-5


def test_fewer_windows_at_once_where_memory_runs_out(monkeypatch, caplog):
    net, image = Net(), image_of()
    expected = am.explain(net, image, layer="last", target=1, spec={"patch_size": PATCH})

    def full(_, inputs):
        if len(inputs[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    net.first.register_forward_pre_hook(full)
    monkeypatch.setitem(looks.MOST_AT_ONCE, "cpu", 8)
    found = am.explain(net, image, layer="last", target=1, spec={"patch_size": PATCH})
    assert relative(found.raw.array, expected.raw.array) < 1e-5
    assert "Not enough memory for 8 windows at once; going on with 4" in caplog.text


def test_memory_that_does_not_suffice_for_one_window_is_said():
    net = Net()

    def full(_, inputs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    net.first.register_forward_pre_hook(full)
    with pytest.raises(am.ModelRunError, match=r"ran out of memory.*device=.cpu."):
        am.explain(net, image_of(), layer="last", spec={"patch_size": PATCH})


def test_slices_of_a_volume():
    """A network of pictures sees a volume slice by slice: each slice as if it were alone."""
    net, image = Net(2).double(), image_of((5, 8, 12))
    session = am.Explainer(net, image, spec={"slices": {"axis": "i"}})
    logits = session.answer().logits
    values = torch.from_numpy(image.array).double()
    expected = torch.stack([net(values[:, k][None])[0] for k in range(5)], 1)
    assert relative(logits[0].numpy(), expected.detach().numpy()) < 1e-6
    point = am.PointTarget(1, ras=image.grid.to_world((3, 4, 5)))
    made = session.explain("hires_cam", "last", point)
    alone = am.Explainer(net, am.Image(image.array[:, 3]))
    there = alone.explain("hires_cam", "last", am.PointTarget(1, ras=(4.0, 5.0, 0.0)))
    assert relative(made.raw.array[0, 3], there.raw.array[0]) < 1e-6
    others = [0, 1, 2, 4]
    assert not made.raw.array[0, others].any()


def test_an_answer_of_another_size_is_refused():
    net = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3), torch.nn.Conv3d(2, 2, 1))
    with pytest.raises(am.ModelError, match=r"each voxel of the window \(8, 10, 6\)"):
        am.explain(net, image_of(), layer="0", spec={"patch_size": PATCH})


def test_a_region_limits_what_is_run():
    """Elsewhere nothing is predicted; where all windows of a voxel are run nothing changes."""
    net, image = Net(), image_of()
    how = {"patch_size": PATCH, "sliding_window": {"overlap": 0}}
    whole = am.Explainer(net, image, spec=how)
    mask = np.zeros(SHAPE, np.uint8)
    mask[2, 2, 1] = 1
    near = am.Explainer(net, image, spec=how, region=mask)
    runs = []
    hook = net.first.register_forward_hook(lambda *_: runs.append(1))
    near.answer()
    hook.remove()
    assert len(runs) == 1  # the window from (0, 0, 0); others begin at 3, 5 or later
    there, all_of_it = near.answer().logits[0], whole.answer().logits[0]
    inside = (slice(None), slice(0, 8), slice(0, 3), slice(0, 5))  # one window only in both
    np.testing.assert_allclose(there[inside], all_of_it[inside], rtol=1e-5, atol=1e-6)
    assert not there[:, 8:].any()
    assert not there[:, :, 10:].any()
    turned = am.Image(mask[None, ::-1], image.affine @ flipped(SHAPE[0]))
    same = am.Explainer(net, image, spec=how, region=turned)
    np.testing.assert_array_equal(same.answer().logits[0], there)


@pytest.mark.parametrize("method", ["grad_cam", "hires_cam", "x_grad_cam", "saliency"])
def test_a_question_within_a_region_has_the_same_map(method):
    """Windows that are left out count like those that do not meet the question."""
    net, image = Net(), image_of()
    how = {"patch_size": PATCH, "sliding_window": {"overlap": 0.5, "blending": "gaussian"}}
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:4, 2, 1] = 1
    asked = {"target": am.RegionTarget(1, mask), "method": method, "layer": "last"}
    whole = am.Explainer(net, image, spec=how).explain(**asked)
    near = am.Explainer(net, image, spec=how, region=mask).explain(**asked)
    np.testing.assert_allclose(near.image.array, whole.image.array, rtol=1e-5, atol=1e-8)


def flipped(size) -> np.ndarray:
    """Index of an axis that runs the other way."""
    matrix = np.diag([-1.0, 1, 1, 1])
    matrix[0, 3] = size - 1
    return matrix


def test_regions_that_cannot_limit_a_run():
    net, image = Net(), image_of()
    with pytest.raises(am.ImageError, match="a region that meets the network's field of view"):
        am.Explainer(net, image, spec={"patch_size": PATCH}, region=np.zeros(SHAPE))
    with pytest.raises(am.TargetError, match=r"input image's shape \(17, 13, 11\)"):
        am.Explainer(net, image, spec={"patch_size": PATCH}, region=np.ones((3, 3, 3)))
    with pytest.raises(am.ModelError, match="sees it at once; leave out the region"):
        am.Explainer(net, image, region=np.ones(SHAPE))


def test_the_estimate_counts_looks_and_says_what_is_kept(monkeypatch):
    net, image = Net(), image_of()
    how = {"patch_size": PATCH, "sliding_window": {"mirror_axes": [0, 2]}}
    session = am.Explainer(net, image, spec=how)
    found = session.estimate(["down", "last"])
    assert found.windows == len(session._passes.plan.starts) * 4
    assert found.kept
    assert found.seconds > 0
    assert str(found).startswith(f"{found.windows} windows, below 0.1 GiB, ")
    cheaper = session.estimate("down")
    sizes = {info.name: np.prod(info.shape) for info in session.model.layers()}
    assert found.bytes - cheaper.bytes == 4 * sizes["last"] * found.windows
    monkeypatch.setattr(passes, "room_for_activations", lambda *_: 0)
    monkeypatch.setattr("attention_maps.windows.memory.room_for_activations", lambda *_: 0)
    again = session.estimate(["down", "last"])
    assert not again.kept
    assert again.bytes == found.bytes - 4 * (sizes["last"] + sizes["down"]) * found.windows
    near = am.Explainer(net, image, spec=how, region=np.eye(17, 13)[..., None] * np.eye(1, 11)[0])
    assert near.estimate("last").windows < found.windows


def test_the_estimate_of_one_pass_counts_what_is_recorded():
    net, image = Net(), image_of((16, 12, 8))
    session = am.Explainer(net, image)
    late, early = session.estimate("last"), session.estimate("first")
    assert late.windows == early.windows == 1
    assert late.kept
    assert late.seconds is None
    assert late.bytes < early.bytes
    assert str(late) == "below 0.1 GiB"


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "below 1 s"), (42.4, "42 s"), (150, "2 min")])
def test_the_estimate_in_words(seconds, text):
    assert str(Estimate(8, 3 * 2**29, seconds, kept=True)) == f"8 windows, about 1.5 GiB, {text}"


def test_progress_counts_windows_and_cancels():
    said = []

    def progress(fraction, message):
        said.append((fraction, message))
        return len(said) < 15

    with pytest.raises(am.Cancelled):
        am.explain(Net(), image_of(), layer="last", spec={"patch_size": PATCH}, progress=progress)
    assert any("window 3 of 18" in message for _, message in said)
    fractions = [fraction for fraction, _ in said]
    assert fractions == sorted(fractions)


def test_progress_advances_with_the_windows():
    """Also where they are quick."""
    said = {}
    session = am.Explainer(Net(), image_of(), spec={"patch_size": PATCH})
    session.explain(layer="last", progress=lambda at, message: said.setdefault(message, at))
    at = [said[f"Following the answer back: window {number} of 18"] for number in range(1, 19)]
    steps = np.diff(at)
    assert at[0] >= 0.4
    assert at[-1] > 0.9
    assert steps.min() > 0.5 * steps.max()


def test_mirroring_along_an_axis_that_is_not_there():
    spec = {"patch_size": PATCH, "sliding_window": {"mirror_axes": [0, 3]}}
    with pytest.raises(am.SpecError, match=r"from 0 to 2, .*got 3; correct `sliding_window"):
        am.Explainer(Net(), image_of(), spec=spec)


def evidence_of(session, name, index):
    """The evidence that methods get, caught on its way."""
    caught = []
    item = methods()["grad_cam"]
    original = item.function
    object.__setattr__(
        item, "function", lambda evidence: caught.append(evidence) or original(evidence)
    )
    try:
        session.explain("grad_cam", name, index)
    finally:
        object.__setattr__(item, "function", original)
    return caught[0]


def relative(found, expected) -> float:
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def test_windows_need_a_size():
    spec = {"sliding_window": {"overlap": 0.25}}
    with pytest.raises(am.SpecError, match=r"Expected `patch_size`, .*`sliding_window`, got none"):
        am.Explainer(Net(), image_of(), spec=spec)
