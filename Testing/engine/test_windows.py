"""Whole volumes under windows, against autograd through MONAI's own stitched inference."""

from itertools import combinations

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference

import attention_maps as am
from attention_maps.registry import methods
from attention_maps.sliding_window import SlidingWindow

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
