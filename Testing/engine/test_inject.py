"""`inject`: the module goes on as before, whatever it is used for, and makes maps beside it."""

from __future__ import annotations

import copy
import io
import logging
import pickle
import threading

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import SimpleInferer, SlidingWindowInferer, sliding_window_inference
from monai.networks.nets import BasicUNet, ViT
from torch import nn
from torch.utils.checkpoint import checkpoint

import attention_maps as am
from attention_maps.injection.module import Injected
from tiny_networks import SHAPES, FlatClassifier, PooledClassifier, SmallUNet, seeded


def batch_of(images: int = 2, axes: int = 3, channels: int = 1, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, channels, *SHAPES[axes], generator=generator)


class Trained(nn.Module):
    """What depends on the mode: normalization by the batch, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm3d(4)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(0.5)
        self.out = nn.Conv3d(4, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.drop(self.act(self.norm(self.conv(x)))))


class Wrapped(nn.Module):
    """Answers as a list, a tuple or a dict, the finest first."""

    def __init__(self, form) -> None:
        super().__init__()
        self.inner = SmallUNet(3)
        self.form = form

    def forward(self, x: torch.Tensor):
        fine = self.inner(x)
        return self.form(fine, nn.functional.avg_pool3d(fine, 2))


FORMS = {
    "list": lambda fine, coarse: [fine, coarse],
    "tuple": lambda fine, coarse: (coarse, fine),
    "dict": lambda fine, coarse: {"coarse": coarse, "out": fine},
    "nested": lambda fine, coarse: [(fine, coarse), {"aux": coarse}],
}


def same(first, second) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    return len(first) == len(second) and all(map(same, first, second))


# The module is what it was.


@pytest.mark.parametrize("method", am.methods())
@pytest.mark.parametrize("cls", [PooledClassifier, SmallUNet])
def test_predictions_and_maps_of_all_methods(method, cls):
    """Equal to the last bit; one map per image, as `explain` makes it of that image alone."""
    if method == "cam" and cls is SmallUNet:
        pytest.skip("CAM is for classification")
    network, batch = seeded(cls(3)), batch_of(2)
    label = am.ClassTarget(1)
    injected = am.inject(network, backend=method, layer="auto", label=label)
    assert torch.equal(injected(batch), network(batch))
    maps = injected.get_attention_map()
    assert maps.shape == (2, 1, *SHAPES[3])
    for image, made in zip(batch, maps, strict=True):
        alone = am.explain(network, am.Image(image.numpy()), method=method, target=label)
        limit = 1e-4 * np.abs(alone.image.array).max()  # occlusion: small differences of sums
        np.testing.assert_allclose(made, alone.image.array, rtol=1e-4, atol=limit)


@pytest.mark.parametrize("form", FORMS)
def test_outputs_of_several_tensors(form):
    network, batch = seeded(Wrapped(FORMS[form])), batch_of()
    injected = am.inject(network, layer="inner.merge", label=2)
    assert same(injected(batch), network(batch))
    alone = am.inject(network.inner, layer="merge", label=2)
    alone(batch)
    np.testing.assert_array_equal(injected.get_attention_map(), alone.get_attention_map())


def test_modules_are_used_as_before(tmp_path):
    network = seeded(SmallUNet(3))
    injected = am.inject(network, label=1)
    assert isinstance(injected, SmallUNet)
    assert isinstance(injected, nn.Module)
    assert repr(injected) == repr(network)
    assert type(injected).__name__ == "SmallUNet"
    assert list(injected.state_dict()) == list(network.state_dict())
    assert [name for name, _ in injected.named_modules()] == [n for n, _ in network.named_modules()]
    assert not hasattr(network, "get_attention_map")
    torch.save(injected.state_dict(), tmp_path / "weights.pt")
    other = SmallUNet(3)
    other.load_state_dict(torch.load(tmp_path / "weights.pt"))
    injected.load_state_dict(other.state_dict())
    assert injected.train().training
    assert network.enc.training
    assert not injected.eval().training
    injected.to(torch.float64)
    batch = batch_of().double()
    assert injected(batch).dtype == torch.float64
    assert torch.equal(injected(batch), network(batch))
    traced = torch.jit.trace(injected, batch)
    assert torch.equal(traced(batch), network(batch))
    exported = torch.export.export(injected, (batch,))
    torch.testing.assert_close(exported.module()(batch), network(batch))


def test_copies_are_their_own():
    """Deep copies and pickles are injected, too, and share nothing."""
    injected = am.inject(seeded(SmallUNet(3)), label=1, save_pickle=True, output_dir=".")
    batch = batch_of()
    expected = injected(batch)
    stream = io.BytesIO()
    torch.save(injected, stream)
    stream.seek(0)
    copies = [
        copy.deepcopy(injected),
        pickle.loads(pickle.dumps(injected)),
        torch.load(stream, weights_only=False),
    ]
    for made in copies:
        assert isinstance(made, SmallUNet)
        assert torch.equal(made(batch), expected)
        np.testing.assert_array_equal(made.get_attention_map(), injected.get_attention_map())
        assert len(made._injection.collected) == 4
        assert len(injected._injection.collected) == 2
        with torch.no_grad():
            made.out.bias.add_(1)
    assert torch.equal(injected(batch), expected)


def test_original_and_injected_share_weights():
    network = seeded(SmallUNet(3))
    injected = am.inject(network)
    with torch.no_grad():
        network.out.bias.add_(1)
    assert torch.equal(injected(batch_of()), network(batch_of()))


@pytest.mark.parametrize("mode", [True, False])
def test_modes_random_numbers_and_statistics(mode):
    """A training step's prediction, random numbers and running means are as without maps."""
    results = []
    for inject in (lambda module: module, lambda module: am.inject(module, layer="full")):
        network = inject(seeded(Trained()))
        network.train(mode)
        network.drop.train(not mode)
        torch.manual_seed(3)
        output = network(batch_of())
        flags = [part.training for part in network.modules()]
        results.append((output, torch.rand(3), network.norm.running_mean.clone(), flags))
        hooks = [h for part in network.modules() for h in part._forward_hooks]
        assert hooks == []
        assert all(parameter.requires_grad for parameter in network.parameters())
    for plain, injected in zip(*results, strict=True):
        assert plain == injected if isinstance(plain, list) else torch.equal(plain, injected)


