"""Whatever comes that cannot be explained is refused: what was expected, what came, what to do.

Targets that do not fit are in test_targets, answers that are none in test_answer, options out of
range in test_registry, damaged image files in test_image_io.
"""

import os
import pickle

import numpy as np
import pytest
import SimpleITK
import torch
from torch import nn

import attention_maps as am
from attention_maps.errors import (
    AttentionMapsError,
    ImageError,
    LayerError,
    MethodError,
    ModelError,
    ModelRunError,
    SpecError,
    TargetError,
)
from attention_maps.types import Image
from tiny_networks import (
    CONV,
    FlatClassifier,
    Linear,
    PooledClassifier,
    SmallUNet,
    picture,
    seeded,
    traced,
)


def unet(axes=2):
    return seeded(SmallUNet(axes), 1)


def refused(error, words, function, *args, **kwargs):
    """One readable line with the words; nothing of a traceback in it."""
    with pytest.raises(error, match=words) as caught:
        function(*args, **kwargs)
    message = str(caught.value)
    assert isinstance(caught.value, AttentionMapsError | OSError | TypeError)
    assert "Traceback" not in message
    assert len(message) > 30
    return message


SHAPE2 = picture(2).shape
ARRAYS = {
    "channels": (picture(2, 2), ModelRunError, r"shape \(1, 2, 13, 18\).*expected.* 1 channels"),
    "3D for 2D": (
        Image(picture(3)),
        ImageError,
        r"2D image for 'SmallUNet', got a 3D .*Choose one slice",
    ),
    "batch": (np.zeros((2, 1, 13, 18)), ImageError, "batch of 2 .* one by one"),
    "batch of volumes": (np.zeros((3, 1, 8, 8, 8)), ImageError, "batch of 3 .* one by one"),
    "six axes": (np.zeros((1, 1, 1, 8, 8, 8)), ImageError, r"\(C, I, J, K\).*got shape"),
    "one axis": (np.zeros(8), ImageError, r"got shape \(8,\)"),
    "scalar": (np.float32(3), ImageError, "Expected an Image, a path"),
    "NaN": (np.full(SHAPE2, np.nan), ImageError, "234 with NaN or Inf.*nan_to_num"),
    "Inf": (np.where(picture(2) > 1, np.inf, 0), ImageError, "NaN or Inf.*nan_to_num"),
    "too large for float32": (
        np.full(SHAPE2, 1e300),
        ImageError,
        "large for float32; scale",
    ),
    "complex": (np.zeros(SHAPE2, complex), ImageError, "real numbers, got dtype complex128"),
    "complex tensor": (torch.zeros(SHAPE2, dtype=torch.complex64), ImageError, "real numbers"),
    "text": (np.full(SHAPE2, "a"), ImageError, "real numbers, got dtype <U1"),
    "objects": (np.full(SHAPE2, None), ImageError, "real numbers, got dtype object"),
    "empty": (np.zeros((1, 0, 18)), ImageError, r"at least one voxel, got shape \(1, 0, 18\)"),
    "no channel": (np.zeros((0, 13, 18)), ImageError, "at least one voxel"),
    "None": (None, ImageError, "Expected an Image, a path.*got NoneType"),
    "number": (7, ImageError, "got int"),
    "dict": ({"image": 1}, ImageError, "got dict"),
    "empty list": ([], ImageError, "got list"),
    "list of arrays": ([picture(2)], ImageError, "got list"),
    "too small": (np.zeros((1, 1, 1)), ModelRunError, r"shape \(1, 1, 1, 1\)"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_images(kind):
    image, error, words = ARRAYS[kind]
    module = unet()
    if kind == "too small":
        module = seeded(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 1)))
    refused(error, words, am.explain, module, image, "grad_cam", target=1)


def test_a_picture_for_a_network_of_volumes():
    words = r"3D image for 'SmallUNet', got a 2D .*whole volume"
    refused(ImageError, words, am.explain, unet(3), Image(picture(2)), "grad_cam")


AFFINES = {
    "3x3": (np.eye(3), r"\(4, 4\) affine .* got shape \(3, 3\)"),
    "NaN": (np.diag([1, np.nan, 1, 1]), "finite affine, got NaN or Inf; repair"),
    "Inf": (np.diag([1, np.inf, 1, 1]), "finite affine"),
    "zero axis": (np.diag([1, 0, 1, 1.0]), "invertible affine.*repair the image header"),
    "one plane": (np.eye(4) + np.eye(4)[[1, 0, 2, 3]] * [[1, 1, 0, 0]], "lie in one plane"),
    "last row": (np.ones((4, 4)) + np.eye(4), "0 0 0 1 as last row"),
}  # fmt: skip


