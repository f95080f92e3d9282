"""What the network predicts, where, with which classes, and how it is brought to the image."""

import numpy as np
import pytest
import torch
from torch import nn

import attention_maps as am
from attention_maps.errors import ModelError, ModelRunError, SpecError
from attention_maps.types import Image
from tiny_networks import CONV, PooledClassifier, SmallUNet, picture, seeded

TILTED = np.array(
    [[-1.8, 0.3, 0.0, 31.0], [0.2, -1.7, 0.4, 12.0], [0.0, 0.3, 2.4, -9.0], [0, 0, 0, 1.0]]
)


class Threshold(nn.Module):
    """Two classes: brighter than one half, or not; at any of three resolutions."""

    def __init__(self, axes=3, stride=1, end=None):
        super().__init__()
        self.conv = CONV[axes](1, 2, stride, stride=stride)
        self.end = end
        with torch.no_grad():
            self.conv.weight[0] = 0
            self.conv.weight[1] = 1 / stride**axes
            self.conv.bias[:] = torch.tensor([0.5, 0.0])

    def forward(self, x):
        x = self.conv(x)
        return x if self.end is None else self.end(x)


def blob(shape=(24, 20, 16)):
    """A lopsided phantom: nothing in it is symmetric."""
    array = np.zeros(shape, np.float32)
    array[4:12, 6:10, 3:13] = 1
    array[12:16, 6:16, 9:13] = 1
    return array


def centroid(image):
    inside = np.argwhere(image.array[0] > 0)
    return image.grid.to_world(inside).mean(0)


def test_softmax_probabilities_of_a_classification():
    module, image = seeded(PooledClassifier(3)), picture(3)
    found = am.Explainer(module, image).prediction
    with torch.no_grad():
        logits = module(torch.from_numpy(image)[None])[0].double().numpy()
    expected = np.exp(logits - logits.max())
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.parametrize("classes", [1, 3])
def test_sigmoid_probabilities_of_a_classification(classes):
    module, image = seeded(PooledClassifier(2, classes)), picture(2)
    spec = {} if classes == 1 else {"activation": "sigmoid"}
    found = am.Explainer(module, image, spec=spec).prediction
    with torch.no_grad():
        logits = module(torch.from_numpy(image)[None])[0].double().numpy()
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), rtol=1e-5)


def test_labels_are_the_likeliest_class_on_the_images_own_grid():
    module, image = seeded(SmallUNet(3), 1), Image(picture(3), TILTED)
    found = am.Explainer(module, image).prediction
    with torch.no_grad():
        labels = module(torch.from_numpy(image.array)[None])[0].argmax(0).numpy()
    np.testing.assert_array_equal(found.array[0], labels)
    np.testing.assert_array_equal(found.affine, TILTED)


def test_sigmoid_channels_are_numbered_from_one():
    module, image = seeded(SmallUNet(2, 2), 1), picture(2)
    spec = {"activation": "sigmoid"}
    session = am.Explainer(module, image, spec=spec)
    with torch.no_grad():
        logits = module(torch.from_numpy(image)[None])[0].numpy()
    expected = np.where(logits[1] > 0, 2, np.where(logits[0] > 0, 1, 0))
    np.testing.assert_array_equal(session.prediction.array[0], expected)
    assert session.answer().background is None


@pytest.mark.parametrize("spec", [{}, {"spacing": [2.0, 2.0, 2.0]}], ids=["own grid", "other"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_values_of_the_label_map(spec, activation):
    """Only the label map changes: the classes keep their order and their question."""
    image = Image(blob()[None], TILTED)
    plain = am.Explainer(Threshold(), image, spec={**spec, "activation": activation})
    values = {"softmax": [7, 3], "sigmoid": [40, 2]}[activation]
    other = {**spec, "activation": activation, "label_values": values}
    named = am.Explainer(Threshold(), image, spec=other)
    expected, found = plain.prediction.array, named.prediction.array
    first = 0 if activation == "softmax" else 1
    assert set(np.unique(expected)) == {first, first + 1}
    for index, value in enumerate(values):
        np.testing.assert_array_equal(found == value, expected == first + index)
    assert set(np.unique(found)) == set(values)
    assert named.answer().ranking() == plain.answer().ranking()
    assert (
        named.explain(layer="conv", target=1).score == plain.explain(layer="conv", target=1).score
    )


def test_label_values_that_do_not_fit_are_refused():
    spec = {"label_values": [0, 1, 2]}
    with pytest.raises(SpecError, match=r"2 label values for .* got 3; correct `label_values`"):
        am.Explainer(Threshold(), Image(blob()[None], TILTED), spec=spec).answer()


def test_one_channel_is_foreground():
    module, image = seeded(SmallUNet(2, 1), 1), picture(2)
    session = am.Explainer(module, image, spec={"class_names": ["background", "lesion"]})
    with torch.no_grad():
        logits = module(torch.from_numpy(image)[None])[0, 0].numpy()
    np.testing.assert_array_equal(session.prediction.array[0], logits > 0)
    result = session.explain(target="lesion", method="hires_cam", layer="act3")
    assert result.score == pytest.approx(logits[logits > 0].sum(), rel=1e-4)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"orientation": "RAS"},
        {"orientation": "LPI", "axis_order": "kji"},
        {"spacing": (1.5, 1.5, 1.5), "orientation": "RAS"},
        {"input_size": {"kind": "fixed", "shape": (32, 24, 30)}},
        {"input_size": {"kind": "fixed", "shape": (30, 18, 24), "fit": "pad_crop"}},
        {"input_size": {"kind": "multiple_of", "factor": 8}},
    ],
    ids=str,
)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_phantom_stays_where_it_is(spec, stride):
    """Through any preparation, and for logits at half the resolution of the input."""
    image = Image(blob()[None], TILTED)
    session = am.Explainer(Threshold(stride=stride), image, spec=spec)
    found = session.prediction
    assert found.grid.same_as(image.grid)
    gap = np.linalg.norm(centroid(found) - centroid(image))
    assert gap < 0.25 * min(image.grid.spacing) * stride
    overlap = 2 * (found.array * image.array).sum() / (found.array.sum() + image.array.sum())
    assert overlap > (0.99 if not spec and stride == 1 else 0.8)


