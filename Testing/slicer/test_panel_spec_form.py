"""The form of a specification, against the engine that reads it."""

import doctest

import pytest

from attention_maps.errors import SpecError
from attention_maps.spec import ModelSpec
from attention_maps.spec_sources import shipped_spec
from SlicerAttentionMapsLib.Panel import SpecForm
from SlicerAttentionMapsLib.Panel.SpecForm import (
    CUSTOM,
    FIELDS,
    NAMES,
    PRESETS,
    REST,
    FormError,
    changed,
    choicesOf,
    parsed,
    problemsByField,
    textsOf,
    withoutVersion,
)

FULL = ModelSpec(
    name="Brain",
    task="segmentation",
    channels=("T1", "T2"),
    spatial_dims=3,
    orientation="LPS",
    spacing=(0.5, 1, 1.25),
    input_size={"kind": "fixed", "shape": [64, 96, 32], "fit": "pad_crop"},
    intensity=[{"kind": "window", "level": 40, "width": 400}],
    axis_order="kji",
    patch_size=(32, 48, 16),
    output_is="logits",
    activation="sigmoid",
    class_names=("nothing", "brain"),
    background=0,
    layer="up1",
).to_dict()


@pytest.mark.parametrize("spec", [FULL, shipped_spec("deepbet_bbox").to_dict(), {}])
def test_what_is_shown_reads_as_the_same_specification(spec):
    texts = textsOf(spec)
    made: dict = {}
    for name in (*NAMES, REST):
        made = changed(made, name, texts[name])
    assert ModelSpec.from_dict(made) == ModelSpec.from_dict(spec)
    assert made == withoutVersion(spec)


def test_texts_are_what_people_write():
    texts = textsOf(FULL)
    assert texts["channels"] == "T1, T2"
    assert texts["spacing"] == "0.5, 1, 1.25"
    assert texts["input_size"] == "pad 64, 96, 32"
    assert texts["task"] == '"segmentation"'
    assert '"name": "Brain"' in texts[REST]
    assert "intensity" not in texts[REST]


def test_an_emptied_entry_is_left_out():
    assert "spacing" not in changed(FULL, "spacing", "  ")
    assert "task" not in changed(FULL, "task", "")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("128, 128, 64", {"kind": "fixed", "shape": [128, 128, 64]}),
        ("128x128x64", {"kind": "fixed", "shape": [128, 128, 64]}),
        ("resize 8 8", {"kind": "fixed", "shape": [8, 8]}),
        ("pad 128 128 64", {"kind": "fixed", "shape": [128, 128, 64], "fit": "pad_crop"}),
        ("multiple of 16", {"kind": "multiple_of", "factor": 16}),
        ("Multiple of 8, 16, 16", {"kind": "multiple_of", "factor": [8, 16, 16]}),
    ],
)
def test_sizes(text, size):
    made = changed({}, "input_size", text)
    assert made == {"input_size": size}
    assert ModelSpec.from_dict(made).to_dict()["input_size"] == size
    assert changed({}, "input_size", textsOf(made)["input_size"]) == made


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("input_size", "large", "'128, 128, 128'"),
        ("spacing", "1, one, 1", "expected numbers, got 'one'"),
        ("patch_size", "64, 64.5, 64", "whole numbers"),
        ("background", "first", "expected numbers"),
        (REST, "{", "expected JSON"),
        (REST, "[1]", "object in braces"),
        (REST, '{"spacing": [1, 1, 1]}', "spacing: use the entry above"),
    ],
)
def test_what_cannot_be_read_is_said_of_its_entry(name, text, said):
    with pytest.raises(FormError, match=said) as caught:
        changed(FULL, name, text)
    assert caught.value.name == name


def test_every_preset_and_choice_is_one_that_the_engine_takes():
    for _label, steps in PRESETS:
        spec = ModelSpec.from_dict({"intensity": steps})
        assert spec.to_dict()["intensity"] == steps  # else it would not be recognized again
    for entry in FIELDS:
        for item in entry.choices:
            made = changed({}, entry.name, item.key)
            ModelSpec.from_dict(made)
            assert textsOf(made)[entry.name] == item.key
    assert set(NAMES) <= set(ModelSpec.model_fields)


def test_steps_without_a_name_are_edited_as_json():
    spec = {"intensity": [{"kind": "zscore"}, {"kind": "clip", "low": -1}], "name": "X"}
    texts = textsOf(spec)
    assert texts["intensity"] == CUSTOM
    intensity = next(entry for entry in FIELDS if entry.name == "intensity")
    assert choicesOf(intensity, CUSTOM)[-1].key == CUSTOM
    assert '"clip"' in texts[REST]
    assert changed(spec, "intensity", CUSTOM) == spec
    assert changed(spec, REST, '{"intensity": [{"kind": "zscore"}]}') == {
        "intensity": [{"kind": "zscore"}]
    }
    assert changed(spec, "intensity", "") == {"name": "X"}


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"spacing": [1, -1, 1]}, {"spacing"}),
        ({"orientation": "RRS", "background": 3, "foo": 1}, {"orientation", REST}),
        ({"spacing": [1, 1], "orientation": "RAS"}, {""}),
        ({"input_size": {"kind": "fixed", "shape": [0, 1]}}, {"input_size"}),
        ({"name": 3}, {REST}),
    ],
)
def test_the_engines_problems_find_their_entry(fields, names):
    with pytest.raises(SpecError) as caught:
        ModelSpec.from_dict(fields, where="spec")
    found = problemsByField(str(caught.value))
    assert set(found) == names
    assert all(text and not text.startswith("spec:") for text in found.values())


def test_what_a_scene_holds_is_read_or_left_alone():
    assert parsed('{"name": "X"}') == {"name": "X"}
    assert [parsed(text) for text in ("", "{", "[1]", "null")] == [{}, {}, {}, {}]


def test_examples():
    assert doctest.testmod(SpecForm).failed == 0
