"""torch.export archives, against the eager networks that they were exported from."""

from __future__ import annotations

import inspect
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

import attention_maps as am
from attention_maps.errors import ModelError, ModelRunError
from attention_maps.registry import methods
from networks import TinyUNet, build, seeded, seeded_input

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning",
    "ignore::DeprecationWarning:torch.*",
    "ignore::DeprecationWarning:copyreg",
)
SHAPE = (1, 1, 12, 16, 10)


class Functional(nn.Module):
    """Functional and in-place activations, a module used twice, one registered twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv3d(1, 4, 3, padding=1)
        self.twice = nn.Conv3d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm3d(4)
        self.all_modules = nn.Sequential(self.norm)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Conv3d(4, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu_(self.all_modules(self.first(x)))
        x = nn.functional.silu(self.twice(nn.functional.elu(self.twice(x))))
        return self.head(self.drop(x))


def exported(network, shape=SHAPE, free=()):
    """An ExportedProgram; axes named in `free` take any size."""
    sizes = {axis: torch.export.Dim.AUTO for axis in free}
    dynamic = {next(iter(_arguments(network))): sizes} if free else None
    return torch.export.export(network, (seeded_input(shape),), dynamic_shapes=dynamic)


def _arguments(network):
    return inspect.signature(network.forward).parameters


def saved(path, network, shape=SHAPE, free=()):
    torch.export.save(exported(network, shape, free), path)
    return path


def image_of(shape=SHAPE, seed=0):
    values = np.random.default_rng(seed).normal(size=shape[1:]).astype(np.float32)
    return am.Image(values, np.diag([1.0, 1.5, 2.0, 1.0]))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    return {
        "functional": saved(folder / "functional.pt2", seeded(Functional)),
        "unet": saved(folder / "unet.pt2", seeded(lambda: TinyUNet(3))),
        "free": saved(folder / "free.pt2", seeded(lambda: TinyUNet(3)), free=(2, 3, 4)),
    }


NETWORKS = {"functional": Functional, "unet": lambda: TinyUNet(3), "free": lambda: TinyUNet(3)}


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_are_those_of_the_module(files, name):
    ours = am.load_model(files[name], trust=True, device="cpu")
    theirs = am.load_model(seeded(NETWORKS[name]))
    image = image_of()
    aliases = {**theirs.network.aliases, "norm": "all_modules.0"}
    found = {info.name: info for info in ours.layers(image)}
    for info in theirs.layers(image):
        same = found[aliases.get(info.name, info.name)]
        assert (same.shape, same.stride, same.offset) == (info.shape, info.stride, info.offset)
        assert same.kind == info.kind
    if name == "functional":
        assert "twice#2" in found
        assert ours.automatic_layer("auto", image) == theirs.automatic_layer("auto", image)


@pytest.mark.parametrize("name", NETWORKS)
def test_activations_and_gradients(files, name):
    """Every layer, to the last bit."""
    ours = am.load_model(files[name], trust=True, device="cpu")
    theirs = am.load_model(seeded(NETWORKS[name]))
    inputs = seeded_input(SHAPE)
    layers = [info.name for info in ours.layers(image_of()) if info.explainable]
    aliases = {"all_modules.0": "norm"} if name == "functional" else {}
    for layer in layers:
        other = aliases.get(layer, layer)
        first, second = ours.run(inputs, [layer]), theirs.run(inputs, [other])
        assert torch.equal(first.logits, second.logits)
        assert torch.equal(first.layers[layer].activations, second.layers[other].activations)
        seed = torch.ones_like(first.logits)
        a, b = first.gradients(seed, [layer])[0], second.gradients(seed, [other])[0]
        assert torch.equal(a, b), layer


@pytest.mark.parametrize("method", methods())
@pytest.mark.parametrize("name", ["functional", "unet"])
def test_every_method_as_in_the_module(files, name, method):
    if method == "cam":
        pytest.skip("needs a classifier")
    if name == "unet" and method in ("score_cam", "ablation_cam", "occlusion", "smooth_grad"):
        pytest.skip("once is enough")
    options = {
        "occlusion": {"size": 8, "stride": 8},
        "smooth_grad": {"samples": 2},
        "integrated_gradients": {"steps": 3},
    }.get(method, {})
    layer = "twice" if name == "functional" else "decoder.0"
    arguments = {"method": method, "layer": layer, "target": 1, **options}
    ours = am.explain(am.load_model(files[name], trust=True, device="cpu"), image_of(), **arguments)
    theirs = am.explain(seeded(NETWORKS[name]), image_of(), **arguments)
    assert theirs.raw.array.any()
    scale = np.abs(theirs.raw.array).max()
    np.testing.assert_allclose(ours.raw.array, theirs.raw.array, atol=1e-5 * scale)
    np.testing.assert_array_equal(ours.raw.affine, theirs.raw.affine)
    assert ours.score == theirs.score


@pytest.mark.parametrize(
    "name", ["classifier", "nnU-Net plain", "MONAI UNet", "MONAI DenseNet", "MONAI ViT"]
)
def test_other_networks(name):
    network, inputs = build(name)
    model = am.load_model(torch.export.export(network, (inputs,)))
    other = am.load_model(network)
    assert torch.equal(model.run(inputs).logits, other.run(inputs).logits)
    aliases = model.network.aliases
    names = {aliases.get(layer, layer) for layer in other.network.layer_names()}
    ran = {info.name for info in model.layers(am.Image(inputs[0]))}
    assert len(ran & names) >= 0.75 * len(ran)


def test_the_program_stays_as_it_was():
    program = exported(seeded(Functional))
    before = {name: tensor.clone() for name, tensor in program.state_dict.items()}
    flags = {name: tensor.requires_grad for name, tensor in program.state_dict.items()}
    graph = str(program.graph)
    am.explain(program, image_of(), ["grad_cam", "guided_backprop"], layer="twice")
    assert str(program.graph) == graph
    assert {name: t.requires_grad for name, t in program.state_dict.items()} == flags
    assert all(torch.equal(tensor, before[name]) for name, tensor in program.state_dict.items())
    assert all(tensor.grad is None for tensor in program.state_dict.values())


def test_a_fixed_size_is_where_the_image_is_brought_to(files):
    model = am.load_model(files["unet"], trust=True, device="cpu")
    assert model.spec.input_size.shape == (12, 16, 10)
    assert "12 x 16 x 10 voxels" in model.line
    result = am.explain(model, image_of((1, 1, 20, 11, 9)), layer="decoder")
    assert result.raw.array.shape[1:] == (12, 16, 10)
    assert result.image.array.shape[1:] == (20, 11, 9)


def test_the_specification_says_otherwise(files):
    spec = {"axis_order": "kji"}
    model = am.load_model(files["unet"], spec, trust=True, device="cpu")
    assert model.spec.input_size.shape == (10, 16, 12)
    own = {"kind": "fixed", "shape": [12, 16, 10], "fit": "pad_crop"}
    model = am.load_model(files["unet"], {"input_size": own}, trust=True, device="cpu")
    assert model.spec.input_size.fit == "pad_crop"
    model = am.load_model(files["free"], trust=True, device="cpu")
    assert model.spec.input_size is None
    assert model.run(seeded_input((1, 1, 8, 8, 12))).logits.shape == (1, 3, 8, 8, 12)


def test_windows_of_the_fixed_size(files):
    spec = {"patch_size": [12, 16, 10]}
    model = am.load_model(files["unet"], spec, trust=True, device="cpu")
    assert model.spec.input_size is None
    image = image_of((1, 1, 20, 18, 15))
    result = am.explain(model, image, "hires_cam", "decoder", 1)
    module = am.load_model(seeded(NETWORKS["unet"]), spec)
    other = am.explain(module, image, "hires_cam", "decoder", 1)
    np.testing.assert_allclose(result.raw.array, other.raw.array, atol=1e-6)


def test_slices_of_the_fixed_size(tmp_path):
    """A network of pictures sees a volume slice by slice, each resized to its size."""
    path = saved(tmp_path / "flat.pt2", seeded(TinyUNet), (1, 1, 16, 20))
    spec = {"slices": {"axis": "k"}}
    model = am.load_model(path, spec, trust=True, device="cpu")
    assert (model.spec.input_size, model.spec.slices.size) == (None, (16, 20))
    image = image_of((1, 1, 24, 30, 3))
    result = am.explain(model, image, "hires_cam", "decoder")
    module = am.load_model(seeded(TinyUNet), {"slices": {"axis": "k", "size": [16, 20]}})
    other = am.explain(module, image, "hires_cam", "decoder")
    assert other.raw.array.any()
    np.testing.assert_allclose(result.raw.array, other.raw.array, atol=1e-6)


def test_another_size_is_refused_with_both(files):
    model = am.load_model(files["unet"], trust=True, device="cpu")
    with pytest.raises(ModelRunError, match=r"1 x 1 x 12 x 16 x 10.*got 1 x 1 x 12 x 16 x 12.*dyn"):
        model.run(seeded_input((1, 1, 12, 16, 12)))
    with pytest.raises(ModelRunError, match="got 2 x 1 x 12 x 16 x 10"):
        model.run(seeded_input((2, 1, 12, 16, 10)))
    free = am.load_model(files["free"], trust=True, device="cpu")
    with pytest.raises(ModelRunError, match="1 x 1 x any x any x any"):
        free.run(seeded_input((1, 2, 12, 16, 12)))


def test_keyword_input_and_several_outputs():
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3, padding=1)

        def forward(self, *, image: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"aux": self.conv(image).mean((2, 3)), "seg": self.conv(image)}

    inputs = seeded_input((1, 1, 8, 9))
    network = seeded(Several)
    program = torch.export.export(network, (), {"image": inputs})
    model = am.load_model(program, {"output": "seg"})
    assert torch.equal(model.run(inputs).logits, network(image=inputs)["seg"])


class TwoInputs(nn.Module):
    def forward(self, image: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        return image + prior


def test_two_inputs_are_refused():
    x = seeded_input((1, 1, 8, 8))
    with pytest.raises(ModelError, match=r"one input tensor, got 2 \(image, prior\)"):
        am.load_model(torch.export.export(TwoInputs(), (x, x)))


def test_training_mode_is_refused():
    program = torch.export.export(seeded(Functional).train(), (seeded_input(SHAPE),))
    with pytest.raises(ModelError, match=r"batch_norm, dropout as in training.*model\.eval\(\)"):
        am.load_model(program)


def test_nothing_is_loaded_without_consent(files, monkeypatch):
    def load(*arguments, **options):
        raise AssertionError("torch.export.load was called")

    monkeypatch.setattr(torch.export, "load", load)
    with pytest.raises(ModelError, match=r"trust=True \(command line: --trust\)") as caught:
        am.load_model(files["unet"])
    assert str(files["unet"]) in str(caught.value)


class Trap:
    def __init__(self, marker) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"echo executed > '{self.marker}'",)


def test_a_trap_stays_closed_without_consent(files, tmp_path):
    """The marker appears only where somebody trusts the file and PyTorch unpickles it."""
    marker, path = tmp_path / "executed.txt", tmp_path / "model.pt2"
    with zipfile.ZipFile(files["unet"]) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            bad = name.endswith((".pt", "weight_0"))
            target.writestr(name, pickle.dumps(Trap(marker), 2) if bad else source.read(name))
    with pytest.raises(ModelError, match="--trust"):
        am.load_model(path)
    assert not marker.exists()


def test_damaged_archives(files, tmp_path):
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(files["unet"]) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            bad = name.endswith("models/model.json")
            target.writestr(name, "{}" if bad else source.read(name))
    with pytest.raises(ModelError, match="cannot load it") as caught:
        am.load_model(path, trust=True)
    assert str(path) in str(caught.value)


def test_compiled_packages(tmp_path):
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/archive_format", "pt2")
        archive.writestr("model/data/aotinductor/model/x.so", b"\x7fELF")
    with pytest.raises(ModelError, match="AOTInductor"):
        am.load_model(path, trust=True)