@pytest.mark.parametrize("kind", AFFINES)
def test_affines(kind):
    affine, words = AFFINES[kind]
    refused(ImageError, words, Image, picture(3), affine)


CALLS = {
    "method": ({"method": "gradcam"}, MethodError, "'gradcam' is not known; closest: .*grad_cam"),
    "no method": ({"method": []}, MethodError, "at least one method, got an empty list"),
    "method None": ({"method": None}, MethodError, "None is not known; .*all: cam, grad_cam"),
    "method number": ({"method": 3}, MethodError, "3 is not known"),
    "layer": ({"layer": "act22"}, LayerError, r"not in this model; closest: 'act2'.*layers\(\)"),
    "no layer": ({"layer": []}, LayerError, "at least one layer, got an empty list"),
    "layer None": ({"layer": None}, LayerError, "a layer's name, got None"),
    "layer number": ({"layer": 3}, LayerError, "a layer's name, got 3"),
    "auto what": ({"layer": "auto:first"}, LayerError, "'auto' or 'auto:bottleneck'"),
    "call of a layer": ({"layer": "act2#2"}, LayerError, "closest: 'act2'"),
    "class": ({"target": "liver"}, TargetError, "names no classes, use an index"),
    "index": ({"target": 3}, TargetError, "from 0 to 2, got 3"),
    "target": ({"target": {"class": 1}}, TargetError, "Expected a target such as .*got dict"),
    "point": ({"target": am.PointTarget(1, ras=(99, 0, 0))}, TargetError, "positions are in mm"),
    "option": ({"samples": 3}, MethodError, "'samples' is not known to grad_cam .no options."),
    "other option": (
        {"method": "smooth_grad", "sample": 3}, MethodError, "options: noise, samples, seed"),
    "range": ({"method": "smooth_grad", "samples": 0}, MethodError, "at least 1 .*got 0"),
    "type": ({"method": "smooth_grad", "samples": "x"}, MethodError, "whole number.*got 'x'"),
    "choice": ({"method": "occlusion", "fill": "red"}, MethodError, "one of 'mean'.* got 'red'"),
    "batch size": ({"batch_size": 0}, MethodError, "1 or more, got 0"),
    "batch size bool": ({"batch_size": True}, MethodError, "1 or more, got True"),
    "batch size type": ({"batch_size": 2.5}, MethodError, "1 or more, got 2.5"),
    "device": ({"device": "gpu"}, ModelError, "'auto', 'cpu', 'cuda'.* got 'gpu'"),
    "device type": ({"device": 3.5}, ModelError, "Expected a device such as"),
    "no such device": ({"device": "cuda:99"}, ModelError, "'cuda:99' is not available"),
    "other device": ({"device": "vulkan"}, ModelError, "'vulkan' is not available"),
    "progress": ({"progress": "bar"}, TypeError, "function of a fraction and a message"),
    "spec field": ({"spec": {"chanels": ["t1"]}}, SpecError, "chanels.*channels"),
    "spec value": ({"spec": {"axis_order": "jki"}}, SpecError, "axis_order.*'ijk' or 'kji'"),
    "spec type": ({"spec": 3}, TypeError, "ModelSpec, a dict, a path"),
    "spec name": ({"spec": "deepbet"}, SpecError, "deepbet_bbox"),
    "spec channels": ({"spec": {"channels": ["t1", "t2"]}}, SpecError, r"2 channels \(t1, t2\)"),
    "spec axes": ({"spec": {"spatial_dims": 3}}, SpecError, "volumes with 3 axes"),
    "spec output": ({"spec": {"output": 2}}, ModelError, "output 2.*correct `output`"),
    "spec key": ({"spec": {"output": "seg"}}, ModelError, "output 'seg'.*correct `output`"),
    "spec layer": ({"spec": {"layer": "act9"}}, LayerError, "'act9' is not in this model"),
}  # fmt: skip