def test_maps_are_those_of_evaluation_mode():
    network = seeded(Trained())
    batch = batch_of()
    injected = am.inject(network, layer="act", label=1)
    injected(batch)
    expected = injected.get_attention_map()
    injected.train()
    with torch.no_grad():
        injected(batch)
    network.norm.reset_running_stats()
    injected(batch)
    assert not np.array_equal(injected.get_attention_map(), expected)
    again = am.inject(network.eval(), layer="act", label=1)
    again(batch)
    injected.train()
    injected.norm.eval()  # so that its statistics stay
    injected(batch)
    np.testing.assert_array_equal(injected.get_attention_map(), again.get_attention_map())


@pytest.mark.parametrize("backend", ["gcam", "gbp", "ggcam", "integrated_gradients"])
@pytest.mark.parametrize("retain", [True, False])
def test_gradients_of_a_training_step(backend, retain):
    """The caller's own backward pass gives what it gives without maps; none are left before it."""
    gradients = []
    for inject in (False, True):
        network = seeded(SmallUNet(3)).train()
        network.enc.weight.requires_grad_(False)
        if inject:
            network = am.inject(network, backend=backend, retain_graph=retain)
        inputs = batch_of().requires_grad_()
        loss = network(inputs).square().mean()
        assert all(parameter.grad is None for parameter in network.parameters())
        assert inputs.grad is None
        loss.backward()
        gradients.append([inputs.grad, *(parameter.grad for parameter in network.parameters())])
    for plain, injected in zip(*gradients, strict=True):
        assert (plain is None and injected is None) or torch.equal(plain, injected)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_gradient_modes(context):
    network = seeded(SmallUNet(3))
    injected = am.inject(network, label=1, return_attention=True)
    with context():
        batch = batch_of()
        output, maps = injected(batch)
        expected = network(batch)
        assert output.requires_grad == expected.requires_grad
        assert torch.equal(output, expected)
    reference = am.inject(network, label=1)
    reference(batch.clone())
    np.testing.assert_array_equal(maps.numpy(), reference.get_attention_map())


