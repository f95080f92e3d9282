"""A session: what it keeps, what it runs again, and that it leaves everything as it was."""

import gc
import itertools
import threading

import numpy as np
import pytest
import torch
from torch import nn

import attention_maps as am
from attention_maps.errors import Cancelled
from attention_maps.types import Image
from tiny_networks import FlatClassifier, PooledClassifier, SmallUNet, picture, seeded, traced

PERTURBING = {
    "score_cam": {}, "ablation_cam": {}, "smooth_grad": {"samples": 7},
    "integrated_gradients": {"steps": 7, "max_steps": 7}, "occlusion": {"size": 5},
}  # fmt: skip


class Counting:
    """Counts the forward passes of a loaded model."""

    def __init__(self, model, monkeypatch):
        self.count = 0
        run = model.network.run

        def counted(*args):
            self.count += 1
            return run(*args)

        monkeypatch.setattr(model.network, "run", counted)


@pytest.fixture(params=["eager", "traced"])
def model(request):
    module = seeded(SmallUNet(2), 1)
    return am.load_model(module if request.param == "eager" else traced(module, picture(2)))


def test_a_second_question_needs_no_forward_pass(model, monkeypatch):
    forwards = Counting(model, monkeypatch)
    session = am.Explainer(model, picture(2))
    first = session.explain("grad_cam", "act2", 1)
    assert forwards.count == 1
    session.explain("grad_cam", "act2", 2)
    session.explain(["hires_cam", "layer_cam", "eigen_cam"], "act2", [0, 1, am.TopTarget(2)])
    session.explain("grad_cam", "act2", am.PointTarget(1, ras=(3, 4, 0)))
    assert session.prediction is not None
    assert forwards.count == 1
    again = session.explain("grad_cam", "act2", 1)
    np.testing.assert_array_equal(again.raw.array, first.raw.array)
    session.explain("grad_cam", ["act2", "enc"], 1)  # a layer that was not recorded yet
    assert forwards.count == 2
    for name in ("act2", "enc"):
        session.explain("hires_cam", name, 2)
    assert forwards.count == 2


def test_several_methods_and_layers_cost_one_forward_pass(model, monkeypatch):
    forwards = Counting(model, monkeypatch)
    session = am.Explainer(model, picture(2))
    found = session.explain(["grad_cam", "hires_cam", "eigen_cam"], ["enc", "act2", "act3"], [1, 2])
    assert len(found) == 18
    assert forwards.count == 1


def test_maps_after_other_layers_are_the_same_as_alone(model):
    session = am.Explainer(model, picture(2))
    for names in (["act3"], ["act2"], ["enc", "act3"], "all"):
        for result in session.explain("hires_cam", names, 2):
            alone = am.explain(model, picture(2), "hires_cam", result.layer, 2)
            np.testing.assert_allclose(result.raw.array, alone.raw.array, rtol=1e-5, atol=1e-7)


def test_order_is_target_layer_method(model):
    methods, layers, targets = ["hires_cam", "grad_cam"], ["act3", "enc"], ["2", 0]
    found = am.explain(model, picture(2), methods, layers, targets)
    expected = [("class 2", *rest) for rest in itertools.product(layers, methods)]
    expected += [("class 0", *rest) for rest in itertools.product(layers, methods)]
    assert [(item.target, item.layer, item.method) for item in found] == expected


def test_one_answer_for_one_question_and_a_list_for_several(model):
    session = am.Explainer(model, picture(2))
    assert isinstance(session.explain("grad_cam", "act2", 1), am.AttentionMap)
    for several in (
        session.explain(["grad_cam"], "act2", 1),
        session.explain("grad_cam", ["act2"], 1),
        session.explain("grad_cam", "act2", [1]),
        session.explain("grad_cam", "act2", am.TopTarget(1)),
    ):
        assert isinstance(several, list)
        assert len(several) == 1


def test_the_layer_of_the_specification_is_the_automatic_one(model):
    session = am.Explainer(am.load_model(seeded(SmallUNet(2), 1), {"layer": "enc"}), picture(2))
    assert session.explain().layer == "enc"
    assert [made.layer for made in session.explain(layer=["auto", "act2"])] == ["enc", "act2"]
    assert session.estimate() == session.estimate("enc") != session.estimate("act2")


