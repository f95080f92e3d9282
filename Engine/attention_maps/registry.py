"""The registers of methods, metrics and tests of maps, which command line, panel and docs read.

A method, metric or test is one function. Its options are its keyword-only arguments, and each
carries its default, its range and one line of help, so that controls can be built from it:

    samples: Annotated[int, Option("noisy copies of the input", low=1, high=1000)] = 25
"""

from __future__ import annotations

import difflib
import inspect
import math
from dataclasses import dataclass, field, replace
from importlib import import_module
from numbers import Real
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from attention_maps.errors import MethodError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Needs = Literal["layer", "layer and network", "input", "network"]
Stitch = Literal["blend", "add"]


@dataclass(frozen=True)
class Option:
    """One option of a method, metric or test.

    Args:
        help: What it does, one line.
        low: Smallest allowed value.
        high: Largest allowed value.
        unit: Of the value, such as "mm"; empty for a plain number.
        name: Filled in by the register.
        type: Filled in by the register: int, float, bool or str.
        default: Filled in by the register.
        choices: Allowed values of a text option, filled in by the register.
    """

    help: str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    name: str = ""
    type: type = float
    default: Any = None
    choices: tuple[Any, ...] = ()

    def checked(self, value: Any) -> Any:
        """Return the value in the option's type.

        Raises:
            MethodError: If it is of another type or out of range.
        """
        if self.choices:
            if value in self.choices:
                return value
            raise MethodError(
                f"Expected option '{self.name}' to be one of "
                f"{', '.join(map(repr, self.choices))}, got {value!r}."
            )
        number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        if self.type is bool and isinstance(value, bool):
            return value
        if self.type in (int, float) and number and (self.type is float or value == int(value)):
            low = self.low is None or value >= self.low
            if low and (self.high is None or value <= self.high):
                return self.type(value)
        kind = {bool: "True or False", int: "a whole number", float: "a number"}.get(
            self.type, "a text"
        )
        limits = "" if self.low is None else f" of at least {self.low:g}"
        limits += "" if self.high is None else f" and at most {self.high:g}"
        raise MethodError(f"Expected option '{self.name}' to be {kind}{limits}, got {value!r}.")


@dataclass(frozen=True)
class Method:
    """A registered method.

    Args:
        name: Name in calls and on the command line.
        label: Name for people.
        function: What computes the map.
        needs: "layer": the layer's activations (and gradients) are enough; "layer and network":
            it runs the network again; without a layer "input": the gradient at the input is enough;
            "network": it runs the network on inputs of its own.
        gradients: Whether it needs a backward pass.
        signed: Whether negative values mean evidence against; else what the function gives below
            zero is dropped, once, when the map of the whole volume is there.
        stitch: How maps of overlapping windows become one. "blend": a voxel's value is the blended
            mean of the windows, as of activations. "add": it is their sum, as of gradients, which
            are shared out among the windows already.
        description: One line for tooltips and tables.
        reference: Paper.
        remark: What users must know, else empty.
        options: Its options by name.
        aliases: Other names.
    """

    name: str
    label: str
    function: Callable[..., Any]
    needs: Needs
    gradients: bool
    signed: bool
    stitch: Stitch
    description: str
    reference: str
    remark: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    @property
    def has_layer(self) -> bool:
        """Whether it explains a layer; else it works on the network's input."""
        return self.needs in ("layer", "layer and network")


@dataclass(frozen=True)
class Metric:
    """A registered metric: a function of a `measures.comparison.Comparison` that gives a number.

    Args:
        name: Name in calls and in tables.
        label: Name for people.
        function: Computes it; the map has a positive value and the mask a voxel. It raises
            `measures.comparison.Undefined` where there is no value all the same.
        description: One line.
        reference: Paper or definition.
        unit: Of the value, such as "mm"; empty for a plain number.
        better: Which way is better.
        limits: Smallest and largest possible value; None where that is not known.
        options: Its options by name.
    """

    name: str
    label: str
    function: Callable[..., float]
    description: str
    reference: str
    unit: str = ""
    better: Literal["higher", "lower"] = "higher"
    limits: tuple[float, float] | None = None
    options: Mapping[str, Option] = field(default_factory=dict)


@dataclass(frozen=True)
class TrustTest:
    """A registered test of a map: a function of a `faithfulness.subject.Subject`.

    Args:
        name: Name in calls and on the command line.
        label: Name for people.
        function: Gives a `faithfulness.findings.Finding`.
        passes: About how many passes through the network it takes, of the subject and its options;
            a backward pass counts two.
        description: One line for tooltips and tables.
        reference: Paper.
        options: Its options by name.
    """

    name: str
    label: str
    function: Callable[..., Any]
    passes: Callable[..., int]
    description: str
    reference: str
    options: Mapping[str, Option] = field(default_factory=dict)


