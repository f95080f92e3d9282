"""The caller's model and PyTorch's own state are as before, whatever happens."""

from __future__ import annotations

import gc
import threading
import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

import attention_maps as am
from attention_maps.errors import AttentionMapsError, Cancelled, ModelError
from networks import TinyClassifier, TinyUNet, as_torchscript, seeded, seeded_input

HOOKS = [
    "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called",
    "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs", "_backward_hooks",
    "_backward_pre_hooks", "_state_dict_hooks", "_load_state_dict_pre_hooks",
]  # fmt: skip
METHODS = ["grad_cam", "eigen_cam", "ablation_cam", "saliency", "guided_backprop", "occlusion"]


def mixed_network():
    """Training here, evaluating there; frozen, with gradients, with hooks of its own."""
    network = seeded(TinyUNet).train()
    network.encoder.eval()
    network.down.add_module("norm", nn.BatchNorm2d(6))
    network.encoder[0].weight.requires_grad_(False)
    network.head.weight.grad = torch.ones_like(network.head.weight)
    network.decoder.register_forward_hook(lambda module, inputs, output: output + 0)
    network.down.register_forward_pre_hook(lambda module, inputs: None)
    network.head.register_full_backward_hook(lambda module, inputs, outputs: None)
    network.register_state_dict_post_hook(lambda *arguments: None)
    return network


def state_of(network):
    """All that the engine could leave behind."""
    modules = dict(network.named_modules())
    return {
        "training": {name: module.training for name, module in modules.items()},
        "inplace": {name: getattr(module, "inplace", None) for name, module in modules.items()},
        "hooks": {
            (name, kind): list(getattr(module, kind).items())
            for name, module in modules.items()
            for kind in HOOKS
        },
        "attributes": {name: sorted(vars(module)) for name, module in modules.items()},
        "requires_grad": {name: p.requires_grad for name, p in network.named_parameters()},
        "identity": {name: id(p) for name, p in network.named_parameters()},
        "versions": {name: p._version for name, p in network.named_parameters()},
        "forward": {name: module.forward.__func__ for name, module in modules.items()},
    }


def tensors_of(network):
    return {
        **{name: value.detach().clone() for name, value in network.state_dict().items()},
        **{
            f"{name}.grad": p.grad.clone()
            for name, p in network.named_parameters()
            if p.grad is not None
        },
    }


def torch_state():
    return (
        torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype(),
        torch.is_autocast_enabled("cpu"), torch.are_deterministic_algorithms_enabled(),
        torch.get_rng_state().sum().item(), torch.is_anomaly_enabled(),
        torch.backends.mkldnn.flags is not None, torch._C._len_torch_dispatch_stack(),
        torch._C._len_torch_function_stack(),
    )  # fmt: skip


class Unchanged:
    """Compare everything before and after a block."""

    def __init__(self, network):
        self.network = network

    def __enter__(self):
        self.before = state_of(self.network), torch_state()
        self.tensors = tensors_of(self.network)
        return self

    def __exit__(self, *error):
        assert (state_of(self.network), torch_state()) == self.before
        after = tensors_of(self.network)
        assert list(after) == list(self.tensors)
        for name, value in after.items():
            assert torch.equal(value, self.tensors[name]), name


@pytest.fixture
def network():
    return mixed_network()


@pytest.fixture
def image():
    return am.Image(seeded_input((1, 16, 20)).numpy())


@pytest.mark.parametrize("method", METHODS)
def test_after_success(network, image, method):
    with Unchanged(network):
        am.explain(network, image, method=method, layer="down")