def test_methods_of_the_input_come_once_per_target(model):
    found = am.explain(model, picture(2), ["saliency", "grad_cam"], ["act2", "enc"], [1, 2])
    names = [(item.target, item.layer, item.method) for item in found]
    one = [("act2", "grad_cam"), ("enc", "grad_cam"), ("input", "saliency")]
    assert names == [(f"class {t}", *pair) for t in (1, 2) for pair in one]


@pytest.mark.parametrize("size", [1, 3, 64])
@pytest.mark.parametrize("method", PERTURBING)
def test_batch_size_changes_nothing(method, size):
    module, image = seeded(FlatClassifier(3), 1), picture(3)
    expected = am.explain(module, image, method, "act1", 1, **PERTURBING[method]).raw.array
    options = {"batch_size": size, **PERTURBING[method]}
    found = am.explain(module, image, method, "act1", 1, **options).raw.array
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


class OneAtATime(nn.Module):
    """Written for a batch of one, as exported networks often are."""

    def __init__(self, how):
        super().__init__()
        self.inner = FlatClassifier(2)
        self.how = how

    def forward(self, x):
        x = self.inner.act1(self.inner.first(x))
        x = self.inner.act2(self.inner.second(x))
        if self.how == "fails":
            return self.inner.head(x.reshape(1, -1))
        if self.how == "drops":
            return self.inner.head(x.flatten(1))[:1]
        return self.inner.head((x - x.mean()).flatten(1))  # mixes the images of a batch


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("method", PERTURBING)
@pytest.mark.parametrize("how", ["fails", "drops", "mixes"])
def test_networks_that_take_one_image_at_a_time(how, method, size):
    module, image = seeded(OneAtATime(how), 1), picture(2)
    network = traced(module, image)
    options = PERTURBING[method]
    given = am.explain(network, image, method, "inner.act1", 1, batch_size=size, **options)
    alone = am.explain(module, image, method, "inner.act1", 1, batch_size=1, **options)
    found, expected = given.raw.array, alone.raw.array
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


class WorksInPlace(nn.Module):
    """Normalizes the caller's tensor itself, and works in place ever after."""

    def __init__(self):
        super().__init__()
        self.inner = SmallUNet(2)
        for part in self.inner.children():
            if isinstance(part, nn.ReLU):
                part.inplace = True

    def forward(self, x):
        x -= x.mean()
        x.mul_(0.7)
        return self.inner(x)


@pytest.mark.parametrize("form", ["eager", "traced"])
@pytest.mark.parametrize("method", ["grad_cam", "guided_backprop", *PERTURBING])
def test_the_callers_array_stays_as_it_is(method, form):
    module, image = seeded(WorksInPlace(), 1), picture(2)
    kept = image.copy()
    network = module if form == "eager" else traced(module, kept.copy())
    session = am.Explainer(network, image)
    first = session.explain(method, "inner.act2", 2)
    np.testing.assert_array_equal(image, kept)
    second = am.Explainer(network, image).explain(method, "inner.act2", 2)
    np.testing.assert_array_equal(second.raw.array, first.raw.array)
    third = session.explain(method, ["inner.act3", "inner.act2"], 2)[-1]  # runs once more
    np.testing.assert_allclose(third.raw.array, first.raw.array, rtol=1e-5, atol=1e-9)
    assert third.score == pytest.approx(first.score, rel=1e-6)
    plain = seeded(SmallUNet(2), 1)
    same = am.explain(plain, (kept - kept.mean()) * np.float32(0.7), "grad_cam", "act2", 2)
    assert first.score == pytest.approx(same.score, rel=1e-5)


def reverse(array):
    return np.ascontiguousarray(array[..., ::-1])[..., ::-1]


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize(
    "change",
    [reverse, read_only, np.asfortranarray, np.float64, torch.from_numpy,
     lambda a: a[None], lambda a: a[0], lambda a: Image(a),
     lambda a: torch.from_numpy(a).double().requires_grad_()],
    ids=["negative strides", "read-only", "Fortran order", "float64", "tensor", "batch of one",
         "no channel axis", "Image", "tensor with gradient"],
)  # fmt: skip
def test_an_image_may_come_in_many_forms(change, axes):
    module, image = seeded(SmallUNet(axes), 1), picture(axes)
    kept = image.copy()
    expected = am.explain(module, image, "hires_cam", "act3", 2)
    given = change(image)
    found = am.explain(module, given, "hires_cam", "act3", 2)
    np.testing.assert_allclose(found.raw.array, expected.raw.array, rtol=1e-5, atol=1e-8)
    np.testing.assert_array_equal(image, kept)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float16, np.bool_])
