"""The sidecar: what it says comes back, and what is wrong with it is said in one readable text."""

import errno
import json
import re

import numpy as np
import pytest

from attention_maps.errors import SpecError
from attention_maps.input_size import FixedSize, MultipleOf
from attention_maps.intensity import Clip, MinMax, Percentile, Scale, Window, ZScore
from attention_maps.spec import ModelSpec
from attention_maps.spec_sources import as_spec, find_sidecar, shipped_spec

FULL = ModelSpec(
    name="tumör",
    description="d",
    citation="c",
    license="MIT",
    url="https://example.org",
    task="segmentation",
    channels=("CT", "PET"),
    spatial_dims=3,
    orientation="lps",
    spacing=(1.5, 1, 2.25),
    interpolation="nearest",
    input_size=FixedSize(shape=(64, 64, 32), fit="pad_crop", value=-1),
    intensity=(
        Window(level=40, width=400, channels=(0,)),
        Clip(high=5.0),
        Percentile(lower=1, upper=99, per_channel=False, region="nonzero"),
        MinMax(out=(-1, 1)),
        ZScore(mean=(1.0, 2.0), std=3),
        Scale(multiply=2),
    ),
    intensity_stage="source",
    axis_order="kji",
    patch_size=(32, 32, 16),
    output="out",
    output_is="logits",
    activation="sigmoid",
    class_names=("air", "tumör"),
    background=0,
    layer="up.1",
)


def test_sidecar_round_trip(tmp_path):
    path = FULL.write(tmp_path / "model.json")
    assert ModelSpec.read(path) == FULL
    assert [file.name for file in tmp_path.iterdir()] == ["model.json"]
    assert FULL.orientation == "LPS"


