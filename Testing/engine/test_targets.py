"""What is asked: every target's score and its gradient on the logits, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import attention_maps as am
from attention_maps.answer import Answer
from attention_maps.errors import ImageError, TargetError
from attention_maps.spec import ModelSpec
from attention_maps.targets import CustomTarget, expand_targets, find_class
from attention_maps.types import Grid, Image
from tiny_networks import PooledClassifier, SmallUNet, picture, seeded, traced

NAMES = ("background", "Tumour", "oedema")
OBLIQUE = np.array(
    [[1.5, 0.4, 0.0, 20.0], [-0.3, 1.2, 0.5, -7.0], [0.1, -0.4, 2.0, 3.0], [0, 0, 0, 1.0]]
)


def classification(logits, names=None, activation=None, **spec):
    logits = torch.tensor([logits], dtype=torch.float32)
    grid = Grid((4, 5, 6), np.eye(4))
    return Answer(logits, activation, None, ModelSpec(class_names=names, **spec), grid, grid)


def segmentation(shape=(6, 7, 5), classes=3, affine=OBLIQUE, seed=0, names=NAMES, **spec):
    logits = torch.randn(1, classes, *shape, generator=torch.Generator().manual_seed(seed))
    grid = Grid(shape, affine)
    names = names if names and len(names) == classes else None
    return Answer(logits, None, None, ModelSpec(class_names=names, **spec), grid, grid)


def mask_question(answer, target):
    question = target.resolve(answer)
    return question, float(question.score(answer.logits)[0])


@pytest.mark.parametrize("name", ["Tumour", "tumour", "TUMOUR", 1, np.int64(1), "1"])
def test_a_class_is_found_by_name_case_index_and_digits(name):
    assert find_class(name, classification([0, 1, 2], NAMES)) == 1


def test_a_class_that_is_named_like_a_number_wins_over_the_index():
    assert find_class("2", classification([0, 1, 2], ("2", "b", "c"))) == 0


def test_two_names_for_one_channel_mean_background_and_foreground():
    answer = classification([0.3], ("healthy", "ill"))
    assert find_class("ill", answer) == find_class(1, answer) == find_class(0, answer) == 0
    assert answer.class_label(0) == "ill"
    with pytest.raises(TargetError, match="healthy"):
        find_class("healthy", answer)


def test_class_of_a_classification_is_its_logit():
    answer = classification([0.5, -2, 3], NAMES)
    question, score = mask_question(answer, am.ClassTarget("oedema"))
    assert (score, question.text, question.voxels) == (3.0, "oedema", None)


def test_class_of_a_segmentation_is_summed_where_it_is_predicted():
    answer = segmentation()
    question, score = mask_question(answer, am.ClassTarget("oedema"))
    logits = answer.logits[0].numpy()
    mask = logits.argmax(0) == 2
    assert score == pytest.approx(logits[2][mask].sum(), rel=1e-5)
    assert question.voxels == mask.sum()


def test_a_class_that_is_not_predicted_says_so():
    answer = segmentation()
    answer.logits[:, 1] = -99
    question, score = mask_question(answer, am.ClassTarget("tumour"))
    assert score == 0
    assert "predicts no voxel of 'Tumour'" in question.note
    other = am.ContrastTarget("tumour", "oedema").resolve(answer)
    assert "Tumour" in other.note


def test_region_given_as_array_image_or_file_on_another_grid(tmp_path):
    answer = segmentation()
    mask = np.zeros(answer.grid.shape, bool)
    mask[1:3, 2:6, 1:4] = True
    expected = answer.logits[0, 1].numpy()[mask].sum()
    whole = [mask, mask[None], mask.astype(np.int16), Image(mask[None], OBLIQUE)]
    flipped = OBLIQUE.copy()  # the same voxels, counted from the other end of the first axis
    flipped[:3, 0] *= -1
    flipped[:3, 3] += OBLIQUE[:3, 0] * (mask.shape[0] - 1)
    swapped = OBLIQUE[:, [2, 1, 0, 3]]
    fine = OBLIQUE @ np.diag([0.5, 0.5, 0.5, 1])  # every voxel cut in eight
    fine[:3, 3] = OBLIQUE[:3, 3] - OBLIQUE[:3, :3] @ [0.25, 0.25, 0.25]
    whole += [
        Image(mask[None, ::-1], flipped),
        Image(mask.transpose(2, 1, 0)[None], swapped),
        Image(np.kron(mask, np.ones((2, 2, 2)))[None], fine),
        Image(mask[None, 1:3, 2:6, 1:4], OBLIQUE @ np.block(
            [[np.eye(3), np.array([[1], [2], [1]])], [np.zeros((1, 3)), 1]])),
        am.write_image(Image(mask[None], OBLIQUE), tmp_path / "mask.nii.gz"),
    ]  # fmt: skip
    for region in whole:
        question, score = mask_question(answer, am.RegionTarget("tumour", region))
        assert question.voxels == mask.sum()
        assert question.text == "Tumour in a region"
        assert score == pytest.approx(expected, rel=1e-5)
    named = am.RegionTarget("tumour", mask, "the left lobe").resolve(answer)
    assert named.text == "Tumour in the left lobe"


def test_region_on_a_tilted_grid_covers_the_same_place():
    """A ball drawn on another, oblique and finer grid selects the same voxels of the answer."""
    answer = segmentation(shape=(20, 22, 18), affine=np.diag([2.0, 2, 2, 1]))
    center, radius = np.array([19.0, 21, 17]), 12.0
    c, s = np.cos(0.5), np.sin(0.5)
    tilted = np.diag([0.8, 0.8, 0.8, 1.0])
    tilted[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ tilted[:3, :3]
    grid = Grid((50, 50, 50), tilted)
    tilted[:3, 3] = center - grid.to_world([24.5, 24.5, 24.5])
    grid = Grid((50, 50, 50), tilted)
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    ball = np.linalg.norm(grid.to_world(index) - center, axis=-1) < radius
    question = am.RegionTarget(1, Image(ball[None], tilted)).resolve(answer)
    where = question.terms[0].where.numpy()
    index = np.stack(np.meshgrid(*map(np.arange, answer.grid.shape), indexing="ij"), -1)
    distance = np.linalg.norm(answer.grid.to_world(index) - center, axis=-1)
    assert where[distance < radius - 0.8].all()
    assert not where[distance > radius + 0.8].any()


def test_point_is_one_voxel():
    answer = segmentation()
    for voxel in [(0, 0, 0), (3, 4, 2), (5, 6, 4)]:
        near = np.array(voxel) + 0.3 * np.array([1, -1, 1])
        ras = answer.grid.to_world(np.clip(near, -0.4, None))
        _, score = mask_question(answer, am.PointTarget("oedema", ras=ras))
        assert score == pytest.approx(float(answer.logits[(0, 2, *voxel)]))


def test_component_joins_voxels_by_their_faces():
    answer = segmentation(shape=(6, 6, 6), affine=np.diag([2.0, 2, 2, 1]))
    answer.logits[:] = 0
    answer.logits[0, 0] = 1
    for voxel in [(1, 1, 1), (1, 1, 2), (2, 1, 2), (3, 2, 3), (5, 5, 5)]:  # the 4th by a corner
        answer.logits[(0, 1, *voxel)] = 5
    question, score = mask_question(answer, am.ComponentTarget(1, ras=(2, 2, 2)))
    assert (question.voxels, score) == (3, 15.0)
    with pytest.raises(TargetError, match=r"3\.5 mm away at \(6\.0, 4\.0, 6\.0\)"):
        am.ComponentTarget(1, ras=(8, 6, 8)).resolve(answer)
    with pytest.raises(TargetError, match="no voxel of it"):
        am.ComponentTarget(2, ras=(8, 6, 8)).resolve(answer)


def test_a_place_without_a_class_asks_about_the_one_predicted_there():
    answer = segmentation(shape=(6, 6, 6), affine=np.eye(4))
    answer.logits[:] = 0
    answer.logits[0, 0] = 1
    answer.logits[0, 1, :3] = 4
    answer.logits[0, 2, 2, 2, 2:5] = 5
    for ras, name in (((0, 0, 0), "Tumour"), ((2, 2, 3), "oedema"), ((5, 5, 5), "Tumour")):
        question = am.PointTarget(None, ras=ras).resolve(answer)
        assert question.text.startswith(name)
    assert am.ComponentTarget(None, ras=(2, 2, 3)).resolve(answer).voxels == 3
    mask = np.zeros((6, 6, 6))
    mask[2, 2, 1:5] = 1
    assert am.RegionTarget(None, mask).resolve(answer).text == "oedema in a region"
    mask[0] = 1
    assert am.RegionTarget(None, mask).resolve(answer).text == "Tumour in a region"


def test_a_contrast_without_classes_takes_the_two_likeliest():
    answer = classification([0.5, -2, 3], NAMES)
    for target in (am.ContrastTarget(None, None), am.ContrastTarget("oedema", None)):
        assert target.resolve(answer).text == "oedema rather than background"
    assert am.ContrastTarget(None, 1).resolve(answer).text == "oedema rather than Tumour"
    with pytest.raises(TargetError, match="'oedema' twice"):
        am.ContrastTarget(None, 2).resolve(answer)


def test_component_in_a_picture():
    answer = segmentation(shape=(6, 6), affine=np.eye(4))
    answer.logits[:] = 0
    answer.logits[0, 0] = 1
    answer.logits[0, 2, 1:3, 1:4] = 5
    answer.logits[0, 2, 3, 4] = 5
    question, _ = mask_question(answer, am.ComponentTarget("oedema", ras=(1, 2, 0)))
    assert question.voxels == 6


def test_contrast_is_a_difference():
    answer = classification([0.5, -2, 3], NAMES)
    question, score = mask_question(answer, am.ContrastTarget("oedema", "tumour"))
    assert (score, question.text) == (5.0, "oedema rather than Tumour")
    answer = segmentation()
    _, score = mask_question(answer, am.ContrastTarget("oedema", "tumour"))
    logits = answer.logits[0].numpy()
    mask = logits.argmax(0) == 2
    assert score == pytest.approx((logits[2] - logits[1])[mask].sum(), rel=1e-5)


def test_top_classes_come_likeliest_first():
    answer = classification([0.5, -2, 3], NAMES)
    targets, several = expand_targets(am.TopTarget(2), answer)
    assert several
    assert [target.name for target in targets] == [2, 0]
    assert len(expand_targets(am.TopTarget(9), answer)[0]) == 3


def test_lists_are_flattened_and_callables_wrapped():
    answer = classification([0.5, -2, 3], NAMES)

    def doubled(logits):
        return 2 * logits[:, 2]

    targets, several = expand_targets(["tumour", 0, am.TopTarget(2), doubled], answer)
    assert several
    assert [type(target) for target in targets] == [am.ClassTarget] * 4 + [CustomTarget]
    assert mask_question(answer, targets[-1])[1] == 6.0
    assert targets[-1].resolve(answer).text == "doubled"


def test_default_of_a_classification_is_the_likeliest_class():
    targets, several = expand_targets(None, classification([0.5, -2, 3]))
    assert (targets[0].name, several) == (2, False)


def test_default_of_a_segmentation_is_the_largest_class_besides_background():
    answer = segmentation()
    answer.logits[:, 0] += 9
    answer.logits[0, 1, :2] = 99
    answer.logits[0, 2, 2:5] = 99
    assert expand_targets(None, answer)[0][0].name == 2
    only = segmentation()
    only.logits[:, 0] += 99
    assert expand_targets(None, only)[0][0].name == 0  # nothing but background is there


def test_default_of_a_multi_label_segmentation():
    answer = segmentation(activation="sigmoid")
    answer.logits[:] = -1
    answer.logits[0, 0, 0] = 1
    answer.logits[0, 1, :3] = 1
    assert expand_targets(None, answer)[0][0].name == 1
    _, score = mask_question(answer, am.ClassTarget(1))
    assert score == 3 * 7 * 5


ANSWERS = {
    "classification": lambda: classification([0.5, -2, 3], NAMES),
    "segmentation": segmentation,
    "one channel": lambda: segmentation(classes=1),
    "sigmoid": lambda: segmentation(activation="sigmoid"),
}


def all_targets(answer):
    yield am.ClassTarget(0)
    if answer.classes > 1:
        yield am.ContrastTarget(2, 1)
    if answer.task == "segmentation":
        mask = np.zeros(answer.grid.shape)
        mask[1:3, 1:3] = 1
        yield am.RegionTarget(0, mask)
        yield am.PointTarget(0, ras=answer.grid.to_world([1, 2, 3]))
        inside = np.argwhere(answer.predicted(0).numpy())[0]
        yield am.ComponentTarget(0, ras=answer.grid.to_world(inside))
    yield CustomTarget(lambda logits: (logits**2).flatten(1).sum(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ANSWERS)
def test_seed_is_the_gradient_of_the_score(name, dtype):
    answer = ANSWERS[name]()
    for target in all_targets(answer):
        question = target.resolve(answer)
        leaf = answer.logits.to(dtype).repeat(2, *[1] * (answer.logits.ndim - 1)).requires_grad_()
        score = question.score(leaf)
        assert score.shape == (2,)
        assert score.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        expected = torch.autograd.grad(score.sum(), leaf)[0]
        torch.testing.assert_close(question.seed(leaf.detach()), expected)


class WithEnd(nn.Module):
    """A network whose last step makes probabilities."""

    def __init__(self, inner, end):
        super().__init__()
        self.inner = inner
        self.end = end

    def forward(self, x):
        return self.end(self.inner(x))


class FunctionalSoftmax(nn.Module):
    def forward(self, x):
        return functional.softmax(x, dim=1)


class CopiedSoftmax(nn.Module):
    """What a network does that ran in half precision, or hands on a copy."""

    def forward(self, x):
        return torch.softmax(x, dim=1).double().contiguous().clone().float()


class MethodSigmoid(nn.Module):
    def forward(self, x):
        return x.sigmoid()


ENDS = {
    "softmax": lambda: nn.Softmax(dim=1),
    "functional": FunctionalSoftmax,
    "copied": CopiedSoftmax,
    "log_softmax": lambda: nn.LogSoftmax(dim=1),
    "sigmoid": nn.Sigmoid,
    "method": MethodSigmoid,
}


@pytest.mark.parametrize("form", ["eager", "traced", "scripted"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("make", [PooledClassifier, SmallUNet])
def test_probabilities_inside_the_network_are_seen_through(make, end, form):
    """Also where they are exactly 1: the gradient is that of the logits."""
    image = picture(2)
    inner = seeded(make(2), 1)
    with torch.no_grad():
        list(inner.parameters())[-1].mul_(300)  # biases of the head: saturated everywhere
        list(inner.parameters())[-1][1] += 300
    layer = "act2"
    spec = {"activation": "sigmoid"} if end in ("sigmoid", "method") else {}
    plain = am.explain(inner, image, "hires_cam", layer, 1, spec=spec)
    module = WithEnd(inner, ENDS[end]()).eval()
    if end != "log_softmax":
        with torch.no_grad():
            assert module(torch.from_numpy(image)[None])[:, 1].min() == 1
    model = {
        "eager": lambda: module,
        "traced": lambda: traced(module, image),
        "scripted": lambda: torch.jit.script(module),
    }[form]()
    seen = am.explain(model, image, ["hires_cam", "ablation_cam", "occlusion"], f"inner.{layer}", 1)
    assert np.abs(plain.raw.array).max() > 0
    np.testing.assert_allclose(seen[0].raw.array, plain.raw.array, rtol=1e-5)
    assert seen[0].score == pytest.approx(plain.score, rel=1e-6)
    assert seen[2].raw.array.any()  # differences of logits, not of saturated probabilities
    expected = "sigmoid" if end in ("sigmoid", "method") else "softmax"
    assert seen[0].provenance["activation"] == expected


class HiddenSoftmax(nn.Module):
    """Probabilities that no operator gives away."""

    def forward(self, x):
        x = torch.exp(x - x.amax(1, keepdim=True))
        return x / x.sum(1, keepdim=True)


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_probabilities_without_a_visible_softmax_become_logarithms(task):
    """The score is log p, as the specification says that the output is probabilities."""
    make, index = (PooledClassifier, 0) if task == "classification" else (SmallUNet, 2)
    module = WithEnd(seeded(make(2), 1), HiddenSoftmax()).eval()
    image = picture(2)
    spec = {"output_is": "probabilities", "activation": "softmax"}
    found = am.explain(module, image, "input_x_gradient", target=index, spec=spec)
    inputs = torch.from_numpy(image)[None].requires_grad_()
    probabilities = module(inputs)
    logarithm = probabilities[0, index].log()
    if task == "segmentation":
        logarithm = logarithm[probabilities[0].argmax(0) == index].sum()
    expected = torch.autograd.grad(logarithm, inputs)[0] * inputs.detach()
    assert found.score == pytest.approx(logarithm.item(), rel=1e-4)
    largest = float(expected.abs().max())
    np.testing.assert_allclose(found.raw.array, expected[0].numpy(), atol=1e-4 * largest)


def test_a_function_of_the_logits_on_answers_with_leftover_axes():
    """A classification of shape (1, classes, 1, 1) is (1, classes) for the user's function."""
    module = seeded(nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 3, 1),
    ), 1)  # fmt: skip
    image = picture(2)
    for method in ("hires_cam", "input_x_gradient", "occlusion", "ablation_cam"):
        named = am.explain(module, image, method, "1", 2)
        called = am.explain(module, image, method, "1", lambda logits: logits[:, 2])
        np.testing.assert_array_equal(called.raw.array, named.raw.array)