def test_images_of_other_number_types(dtype):
    module = seeded(SmallUNet(3), 1)
    image = (np.abs(picture(3)) * 40).astype(dtype)
    expected = am.explain(module, image.astype(np.float32), "hires_cam", "act3", 2)
    found = am.explain(module, image, "hires_cam", "act3", 2)
    np.testing.assert_array_equal(found.raw.array, expected.raw.array)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    "method",
    [
        "grad_cam",
        "hires_cam",
        "eigen_grad_cam",
        "grad_cam_pp",
        "integrated_gradients",
        "occlusion",
        "score_cam",
        "x_grad_cam",
    ],
)
def test_models_of_other_precision(dtype, method):
    image = picture(3)
    reference = am.explain(seeded(FlatClassifier(3), 1), image, method, "act1", 1)
    module = seeded(FlatClassifier(3), 1).to(dtype)
    found = am.explain(module, image, method, "act1", 1)
    assert found.raw.array.dtype == np.float32
    assert found.provenance["dtype"] == str(dtype).removeprefix("torch.")
    tolerance = {torch.float16: 0.03, torch.bfloat16: 0.25, torch.float64: 1e-4}[dtype]
    gap = np.abs(found.raw.array - reference.raw.array).max()
    assert gap <= tolerance * np.abs(reference.raw.array).max()


def test_a_session_from_several_threads(model):
    session = am.Explainer(model, picture(2))
    expected = [session.explain("hires_cam", "act2", c).raw.array for c in range(3)]
    found, errors = {}, []

    def work(number):
        try:
            found[number] = session.explain("hires_cam", "act2", number % 3).raw.array
        except Exception as error:  # whatever it is, the test must see it
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for number, array in found.items():
        np.testing.assert_array_equal(array, expected[number % 3])


def test_memory_does_not_grow_with_questions(model):
    session = am.Explainer(model, picture(2))

    def tensors():
        gc.collect()
        return sum(issubclass(type(item), torch.Tensor) for item in gc.get_objects())

    session.explain("grad_cam", "act2", 1)
    before = tensors()
    for number in range(50):
        session.explain("grad_cam", "act2", number % 3)
    assert tensors() <= before


def state(module):
    """All that a caller can see of a module."""
    hooks = [len(part._forward_hooks) + len(part._backward_hooks) for part in module.modules()]
    modes = [part.training for part in module.modules()]
    inplace = [getattr(part, "inplace", None) for part in module.modules()]
    values = [(p.requires_grad, p.grad, p.detach().clone()) for p in module.parameters()]
    return hooks, modes, inplace, values


def same(first, second):
    assert first[:3] == second[:3]
    for (grad1, kept1, value1), (grad2, kept2, value2) in zip(first[3], second[3], strict=True):
        assert grad1 == grad2
        assert kept1 is kept2
        assert torch.equal(value1, value2)


def test_the_callers_module_stays_as_it_is():
    module = seeded(WorksInPlace(), 1)
    module.train()
    module.inner.act1.eval()
    module.inner.enc.weight.requires_grad_(False)
    module.inner.out.weight.grad = torch.ones_like(module.inner.out.weight)
    before = state(module)
    am.explain(module, picture(2), ["grad_cam", "guided_backprop", "ablation_cam"], "inner.act2", 1)
    same(state(module), before)

    def stop(fraction, message):
        return fraction < 0.3

    with pytest.raises(Cancelled):
        am.explain(module, picture(2), "ablation_cam", "inner.act2", 1, progress=stop)
    same(state(module), before)
    with pytest.raises(am.ModelRunError):
        am.explain(module, picture(2, 2), "grad_cam", "inner.act2", 1)
    same(state(module), before)


def test_classification_gives_probabilities_and_segmentation_labels():
    session = am.Explainer(seeded(PooledClassifier(3), 1), picture(3))
    result = session.explain("grad_cam", "act2")
    assert result.prediction.shape == (3,)
    assert result.prediction.sum() == pytest.approx(1)
    assert result.target == f"class {int(result.prediction.argmax())}"
    with torch.inference_mode():  # the caller's grad mode is no matter
        again = session.explain("grad_cam", "act2")
    np.testing.assert_array_equal(again.raw.array, result.raw.array)