def test_autocast():
    network = seeded(SmallUNet(3))
    injected = am.inject(network, label=1, layer="merge")
    batch = batch_of()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        output = injected(batch)
        assert output.dtype == torch.bfloat16
        assert torch.equal(output, network(batch))
    maps = injected.get_attention_map()
    injected(batch)
    exact = injected.get_attention_map()
    assert maps.dtype == np.float32
    assert np.abs(maps - exact).max() < 0.05 * np.abs(exact).max()


class Failing(SmallUNet):
    """Fails where it is told to."""

    fails_at = 0
    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        y = super().forward(x)
        if self.calls == self.fails_at:
            raise RuntimeError("out of order")
        return y


@pytest.mark.parametrize("call", [1, 2, 3])
def test_errors_leave_the_module_as_it_was(call):
    """In the prediction itself, in listing the layers, and in making the map."""
    network = seeded(Failing(3)).train()
    injected = am.inject(network)
    injected.fails_at = call
    with pytest.raises(RuntimeError, match="out of order"):
        injected(batch_of())
    assert all(part.training for part in injected.modules())
    assert all(parameter.requires_grad for parameter in injected.parameters())
    assert all(parameter.grad is None for parameter in injected.parameters())
    assert [h for part in injected.modules() for h in part._forward_hooks] == []
    assert torch.is_grad_enabled()
    injected.fails_at = 0
    injected(batch_of())
    assert injected.get_attention_map().shape == (2, 1, *SHAPES[3])


def test_label_functions_may_fail():
    injected = am.inject(seeded(SmallUNet(3)), label=lambda output: output.missing)
    with pytest.raises(AttributeError, match="missing"):
        injected(batch_of())


def test_a_module_that_works_in_place_on_its_input():
    class InPlace(SmallUNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.mul_(2))

    network, plain = seeded(InPlace(3)), seeded(SmallUNet(3))
    injected, expected = am.inject(network, label=1), am.inject(plain, label=1)
    batch = batch_of()
    assert torch.equal(injected(batch.clone()), expected(2 * batch))
    np.testing.assert_array_equal(injected.get_attention_map(), expected.get_attention_map())


def test_a_forward_of_its_own():
    """Some wrappers set `forward` on the module; it is kept."""
    network = seeded(SmallUNet(3))
    plain = network.forward
    network.forward = lambda x: 2 * plain(x)
    injected = am.inject(network, label=1)
    assert torch.equal(injected(batch_of()), 2 * plain(batch_of()))
    assert injected.get_attention_map().any()


@pytest.mark.parametrize("changed", [nn.utils.spectral_norm, nn.utils.parametrizations.weight_norm])
def test_weights_that_are_computed(changed):
    """In training, spectral normalization takes a step at each call: one, not two."""
    results = []
    for inject in (False, True):
        network = seeded(FlatClassifier(3)).train()
        torch.manual_seed(0)
        network.second = changed(network.second)
        output = (am.inject(network, layer="act1", label=1) if inject else network)(batch_of())
        results.append([output, *network.state_dict().values()])
    assert all(torch.equal(plain, injected) for plain, injected in zip(*results, strict=True))


def test_modules_without_sizes():
    """Lazy ones get theirs from the first prediction."""
    network = nn.Sequential(nn.LazyConv3d(4, 3), nn.Flatten(2), nn.AdaptiveAvgPool1d(1))
    injected = am.inject(network, layer="0", label=1)
    assert injected(batch_of()).shape == (2, 4, 1)
    assert injected.get_attention_map().shape == (2, 1, *SHAPES[3])


