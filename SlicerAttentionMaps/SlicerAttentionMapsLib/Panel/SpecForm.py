"""The form of a model's specification: text in fields on one side, a JSON object on the other.

The fields that people change most have an entry of their own; `REST` holds whatever else there is
as JSON. Whether a value makes sense is for the engine to say, whose message finds its field here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..i18n import _
from .Control import Item

REST = "rest"
CUSTOM = "custom"
_LINE = re.compile(r"^(?P<name>[a-z_]+)(?:[.\[][^:]*)?: (?P<problem>.+)$")
_LEAD = re.compile(r"^(- |spec: |ModelSpec: |.*?\.json: )")


@dataclass(frozen=True)
class FormField:
    """One entry of the form.

    Attributes:
        name: of the specification's field.
        label: what stands before it.
        kind: "names", "numbers" (both separated by commas), "number", "text" or "choice".
        toolTip: what is meant.
        choices: of a choice, the values as JSON; the first one leaves the field out.
        empty: what is meant where nothing is entered.
    """

    name: str
    label: str
    kind: str
    toolTip: str
    choices: tuple[Item, ...] = field(default=())
    empty: str = ""


def _choices(nothing: str, *values: tuple[str, str]) -> tuple[Item, ...]:
    named = [Item(json.dumps(value), label) for value, label in values]
    return (Item("", nothing), *named)


# Steps that are common enough to have a name; anything else is edited as JSON.
PRESETS: tuple[tuple[str, list[dict[str, Any]]], ...] = (
    (_("0 to 1 over percentiles 0.5 to 99.5"), [{"kind": "percentile"}]),
    (_("Mean 0, deviation 1"), [{"kind": "zscore"}]),
    (_("Mean 0, deviation 1, voxels that are not 0"), [{"kind": "zscore", "region": "nonzero"}]),
    (_("CT soft tissue (-160 to 240 HU) to 0 to 1"), [
        {"kind": "window", "level": 40, "width": 400},
    ]),
    (_("CT lung (-1350 to 150 HU) to 0 to 1"), [
        {"kind": "window", "level": -600, "width": 1500},
    ]),
    (_("CT wide (-1000 to 1000 HU) to 0 to 1"), [{"kind": "window", "low": -1000, "high": 1000}]),
)  # fmt: skip

FIELDS = (
    FormField("task", _("Task"), "choice", _("What the network answers."), _choices(
        _("found out"), ("classification", _("classification")),
        ("segmentation", _("segmentation")),
    )),
    FormField("channels", _("Channels"), "names", _(
        "Names of the input channels in the network's order, such as T1, T1Gd, T2, FLAIR."
    ), empty=_("any")),
    FormField("class_names", _("Classes"), "names", _(
        "Names of the classes in the order of the network's output."
    ), empty=_("numbered")),
    FormField("background", _("Background"), "number", _(
        "Index of the background class. Empty: 0 for a segmentation whose classes exclude each "
        "other, otherwise none."
    ), empty=_("found out")),
    FormField("orientation", _("Orientation"), "text", _(
        "Where the image axes point that the network was trained on, such as RAS or LPS. Empty: as "
        "the volume is."
    ), empty=_("as the volume is")),
    FormField("spacing", _("Spacing (mm)"), "numbers", _(
        "Voxel size that the volume is resampled to, along these axes. Empty: as the volume is."
    ), empty=_("as the volume is")),
    FormField("input_size", _("Input size"), "text", _(
        "Number of voxels that the network takes: 128, 128, 128 resizes the volume to it, "
        "'pad 128, 128, 128' pads or crops, 'multiple of 16' pads. Empty: any."
    ), empty=_("any")),
    FormField("patch_size", _("Window size"), "numbers", _(
        "Size of the sliding window. Empty: the whole volume at once."
    ), empty=_("the whole volume")),
    FormField("intensity", _("Intensities"), "choice", _(
        "How voxel values are brought to what the network was trained on."
    ), (
        Item("", _("as they are")),
        *(Item(json.dumps(steps), label) for label, steps in PRESETS),
    )),
    FormField("axis_order", _("Axis order"), "choice", _(
        "Order of the axes in the network's tensor: i, j, k as in MONAI, TorchIO and nibabel; "
        "k, j, i as in SimpleITK and nnU-Net."
    ), _choices("i, j, k", ("kji", "k, j, i"))),
    FormField("activation", _("Activation"), "choice", _(
        "What makes probabilities of the network's logits. Softmax: classes exclude each other; "
        "sigmoid: each class is its own question."
    ), _choices(
        _("found out"), ("softmax", "softmax"), ("sigmoid", "sigmoid"), ("none", _("none")),
    )),
    FormField("output_is", _("Output"), "choice", _("What the network returns."), _choices(
        _("found out"), ("logits", _("logits")), ("probabilities", _("probabilities")),
    )),
    FormField("layer", _("Layer"), "text", _("Layer that is explained by default."),
              empty=_("automatic")),
)  # fmt: skip
NAMES = tuple(entry.name for entry in FIELDS)


class FormError(ValueError):
    """An entry that cannot be read.

    Args:
        name: of the entry.
        message: what was expected and came.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def parsed(text: str) -> dict[str, Any]:
    """Return the fields of an edited specification; none where a scene holds something else."""
    try:
        fields = json.loads(text) if text else {}
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def textsOf(specification: Mapping[str, Any]) -> dict[str, str]:
    """Return what the form shows of a specification, by name of the entry."""
    texts = {entry.name: _textOf(entry, specification.get(entry.name)) for entry in FIELDS}
    known = {"format_version", *NAMES} - ({"intensity"} if texts["intensity"] == CUSTOM else set())
    rest = {name: value for name, value in specification.items() if name not in known}
    return {**texts, REST: json.dumps(rest, indent=2, ensure_ascii=False) if rest else ""}