def test_training_goes_on_as_before(network, image):
    """One step of training gives the same weights, explained in between or not."""
    inputs = seeded_input((2, 1, 16, 20))
    other = mixed_network()
    for item, asked in ((network, True), (other, False)):
        optimizer = torch.optim.SGD(item.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            item(inputs).square().mean().backward()
            if asked:
                am.explain(item, image, layer=["down", "decoder"], method=["grad_cam", "saliency"])
            optimizer.step()
    for first, second in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(first, second)
    for first, second in zip(network.buffers(), other.buffers(), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("stop", [1, 2, 7, 19])
def test_after_an_error_during_the_forward_pass(network, stop):
    model = am.load_model(network)
    with Unchanged(network), pytest.raises(KeyboardInterrupt):
        model.run(seeded_input((1, 1, 16, 20)), ["down"], tick=countdown(stop))
    assert model.run(seeded_input((1, 1, 16, 20)), ["down"]).layers["down"].edge is not None


@pytest.mark.parametrize("stop", [1, 3, 6])
def test_after_an_error_during_the_backward_pass(network, stop):
    model = am.load_model(network)
    trace = model.run(seeded_input((1, 1, 16, 20)), ["down"])
    seed = torch.ones_like(trace.logits)
    with Unchanged(network), pytest.raises(KeyboardInterrupt):
        trace.gradients(seed, ["down"], tick=countdown(stop))
    assert trace.gradients(seed, ["down"])[0].abs().max() > 0


def countdown(count):
    """A tick that is interrupted at one operator."""
    left = [count]

    def tick():
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    return tick


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("calls", [1, 2, 4])
def test_after_cancelling(network, image, method, calls):
    seen = []

    def progress(fraction, message):
        seen.append(fraction)
        return len(seen) < calls

    with Unchanged(network):
        try:
            am.explain(network, image, method=method, layer="down", progress=progress)
        except Cancelled:
            assert len(seen) == calls


class Failing(nn.Module):
    def forward(self, x):
        raise ZeroDivisionError("inside the network")


@pytest.mark.parametrize("error", [ZeroDivisionError, None])
def test_after_an_error_of_the_network(network, image, error):
    if error is not None:
        network.decoder.append(Failing())
        expected = (ZeroDivisionError, AttentionMapsError)
    else:
        network.head = nn.Conv2d(9, 2, 1)
        expected = AttentionMapsError
    with Unchanged(network), pytest.raises(expected):
        am.explain(network, image, layer="down")


@pytest.mark.parametrize("bad", ["no such layer", "head.weight"])
def test_after_a_wrong_question(network, image, bad):
    with Unchanged(network), pytest.raises(AttentionMapsError):
        am.explain(network, image, layer=bad)


@pytest.mark.parametrize("mode", ["traced", "scripted"])
def test_torchscript_modules_in_memory(image, mode):
    inputs = torch.from_numpy(image.array)[None]
    script = as_torchscript(seeded(TinyClassifier), inputs, mode)
    script.features.train()
    trained = [part.training for part in script.modules()]
    before = {name: value.clone() for name, value in script.state_dict().items()}
    grads = [parameter.requires_grad for parameter in script.parameters()]
    am.explain(script, image, method=["grad_cam", "saliency"])
    with pytest.raises(KeyboardInterrupt):
        am.load_model(script).run(inputs, ["features"], tick=countdown(9))
    assert [part.training for part in script.modules()] == trained
    assert [parameter.requires_grad for parameter in script.parameters()] == grads
    assert all(parameter.grad is None for parameter in script.parameters())
    for name, value in script.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    "context", [torch.no_grad, torch.inference_mode, torch.enable_grad], ids=lambda c: c.__name__
)
@pytest.mark.parametrize("kind", ["eager", "traced", "scripted"])
def test_the_callers_gradient_mode_does_not_matter(image, context, kind):
    inputs = torch.from_numpy(image.array)[None]
    network = seeded(TinyUNet)
    model = network if kind == "eager" else as_torchscript(network, inputs, kind)
    expected = am.explain(model, image, method=["grad_cam", "saliency"], layer="down")
    with context():
        before = torch_state()
        found = am.explain(model, image, method=["grad_cam", "saliency"], layer="down")
        assert torch_state() == before
    for first, second in zip(found, expected, strict=True):
        np.testing.assert_array_equal(first.raw.array, second.raw.array)


def test_modules_made_in_inference_mode_are_refused(image):
    with torch.inference_mode():
        network = seeded(TinyUNet)
        with pytest.raises(ModelError, match=r"torch.inference_mode\(\); load it outside"):
            am.explain(network, image)


def test_files_are_loaded_in_inference_mode(image, tmp_path):
    path = tmp_path / "model.pt"
    as_torchscript(seeded(TinyUNet), torch.from_numpy(image.array)[None], "scripted").save(path)
    with torch.inference_mode():
        found = am.explain(path, image, layer="down").raw.array
    expected = am.explain(seeded(TinyUNet), image, layer="down").raw.array
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_autocast_of_the_caller_is_left_on(image):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = am.explain(seeded(TinyUNet), image, layer="down")
        assert torch.is_autocast_enabled("cpu")
    assert result.raw.array.dtype == np.float32
    assert np.isfinite(result.raw.array).all()


@pytest.mark.parametrize("kind", ["eager", "scripted"])
def test_threads_that_share_a_module(kind):
    """Hooks and modes of one module serve one run at a time."""
    network = seeded(TinyUNet).train()
    module = torch.jit.script(network) if kind == "scripted" else network
    images = [am.Image(np.random.default_rng(i).normal(size=(1, 16, 16))) for i in range(4)]
    expected = [am.explain(module, item, layer="down").raw.array for item in images]
    wrong = []

    def work(index):
        for _ in range(4):
            found = am.explain(module, images[index], layer="down").raw.array
            if not np.array_equal(found, expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert all(part.training for part in module.modules())


def test_a_session_asked_from_many_threads(image):
    session = am.Explainer(seeded(TinyUNet), image)
    targets = [0, 1, 2]
    expected = [session.explain(target=t, layer="down").raw.array for t in targets]
    found: dict[int, list[np.ndarray]] = {0: [], 1: [], 2: []}

    def work(target):
        for _ in range(5):
            found[target].append(session.explain(target=target, layer="down").raw.array)

    threads = [threading.Thread(target=work, args=(target,)) for target in targets for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for target in targets:
        assert len(found[target]) == 10
        for array in found[target]:
            np.testing.assert_array_equal(array, expected[target])


@pytest.mark.parametrize("kind", ["eager", "scripted"])
def test_a_thousand_questions_need_no_more_memory(kind):
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(True), nn.Conv2d(2, 2, 1))
    model = network if kind == "eager" else torch.jit.script(network)
    session = am.Explainer(model, np.ones((1, 6, 6), np.float32))
    tensors = []
    for _ in range(20):
        session.explain(target=1, layer="0")
    tracemalloc.start()
    try:
        sizes = []
        for question in range(1000):
            session.explain(target=question % 2, layer="0")
            if question % 200 == 199:
                tensors.append(_living_tensors())
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    # what leaks, leaks with every question; caches fill up once
    assert np.diff(sizes).min() < 50_000  # 250 bytes a question; one small map has 3,000
    assert np.diff(tensors).min() <= 0


def _living_tensors():
    gc.collect()
    return sum(issubclass(type(item), torch.Tensor) for item in gc.get_objects())
