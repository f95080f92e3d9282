"""Networks of pictures on volumes, against the same network on the slices themselves."""

import numpy as np
import pytest
import torch
from torch import nn

import attention_maps as am
from attention_maps.slice_relevance import slice_relevance

SHAPE = (12, 16, 8)
AFFINE = np.diag([0.6, 0.6, 3.0, 1.0])


class Pictures(nn.Module):
    """A 2D segmentation network."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv2d(channels, 5, 3, padding=1)
        self.down = nn.Conv2d(5, 6, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(6, 5, 2, stride=2)
        self.head = nn.Conv2d(5, 2, 1)

    def forward(self, x):
        x = nn.functional.silu(self.first(x))
        return self.head(nn.functional.silu(self.up(nn.functional.silu(self.down(x)))))


class OneDiagnosis(nn.Module):
    """As MRNet: one diagnosis of a series of color slices, the strongest slice decides."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 6, 3, padding=1),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(6, 1)

    def forward(self, x):
        pooled = self.features(x.squeeze(0)).mean((2, 3))
        return self.classifier(pooled.max(0, keepdim=True)[0])


@pytest.fixture
def image() -> am.Image:
    return am.Image(np.random.default_rng(5).normal(size=(1, *SHAPE)).astype(np.float32), AFFINE)


def slices_of(image: am.Image) -> torch.Tensor:
    """(slices, rows, columns) across the thick axis, k."""
    return torch.from_numpy(image.array[0].transpose(2, 0, 1)).double()


@pytest.mark.parametrize("together", ["no", "batch"])
@pytest.mark.parametrize("repeat", [1, 3])
@pytest.mark.parametrize("neighbors", [0, 2])
def test_slices_neighbors_and_copies(image, together, repeat, neighbors):
    """Logits and the gradient at the volume are those of the pictures put together by hand."""
    net = Pictures(repeat * (2 * neighbors + 1)).double()
    spec = {"slices": {"together": together, "repeat": repeat, "neighbors": neighbors}}
    session = am.Explainer(am.load_model(net, spec), image)
    stack = slices_of(image).requires_grad_()
    count = len(stack)
    pictures = torch.stack(
        [
            torch.stack(
                [
                    stack[min(max(at + step, 0), count - 1)]
                    for step in range(-neighbors, neighbors + 1)
                    for _ in range(repeat)
                ]
            )
            for at in range(count)
        ]
    )
    logits = net(pictures)
    found = session.answer().logits[0].movedim(1, 0)
    torch.testing.assert_close(found, logits.detach(), rtol=1e-5, atol=1e-6)
    index = int(logits.argmax(1).flatten().bincount().argmax())
    logits[:, index][logits.argmax(1) == index].sum().backward()
    made = session.explain("input_x_gradient", target=index)
    expected = (stack.grad * stack.detach()).numpy()
    assert np.abs(made.raw.array[0] - expected).max() < 1e-6 * np.abs(expected).max()
    assert made.image.array.shape == image.array.shape
    np.testing.assert_allclose(made.image.array[0].transpose(2, 0, 1), made.raw.array[0], atol=1e-6)


@pytest.mark.parametrize(("axis", "order"), [("i", (0, 1, 2)), ("j", (1, 0, 2)), ("k", (2, 0, 1))])
def test_the_axis_across_slices_can_be_chosen(image, axis, order):
    net = Pictures(1)
    session = am.Explainer(am.load_model(net, {"slices": {"axis": axis}}), image)
    expected = net(torch.from_numpy(image.array[0].transpose(order))[:, None]).argmax(1)
    back = np.argsort(order)
    np.testing.assert_array_equal(session.prediction.array[0], expected.numpy().transpose(back))


def test_rows_and_columns_are_turned_for_networks_of_other_libraries(image):
    net = Pictures(1)
    spec = {"slices": {}, "axis_order": "kji"}
    session = am.Explainer(am.load_model(net, spec), image)
    expected = net(torch.from_numpy(image.array[0].transpose(2, 1, 0).copy())[:, None]).argmax(1)
    np.testing.assert_array_equal(session.prediction.array[0], expected.numpy().transpose(2, 1, 0))