_METHODS: dict[str, Method] = {}
_METRICS: dict[str, Metric] = {}
_TRUST_TESTS: dict[str, TrustTest] = {}


def method(
    name: str,
    label: str,
    *,
    needs: Needs,
    reference: str,
    gradients: bool = True,
    signed: bool = False,
    stitch: Stitch = "blend",
    aliases: tuple[str, ...] = (),
    remark: str = "",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a method; the first line of its docstring is its description."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _METHODS[name] = Method(
            name, label, function, needs, gradients, signed, stitch, _first_line(function),
            reference, remark, _options(function), aliases,
        )  # fmt: skip
        return function

    return register


def metric(
    name: str,
    label: str,
    *,
    reference: str,
    unit: str = "",
    better: Literal["higher", "lower"] = "higher",
    limits: tuple[float, float] | None = None,
) -> Callable[[Callable[..., float]], Callable[..., float]]:
    """Register a metric; the first line of its docstring is its description."""

    def register(function: Callable[..., float]) -> Callable[..., float]:
        _METRICS[name] = Metric(
            name, label, function, _first_line(function), reference, unit, better, limits,
            _options(function),
        )  # fmt: skip
        return function

    return register


def trust_test(
    name: str, label: str, *, passes: Callable[..., int], reference: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a test of a map; the first line of its docstring is its description."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _TRUST_TESTS[name] = TrustTest(
            name, label, function, passes, _first_line(function), reference, _options(function)
        )
        return function

    return register


def methods() -> dict[str, Method]:
    """All methods by name, in the order of the documentation."""
    import_module("attention_maps.algorithms")
    return dict(_METHODS)


def metrics() -> dict[str, Metric]:
    """All metrics by name."""
    import_module("attention_maps.measures")
    return dict(_METRICS)


def trust_tests() -> dict[str, TrustTest]:
    """All tests of a map by name, in the order in which they run."""
    import_module("attention_maps.faithfulness")
    return dict(_TRUST_TESTS)


def find_method(name: str) -> Method:
    """The method of a name or alias.

    Raises:
        MethodError: If there is none, with the closest names.
    """
    known = methods()
    if isinstance(name, Method):
        return name
    aliases = {alias: item for item in known.values() for alias in item.aliases}
    if isinstance(name, str) and (name in known or name in aliases):
        return known.get(name) or aliases[name]
    close = difflib.get_close_matches(str(name), [*known, *aliases], n=3)
    hint = f"closest: {', '.join(close)}; " if close else ""
    raise MethodError(f"Method {name!r} is not known; {hint}all: {', '.join(known)}.")


def find_metric(name: str) -> Metric:
    """The metric of a name.

    Raises:
        MethodError: If there is none, with the closest names.
    """
    known = metrics()
    if isinstance(name, str) and name in known:
        return known[name]
    close = difflib.get_close_matches(str(name), known, n=3)
    hint = f"closest: {', '.join(close)}; " if close else ""
    raise MethodError(f"Metric {name!r} is not known; {hint}all: {', '.join(known)}.")


def find_trust_test(name: str) -> TrustTest:
    """The test of a name.

    Raises:
        MethodError: If there is none, with the closest names.
    """
    known = trust_tests()
    if isinstance(name, str) and name in known:
        return known[name]
    close = difflib.get_close_matches(str(name), known, n=3)
    hint = f"closest: {', '.join(close)}; " if close else ""
    raise MethodError(f"Test {name!r} is not known; {hint}all: {', '.join(known)}.")


def split_options(
    chosen: Sequence[Method | Metric | TrustTest], options: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Which method or metric gets which option, checked.

    Raises:
        MethodError: If an option belongs to none of them, or its value is out of range.
    """
    for name in options:
        if not any(name in item.options for item in chosen):
            have = sorted({option for item in chosen for option in item.options})
            listed = f"options: {', '.join(have)}" if have else "no options"
            names = ", ".join(item.name for item in chosen)
            raise MethodError(f"Option '{name}' is not known to {names} ({listed}).")
    return {
        item.name: {
            name: item.options[name].checked(value)
            for name, value in options.items()
            if name in item.options
        }
        for item in chosen
    }


def _first_line(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]


def _options(function: Callable[..., Any]) -> dict[str, Option]:
    options = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        kind, *extras = get_args(_hint(function, name))
        option = next(item for item in extras if isinstance(item, Option))
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        plain = kind if isinstance(kind, type) else type(parameter.default)
        options[name] = replace(
            option, name=name, type=plain, default=parameter.default, choices=choices
        )
    return options


def _hint(function: Callable[..., Any], name: str) -> Any:
    """The type of one argument; those of the others may be torch's, which is not needed here."""
    alone = SimpleNamespace(__annotations__={name: function.__annotations__[name]})
    return get_type_hints(alone, globalns=function.__globals__, include_extras=True)[name]
