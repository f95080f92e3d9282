"""What the command line, the panel and the docs read of methods and metrics."""

from typing import Annotated, Literal

import pytest

import attention_maps as am
from attention_maps import registry
from attention_maps.errors import MethodError
from attention_maps.registry import Option, find_method, method, split_options

NAMES = [
    "cam", "grad_cam", "grad_cam_pp", "hires_cam", "x_grad_cam", "layer_cam", "eigen_cam",
    "eigen_grad_cam", "seg_xres_cam", "score_cam", "ablation_cam", "guided_backprop",
    "guided_grad_cam", "saliency", "input_x_gradient", "smooth_grad", "integrated_gradients",
    "occlusion",
]  # fmt: skip
ALIASES = {
    "gcam": "grad_cam", "gcampp": "grad_cam_pp", "gbp": "guided_backprop",
    "ggcam": "guided_grad_cam",
}  # fmt: skip


def test_all_eighteen_methods_are_there():
    assert sorted(am.methods()) == sorted(NAMES)


def test_names_of_m3d_cam_are_aliases():
    for alias, name in ALIASES.items():
        assert find_method(alias).name == name
    taken = [alias for item in am.methods().values() for alias in item.aliases]
    assert len(taken) == len(set(taken))
    assert not set(taken) & set(am.methods())


@pytest.mark.parametrize("name", NAMES)
def test_every_method_describes_itself(name):
    item = am.methods()[name]
    assert item.label
    assert item.description.endswith(".")
    assert any(mark in item.reference for mark in ("arXiv:", "doi:"))
    for option in item.options.values():
        assert option.help
        assert option.name in item.options
        assert option.checked(option.default) == option.default


def test_every_metric_describes_itself():
    for name, item in am.metrics().items():
        assert item.name == name
        assert item.label
        assert item.description.endswith(".")
        assert item.reference
        assert item.better == ("lower" if item.unit == "mm" else "higher")
        assert item.limits == ((0, float("inf")) if item.unit == "mm" else (0, 1))
        for option in item.options.values():
            assert option.help
            assert option.checked(option.default) == option.default


def test_labels_of_metrics_are_columns_of_tables():
    labels = [item.label for item in am.metrics().values()]
    assert len(labels) == len(set(labels))


@pytest.fixture
def registered():
    """A method with every kind of option, taken out again afterwards."""

    @method("example", "Example", needs="input", reference="doi:0")
    def example(
        probe,
        *,
        count: Annotated[int, Option("a number", 1, 5)] = 2,
        share: Annotated[float, Option("a share", 0, 1)] = 0.5,
        flag: Annotated[bool, Option("a switch")] = False,
        kind: Annotated[Literal["a", "b"], Option("a choice")] = "a",
    ):
        """An example."""

    yield find_method("example")
    del registry._METHODS["example"]


def test_options_are_read_from_the_signature(registered):
    assert registered.description == "An example."
    found = {o.name: (o.type, o.default, o.low, o.high, o.choices)
             for o in registered.options.values()}  # fmt: skip
    assert found == {
        "count": (int, 2, 1, 5, ()),
        "share": (float, 0.5, 0, 1, ()),
        "flag": (bool, False, None, None, ()),
        "kind": (str, "a", None, None, ("a", "b")),
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"count": 3}, {"count": 3}),
        ({"count": 3.0}, {"count": 3}),
        ({"share": 1}, {"share": 1.0}),
        ({"flag": True}, {"flag": True}),
        ({"kind": "b"}, {"kind": "b"}),
    ],
)
def test_right_options_come_in_their_type(registered, options, expected):
    found = split_options([registered], options)["example"]
    assert found == expected
    assert [type(v) for v in found.values()] == [type(v) for v in expected.values()]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"count": 0}, "'count' to be a whole number of at least 1 and at most 5, got 0"),
        ({"count": 6}, "at most 5, got 6"),
        ({"count": 2.5}, "got 2.5"),
        ({"count": True}, "got True"),
        ({"count": "3"}, "got '3'"),
        ({"share": float("nan")}, "got nan"),
        ({"share": float("inf")}, "got inf"),
        ({"count": float("nan")}, "got nan"),
        ({"count": float("inf")}, "got inf"),
        ({"share": None}, "got None"),
        ({"flag": 1}, "'flag' to be True or False, got 1"),
        ({"kind": "c"}, "one of 'a', 'b', got 'c'"),
        ({"kind": ["a"]}, r"got \['a'\]"),
        ({"size": 3}, "Option 'size' is not known to example .*count"),
    ],
)
def test_wrong_options_are_refused(registered, options, words):
    with pytest.raises(MethodError, match=words):
        split_options([registered], options)


def test_an_option_goes_to_the_methods_that_have_it():
    chosen = [find_method("smooth_grad"), find_method("grad_cam")]
    found = split_options(chosen, {"samples": 3})
    assert found == {"smooth_grad": {"samples": 3}, "grad_cam": {}}


@pytest.mark.parametrize("name", ["grad-cam", "gradcam", "Grad_Cam", "smoothgrad", "eigencam"])
def test_a_misspelled_method_is_told_the_closest(name):
    with pytest.raises(MethodError, match=r"closest: .*(grad|eigen)"):
        find_method(name)


@pytest.mark.parametrize("name", [None, 3, ["grad_cam"], {}])
def test_a_method_must_be_a_name(name):
    with pytest.raises(MethodError, match=r"is not known; .*grad_cam"):
        find_method(name)
