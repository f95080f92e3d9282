"""TorchScript programs run operator by operator: the native run is the reference."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

import attention_maps as am
from attention_maps.errors import ModelError, ModelRunError
from attention_maps.models.script_graph import Interpreter
from networks import (
    ZOO,
    TinyClassifier,
    as_torchscript,
    build,
    relative_difference,
    seeded,
    seeded_input,
    tensors_in,
    through_file,
)
from networks_scripted import FEATURES, AliasedModules, Methods, Optionals, SharedModules

MODES = ["traced", "scripted", "frozen traced", "frozen scripted"]
SCRIPTED_ZOO = [name for name, (_, _, scriptable) in ZOO.items() if scriptable]


def check_equal(script, inputs, mode):
    """The interpreter's answer is the native one, with and without a tap."""
    with torch.no_grad():
        native = tensors_in(script(inputs))
        interpreter = Interpreter(script._c)
        plain = tensors_in(interpreter.run([inputs], None))
        seen = []
        tapped = tensors_in(
            interpreter.run([inputs], lambda name, kind, value: (seen.append(name), value)[1])
        )
    assert seen
    for answer in (plain, tapped):
        assert len(answer) == len(native)
        for ours, theirs in zip(answer, native, strict=True):
            assert ours.dtype == theirs.dtype
            if mode == "traced":
                assert torch.equal(ours, theirs)
            else:
                assert relative_difference(ours, theirs) <= 1e-6
    assert None not in interpreter._programs.values()  # nothing had to run natively


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", FEATURES)
def test_language_features(name, mode, tmp_path):
    inputs = seeded_input((1, 1, 16, 20))
    script = as_torchscript(seeded(FEATURES[name]), inputs, mode)
    check_equal(script, inputs, mode)
    check_equal(through_file(script, tmp_path), inputs, mode)


@pytest.mark.parametrize("name", ZOO)
def test_traced_networks(name, tmp_path):
    network, inputs = build(name)
    check_equal(through_file(as_torchscript(network, inputs, "traced"), tmp_path), inputs, "traced")


@pytest.mark.parametrize("mode", ["scripted", "frozen scripted"])
@pytest.mark.parametrize("name", SCRIPTED_ZOO)
def test_scripted_networks(name, mode, tmp_path):
    network, inputs = build(name)
    check_equal(through_file(as_torchscript(network, inputs, mode), tmp_path), inputs, mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype, mode, tmp_path):
    inputs = seeded_input((1, 1, 16, 12), dtype)
    network = seeded(TinyClassifier).to(dtype)
    script = through_file(as_torchscript(network, inputs, mode), tmp_path)
    model = am.load_model(script)
    assert model.dtype == dtype
    trace = model.run(inputs)
    assert trace.logits.dtype == dtype
    assert torch.equal(trace.logits, script(inputs))


@pytest.mark.parametrize("wrap", [nn.utils.weight_norm, nn.utils.spectral_norm])
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
def test_normalized_weights(wrap):
    inputs = seeded_input((1, 1, 10, 10))
    network = seeded(lambda: nn.Sequential(wrap(nn.Conv2d(1, 3, 3)), nn.ReLU(), nn.Conv2d(3, 2, 1)))
    script = as_torchscript(network, inputs, "traced")
    check_equal(script, inputs, "traced")
    assert torch.equal(am.load_model(network).run(inputs).logits, network(inputs))


