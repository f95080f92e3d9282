"""Messages to JSON lines and back, checked field by field."""

from __future__ import annotations

import dataclasses
import json
import types
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from attention_maps.errors import WorkerError
from attention_maps.worker.measure_messages import MEASURES
from attention_maps.worker.messages import REPLIES, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES = {kind: name for name, kind in (REQUESTS | MEASURES | REPLIES).items()}
_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def encode(message: Any) -> bytes:
    """A message as one line of JSON.

    Raises:
        WorkerError: If it holds what JSON cannot.
    """
    values = {"type": _TYPES[type(message)], **dataclasses.asdict(message)}
    try:
        return json.dumps(values).encode("ascii") + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise WorkerError(
            f"Expected plain texts, numbers, lists and dicts in '{values['type']}': {error}"
        ) from None


def decode(line: bytes, kinds: Mapping[str, type[Any]]) -> Any:
    """The message of a line.

    Args:
        line: One JSON object.
        kinds: The messages that are understood.

    Raises:
        WorkerError: If it is no such message; says which field is wrong.
    """
    values = _parsed(line)
    name = values.pop("type", None)
    if not isinstance(name, str) or name not in kinds:
        raise WorkerError(
            f"Expected a message of type {', '.join(kinds)}, got {name!r}; client and worker may "
            "be of different versions of attention_maps."
        )
    return build(kinds[name], values, str(name))


def id_of(line: bytes) -> int:
    """Number of the request in a line that cannot be understood, 0 where there is none."""
    try:
        number = _parsed(line).get("id")
    except WorkerError:
        return 0
    return number if type(number) is int else 0


def build(kind: type[Any], values: Any, where: str) -> Any:
    """A message, or a part of one, of a dict.

    Raises:
        WorkerError: If a field is missing, not known, or of another type.
    """
    hints = get_type_hints(kind)
    if not isinstance(values, dict):
        raise WorkerError(f"Expected '{where}' to be an object, got {_short(values)}.")
    fields = dataclasses.fields(kind)
    needed = {
        item.name for item in fields
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    }  # fmt: skip
    missing, unknown = needed - set(values), set(values) - set(hints)
    if missing or unknown:
        problems = [f"misses {', '.join(sorted(missing))}"] if missing else []
        problems += [f"has no field {', '.join(sorted(unknown))}"] if unknown else []
        raise WorkerError(f"'{where}' {' and '.join(problems)}; its fields: {', '.join(hints)}.")
    found = {name: _fitted(value, hints[name], f"{where}.{name}") for name, value in values.items()}
    return kind(**found)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WorkerError(
            f"Expected a JSON object on one line, got {_short(line)}: {error}"
        ) from None
    if not isinstance(values, dict):
        raise WorkerError(f"Expected a JSON object, got {_short(line)}.")
    return values


def _fitted(value: Any, hint: Any, where: str) -> Any:
    """The value in the type of its field."""
    if hint is Any or (value is None and hint is types.NoneType):
        return value
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _fitted_to_one(value, parts, where)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return build(hint, value, where)  # type: ignore[arg-type]
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_fitted(item, parts[0], where) for item in value)
    if origin is dict and isinstance(value, dict):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and number:
        return float(value)
    if hint in _WORDS and type(value) is hint:
        return value
    raise WorkerError(f"Expected '{where}' to be {_word(hint)}, got {_short(value)}.")


def _fitted_to_one(value: Any, parts: tuple[Any, ...], where: str) -> Any:
    for part in parts:
        if part is not float or not isinstance(value, str):
            try:
                return _fitted(value, part, where)
            except WorkerError:
                if dataclasses.is_dataclass(part) and isinstance(value, dict):
                    raise
    words = " or ".join(dict.fromkeys(_word(part) for part in parts))
    raise WorkerError(f"Expected '{where}' to be {words}, got {_short(value)}.")


def _word(hint: Any) -> str:
    if hint is types.NoneType:
        return "nothing"
    if get_origin(hint) is tuple:
        return "a list"
    return _WORDS.get(hint, "an object")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
