"""Progress that only goes forward, and cancel that stops within one operator."""

from typing import ClassVar

import pytest
import torch
from torch import nn

import attention_maps as am
from attention_maps import progress as progress_module
from attention_maps.errors import Cancelled
from attention_maps.registry import methods
from tiny_networks import FlatClassifier, SmallUNet, picture, seeded, traced


class Listener:
    """Remembers every call; answers False from a given moment on."""

    def __init__(self, stop=lambda: False):
        self.calls = []
        self.stop = stop

    def __call__(self, fraction, message):
        self.calls.append((fraction, message))
        return not self.stop()


@pytest.fixture(autouse=True)
def every_operator(monkeypatch):
    """Report each operator, however fast they follow each other."""
    monkeypatch.setattr(progress_module, "SECONDS_BETWEEN_CALLS", 0.0)


def check_forward_only(calls):
    fractions = [fraction for fraction, _ in calls]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert all(message and isinstance(message, str) for _, message in calls)


@pytest.mark.parametrize("method", [name for name in methods() if name != "cam"])
def test_fractions_grow_from_zero_to_one(method):
    listener = Listener()
    module = seeded(FlatClassifier(2), 1)
    am.explain(module, picture(2), method, "act1", 1, progress=listener)
    check_forward_only(listener.calls)
    assert len({fraction for fraction, _ in listener.calls}) > 5


def test_several_targets_and_methods_share_the_way():
    listener = Listener()
    am.explain(
        seeded(SmallUNet(2), 1), picture(2), ["grad_cam", "occlusion", "smooth_grad"], "act2",
        [1, 2], progress=listener, samples=10,
    )  # fmt: skip
    check_forward_only(listener.calls)
    for word in ("Running the network", "class 1", "class 2", "Occlusion", "SmoothGrad"):
        assert any(word in message for _, message in listener.calls), word
    ends = {}
    for fraction, message in listener.calls:
        ends[message.partition(":")[0]] = fraction
    start = ends["Running the network"]
    assert start < 0.5
    second = [f for f, message in listener.calls if "class 2" in message]
    assert max(second) - min(second) == pytest.approx((1 - start) / 6, rel=0.1)


@pytest.mark.parametrize("method", ["grad_cam", "occlusion", "score_cam"])
def test_next_question_begins_at_zero_too(method):
    listener = Listener()
    session = am.Explainer(seeded(SmallUNet(2), 1), picture(2))
    session.explain("grad_cam", "act2", 1)
    session.explain(method, "act2", 1, listener)
    check_forward_only(listener.calls)
    assert len({fraction for fraction, _ in listener.calls}) > 5


def test_returning_nothing_goes_on():
    result = am.explain(
        seeded(SmallUNet(2), 1), picture(2), "grad_cam", "act2", 2, progress=lambda *_: None
    )
    assert result.has_evidence


class Noted(torch.autograd.Function):
    """One operator forward and one backward, both noted."""

    ran: ClassVar[list[str]] = []

    @staticmethod
    def forward(ctx, x):
        Noted.ran.append("forward")
        return x * 1.5

    @staticmethod
    def backward(ctx, gradient):
        Noted.ran.append("backward")
        return gradient * 1.5


class Chain(nn.Module):
    """Twenty operators in a row."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)

    def forward(self, x):
        x = self.conv(x)
        for _ in range(20):
            x = Noted.apply(x)
        return x


@pytest.mark.parametrize(
    ("method", "phase", "limit"),
    [("hires_cam", "forward", 7), ("hires_cam", "backward", 7), ("input_x_gradient", "backward", 7),
     ("occlusion", "forward", 70), ("ablation_cam", "forward", 50),
     ("integrated_gradients", "backward", 15)],
)  # fmt: skip
def test_cancel_stops_within_one_operator(method, phase, limit):
    Noted.ran = []
    listener = Listener(stop=lambda: Noted.ran.count(phase) >= limit)
    session = am.Explainer(seeded(Chain()), picture(2))
    with pytest.raises(Cancelled, match="nothing was written"):
        session.explain(method, "conv", 1, progress=listener)
    assert limit <= Noted.ran.count(phase) <= limit + 1
    assert listener.calls[-1][0] < 1
    expected = am.explain(seeded(Chain()), picture(2), method, "conv", 1).raw.array
    after = session.explain(method, "conv", 1)  # the session goes on
    assert (after.raw.array == expected).all()


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.45, 0.7])
def test_cancel_of_a_traced_network(fraction):
    listener = Listener(stop=lambda: listener.calls[-1][0] >= fraction)
    model = am.load_model(traced(seeded(SmallUNet(2), 1), picture(2)))
    session = am.Explainer(model, picture(2))
    with pytest.raises(Cancelled):
        session.explain(["grad_cam", "ablation_cam"], "act2", 2, progress=listener)
    assert not any(earlier >= fraction for earlier, _ in listener.calls[:-1])
    assert session.explain("grad_cam", "act2", 2).has_evidence


def test_an_interrupt_by_the_keyboard_passes_through():
    def interrupt(fraction, message):
        if fraction > 0.2:
            raise KeyboardInterrupt

    session = am.Explainer(seeded(SmallUNet(2), 1), picture(2))
    with pytest.raises(KeyboardInterrupt):
        session.explain("grad_cam", "act2", 2, progress=interrupt)
    assert session.explain("grad_cam", "act2", 2).has_evidence


def test_an_error_of_the_callback_is_not_blamed_on_the_network():
    def broken(fraction, message):
        if fraction > 0.01:
            raise ValueError("no such widget")

    session = am.Explainer(seeded(SmallUNet(2), 1), picture(2))
    with pytest.raises(ValueError, match="no such widget"):
        session.explain("grad_cam", "act2", 2, progress=broken)


def test_progress_must_be_a_function():
    with pytest.raises(TypeError, match="progress to be a function of a fraction and a message"):
        am.explain(seeded(SmallUNet(2)), picture(2), "grad_cam", "act2", progress=True)