def test_inputs_that_are_left_out_take_their_defaults():
    inputs = seeded_input((1, 1, 8, 8))
    script = as_torchscript(seeded(Optionals), inputs, "scripted")
    assert torch.equal(am.load_model(script).run(inputs).logits, script(inputs))


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)

    def forward(self, image: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        return self.conv(image) + prior


def test_networks_with_a_second_input_are_refused():
    model = am.load_model(torch.jit.script(TwoInputs()))
    with pytest.raises(ModelRunError, match=r"forward takes the inputs \(image, prior\), but 1"):
        model.run(seeded_input((1, 1, 8, 8)))


class Raising(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] % 4 != 0:
            raise ValueError("the width must be a multiple of 4")
        return self.conv(x)


def test_exceptions_of_the_program_are_passed_on():
    model = am.load_model(torch.jit.script(Raising()))
    with pytest.raises(ModelRunError, match="the width must be a multiple of 4"):
        model.run(seeded_input((1, 1, 8, 9)))
    assert model.run(seeded_input((1, 1, 8, 8))).logits.shape == (1, 2, 8, 8)


class Fused(nn.Module):
    """Has an operator that Python cannot call (a fork), inside one of two submodules."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.jit.wait(torch.jit.fork(self.conv, x))


class AroundFused(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 1, 3, padding=1)
        self.fused = Fused()
        self.last = nn.Conv2d(2, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.fused(self.first(x)))


def test_what_python_cannot_run_runs_natively_and_is_reported(caplog):
    inputs = seeded_input((1, 1, 8, 8))
    script = torch.jit.script(seeded(AroundFused))
    model = am.load_model(script)
    with caplog.at_level(logging.WARNING):
        trace = model.run(inputs, ["first"])
    assert "fused runs natively" in caplog.text
    assert torch.equal(trace.logits, script(inputs))
    ran = [info.name for info in model.layers() if info.shape]
    assert ran == ["first", "fused", "last"]
    gradient = trace.gradients(torch.ones_like(trace.logits), ["first"])[0]
    leaf = script.first(inputs).detach().requires_grad_()
    script.last(script.fused(leaf)).sum().backward()
    torch.testing.assert_close(gradient, leaf.grad)


@pytest.mark.parametrize("mode", ["traced", "scripted"])
def test_every_call_of_a_shared_module_has_a_name(mode):
    inputs = seeded_input((1, 1, 8, 8))
    script = as_torchscript(seeded(SharedModules), inputs, mode)
    calls = []
    Interpreter(script._c).run([inputs], lambda name, kind, value: (calls.append(name), value)[1])
    assert calls.count("block") == 3
    names = [info.name for info in am.load_model(script).layers(am.Image(inputs[0].numpy()))]
    assert [name for name in names if name.startswith("block")] == [
        "block.0", "block.1", "block",
        "block.0#2", "block.1#2", "block#2",
        "block.0#3", "block.1#3", "block#3",
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["traced", "scripted"])
def test_modules_registered_twice_go_by_their_first_name(mode, tmp_path):
    inputs = seeded_input((1, 1, 8, 8))
    script = through_file(as_torchscript(seeded(AliasedModules), inputs, mode), tmp_path)
    model = am.load_model(script)
    names = [info.name for info in model.layers(am.Image(inputs[0].numpy()))]
    assert names == ["conv", "norm", "all.2", "all", "head"]
    geometry = model.geometry(inputs)
    assert model.resolve_layers("all.0", geometry) == ["conv"]
    eager = am.load_model(seeded(AliasedModules))
    assert eager.resolve_layers("all.1", eager.geometry(inputs)) == ["norm"]


def test_values_of_frozen_graphs_are_layers_with_names_that_stay(tmp_path):
    inputs = seeded_input((1, 1, 16, 16))
    script = as_torchscript(seeded(TinyClassifier), inputs, "frozen scripted")
    first = [info.name for info in am.load_model(script).layers(am.Image(inputs[0].numpy()))]
    again = am.load_model(through_file(script, tmp_path))
    assert [info.name for info in again.layers(am.Image(inputs[0].numpy()))] == first
    assert first[0] == "conv2d_1"
    assert "leaky_relu_1" in first


def test_exported_methods_are_no_layers():
    inputs = seeded_input((1, 1, 8, 8))
    script = as_torchscript(seeded(Methods), inputs, "scripted")
    names = [info.name for info in am.load_model(script).layers(am.Image(inputs[0].numpy()))]
    assert names == ["conv", "gate", "gate#2"]


class FusedTransformer(nn.Module):
    """In evaluation mode without gradients PyTorch runs these as one operator each."""

    def __init__(self, options):
        super().__init__()
        self.lift = nn.Conv2d(1, 8, 4, stride=4)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, **options)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.attention = nn.MultiheadAttention(8, 4, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        tokens = self.encoder(self.lift(x).flatten(2).transpose(1, 2))
        mixed, weights = self.attention(tokens, tokens, tokens)
        return self.head(mixed.mean(1)) + weights[:, 0, :3]


@pytest.mark.parametrize("options", [{}, {"activation": "gelu"}, {"norm_first": True}])
def test_fused_transformers_have_gradients(options):
    inputs = seeded_input((1, 1, 16, 12))
    network = seeded(lambda: FusedTransformer(options))
    for norm in (module for module in network.modules() if isinstance(module, nn.LayerNorm)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
    script = as_torchscript(network, inputs, "traced")
    assert "_transformer_encoder_layer_fwd" in str(script.inlined_graph)
    assert "_native_multi_head_attention" in str(script.inlined_graph)
    check_equal(script, inputs, "traced")
    seed = torch.eye(3)[:1]
    found = []
    for module in (script, network):
        trace = am.load_model(module).run(inputs, ["lift"])
        torch.testing.assert_close(trace.logits, network(inputs).detach())
        found += trace.gradients(seed, ["lift"])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-7)


def test_programs_optimized_for_inference_are_refused():
    script = torch.jit.optimize_for_inference(torch.jit.script(seeded(TinyClassifier)))
    if "mkldnn" not in str(script.graph).lower():
        pytest.skip("This PyTorch has no MKLDNN to fuse into.")
    with pytest.raises(ModelError, match="before that step"):
        am.load_model(script)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("traced", [True, False])
def test_quantized_networks_are_refused(traced):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2)).eval()
    network = torch.ao.quantization.quantize_dynamic(network, {nn.Linear})
    inputs = seeded_input((1, 1, 8, 8))
    model = am.load_model(torch.jit.trace(network, inputs) if traced else network)
    with pytest.raises(ModelError, match=r"quantized one .* before its quantization"):
        am.explain(model, inputs[0].numpy(), layer="0")


class Statements(nn.Module):
    """In-place operators whose results are not used: on a tensor, and on a part of one."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        y = self.first(x)
        y[:, :2].mul_(0.5)
        y = self.second(y)
        y.clamp_(min=0)
        y.add_(0.25)
        return y.mean((2, 3))


def test_in_place_statements_of_frozen_graphs_are_layers():
    network = seeded(Statements)
    inputs = seeded_input((1, 1, 8, 9))
    model = am.load_model(as_torchscript(network, inputs, "frozen scripted"))
    names = [info.name for info in model.layers(inputs) if info.explainable]
    assert names == ["conv2d_1", "conv2d_2", "clamp_1", "add_1"]
    maps = {m.layer: m.raw.array for m in am.explain(model, inputs, "hires_cam", "all", 1)}
    with torch.no_grad():
        before = network.first(inputs)
        before[:, :2] *= 0.5
        before = network.second(before)[:, 1]
    clamped = before.clamp(min=0)
    for name, value in (("conv2d_2", clamped), ("clamp_1", clamped), ("add_1", clamped + 0.25)):
        torch.testing.assert_close(torch.from_numpy(maps[name]), value / 72)


class Tokens(nn.Module):
    """Patches, one transformer layer, their mean."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, 4)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.encoder(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


def test_frozen_transformers_run_the_same_layers_with_and_without_gradients():
    network = seeded(Tokens)
    inputs = seeded_input((1, 1, 16, 20))
    model = am.load_model(as_torchscript(network, inputs, "frozen scripted"))
    maps = {m.layer: m.raw.array for m in am.explain(model, inputs, "hires_cam", "all", 1)}
    assert list(maps) == [info.name for info in model.layers(inputs) if info.explainable]
    expected = am.explain(network, inputs, "hires_cam", ["patches", "encoder"], 1)
    for found, wanted in zip((maps["conv2d_1"], maps["layer_norm_2"]), expected, strict=True):
        assert abs(found - wanted.raw.array).max() <= 1e-5 * abs(wanted.raw.array).max()
