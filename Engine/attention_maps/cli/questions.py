"""From words on the command line to targets and options of methods."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.cli.running import usage_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from attention_maps.answer import Answer
    from attention_maps.registry import Metric, Option, TrustTest

Position = tuple[float, float, float]


@dataclass(frozen=True)
class Asked:
    """What was asked on the command line.

    Args:
        targets: Class names, indices, or "A vs B".
        points: Positions in mm, RAS.
        components: Positions in mm, RAS.
        region: Mask file.
        top: Number of likeliest classes.
    """

    targets: tuple[str, ...]
    points: tuple[Position, ...]
    components: tuple[Position, ...]
    region: Path | None
    top: int | None

    @property
    def count(self) -> int:
        """Number of maps per layer and method; classes that do not exist count, too."""
        places = len(self.points) + len(self.components) + (self.region is not None)
        classes = max(1, len(self.targets))
        if self.top is not None:
            return self.top
        return classes * places if places else classes

    def resolve(self, answer: Callable[[], Answer]) -> Any:
        """The target, or a list where several are asked for; None for the likeliest class.

        Args:
            answer: Runs the network; called only where the words alone do not tell.
        """
        from attention_maps import targets as kinds

        if self.top is not None:
            return kinds.TopTarget(self.top)
        found: list[Any] = []
        for name in self.targets or (None,):
            for ras in self.points:
                found.append(kinds.PointTarget(_class(name, answer, ras), ras=ras))
            for ras in self.components:
                found.append(kinds.ComponentTarget(_class(name, answer, ras), ras=ras))
            if self.region is not None:
                from attention_maps.image_io import read_image

                mask = read_image(self.region)
                found.append(kinds.RegionTarget(_class(name, answer, None), mask))
        found = found or [_class_target(name, answer) for name in self.targets]
        if not found:
            return None
        return found if len(found) > 1 else found[0]


def read_question(
    targets: Sequence[str],
    points: Sequence[str],
    components: Sequence[str],
    region: Path | None,
    top: int | None,
) -> Asked:
    """Check what can be checked before the model is loaded."""
    places = [*points, *components, *([region] if region else [])]
    if top is not None and (targets or places):
        raise usage_error("--top asks about the likeliest classes; leave out other targets.")
    if places and any(_pair(name) for name in targets):
        raise usage_error("'A vs B' asks about whole classes; leave out --point and the like.")
    where = tuple(_position(text, "--point") for text in points)
    parts = tuple(_position(text, "--component") for text in components)
    return Asked(tuple(targets), where, parts, region, top)


def _position(text: str, option: str) -> Position:
    try:
        right, anterior, superior = (float(part) for part in text.split(","))
    except ValueError:
        raise usage_error(
            f"Expected {option} R,A,S: three numbers in mm such as -12.5,30,44, got '{text}'."
        ) from None
    return right, anterior, superior


def _pair(name: str) -> list[str]:
    parts = re.split(r"\s+vs\.?\s+", name.strip())
    return parts if len(parts) == 2 else []


def _class_target(name: str, answer: Callable[[], Answer]) -> Any:
    from attention_maps import targets as kinds

    pair = _pair(name)
    if pair and name not in answer().class_names:
        return kinds.ContrastTarget(*pair)
    return kinds.ClassTarget(name)


def _class(name: str | None, ask: Callable[[], Answer], ras: Position | None) -> str | int:
    """The class that is asked about; without a name what is predicted at the point."""
    if name is not None:
        return name
    answer = ask()
    if ras is not None and answer.task == "segmentation":
        voxel = tuple(int(n) for n in np.rint(answer.grid.to_index(ras)))
        inside = all(0 <= n < size for n, size in zip(voxel, answer.grid.shape, strict=True))
        label = int(answer.labels[voxel]) if inside else 0
        index = label if answer.activation == "softmax" else label - 1
        if inside and index >= 0 and index != answer.background:
            return index
    return answer.ranking()[0]


def read_options(
    pairs: Sequence[str], names: Sequence[str], tests: Sequence[TrustTest | Metric] = ()
) -> dict[str, Any]:
    """Options of methods and tests from key=value; their own declarations say which type.

    Args:
        pairs: Texts such as "samples=50".
        names: The methods.
        tests: Tests of maps, or metrics.
    """
    from attention_maps.registry import find_method

    declared: dict[str, Option] = {}
    for name in names:
        declared.update(find_method(name).options)
    for test in tests:
        declared.update(test.options)
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise usage_error(f"Expected --option key=value such as samples=50, got '{pair}'.")
        key = key.strip().replace("-", "_")
        kind = declared[key].type if key in declared else str
        values[key] = _converted(text.strip(), kind)
    return values


def _converted(text: str, kind: type) -> Any:
    """The value in the option's type; text that does not fit is left for the method to refuse."""
    if kind is bool:
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            text.lower(), text
        )
    try:
        return kind(text)
    except ValueError:
        return text