def test_only_what_is_not_the_default_is_written_in_the_order_of_the_fields(tmp_path):
    spec = ModelSpec(
        class_names=("a", "b"), spacing=(1, 1, 1), intensity=(ZScore(),), name="n", axis_order="ijk"
    )
    written = json.loads(spec.write(tmp_path / "s.json").read_text(encoding="utf-8"))
    assert written == {
        "format_version": 1,
        "name": "n",
        "spacing": [1.0, 1.0, 1.0],
        "intensity": [{"kind": "zscore"}],
        "class_names": ["a", "b"],
    }
    assert list(written) == ["format_version", "name", "spacing", "intensity", "class_names"]
    assert ModelSpec().to_dict() == {"format_version": 1}


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = ModelSpec(name="old").write(tmp_path / "model.json")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        ModelSpec(name="new").write(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.json"]
    assert ModelSpec.read(path).name == "old"


def test_arrays_and_array_scalars_are_numbers():
    spec = ModelSpec(spacing=np.array([1.0, 2.0, 3.0]), background=np.int64(1))
    assert spec.spacing == (1.0, 2.0, 3.0)
    assert spec.background == 1


def test_replace_checks_and_keeps_the_rest():
    changed = FULL.replace(name="other")
    assert changed.name == "other"
    assert changed.replace(name="tumör") == FULL
    with pytest.raises(SpecError, match="background"):
        FULL.replace(background=2)


def test_specification_is_immutable_and_hashable():
    with pytest.raises(ValueError, match="frozen"):
        FULL.name = "other"
    assert hash(FULL) == hash(ModelSpec.from_dict(FULL.to_dict()))


def test_every_field_is_described_in_the_schema():
    schema = ModelSpec.model_json_schema()
    objects = {"ModelSpec": schema, **schema["$defs"]}
    missing = [
        f"{name}.{field}"
        for name, definition in objects.items()
        for field, value in definition["properties"].items()
        if field != "kind" and not value.get("description")
    ]
    assert missing == []


# Each entry: the fields, and words of the message: field, expected, came.
BAD_FIELDS = {
    "misspelt": ({"spcing": [1, 1, 1]}, ["spcing", "closest: 'spacing'"]),
    "misspelt in a step": (
        {"intensity": [{"kind": "percentile", "uper": 99}]},
        ["intensity[0].uper", "closest: 'upper'"],
    ),
    "text for a number": ({"spacing": [1, "2", 1]}, ["spacing[1]", "number", "'2'"]),
    "truth value for a number": ({"output": True}, ["output", "integer", "string", "True"]),
    "negative spacing": ({"spacing": [1, -2, 1]}, ["spacing[1]", "greater than 0", "-2"]),
    "NaN": ({"spacing": [1, float("nan"), 1]}, ["spacing[1]", "finite", "nan"]),
    "too few axes": ({"spacing": [1]}, ["spacing", "at least 2", "[1]"]),
    "too many axes": ({"patch_size": [8, 8, 8, 8]}, ["patch_size", "at most 3", "[8, 8, 8, 8]"]),
    "no list": ({"channels": "T1"}, ["channels", "a list", "'T1'"]),
    "no such task": ({"task": "detection"}, ["task", "segmentation", "'detection'"]),
    "four axes": ({"spatial_dims": 4}, ["spatial_dims", "2 or 3", "4"]),
    "orientation": ({"orientation": "RLS"}, ["orientation", "A or P", "'RLS'"]),
    "orientation of two letters": ({"orientation": "RA"}, ["orientation", "three", "'RA'"]),
    "axis order": ({"axis_order": "zyx"}, ["axis_order", "'ijk' or 'kji'", "'zyx'"]),
    "unknown step": (
        {"intensity": [{"kind": "zscroe"}]},
        ["intensity[0]", "'zscore'", "zscroe"],
    ),
    "step without kind": ({"intensity": [{"low": 1}]}, ["intensity[0]", "'kind'"]),
    "step that is no object": ({"intensity": ["zscore"]}, ["intensity[0]", "object", "'zscore'"]),
    "window of one end": (
        {"intensity": [{"kind": "window", "low": 1}]},
        ["intensity[0]", "'level' and 'width'", "['low']"],
    ),
    "window upside down": (
        {"intensity": [{"kind": "window", "low": 9, "high": 1}]},
        ["intensity[0]", "below", "9", "1"],
    ),
    "clip without limits": ({"intensity": [{"kind": "clip"}]}, ["intensity[0]", "neither"]),
    "percentile above 100": (
        {"intensity": [{"kind": "percentile", "upper": 101}]},
        ["intensity[0].upper", "less than or equal to 100", "101"],
    ),
    "percentiles upside down": (
        {"intensity": [{"kind": "percentile", "lower": 80, "upper": 20}]},
        ["intensity[0]", "below", "80", "20"],
    ),
    "no deviation": (
        {"intensity": [{"kind": "zscore", "std": 0}]},
        ["intensity[0].std", "greater than 0", "0"],
    ),
    "list of means for all channels together": (
        {"intensity": [{"kind": "zscore", "mean": [1, 2], "per_channel": False}]},
        ["intensity[0]", "'mean'", "per_channel"],
    ),
    "means of other channels": (
        {"intensity": [{"kind": "zscore", "mean": [1, 2], "channels": [0]}]},
        ["intensity[0]", "expected 1 numbers", "got 2"],
    ),
    "channel twice": (
        {"intensity": [{"kind": "zscore", "channels": [0, 1, 0]}]},
        ["intensity[0].channels", "once", "[0, 1, 0]"],
    ),
    "size beyond reason": (
        {"input_size": {"kind": "multiple_of", "factor": 10**30}},
        ["input_size.factor", "less than or equal to 2147483648"],
    ),
    "size without shape": ({"input_size": {"kind": "fixed"}}, ["input_size.shape", "missing"]),
    "size that is a number": ({"input_size": 128}, ["input_size", "object", "128"]),
    "multiple of nothing": (
        {"input_size": {"kind": "multiple_of", "factor": 0}},
        ["input_size.factor", "greater than or equal to 1", "0"],
    ),
    "class twice": ({"class_names": ["a", "b", "a"]}, ["class_names", "once", "a"]),
    "background beyond the classes": (
        {"class_names": ["a", "b"], "background": 2},
        ["'background' below 2", "got 2"],
    ),
    "axes that disagree": (
        {"spatial_dims": 2, "spacing": [1, 1, 1]},
        ["spacing has 3", "spatial_dims has 2"],
    ),
    "pictures of reversed axes": ({"spatial_dims": 2, "axis_order": "kji"}, ["axis_order kji"]),
    "probabilities of nothing": (
        {"output_is": "probabilities", "activation": "none"},
        ["'activation' softmax or sigmoid", "'none'"],
    ),
    "overlap of everything": (
        {"patch_size": [8, 8, 8], "sliding_window": {"overlap": 1}},
        ["sliding_window.overlap", "less than 1", "got 1"],
    ),
    "windows of another program": (
        {"sliding_window": {"style": "tiles"}},
        ["sliding_window.style", "'monai' or 'nnunet'", "'tiles'"],
    ),
    "axis mirrored twice": (
        {"sliding_window": {"mirror_axes": [0, 2, 0]}},
        ["sliding_window.mirror_axes", "once", "[0, 2, 0]"],
    ),
    "misspelt in windows": (
        {"sliding_window": {"overlpa": 0.5}},
        ["sliding_window.overlpa", "closest: 'overlap'"],
    ),
    "slices of pictures": ({"slices": {}, "spatial_dims": 2}, ["slices has 3"]),
    "no such axis of slices": ({"slices": {"axis": "z"}}, ["slices.axis", "'thickest'", "'z'"]),
    "half a neighbor": ({"slices": {"neighbors": -1}}, ["slices.neighbors", "equal to 0", "-1"]),
    "windows over all slices at once": (
        {"slices": {"together": "batch"}, "patch_size": [8, 8]},
        ["no 'patch_size'", "'slices.together' is batch", "[8, 8]"],
    ),
    "windows of volumes over slices": (
        {"slices": {}, "patch_size": [8, 8, 8]},
        ["two numbers, rows and columns", "[8, 8, 8]"],
    ),
    "slices with rows alone": (
        {"slices": {"size": [8]}},
        ["slices.size[1]", "is missing", "too short", "[8]"],
    ),
    "slices of two sizes": (
        {"slices": {"size": [8, 8]}, "spacing": [1, 1, 1]},
        ["'slices.size' without 'spacing'"],
    ),
    "negative label": ({"label_values": [0, -1]}, ["label_values[1]", "equal to 0", "-1"]),
    "newer version": ({"format_version": 2}, ["format_version 1", "got 2", "newer"]),
    "version as text": ({"format_version": "1"}, ["format_version", "1", "'1'"]),
}


@pytest.mark.parametrize("case", BAD_FIELDS)
def test_bad_fields(case, tmp_path):
    fields, words = BAD_FIELDS[case]
    path = tmp_path / "model.json"
    path.write_text(json.dumps(fields), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        ModelSpec.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert [word for word in words if word not in message] == []
    assert "\n" not in message
    assert "pydantic" not in message


BAD_FILES = {
    "empty": (b"", "expected JSON"),
    "no JSON": (b"{'spacing': [1, 1, 1]}", "expected JSON; .*line 1"),
    "cut off": (b'{"spacing": [1, 1', "expected JSON"),
    "a list": (b"[1, 2]", r"expected an object of fields, got \[1, 2\]"),
    "null": (b"null", "expected an object of fields, got None"),
    "binary": (b"PK\x03\x04\xff\xfe\x00\x01", "expected a JSON file in UTF-8"),
    "field twice": (
        b'{"name": "a", "name": "b"}',
        "expected each field once; 'name' stands there twice",
    ),
    "nested endlessly": (
        b'{"name": ' + b"[" * 100000,
        "expected an object of fields, got endless nesting",
    ),
    "number without end": (b'{"background": ' + b"9" * 5000 + b"}", "expected JSON; .*5000 digits"),
    "infinite number": (b'{"spacing": [1e999, 1, 1]}', r"spacing\[0\]: .*finite.*inf"),
    "NaN in a known field": (b'{"spacing": [NaN, 1, 1]}', r"spacing\[0\]: .*finite.*nan"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(case, tmp_path):
    content, message = BAD_FILES[case]
    path = tmp_path / "model.json"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=f"^{re.escape(str(path))}: {message}"):
        ModelSpec.read(path)


def test_file_that_is_far_too_large(tmp_path):
    path = tmp_path / "model.json"
    with path.open("wb") as file:
        file.truncate(2**25)
    with pytest.raises(SpecError, match="small JSON file, got 33554432 bytes"):
        ModelSpec.read(path)


def test_all_problems_are_listed_at_once():
    with pytest.raises(SpecError) as caught:
        ModelSpec(spcing=[1, 1, 1], task="x", intensity=[{"kind": "clip", "lo": 1}])
    lines = str(caught.value).splitlines()
    assert lines[0] == "ModelSpec has 3 problems:"
    assert sorted(line.split(":")[0] for line in lines[1:]) == [
        "- intensity[0].lo",
        "- spcing",
        "- task",
    ]


def test_a_step_of_its_own_is_checked_readably():
    with pytest.raises(SpecError, match=r"^Window: wdth: there is no such field; closest: 'width'"):
        Window(level=1, wdth=2)


def test_byte_order_mark_is_no_problem(tmp_path):
    path = tmp_path / "model.json"
    path.write_bytes(b'\xef\xbb\xbf{"name": "n"}')
    assert ModelSpec.read(path).name == "n"


def test_sidecar_of_a_model(tmp_path):
    model = tmp_path / "net.v2.pt"
    assert find_sidecar(model) is None
    model.touch()
    assert find_sidecar(model) is None
    sidecar = ModelSpec(name="n").write(tmp_path / "net.v2.json")
    assert find_sidecar(str(model)) == sidecar
    assert find_sidecar(tmp_path) is None
    assert find_sidecar(sidecar) is None


def test_forms_of_a_specification(tmp_path):
    path = FULL.write(tmp_path / "model.json")
    assert as_spec(None) == ModelSpec()
    assert as_spec(FULL) is FULL
    assert as_spec(FULL.to_dict()) == as_spec(path) == as_spec(str(path)) == FULL
    assert as_spec("deepbet_bbox") == shipped_spec("deepbet_bbox")


def test_forms_that_are_none(tmp_path):
    with pytest.raises(SpecError, match=r"'deepbet_box'.*closest: 'deepbet_bbox'"):
        as_spec("deepbet_box")
    with pytest.raises(FileNotFoundError, match=r"none.json"):
        as_spec(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError, match=r"none.json"):
        as_spec("none.json")
    with pytest.raises(TypeError, match="got int"):
        as_spec(3)
    with pytest.raises(SpecError, match=r"^spec: nme: "):
        as_spec({"nme": 1})
    with pytest.raises(SpecError, match="text as name of a field, got 1"):
        as_spec({1: 1})


def test_sizes_say_their_kind():
    assert MultipleOf(factor=16).model_dump(mode="json", exclude_defaults=True) == {
        "kind": "multiple_of",
        "factor": 16,
    }


def test_a_folder_that_may_not_be_written_is_told_in_words(tmp_path, monkeypatch):
    def refuse(self, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.write_text", refuse)
    with pytest.raises(PermissionError) as caught:
        ModelSpec(name="new").write(tmp_path / "model.json")
    assert str(caught.value) == (
        f"Cannot write 'model.json' in '{tmp_path}': Permission denied; choose a folder of your "
        "own, or copy the model to one."
    )
    assert list(tmp_path.iterdir()) == []