def test_logits_at_half_resolution_are_asked_where_they_are():
    image = Image(blob()[None], TILTED)
    session = am.Explainer(Threshold(stride=2), image)
    assert session.answer().grid.shape == (12, 10, 8)
    center = image.grid.to_world([0.5, 0.5, 0.5])
    np.testing.assert_allclose(session.answer().grid.to_world([0, 0, 0]), center, atol=1e-9)
    inside = image.grid.to_world([8, 7, 6])
    result = session.explain("input_x_gradient", target=am.PointTarget(1, ras=inside))
    assert sorted(map(tuple, np.argwhere(result.raw.array[0]))) == [
        (i, j, k) for i in (8, 9) for j in (6, 7) for k in (6, 7)
    ]
    region = np.zeros((24, 20, 16))
    region[8:12, 6:10, 4:8] = 1
    result = session.explain("input_x_gradient", target=am.RegionTarget(1, region))
    assert result.provenance["voxels"] == 8
    np.testing.assert_array_equal(result.raw.array[0] > 0, region > 0)


def test_names_of_classes_and_background():
    module, image = seeded(SmallUNet(2), 1), picture(2)
    answer = am.Explainer(module, image, spec={"class_names": ["a", "b", "c"]}).answer()
    assert [answer.class_label(index) for index in range(3)] == ["a", "b", "c"]
    assert answer.background == 0
    assert am.Explainer(module, image, spec={"background": 2}).answer().background == 2
    assert am.Explainer(module, image).answer().class_label(2) == "class 2"
    classifier = am.Explainer(seeded(PooledClassifier(2)), image).answer()
    assert classifier.background is None


def test_names_that_do_not_fit_are_refused():
    with pytest.raises(SpecError, match=r"3 class names .* got 2 \(a, b\)"):
        am.Explainer(seeded(SmallUNet(2)), picture(2), spec={"class_names": ["a", "b"]}).answer()


def test_a_task_that_does_not_fit_is_refused():
    for module, task in [(SmallUNet(2), "classification"), (PooledClassifier(2), "segmentation")]:
        with pytest.raises(SpecError, match=f"says {task}, but the answer has shape"):
            am.Explainer(seeded(module), picture(2), spec={"task": task}).answer()


class Returning(nn.Module):
    """A network that returns whatever a function makes of its logits."""

    def __init__(self, function):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.function = function

    def forward(self, x):
        return self.function(self.conv(x))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda z: z.argmax(1), "labels have no gradient"),
        (lambda z: z > 0, "torch.bool: labels have no gradient"),
        (lambda z: "tumour", "a str; choose one with `output`"),
        (lambda z: None, "a NoneType"),
        (lambda z: {}, "a dict"),
        (lambda z: z.mean(), r"got \(\)"),
        (lambda z: z[0], r"got \(3, 13, 18\)"),
        (lambda z: z[:, 0], r"got \(1, 13, 18\)"),
        (lambda z: z[..., None], "2 spatial axes"),
        (lambda z: torch.cat([z, z]), r"got \(2, 3, 13, 18\)"),
    ],
)
def test_answers_that_are_no_answers_are_refused(function, words):
    module = seeded(Returning(function))
    with pytest.raises(ModelError, match=words):
        am.explain(module, picture(2), "grad_cam", "conv")
    with pytest.raises(ModelError, match=words):
        am.Explainer(module, picture(2)).answer()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_answer_that_is_not_finite_is_refused(value):
    module = seeded(Returning(lambda z: z * value))
    with pytest.raises(ModelRunError, match="finite"):
        am.explain(module, picture(2), "grad_cam", "conv", 1)