@pytest.mark.parametrize("form", ["eager", "traced"])
@pytest.mark.parametrize("kind", CALLS)
def test_calls(kind, form):
    arguments, error, words = CALLS[kind]
    module = unet() if form == "eager" else traced(unet(), picture(2))
    refused(error, words, am.explain, module, Image(picture(2)), **arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_device():
    words = "'cuda' is not available here; use device='auto' or device='cpu'"
    refused(ModelError, words, am.load_model, traced(unet(), picture(2)), device="cuda")


def test_a_session_goes_on_after_bad_questions():
    session = am.Explainer(unet(), picture(2))
    expected = session.explain("hires_cam", "act2", 2).raw.array
    for arguments, error, words in CALLS.values():
        if not {"device", "spec"} & set(arguments):
            refused(error, words, session.explain, **arguments)
    np.testing.assert_array_equal(session.explain("hires_cam", "act2", 2).raw.array, expected)


@pytest.fixture
def files(tmp_path):
    """A folder of everything that is no model and no image."""
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "text.pt").write_text("These are not the weights you are looking for.")
    (tmp_path / "net.onnx").write_bytes(b"\x08\x07onnx")
    (tmp_path / "net.json").write_text("{}")
    (tmp_path / "folder").mkdir()
    torch.save(unet().state_dict(), tmp_path / "weights.pt")
    torch.save(nn.ReLU(), tmp_path / "module.pt")
    (tmp_path / "object.pkl").write_bytes(pickle.dumps(am.AttentionMapsError("x")))
    (tmp_path / "cut.pt").write_bytes((tmp_path / "weights.pt").read_bytes()[:700])
    (tmp_path / "text.nii.gz").write_text("no image")
    (tmp_path / "empty.nii").write_bytes(b"")
    (tmp_path / "notes.docx").write_text("no image")
    for name, shape in (("small.nii", (4, 5, 6)), ("large.nii", (4, 5, 7))):
        SimpleITK.WriteImage(SimpleITK.Image(shape, SimpleITK.sitkFloat32), tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("nothing.pt", FileNotFoundError, "nothing.pt' does not exist"),
        ("empty.pt", ModelError, "is empty; copy or download it again"),
        ("text.pt", ModelError, "no file that torch can read.*torch.jit.trace"),
        ("cut.pt", ModelError, "torch.jit.trace|cut short"),
        ("net.onnx", ModelError, "ONNX.*torch.jit.trace"),
        ("net.json", ModelError, "sidecar.*name the model"),
        ("folder", ModelError, "got the folder.*torch.jit.trace"),
        ("weights.pt", ModelError, "weights only.*load_state_dict"),
        ("module.pt", ModelError, "pickled Python object.*execute.*torch.jit.trace"),
        ("object.pkl", ModelError, "pickled Python object.*execute"),
    ],
)
def test_model_files(files, name, error, words):
    refused(error, words, am.explain, files / name, picture(2))


@pytest.mark.parametrize("source", [None, 3, nn.ReLU, {"model": 1}, torch.zeros(3), lambda x: x])
def test_things_that_are_no_models(source):
    refused(ModelError, "Expected a path, a torch.nn.Module", am.explain, source, picture(2))


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [
        ("nothing.nii", FileNotFoundError, "nothing.nii"),
        ("text.nii.gz", ImageError, "text.nii.gz"),
        ("empty.nii", ImageError, "empty.nii"),
        ("notes.docx", ImageError, "notes.docx"),
        ("folder", ImageError, "folder"),
        (["small.nii", "large.nii"], ImageError, "grid|shape"),
        (["small.nii", "nothing.nii"], FileNotFoundError, "nothing.nii"),
    ],
)
def test_image_files(files, names, error, words):
    image = files / names if isinstance(names, str) else [files / name for name in names]
    refused(error, words, am.explain, unet(3), image)


def test_output_that_cannot_be_written(tmp_path):
    result = am.explain(unet(), picture(2), "grad_cam", "act2", 2)
    refused(FileNotFoundError, "create it first", result.save, tmp_path / "no" / "map.nii.gz")
    refused(ImageError, "ends in .nii", result.save, tmp_path / "map.xyz")


def test_a_read_only_folder(tmp_path, monkeypatch):
    """The superuser may write everywhere, so the permission is withdrawn in the call."""
    result = am.explain(unet(), picture(2), "grad_cam", "act2", 2)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    words = "no permission.*choose another place"
    refused(PermissionError, words, result.save, tmp_path / "map.nii.gz")
    assert not list(tmp_path.iterdir())


class Failing(nn.Module):
    """Fails in the middle of its forward pass, in its own way."""

    def __init__(self, error):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.error = error

    def forward(self, x):
        x = self.conv(x)
        if self.error is not None:
            raise self.error
        return x


@pytest.mark.parametrize(
    "error",
    [RuntimeError("boom"), ValueError("boom"), KeyError("boom"), AssertionError("boom"),
     ZeroDivisionError("boom"), NotImplementedError("boom"), OSError("boom"), AssertionError()],
    ids=repr,
)  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_networks_that_fail(error):
    words = rf"network failed on an input of shape \(1, 1, 13, 18\).*{error}"
    refused(ModelRunError, words, am.explain, seeded(Failing(error)), picture(2), "grad_cam")
    refused(ModelRunError, words, am.Explainer(seeded(Failing(error)), picture(2)).answer)