def test_parts_and_siblings_are_plain():
    """What is made by the module's class, such as a slice of a Sequential, makes no maps."""
    network = nn.Sequential(seeded(SmallUNet(3)), nn.ReLU(), nn.ReLU())
    injected = am.inject(network, layer="0.merge", label=1)
    assert torch.equal(injected[:2](batch_of()), network(batch_of()))
    assert torch.equal(type(injected)(nn.ReLU())(batch_of()), batch_of().relu())
    assert injected[:1].state_dict().keys() == network[:1].state_dict().keys()


def test_hooks_on_the_module_see_one_call():
    network = seeded(SmallUNet(3))
    seen = []
    network.register_forward_hook(lambda *_: seen.append(1))
    am.inject(network)(batch_of())
    assert seen == [1]


def test_further_arguments_reach_the_module():
    class Conditioned(SmallUNet):
        def forward(self, x: torch.Tensor, *, scale: float = 1) -> torch.Tensor:
            return super().forward(x * scale)

    network = seeded(Conditioned(3))
    injected, expected = am.inject(network, label=1), am.inject(seeded(SmallUNet(3)), label=1)
    assert torch.equal(injected(batch_of(), scale=3), expected(3 * batch_of()))
    np.testing.assert_array_equal(injected.get_attention_map(), expected.get_attention_map())


@pytest.mark.parametrize("enabled", [True, False])
def test_the_batch_goes_by_the_modules_own_name_for_it(enabled):
    network = seeded(SmallUNet(3))
    injected = am.inject(network, enabled=enabled)
    assert torch.equal(injected(x=batch_of()), network(batch_of()))
    assert (injected.get_attention_map() is not None) == enabled
    with pytest.raises(TypeError if not enabled else am.ImageError):
        injected()


