"""What a bundle's configuration would execute, checked before MONAI's parser sees it.

The parser evaluates every string that begins with `$` and calls whatever `_target_` names. Without
consent the parts that are needed must hold neither, but for what `harmless` lists; the rest of the
configuration (training, evaluators, file names) is not even handed to the parser.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from attention_maps.errors import ConsentError
from attention_maps.models.bundle.expressions import (
    REFERENCE,
    NotPlainError,
    read_expression,
)
from attention_maps.models.bundle.harmless import known_component, outward_argument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    return {name: _Checker(config, file).plain(value, name) for name, value in config.items()}


class _Checker:
    """Checks items of a configuration.

    Args:
        config: The configuration.
        file: Where it comes from, for the message.
    """

    def __init__(self, config: dict[str, Any], file: str) -> None:
        self._config = config
        self._file = file

    def plain(self, value: Any, where: str) -> Any:
        """A value in plain terms."""
        if isinstance(value, dict):
            return self._component(value, where)
        if isinstance(value, list):
            return [self.plain(item, f"{where}::{n}") for n, item in enumerate(value)]
        if isinstance(value, str) and value.startswith("$"):
            return self._expression(value, where)
        if isinstance(value, str) and value.startswith("%"):
            raise self._refusal(where, value)
        return value

    def _expression(self, text: str, where: str) -> Any:
        try:
            found = read_expression(text[1:], self._config)
        except NotPlainError:
            raise self._refusal(where, text) from None
        if isinstance(found, str) and found.startswith(("$", "%")):
            raise self._refusal(where, text)
        return self.plain(found, where)

    def _component(self, item: dict[str, Any], where: str) -> dict[str, Any]:
        odd = [k for k in item if k.startswith("_") and k.endswith("_") and k not in KEYWORDS]
        if odd:
            raise self._refusal(f"{where}::{odd[0]}", item[odd[0]])
        plain = {key: self.plain(value, f"{where}::{key}") for key, value in item.items()}
        if "_target_" not in item:
            return plain
        known = known_component(item["_target_"])
        if known is None:
            raise self._refusal(f"{where}::_target_", item["_target_"])
        if item.get("_mode_", "default") not in MODES:
            raise self._refusal(f"{where}::_mode_", item["_mode_"])
        outward = outward_argument(plain)
        if outward is not None:
            raise self._refusal(f"{where}::{outward}", item[outward])
        plain["_target_"] = known.target
        if known.fetches:  # the bundle brings the weights
            plain["pretrained"] = False
        return plain

    def _refusal(self, where: str, what: Any) -> ConsentError:
        shown = str(what)
        shown = shown if len(shown) <= 100 else shown[:97] + "..."
        return ConsentError(
            f"'{self._file}' asks for code that is not known to be harmless: {where} is '{shown}'. "
            "If you know where the model comes from, load it with trust=True (command line: "
            "--trust)."
        )


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
