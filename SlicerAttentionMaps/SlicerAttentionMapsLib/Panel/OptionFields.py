"""A method's options as fields to fill in, made from what the engine declares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..i18n import _

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attention_maps.registry import Method, Option

_FAR = 2**31 - 1  # Qt's spin boxes end there
_WIDE = 1e6


@dataclass(frozen=True)
class OptionField:
    """One field.

    Attributes:
        name: of the option.
        label: for people.
        kind: "int", "float", "bool" or "choice".
        value: what is chosen, or the default.
        default: what it is without a choice.
        toolTip: what it does, with range and default.
        low: smallest value.
        high: largest value.
        decimals: after the point.
        choices: all values of a choice.
        unit: of a number.
    """

    name: str
    label: str
    kind: str
    value: Any
    default: Any
    toolTip: str
    low: float = 0
    high: float = 0
    decimals: int = 0
    choices: tuple[str, ...] = ()
    unit: str = ""


def optionFields(method: Method, chosen: Mapping[str, Any]) -> tuple[OptionField, ...]:
    """Return the fields of a method; values that are out of range count as not chosen."""
    return tuple(_field(option, chosen) for option in method.options.values())


def changedOptions(method: Method, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chosen values that the method has, that are allowed, and no defaults."""
    fields = optionFields(method, chosen)
    return {field.name: field.value for field in fields if field.value != field.default}


def _field(option: Option, chosen: Mapping[str, Any]) -> OptionField:
    kind = "choice" if option.choices else {int: "int", bool: "bool"}.get(option.type, "float")
    far = _FAR if kind == "int" else _WIDE
    return OptionField(
        option.name,
        option.name.replace("_", " ").capitalize(),
        kind,
        _valueOf(option, chosen),
        option.default,
        _tipOf(option),
        -far if option.low is None else option.low,
        far if option.high is None else option.high,
        _decimals(option.default) if kind == "float" else 0,
        tuple(option.choices),
        option.unit,
    )


def _valueOf(option: Option, chosen: Mapping[str, Any]) -> Any:
    from attention_maps.errors import MethodError

    if option.name not in chosen:
        return option.default
    try:
        return option.checked(chosen[option.name])
    except MethodError:
        return option.default


def _tipOf(option: Option) -> str:
    text = f"{option.help[:1].upper()}{option.help[1:]}."
    if option.choices or option.type is bool:
        return text + " " + _("Default: {default}.").format(default=option.default)
    if option.low is not None and option.high is not None:
        limits = _("From {low:g} to {high:g}; default: {default:g}.")
    elif option.low is not None:
        limits = _("At least {low:g}; default: {default:g}.")
    else:
        limits = _("Default: {default:g}.")
    return text + " " + limits.format(low=option.low, high=option.high, default=option.default)


def _decimals(default: float) -> int:
    """Return so many decimals that a default of 0.005 can be halved."""
    if not default:
        return 3
    return min(9, max(3, 1 - math.floor(math.log10(abs(default)))))