@pytest.mark.parametrize("backend", ["gcam", "gbp"])
def test_rows_of_further_arguments_stay_with_their_images(backend):
    class Shifted(SmallUNet):
        def forward(self, x: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
            return super().forward(x + offset[:, None, None, None, None])

    network = seeded(Shifted(3))
    injected = am.inject(network, backend=backend, label=1)
    offset = torch.tensor([0.5, -2.0])
    injected(batch_of(), offset=offset)
    together = injected.get_attention_map()
    for image in range(2):
        injected(batch_of()[image : image + 1], offset=offset[image : image + 1])
        np.testing.assert_allclose(together[image], injected.get_attention_map()[0], rtol=1e-4,
                                   atol=1e-6 * np.abs(together[image]).max())  # fmt: skip


def test_a_part_in_torchscript():
    """It takes no hooks, and is gone through."""
    script = torch.jit.trace(nn.Conv3d(3, 3, 1), torch.zeros(1, 3, 4, 4, 4))
    network = nn.Sequential(seeded(SmallUNet(3)), script, nn.Conv3d(3, 2, 1)).eval()
    injected = am.inject(network, label=1, layer=["0.merge", "2"])
    assert torch.equal(injected(batch_of()), network(batch_of()))
    assert all(values.any() for values in injected.get_attention_map().values())


def test_replicas_of_data_parallel():
    """Each replica predicts by its own weights, as on several GPUs."""
    network = seeded(SmallUNet(3))
    injected = am.inject(network, label=1)
    replica = injected._replicate_for_data_parallel()
    replica.out = copy.deepcopy(network.out)
    with torch.no_grad():
        replica.out.bias.add_(1)
    torch.testing.assert_close(replica(batch_of()), network(batch_of()) + 1)
    assert torch.equal(injected(batch_of()), network(batch_of()))


@pytest.mark.parametrize("outside", [True, False])
def test_data_parallel(outside):
    network = seeded(SmallUNet(3))
    parallel = nn.DataParallel(network)
    injected = (
        am.inject(parallel, layer="module.merge", label=1)
        if outside
        else nn.DataParallel(am.inject(network, layer="merge", label=1))
    )
    assert torch.equal(injected(batch_of()), network(batch_of()))
    assert list(injected.state_dict()) == list(parallel.state_dict())
    made = injected if outside else injected.module
    expected = am.inject(network, layer="merge", label=1)
    expected(batch_of())
    np.testing.assert_array_equal(made.get_attention_map(), expected.get_attention_map())


def test_several_threads(tmp_path):
    """One call after the other: no map is lost or mixed up."""
    network = seeded(SmallUNet(3))
    injected = am.inject(network, tmp_path, label=1, layer="merge", save_maps=True)
    batches = [batch_of(1, seed=seed) for seed in range(6)]
    outputs: dict[int, torch.Tensor] = {}

    def call(index: int) -> None:
        outputs[index] = injected(batches[index])

    threads = [threading.Thread(target=call, args=(index,)) for index in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(outputs[i], network(batch)) for i, batch in enumerate(batches))
    assert len(list((tmp_path / "merge").iterdir())) == len(batches)


# Under what calls networks.


def test_monais_inferers():
    network, volume = seeded(BasicUNet(3, 1, 2, (4, 4, 8, 8, 8, 4))), torch.randn(1, 1, 40, 32, 32)
    plain = sliding_window_inference(volume, (32, 32, 32), 2, network, overlap=0.5)
    injected = am.inject(network, label=1)
    assert torch.equal(
        sliding_window_inference(volume, (32, 32, 32), 2, injected, overlap=0.5), plain
    )
    assert torch.equal(SimpleInferer()(volume[:, :, :32], injected), network(volume[:, :, :32]))
    beside = am.inject(network, label=1, return_attention=True)
    output, maps = SlidingWindowInferer((32, 32, 32), 2, 0.5)(MetaTensor(volume), beside)
    assert torch.equal(output.as_tensor(), plain)
    assert maps.shape == (1, 1, 40, 32, 32)
    assert float(maps.max()) > 0


def test_transformers():
    """Tokens are maps, too; the layout of a batch does not disturb that of another size."""
    torch.manual_seed(0)
    network = ViT(1, (16, 16, 16), (8, 8, 8), 12, 24, 2, 2, classification=True, num_classes=2)
    network.eval()
    batch = torch.randn(3, 1, 16, 16, 16)
    injected = am.inject(network, label=am.ClassTarget(0), layer="blocks.0")
    with torch.no_grad():
        for part in (batch, batch[:1], batch[1:]):
            found = injected(part)
            assert torch.equal(found[0], network(part)[0])
    alone = am.explain(network, am.Image(batch[2].numpy()), layer="blocks.0", target=0)
    np.testing.assert_allclose(injected.get_attention_map()[1], alone.image.array, rtol=1e-3)


# What is asked.


def weighted(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Grad-CAM (B, 1, *grid) by its definition."""
    axes = tuple(range(2, activations.ndim))
    weights = gradients.mean(axes, keepdims=True)
    return np.maximum((weights * activations).sum(1, keepdims=True), 0)


@pytest.mark.parametrize(
    ("label", "chosen"),
    [
        (2, lambda y: one_hot(y, 2)),
        (-1, lambda y: one_hot(y, 2)),
        ([0, 2], lambda y: one_hot(y, 0) + one_hot(y, 2)),
        (torch.tensor(1), lambda y: one_hot(y, 1)),
        (None, torch.ones_like),
        (lambda y: y > 0.5, lambda y: (y > 0.5).float()),
        (lambda y: y.sigmoid(), torch.sigmoid),
        (np.ones((3, *SHAPES[3])), torch.ones_like),
        (torch.arange(6).reshape(2, 3, 1, 1, 1) > 2, lambda y: torch.ones_like(y) * image(y)),
    ],
    ids=["class", "last", "classes", "tensor", "none", "mask of", "weights of", "mask", "masks"],
)
@pytest.mark.parametrize("method", ["gcam", "ablation_cam"])
def test_labels(label, chosen, method):
    """The gradient that is followed back is the label's; other methods score by it."""
    network, batch = seeded(SmallUNet(3)), batch_of()
    injected = am.inject(network, backend=method, layer="merge", label=label)
    injected(batch)
    seen = {}
    handle = network.merge.register_forward_hook(lambda *a: seen.update(a=a[2].requires_grad_()))
    output = network(batch)
    handle.remove()
    seed = chosen(output.detach())
    if method == "gcam":
        gradients = torch.autograd.grad((output * seed).sum(), seen["a"])[0].numpy()
        expected = weighted(seen["a"].detach().numpy(), gradients)
    else:
        expected = ablated(network, seen["a"].detach(), output.detach(), seed)
    limit = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(injected.get_attention_map(), expected, rtol=1e-3, atol=limit)


def one_hot(output: torch.Tensor, index: int) -> torch.Tensor:
    seed = torch.zeros_like(output)
    seed[:, index] = 1
    return seed


def image(output: torch.Tensor) -> torch.Tensor:
    """1 for the second image of the batch."""
    return torch.arange(len(output)).reshape(-1, 1, 1, 1, 1)


def ablated(network, activations, output, seed) -> np.ndarray:
    """Ablation-CAM by its definition."""
    weights = []
    with torch.no_grad():
        for channel in range(activations.shape[1]):
            without = activations.clone()
            without[:, channel] = 0
            changed = network.out(network.act3(without))
            weights.append(((output - changed) * seed).flatten(1).sum(1))
    shown = torch.einsum("kb,bkxyz->bxyz", torch.stack(weights), activations)
    return np.maximum(shown.numpy(), 0)[:, None]


def test_best_is_asked_image_by_image():
    network, batch = seeded(FlatClassifier(2)), batch_of(4, 2)
    with torch.no_grad():
        network.head.bias -= network(batch).mean(0)
    best = network(batch).argmax(1)
    assert len(set(best.tolist())) > 1
    injected = am.inject(network, layer="act2", label="best")
    injected(batch)
    maps = injected.get_attention_map()
    for label in set(best.tolist()):
        injected(batch, label=label)
        np.testing.assert_array_equal(
            maps[best == label], injected.get_attention_map()[best == label]
        )


def test_softmax_is_looked_through():
    """The label's function sees probabilities; what is followed back starts at the logits."""
    network, seen = seeded(SmallUNet(3)), []
    batch = batch_of()

    def likely(output: torch.Tensor) -> torch.Tensor:
        seen.append(output)
        return output > 0.5

    injected = am.inject(nn.Sequential(network, nn.Softmax(1)), layer="0.merge", label=likely)
    output = injected(batch)
    assert torch.equal(seen[0], output)
    plain = am.inject(network, layer="merge", label=lambda logits: logits.softmax(1) > 0.5)
    plain(batch)
    np.testing.assert_array_equal(injected.get_attention_map(), plain.get_attention_map())


# M3d-CAM's methods.


def test_enabling_and_replacing():
    network, batch = seeded(SmallUNet(3)), batch_of()
    injected = am.inject(network, enabled=False, replace=True)
    assert torch.equal(injected(batch), network(batch))
    assert injected.get_attention_map() is None
    injected.enable_medcam()
    maps = injected(batch)
    assert isinstance(maps, torch.Tensor)
    np.testing.assert_array_equal(maps.numpy(), injected.get_attention_map())
    injected.replace_output(False)
    assert torch.equal(injected(batch), network(batch))
    injected.disable_medcam()
    assert torch.equal(injected(batch, mask=None, label=1), network(batch))
    assert torch.equal(injected.model_forward(batch), network(batch))


def test_scores_and_maps_together():
    injected = am.inject(
        seeded(SmallUNet(3)), layer="merge", return_attention=True, return_score=True, evaluate=True
    )
    (output, maps), scores = injected(batch_of(), mask=batch_of() > 0)
    assert output.shape[1] == 3
    assert maps.shape == (2, 1, *SHAPES[3])
    assert len(scores["merge"]) == 2


def test_several_layers():
    injected = am.inject(seeded(SmallUNet(3)), layer=["enc", "merge"], label=1)
    injected(batch_of())
    maps = injected.get_attention_map()
    assert list(maps) == ["enc", "merge"]
    injected.replace_output(True)
    with pytest.raises(am.MethodError, match="Expected one layer, as maps are returned, got 2"):
        injected(batch_of())


def test_test_run(tmp_path):
    injected = am.inject(seeded(PooledClassifier(3)), tmp_path, layer="full")
    names = ["first", "act1", "second", "act2"]
    assert injected.test_run(batch_of(), internal=True) == names
    assert list(tmp_path.iterdir()) == []
    assert injected.test_run(batch_of()) == names
    assert (tmp_path / "registered_layers.txt").read_text().split() == names
    assert am.inject(seeded(PooledClassifier(3))).test_run(batch_of()) == names
    assert am.inject(seeded(PooledClassifier(3)), layer="act1").test_run(batch_of()) == ["act1"]


def test_get_layers():
    injected = am.inject(nn.Sequential(SmallUNet(2), nn.ReLU()))
    names = [f"0.{name}" for name, _ in SmallUNet(2).named_children()]
    assert injected.get_layers() == [*names, "0", "1"]
    assert injected.get_layers(reverse=True) == [*names, "0", "1"][::-1]


def test_injected_again(caplog):
    injected = am.inject(seeded(SmallUNet(3)), label=1)
    with caplog.at_level(logging.WARNING):
        assert am.inject(injected, label=2) is injected
    assert "injected already and keeps its first arguments" in caplog.text
    assert isinstance(injected, Injected)


def test_cudnn_is_switched_off_for_the_maps_alone(monkeypatch):
    seen = []

    class Watching(SmallUNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(torch.backends.cudnn.enabled)
            return super().forward(x)

    am.inject(seeded(Watching(3)), layer="merge", cudnn=False)(batch_of())
    assert seen == [True, False]
    assert torch.backends.cudnn.enabled


# What is refused.


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"backend": "gcamm"}, am.MethodError, "closest: gcam"),
        ({"layer": 3}, am.LayerError, "Expected 'auto', 'full', the name of a layer"),
        ({"layer": []}, am.LayerError, "or a list of names, got"),
        ({"label": "brightest"}, am.TargetError, "Expected a label as the index of a class"),
        ({"label": 1.5}, am.TargetError, "got 1.5"),
        ({"label": []}, am.TargetError, "'best', a mask"),
        ({"data_shape": "input"}, am.ImageError, "Expected data_shape to be 'default'"),
        ({"data_shape": (8, 0, 8)}, am.ImageError, "voxels per axis"),
        ({"data_shape": 8}, am.ImageError, "voxels per axis"),
        ({"metric": "woia"}, am.MethodError, "Expected a metric"),
        ({"threshold": 1.5}, am.MethodError, "Expected the threshold"),
        ({"save_maps": True}, am.MethodError, "as save_maps=True, got output_dir=None"),
        ({"save_pickle": True}, am.MethodError, "Expected a folder to save to"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        am.inject(seeded(SmallUNet(3)), **arguments)


def compiled_in_place(module: nn.Module) -> nn.Module:
    module.compile()
    return module


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("model.pt", "Expected a torch.nn.Module, got str"),
        (torch.jit.trace(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 4, 4)), "got TorchScript"),
        (torch.compile(nn.Conv2d(1, 1, 1)), "model._orig_mod"),
        (compiled_in_place(nn.Conv2d(1, 1, 1)), "make it again without"),
    ],
    ids=["path", "TorchScript", "compiled", "compiled in place"],
)
def test_wrong_modules(module, message):
    with pytest.raises(am.ModelError, match=message):
        am.inject(module)