WRONG = {
    "unknown name": ("tumor", "closest: Tumour"),
    "index": (7, "0 to 2, got 7"),
    "negative": (-1, "0 to 2, got -1"),
    "bool": (am.ClassTarget(True), "name or index"),
    "float": (am.ClassTarget(1.5), "name or index"),
    "type": (3.5, "Expected a target such as"),
    "empty list": ([], "at least one target"),
    "top 0": (am.TopTarget(0), "1 or more, got 0"),
    "top float": (am.TopTarget(1.5), "1 or more, got 1.5"),
    "same class": (am.ContrastTarget("tumour", 1), "two different classes"),
    "empty mask": (am.RegionTarget(1, np.zeros((6, 7, 5))), "at least one voxel"),
    "mask shape": (am.RegionTarget(1, np.ones((6, 7, 4))), r"\(6, 7, 5\), got \(6, 7, 4\)"),
    "mask elsewhere": (
        am.RegionTarget(1, Image(np.ones((1, 3, 3, 3)), np.diag([1, 1, 1, 1.0]) + np.array(
            [[0, 0, 0, 900.0]] * 3 + [[0, 0, 0, 0]]))), "field of view"),
    "point outside": (am.PointTarget(1, ras=(900, 0, 0)), "inside the network's answer"),
    "point NaN": (am.PointTarget(1, ras=(np.nan, 0, 0)), "three finite numbers"),
    "point of two": (am.PointTarget(1, ras=(1, 2)), "three finite numbers"),
    "point of text": (am.PointTarget(1, ras="here"), "three finite numbers"),
    "point None": (am.PointTarget(1, ras=None), "three finite numbers"),
    "component outside": (am.ComponentTarget(1, ras=(900, 0, 0)), "inside the network's answer"),
    "function of wrong shape": (lambda logits: logits, "one score per image"),
    "function that fails": (lambda logits: logits[:, 9].sum(), r"failed on .*\(1, 3, 6, 7, 5\)"),
    "function of a number": (lambda logits: 3.0, "one score per image"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_targets_are_refused(kind):
    target, words = WRONG[kind]
    answer = segmentation()
    with pytest.raises(TargetError, match=words):
        [t.resolve(answer).score(answer.logits) for t in expand_targets(target, answer)[0]]


def test_masks_that_are_no_masks_are_refused():
    answer = segmentation()
    shape = answer.grid.shape
    with pytest.raises(ImageError, match="one channel, got 2"):
        am.RegionTarget(1, np.ones((2, *shape))).resolve(answer)
    with pytest.raises(ImageError, match="finite"):
        am.RegionTarget(1, np.full(shape, np.nan)).resolve(answer)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        am.RegionTarget(1, "mask.nii.gz").resolve(answer)


@pytest.mark.parametrize(
    "target",
    [am.RegionTarget(0, np.ones((4, 5, 6))), am.PointTarget(0, ras=(0, 0, 0)),
     am.ComponentTarget(0, ras=(0, 0, 0))],
)  # fmt: skip
def test_places_are_refused_for_a_classification(target):
    with pytest.raises(TargetError, match="use ClassTarget or ContrastTarget"):
        target.resolve(classification([0.5, -2, 3]))


def test_functions_without_a_gradient_are_refused():
    answer = segmentation()
    question = expand_targets(lambda logits: logits.detach().sum((1, 2, 3, 4)), answer)[0][0]
    with pytest.raises(TargetError, match="differentiable steps"):
        question.resolve(answer).seed(answer.logits)
