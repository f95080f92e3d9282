"""The panel's choices become arguments of `explain`."""

import json
from types import SimpleNamespace

import pytest

from SlicerAttentionMapsLib import Asked

POINT, BOX, TRUTH = object(), object(), object()


def parameters(**changes):
    chosen = {
        "where": "class", "className": "", "otherClassName": "", "pointNode": POINT,
        "roiNode": BOX, "segmentationNode": TRUTH, "segmentId": "Segment_1", "method": "grad_cam",
        "options": "{}", "layers": '["auto"]',
    }  # fmt: skip
    return SimpleNamespace(**{**chosen, **changes})


@pytest.mark.parametrize(
    ("where", "className", "target", "asked", "component"),
    [
        ("class", "", None, None, False),
        ("class", "tumor", "tumor", None, False),
        ("component", "", POINT, None, True),
        ("component", "tumor", POINT, "tumor", True),
        ("point", "2", POINT, "2", False),
        ("roi", "", BOX, None, False),
        ("segment", "tumor", (TRUTH, "Segment_1"), "tumor", False),
        ("contrast", "", {"kind": "contrast", "name": None, "other": "b"}, None, False),
        ("contrast", "a", {"kind": "contrast", "name": "a", "other": "b"}, None, False),
    ],
)
def test_question(where, className, target, asked, component):
    found = Asked.explainArguments(parameters(where=where, className=className, otherClassName="b"))
    assert (found["target"], found["className"], found["component"]) == (target, asked, component)


def test_contrast_with_the_next_likeliest():
    found = Asked.explainArguments(parameters(where="contrast", className="a"))
    assert found["target"] == {"kind": "contrast", "name": "a", "other": None}


@pytest.mark.parametrize(
    ("layers", "layer", "live"),
    [
        ('["auto"]', "auto", "auto"),
        ('["all"]', "all", "auto"),
        ('["up1"]', "up1", "up1"),
        ('["up1", "up2"]', ["up1", "up2"], "up1"),
        ("[]", "auto", "auto"),
        ("broken", "auto", "auto"),
        ('{"a": 1}', "auto", "auto"),
    ],
)
def test_layers(layers, layer, live):
    assert Asked.explainArguments(parameters(layers=layers))["layer"] == layer
    assert Asked.liveArguments(parameters(layers=layers))["layer"] == live


def test_options_are_kept_per_method():
    text = Asked.withOptions("{}", "smooth_grad", {"samples": 3})
    text = Asked.withOptions(text, "occlusion", {"size": 8})
    assert Asked.optionsOf(text, "smooth_grad") == {"samples": 3}
    found = Asked.explainArguments(parameters(method="occlusion", options=text))
    assert (found["method"], found["options"]) == ("occlusion", {"size": 8})
    assert json.loads(Asked.withOptions(text, "smooth_grad", {})) == {"occlusion": {"size": 8}}
    for broken in ("", "[1]", '{"smooth_grad": 3}'):
        assert Asked.optionsOf(broken, "smooth_grad") == {}


def test_live_asks_about_the_chosen_class():
    assert Asked.liveArguments(parameters())["className"] is None
    found = Asked.liveArguments(parameters(className="tumor", where="roi"))
    assert found == {"className": "tumor", "method": "grad_cam", "layer": "auto", "options": {}}