@pytest.mark.parametrize(
    ("arguments", "call", "error", "message"),
    [
        ({"layer": "encc"}, {}, am.LayerError, "'encc' is not in this model; closest: 'enc'"),
        ({"layer": "q"}, {}, am.LayerError, r"this model; model.get_layers\(\) lists all"),
        ({"label": 3}, {}, am.TargetError, "Expected a class from 0 to 2"),
        ({"label": torch.ones(2, 2, 2)}, {}, am.TargetError, "mask of the output's shape"),
        ({"label": lambda y: "no"}, {}, am.TargetError, "got 'no'"),
        ({"data_shape": (4, 4)}, {}, am.ImageError, "data_shape with 3 axes"),
        ({"evaluate": True}, {}, am.ImageError, "Expected a mask to evaluate against"),
        ({"evaluate": True}, {"mask": torch.ones(1, 1, 8, 11, 9)}, am.ImageError, r"\(2, 1, "),
        ({"evaluate": True}, {"mask": batch_of()}, am.ImageError, "mask of 0 and 1"),
        ({}, {"label": "all"}, am.TargetError, "Expected a label"),
        ({}, {"raw_input": ["a", "b", "c"]}, am.ImageError, "for each of 2 images"),
    ],
)
def test_wrong_calls(arguments, call, error, message):
    injected = am.inject(seeded(SmallUNet(3)), return_attention=True, **arguments)
    with pytest.raises(error, match=message):
        injected(batch_of(), **call)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"image": 1}, r"Expected a batch as tensor \(B, C, \*spatial\).*got dict"),
        (torch.zeros(1, 8, 8), r"got shape \(1, 8, 8\)"),
        (torch.zeros(0, 1, 8, 8, 8), "got shape"),
    ],
)
def test_wrong_batches(batch, message):
    with pytest.raises(am.ImageError, match=message):
        am.inject(seeded(SmallUNet(3)))(batch)