class SpoilsItsGradient(nn.Module):
    """Overwrites what the gradient of its sigmoid needs."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)

    def forward(self, x):
        x = torch.sigmoid(self.conv(x))
        x += 1
        return x.mean((2, 3))


def test_networks_that_fail_on_the_way_back():
    module = seeded(SpoilsItsGradient())
    words = "could not be followed back.*inplace operation.*method without gradients"
    refused(ModelRunError, words, am.explain, module, picture(2), "grad_cam", "conv", 1)
    assert am.explain(module, picture(2), "ablation_cam", "conv", 1).raw.array.any()


class Branches(nn.Module):
    """An auxiliary branch that has no part in the answer, and a layer that never runs."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(1, 4, 3, padding=1)
        self.aside = nn.Conv2d(4, 4, 3, padding=1)
        self.never = nn.Conv2d(4, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.body(x)
        self.aside(x)
        return self.head(x.flatten(2).mean(2))


@pytest.mark.parametrize("form", ["eager", "traced"])
def test_layers_that_cannot_be_explained(form):
    module = seeded(Branches())
    if form == "traced":
        module = traced(module, picture(2))
    image = picture(2)
    refused(LayerError, "'head' cannot be explained.*fully connected", am.explain, module, image,
            "grad_cam", "head")  # fmt: skip
    words = "'aside'|did not run|not in this model"  # a trace leaves out what has no effect
    refused(LayerError, words, am.explain, module, image, "grad_cam", "aside")
    if form == "eager":
        words = "'aside' cannot be explained: unused, the answer does not depend on it"
        refused(LayerError, words, am.explain, module, image, "grad_cam", "aside")
        words = "'never' exists but did not run"
        refused(LayerError, words, am.explain, module, image, "grad_cam", "never")


def test_methods_that_do_not_apply():
    words = "global average pooling.*use grad_cam or hires_cam"
    refused(MethodError, words, am.explain, seeded(FlatClassifier(2)), picture(2), "cam", "act2", 1)
    refused(MethodError, words, am.explain, unet(), picture(2), "cam", "act2", 2)
    module = seeded(PooledClassifier(2), 1)  # not the last layer
    refused(MethodError, words, am.explain, module, picture(2), "cam", "act1", 1)
    words = "no ReLU or other activation.*use saliency or integrated_gradients"
    for method in ("guided_backprop", "guided_grad_cam"):
        refused(MethodError, words, am.explain, seeded(Linear(2)), picture(2), method, "conv", 1)


def test_a_network_without_places():
    module = seeded(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2)))
    words = "spatial axes; only input methods apply"
    refused(LayerError, words, am.explain, module, Image(picture(2)), "grad_cam", target=1)
    assert am.explain(module, Image(picture(2)), "input_x_gradient", target=1).has_evidence


def test_an_answer_without_gradient():
    class Detached(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = CONV[2](1, 2, 3, padding=1)

        def forward(self, x):
            return self.conv(x).detach() * 1.0

    words = "no gradient reaches"
    refused(LayerError, words, am.explain, seeded(Detached()), picture(2), "grad_cam", "conv", 1)
    refused(LayerError, words, am.explain, seeded(Detached()), picture(2), "saliency", target=1)


def test_metrics_by_wrong_names():
    result = am.explain(unet(), picture(2), "grad_cam", "act2", 2)
    mask = np.ones(SHAPE2[1:])
    refused(MethodError, "'dise' is not known; closest: dice", am.evaluate, result, mask, ["dise"])


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("std::bad_alloc"),
        MemoryError(),
    ],
)
def test_memory_that_runs_out_is_no_wrong_input(error):
    class Greedy(torch.nn.Conv2d):
        def forward(self, x):
            raise error

    message = r"The computer ran out of memory on an input of shape \(1, 1, 8, 8\); choose a layer"
    with pytest.raises(am.ModelRunError, match=message):
        am.explain(torch.nn.Sequential(Greedy(1, 2, 3)), np.ones((1, 8, 8)), layer="0", target=0)


@pytest.mark.parametrize("axes", [2, 3])
def test_networks_with_single_outputs_tell_their_axes(axes):
    conv = {2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[axes]
    model = am.load_model(torch.nn.Sequential(conv(4, 1, 3), conv(1, 1, 3)))
    assert model.expected_input() == (None, axes)
    assert model.first_channels() == 4