def choicesOf(entry: FormField, text: str) -> tuple[Item, ...]:
    """Return a choice's items, with one more where the value is none of them."""
    if text != CUSTOM:
        return entry.choices
    return (*entry.choices, Item(CUSTOM, _("other steps, see below")))


def changed(specification: Mapping[str, Any], name: str, text: str) -> dict[str, Any]:
    """Return a specification with one entry changed.

    Raises:
        FormError: If the text cannot be read.
    """
    values = withoutVersion(specification)
    if name == REST:
        shown = textsOf(specification)
        return {
            **{key: value for key, value in values.items() if shown.get(key) not in (None, CUSTOM)},
            **_rest(text),
        }
    if text == CUSTOM:
        return values
    values.pop(name, None)
    value = _valueOf(next(entry for entry in FIELDS if entry.name == name), text.strip())
    return values if value is None else {**values, name: value}


def problemsByField(message: str) -> dict[str, str]:
    """Return what the engine finds wrong, by name of the entry; "" for what belongs to none.

    >>> problemsByField("spec: spacing[1]: expected greater than 0, got -1")
    {'spacing': 'expected greater than 0, got -1'}
    """
    found: dict[str, str] = {}
    lines = message.splitlines()
    for line in lines[1:] if len(lines) > 1 else lines:
        said = _LEAD.sub("", line)
        match = _LINE.match(said)
        name = match["name"] if match else ""
        known = name in NAMES
        text = match["problem"] if match and known else said
        name = name if known or not name else REST
        found[name] = f"{found[name]}; {text}" if name in found else text
    return found


def _textOf(entry: FormField, value: Any) -> str:
    if value is None or (entry.name == "axis_order" and value == "ijk"):
        return ""
    if entry.name == "input_size":
        return _sizeText(value)
    if entry.kind == "choice":
        return "" if value in ([], ()) else _presetKey(entry, value)
    if entry.kind == "names":
        return ", ".join(value)
    if entry.kind == "numbers":
        return ", ".join(f"{number:g}" for number in value)
    return str(value)


def _presetKey(entry: FormField, value: Any) -> str:
    keys = [item.key for item in entry.choices if item.key]
    return next((key for key in keys if json.loads(key) == value), CUSTOM)


def _valueOf(entry: FormField, text: str) -> Any:
    if not text:
        return None
    if entry.name == "input_size":
        return _size(text)
    if entry.kind == "choice":
        return json.loads(text)
    if entry.kind == "names":
        return [part.strip() for part in text.split(",") if part.strip()]
    if entry.kind == "numbers":
        whole = entry.name == "patch_size"
        return [_number(entry.name, part, whole=whole) for part in _parts(text)]
    if entry.kind == "number":
        return _number(entry.name, text, whole=True)
    return text


def _size(text: str) -> dict[str, Any]:
    """Read "128, 128, 128", "pad 128, 128, 128" or "multiple of 16"."""
    words = _parts(text.lower())
    numbers = [_number("input_size", word, whole=True) for word in words if word[0] in "0123456789"]
    said = " ".join(word for word in words if word[0] not in "0123456789")
    if said == "multiple of" and numbers:
        return {"kind": "multiple_of", "factor": numbers[0] if len(numbers) == 1 else numbers}
    if said in ("", "pad", "crop", "pad or crop", "resize") and numbers:
        fit = {} if said in ("", "resize") else {"fit": "pad_crop"}
        return {"kind": "fixed", "shape": numbers, **fit}
    expected = _(
        "expected sizes such as '128, 128, 128', 'pad 128, 128, 128', 'multiple of 16', got {text}"
    )
    raise FormError("input_size", expected.format(text=repr(text)))


def _sizeText(value: Mapping[str, Any]) -> str:
    if value.get("kind") == "multiple_of":
        factor = value["factor"]
        return "multiple of " + (str(factor) if isinstance(factor, int) else _commas(factor))
    sizes = _commas(value["shape"])
    return f"pad {sizes}" if value.get("fit") == "pad_crop" else sizes


def _commas(values: Any) -> str:
    return ", ".join(str(value) for value in values)


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,;]+|(?<=\d)x(?=\d)", text) if part]


def _number(name: str, text: str, *, whole: bool) -> int | float:
    try:
        number = float(text)
    except ValueError:
        raise FormError(name, _("expected numbers, got {text}").format(text=repr(text))) from None
    if whole and number != int(number):
        raise FormError(name, _("expected whole numbers, got {text}").format(text=repr(text)))
    return int(number) if number == int(number) else number


def _rest(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise FormError(REST, _("expected JSON: {error}").format(error=error)) from None
    if not isinstance(values, dict):
        raise FormError(REST, _("expected an object in braces"))
    twice = sorted(set(values) & set(NAMES) - {"intensity"})
    if twice:
        raise FormError(REST, _("{names}: use the entry above").format(names=", ".join(twice)))
    return withoutVersion(values)


def withoutVersion(specification: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a specification without the version of their format."""
    return {name: value for name, value in specification.items() if name != "format_version"}