@pytest.mark.parametrize(
    ("shrink", "shape"), [(lambda y: y.mean((1, 2, 3, 4)), r"\(2,\)"), (sum, r"\(3, 8, 11, 9\)")]
)
def test_outputs_without_rows(shrink, shape):
    class Shrunk(SmallUNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return shrink(super().forward(x))

    with pytest.raises(
        am.ModelRunError, match=f"one row for each image of the batch, got .*{shape}"
    ):
        am.inject(seeded(Shrunk(3)), layer="merge")(batch_of())


def test_parts_that_are_worked_out_again():
    """Behind them all is as ever; in them there is no map, and the message says what to do."""

    class Saving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.early, self.late = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.late(checkpoint(self._early, x, use_reentrant=False))

        def _early(self, x: torch.Tensor) -> torch.Tensor:
            return self.early(x).relu()

    network, batch = seeded(Saving()), batch_of(axes=2)
    injected = am.inject(network, layer="late", label=1)
    assert torch.equal(injected(batch), network(batch))
    assert injected.get_attention_map().any()
    with pytest.raises(am.ModelRunError, match="use_checkpoint=False"):
        am.inject(network, layer="early", label=1)(batch)


def test_nothing_to_dump(tmp_path):
    injected = am.inject(seeded(SmallUNet(3)), tmp_path, save_scores=True)
    injected(batch_of())
    with pytest.raises(am.MethodError, match="nothing was evaluated"):
        injected.dump()
    with pytest.raises(am.MethodError, match="got none; evaluate maps first"):
        am.Evaluator(tmp_path).dump()
    with pytest.raises(am.MethodError, match="without one"):
        am.inject(seeded(SmallUNet(3))).save_attention_map(np.ones((4, 4)))


def test_numbers_that_are_not_finite():
    network = seeded(SmallUNet(3))
    with torch.no_grad():
        network.merge.bias.fill_(float("inf"))
    with pytest.raises(am.ModelRunError, match="holds NaN or Inf"):
        am.inject(network, layer="merge", label=1)(batch_of())
