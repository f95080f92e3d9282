"""Readable problems instead of a validation library's page: field, what was expected, what came."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from attention_maps.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

# Text is not read as a number, and a truth value is none.
Number = Annotated[float, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Index = Annotated[int, Field(strict=True, ge=0)]
Count = Annotated[int, Field(strict=True, ge=1, le=2**31)]

LONGEST_VALUE = 80
LARGEST_FILE = 2**24


class Checked(BaseModel):
    """Base of everything in a model specification: immutable, no unknown fields, no NaN.

    Raises:
        SpecError: With all problems at once, when a field is unknown, missing or wrong.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**{name: plain(value) for name, value in fields.items()})
        except ValidationError as error:
            raise SpecError(describe_problems(error, type(self))) from None

    # Nested objects are then validated in place, so that their problems keep their path.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


class Kind(Checked):
    """One of several objects that may stand in the same place; `kind` says which."""

    kind: str

    @model_serializer(mode="wrap")
    def _kind_first(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Written always, though it is the default."""
        return {"kind": self.kind, **handler(self)}


def plain(value: Any) -> Any:
    """Plain numbers and lists for arrays and array scalars, also inside lists and dicts."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def describe_problems(error: ValidationError, model: type[Checked], where: str = "") -> str:
    """One text that lists every problem: where, field, expected, came.

    Args:
        error: What the validation raised.
        model: The class that was validated.
        where: The file or argument that the values come from; empty for the class' own name.
    """
    problems: dict[str, list[ErrorDetails]] = {}
    owners: dict[str, type[Checked]] = {}
    for problem in error.errors(include_url=False):
        path, owner = _locate(problem, model)
        problems.setdefault(path, []).append(problem)
        owners[path] = owner
    # A list with a wrong item is no problem of its own.
    lines = [
        _describe(path, found, owners[path])
        for path, found in problems.items()
        if not any(other.startswith(f"{path}[") for other in problems if path)
    ]
    where = where or model.__name__
    if len(lines) == 1:
        return f"{where}: {lines[0]}"
    return f"{where} has {len(lines)} problems:" + "".join(f"\n- {line}" for line in lines)


def closest(name: str, names: list[str]) -> str:
    """'closest: ...' where one of `names` resembles `name`, else the list of all of them."""
    matches = get_close_matches(name, names, n=1, cutoff=0.5)
    return f"closest: '{matches[0]}'" if matches else "expected one of " + ", ".join(sorted(names))


def read_json(path: Path) -> dict[str, Any]:
    """The fields of the one object in a JSON file.

    Raises:
        FileNotFoundError: If there is no such file.
        SpecError: If it is not UTF-8, not JSON, no object, or names a field twice.
    """
    if not path.is_file():
        raise FileNotFoundError(f"Expected a JSON file at {path}, found none.")
    if path.stat().st_size > LARGEST_FILE:
        raise SpecError(f"{path}: expected a small JSON file, got {path.stat().st_size} bytes.")
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_unique)
    except UnicodeDecodeError:
        raise SpecError(f"{path}: expected a JSON file in UTF-8, got something else.") from None
    except RecursionError:
        raise SpecError(f"{path}: expected an object of fields, got endless nesting.") from None
    except SpecError as error:
        raise SpecError(f"{path}: {error}.") from None
    except ValueError as error:  # the decoder's says line and column
        raise SpecError(f"{path}: expected JSON; {error}.") from None
    if not isinstance(values, dict):
        raise SpecError(f"{path}: expected an object of fields, got {_shortened(values)}.")
    return values


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SpecError(f"expected each field once; '{twice}' stands there twice")
    return fields


def _locate(problem: ErrorDetails, model: type[Checked]) -> tuple[str, type[Checked]]:
    """The path as it stands in the file, and the class whose field it is."""
    path = ""
    owner = model
    kinds = {kind.model_fields["kind"].default: kind for kind in _kinds(Kind)}
    unknown = problem["type"] == "extra_forbidden"
    for position, part in enumerate(problem["loc"]):
        last = position == len(problem["loc"]) - 1
        if isinstance(part, int):
            path += f"[{part}]"
        elif part in owner.model_fields or (unknown and last):
            path += f".{part}" if path else part
            owner = owner if last else _class_within(owner, part) or owner
        elif part in kinds:
            owner = kinds[part]
    return path, owner


def _class_within(owner: type[Checked], name: str) -> type[Checked] | None:
    """The class of a field that is an object of one kind only."""
    annotation = owner.model_fields[name].annotation
    for choice in get_args(annotation) or (annotation,):
        if isinstance(choice, type) and issubclass(choice, Checked):
            return None if issubclass(choice, Kind) else choice
    return None


def _kinds(base: type[Kind]) -> Iterator[type[Kind]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _describe(path: str, problems: list[ErrorDetails], owner: type[Checked]) -> str:
    first = problems[0]
    prefix = f"{path}: " if path else ""
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        return f"{prefix}there is no such field; {closest(name, list(owner.model_fields))}"
    if first["type"] == "missing" and isinstance(first["loc"][-1], int):
        return f"{prefix}is missing; the list is too short, got {_shortened(first['input'])}"
    if first["type"] == "missing":
        meaning = owner.model_fields[str(first["loc"][-1])].description
        return f"{prefix}is missing; expected: {meaning}"
    if first["type"] == "value_error":
        return prefix + str(first["ctx"]["error"])
    # One value that fits none of several types has one problem per type.
    expected = " or ".join(dict.fromkeys(_expected(problem) for problem in problems))
    return f"{prefix}expected {expected}, got {_shortened(first['input'])}"


def _expected(problem: ErrorDetails) -> str:
    context = problem.get("ctx", {})
    if problem["type"] == "union_tag_invalid":
        return f"'kind' to be one of {context['expected_tags']}"
    if problem["type"] == "union_tag_not_found":
        return "an object with a field 'kind'"
    if problem["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "an object with named fields"
    if problem["type"] == "invalid_key":
        return "text as name of a field"
    if problem["type"] == "tuple_type":
        return "a list"
    if problem["type"] in ("too_short", "too_long"):
        limit = context.get("min_length", context.get("max_length"))
        return f"{'at least' if 'min_length' in context else 'at most'} {limit} values"
    return problem["msg"].removeprefix("Input should be ").removeprefix("Value error, ")


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."