def test_slices_are_resized_and_maps_come_back(image):
    """A spot stays where it is, whatever the size of the slices."""
    image.array[:] = 0
    image.array[0, 3:6, 8:11, 4] = 5
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.Conv2d(1, 1, 1, bias=False))
    for part in (net[0], net[2]):
        nn.init.ones_(part.weight)
    made = am.explain(net, image, "hires_cam", "1", 0, spec={"slices": {"size": (24, 64)}})
    assert made.raw.array.shape == (1, 8, 24, 64)
    heat = made.image.array[0]
    centroid = [(heat * grid).sum() / heat.sum() for grid in np.indices(heat.shape)]
    np.testing.assert_allclose(centroid, (4, 9, 4), atol=0.05)


def test_one_diagnosis_of_all_slices(image):
    """The gradient lives on the slices that won; Grad-CAM's pooled weights light all."""
    net = OneDiagnosis()
    spec = {"slices": {"together": "sequence", "repeat": 3}}
    session = am.Explainer(am.load_model(net, spec), image)
    series = slices_of(image).float()[:, None].repeat(1, 3, 1, 1)
    assert session.answer().logits[0].item() == pytest.approx(net(series[None]).item(), rel=1e-5)
    winners = set(net.features(series).mean((2, 3)).argmax(0).tolist())
    fine, coarse = session.explain(["hires_cam", "grad_cam"], "features.3", 0)
    lit = set(np.nonzero(fine.raw.array[0].any((1, 2)))[0].tolist())
    assert lit <= winners
    assert len(lit) < SHAPE[2]
    relevance = fine.slice_relevance()
    assert [item.index for item in relevance] == list(range(SHAPE[2]))
    assert {item.index for item in relevance if item.share > 0} == lit
    assert sum(item.share for item in relevance) == pytest.approx(1)
    assert [item.ras[2] for item in relevance] == [3.0 * k for k in range(SHAPE[2])]
    assert coarse.raw.array.any()


def test_relevance_counts_for_and_against_and_follows_the_image():
    """Sums of absolute values along any axis of an oblique volume, placed at slice centers."""
    affine = np.diag([1.0, 2.0, 2.0, 1.0]) @ np.array(
        [[0.6, 0.8, 0, 5], [-0.8, 0.6, 0, -7], [0, 0, 1, 9], [0, 0, 0, 1.0]]
    )
    values = np.zeros((1, 2, 3, 4), np.float32)
    values[0, 0, 2, 1], values[0, 1, 2, 3] = -3, 1
    found = slice_relevance(am.Image(values, affine), 2)
    assert [item.value for item in found] == [0, 3, 0, 1]
    assert [item.share for item in found] == [0, 0.75, 0, 0.25]
    np.testing.assert_allclose(found[3].ras, (affine @ [0.5, 1, 3, 1])[:3], atol=1e-6)
    assert [item.share for item in slice_relevance(am.Image(values, affine), 1)] == [0, 0, 1]
    assert [item.share for item in slice_relevance(am.Image(values, affine), 0)] == [0.75, 0.25]
    nothing = slice_relevance(am.Image(np.zeros((1, 2, 3, 4)), affine), 0)
    assert [(item.value, item.share) for item in nothing] == [(0, 0), (0, 0)]


def test_relevance_of_what_has_no_slices(image):
    made = am.explain(Pictures(1), am.Image(image.array[..., 0]), layer="first")
    with pytest.raises(am.ImageError, match=r"a picture has no slices"):
        made.slice_relevance()
    with pytest.raises(am.ImageError, match="from 0 to 2 across the slices, got 3"):
        slice_relevance(image, 3)


def test_a_network_that_judges_each_slice(image):
    """A batch of slices gives one answer each: a point asks about its slice."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(4, 3))  # fmt: skip
    session = am.Explainer(am.load_model(net, {"slices": {"together": "batch"}}), image)
    expected = net(slices_of(image).float()[:, None]).detach()
    np.testing.assert_allclose(
        session.answer().logits[0, :, :, 0, 0].T, expected.numpy(), atol=1e-5
    )
    made = session.explain("hires_cam", "1", am.PointTarget(1, ras=(3.0, 3.0, 6.0)))
    assert made.score == pytest.approx(float(expected[2, 1]), rel=1e-5)
    assert set(np.nonzero(made.raw.array[0].any((1, 2)))[0]) == {2}


def test_a_volume_for_a_network_of_pictures_says_what_to_do(image):
    with pytest.raises(am.ImageError, match=r'spec=\{"slices": \{\}\}'):
        am.explain(Pictures(1), image)
