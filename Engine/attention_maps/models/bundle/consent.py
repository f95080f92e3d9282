"""What a bundle's configuration would execute, checked before MONAI's parser sees it.

The parser evaluates every string that begins with `$` and calls whatever `_target_` names. Without
consent the parts that are needed must hold neither, but for what `harmless` lists; the rest of the
configuration (training, evaluators, file names) is not even handed to the parser.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from attention_maps.errors import ConsentError
from attention_maps.models.bundle.harmless import known_component, outward_argument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REFERENCE = re.compile(r"@(\w+(?:(?:::|#)\w+)*)")
KEYWORDS = {"_target_", "_disabled_", "_requires_", "_desc_", "_mode_"}
MODES = ("default", "callable")


def needed_parts(config: dict[str, Any], wanted: Iterable[str]) -> dict[str, Any]:
    """The top-level items of a configuration that some of them refer to, these included."""
    found: dict[str, Any] = {}
    waiting = [name for name in wanted if name in config]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = config[name]
        for text in _texts(config[name]):
            names = (re.split("::|#", item)[0] for item in REFERENCE.findall(text))
            waiting += [item for item in names if item in config]
    return found


def harmless(config: dict[str, Any], file: str) -> dict[str, Any]:
    """The same configuration in plain terms, with nothing in it that executes code.

    Args:
        config: Items of a configuration, relative references and macros resolved.
        file: Where it comes from, for the message.

    Raises:
        ConsentError: With the first item that would execute something else.
    """
    return {name: _plain(value, name, file) for name, value in config.items()}


def _plain(value: Any, where: str, file: str) -> Any:
    if isinstance(value, dict):
        return _plain_item(value, where, file)
    if isinstance(value, list):
        return [_plain(item, f"{where}::{n}", file) for n, item in enumerate(value)]
    if isinstance(value, str) and value.startswith("$"):
        return _plain_expression(value, where, file)
    if isinstance(value, str) and value.startswith("%"):
        raise _refusal(where, value, file)
    return value


def _plain_expression(text: str, where: str, file: str) -> Any:
    """A reference, or a literal of Python: these two are read without evaluating anything."""
    content = text[1:].strip()
    if REFERENCE.fullmatch(content):
        return content
    try:
        found = ast.literal_eval(content)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise _refusal(where, text, file) from None
    if not _is_simple(found):
        raise _refusal(where, text, file)
    return found


def _is_simple(value: Any) -> bool:
    """Numbers and plain words; no dict could become a call, no text a reference or expression."""
    if isinstance(value, list | tuple):
        return all(map(_is_simple, value))
    if isinstance(value, str):
        return not value.startswith(("$", "%", "@"))
    return value is None or isinstance(value, bool | int | float)


def _plain_item(item: dict[str, Any], where: str, file: str) -> dict[str, Any]:
    odd = next((k for k in item if k.startswith("_") and k.endswith("_") and k not in KEYWORDS), "")
    if odd:
        raise _refusal(f"{where}::{odd}", item[odd], file)
    plain = {key: _plain(value, f"{where}::{key}", file) for key, value in item.items()}
    if "_target_" not in item:
        return plain
    known = known_component(item["_target_"])
    if known is None:
        raise _refusal(f"{where}::_target_", item["_target_"], file)
    if item.get("_mode_", "default") not in MODES:
        raise _refusal(f"{where}::_mode_", item["_mode_"], file)
    outward = outward_argument(item)
    if outward is not None:
        raise _refusal(f"{where}::{outward}", item[outward], file)
    plain["_target_"] = known.target
    if known.fetches:  # the bundle brings the weights
        plain["pretrained"] = False
    return plain


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _texts(item)


def _refusal(where: str, what: Any, file: str) -> ConsentError:
    shown = str(what)
    shown = shown if len(shown) <= 100 else shown[:97] + "..."
    return ConsentError(
        f"'{file}' asks for code that is not known to be harmless: {where} is '{shown}'. If you "
        "know where the model comes from, load it with trust=True (command line: --trust)."
    )
