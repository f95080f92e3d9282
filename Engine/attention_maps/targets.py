"""What is asked of the network: a class, a region, a point, a component, one class or another.

A target resolves against the network's answer to a `Question` (see `questions`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attention_maps.classes import find_class
from attention_maps.errors import TargetError
from attention_maps.places import as_mask, component_at, position_text, voxel_at
from attention_maps.questions import Question, Term
from attention_maps.types import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from numpy.typing import ArrayLike, NDArray

    from attention_maps.answer import Answer

    ClassName = str | int


@dataclass(frozen=True)
class ClassTarget:
    """One class: its logit; for segmentation the sum of its logits over where it is predicted.

    Args:
        name: Name of the class, or its index.
    """

    name: ClassName

    def resolve(self, answer: Answer) -> Question:
        """Find the class in the answer.

        Raises:
            TargetError: If there is no such class.
        """
        index = find_class(self.name, answer)
        label = answer.class_label(index)
        if answer.task == "classification":
            return Question(label, (Term(index),))
        mask = answer.predicted(index)
        note = "" if bool(mask.any()) else f"the network predicts no voxel of '{label}'"
        return _region_question(index, mask, label, note)


@dataclass(frozen=True, eq=False)
class RegionTarget:
    """A class within a region, whatever is predicted there.

    Args:
        name: Name of the class, or its index; None for the one that is predicted there.
        mask: Voxels that are not 0: an Image or path on any grid, or an array on the image's grid.
        place: What people call the region.
    """

    name: ClassName | None
    mask: Image | ArrayLike | str | PathLike[str]
    place: str = "a region"

    def resolve(self, answer: Answer) -> Question:
        """Bring the region onto the answer's grid.

        Raises:
            TargetError: If the mask is empty, outside the answer, or of another size.
        """
        _segmentation_only(self, answer)
        mask = answer.to_grid(as_mask(self.mask, answer.source))
        if not mask.any():
            raise TargetError(
                "Expected a region of at least one voxel inside the network's field of view, got "
                "an empty one; check the mask's geometry and its values (what is not 0 is inside)."
            )
        where = answer.tensor(mask)
        index = _class_there(self.name, answer, where)
        return _region_question(index, where, f"{answer.class_label(index)} in {self.place}")


@dataclass(frozen=True)
class PointTarget:
    """A class at one voxel.

    Args:
        name: Name of the class, or its index; None for the one that is predicted there.
        ras: Position in mm, RAS.
    """

    name: ClassName | None
    ras: Sequence[float] = field(kw_only=True)

    def resolve(self, answer: Answer) -> Question:
        """Find the voxel.

        Raises:
            TargetError: If the point is outside the answer.
        """
        _segmentation_only(self, answer)
        voxel = voxel_at(self.ras, answer)
        index = _class_there(self.name, answer, voxel)
        text = f"{answer.class_label(index)} at {position_text(self.ras)}"
        return Question(text, (Term(index, voxel),))


@dataclass(frozen=True)
class ComponentTarget:
    """The connected component of a predicted class under a point (face neighbors).

    Args:
        name: Name of the class, or its index; None for the one that is predicted there.
        ras: Position in mm, RAS.
    """

    name: ClassName | None
    ras: Sequence[float] = field(kw_only=True)

    def resolve(self, answer: Answer) -> Question:
        """Find the component.

        Raises:
            TargetError: If the class is not predicted at that point; says where it is nearest.
        """
        _segmentation_only(self, answer)
        voxel = voxel_at(self.ras, answer)
        index = _class_there(self.name, answer, voxel)
        label = answer.class_label(index)
        predicted = answer.predicted(index).cpu().numpy()
        if not predicted[voxel]:
            raise TargetError(self._not_here(predicted, answer, label))
        component = component_at(predicted, voxel)
        text = f"{label} component at {position_text(self.ras)}"
        return _region_question(index, answer.tensor(component), text)

    def _not_here(self, predicted: NDArray[np.bool_], answer: Answer, label: str) -> str:
        there = np.argwhere(predicted)
        if not len(there):
            return f"Expected a predicted '{label}', but the network predicts no voxel of it."
        gaps = np.linalg.norm(answer.grid.to_world(there) - np.asarray(self.ras), axis=1)
        nearest = answer.grid.to_world(there[gaps.argmin()])
        return (
            f"Expected a point in a predicted '{label}', but at {position_text(self.ras)} the "
            f"network predicts something else; the nearest voxel of it is {gaps.min():.1f} mm "
            f"away at {position_text(nearest)}."
        )


@dataclass(frozen=True)
class ContrastTarget:
    """Why one class rather than another: the difference of their logits.

    For segmentation it is summed over where the first class is predicted.

    Args:
        name: The class that is asked about; None for the likeliest.
        other: The class that it is held against; None for the likeliest other one.
    """

    name: ClassName | None
    other: ClassName | None

    def resolve(self, answer: Answer) -> Question:
        """Find both classes.

        Raises:
            TargetError: If a class does not exist or both are the same.
        """
        first = answer.ranking()[0] if self.name is None else find_class(self.name, answer)
        second = self._other(answer, first)
        if first == second:
            label = answer.class_label(first)
            raise TargetError(f"Expected two different classes, got '{label}' twice.")
        text = f"{answer.class_label(first)} rather than {answer.class_label(second)}"
        if answer.task == "classification":
            return Question(text, (Term(first), Term(second, weight=-1.0)))
        mask = answer.predicted(first)
        note = "" if bool(mask.any()) else f"the network predicts no '{answer.class_label(first)}'"
        return Question(text, (Term(first, mask), Term(second, mask, -1.0)), note=note)

    def _other(self, answer: Answer, first: int) -> int:
        if self.other is not None:
            return find_class(self.other, answer)
        return next((index for index in answer.ranking() if index != first), first)


@dataclass(frozen=True)
class TopTarget:
    """The k likeliest classes, one map each; for segmentation the k largest predicted ones.

    Args:
        k: Number of classes.
    """

    k: int = 3

    def expand(self, answer: Answer) -> list[ClassTarget]:
        """One target per class, likeliest first.

        Raises:
            TargetError: If k is not a positive whole number.
        """
        if isinstance(self.k, bool) or not isinstance(self.k, int) or self.k < 1:
            raise TargetError(f"Expected the number of classes to be 1 or more, got {self.k!r}.")
        return [ClassTarget(index) for index in answer.ranking()[: self.k]]


@dataclass(frozen=True)
class CustomTarget:
    """Any function of the logits; wraps the callables that users pass as a target.

    Args:
        function: Logits (B, classes, *spatial) -> scores (B,).
    """

    function: Callable[[torch.Tensor], torch.Tensor]

    def resolve(self, answer: Answer) -> Question:
        """Check the function on the answer.

        Raises:
            TargetError: If it does not give one score per image.
        """
        name = getattr(self.function, "__name__", type(self.function).__name__)
        function = self.function

        def score(logits: torch.Tensor) -> torch.Tensor:
            try:
                value = function(logits)
            except Exception as error:  # whatever the caller's code raises
                raise TargetError(
                    f"The target '{name}' failed on logits of shape {tuple(logits.shape)} "
                    f"(batch, classes, *spatial): {error!r}"
                ) from error
            if not isinstance(value, torch.Tensor) or value.shape not in ((len(logits),), ()):
                shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value)
                raise TargetError(
                    f"Expected the target '{name}' to give one score per image, shape "
                    f"({len(logits)},), got {shape}."
                )
            return value.reshape(-1).to(torch.promote_types(value.dtype, torch.float32))

        return Question(name, function=score)


Target = ClassTarget | RegionTarget | PointTarget | ComponentTarget | ContrastTarget | CustomTarget
_TARGETS = (
    ClassTarget, RegionTarget, PointTarget, ComponentTarget, ContrastTarget, CustomTarget,
)  # fmt: skip


def expand_targets(target: Any, answer: Answer) -> tuple[list[Target], bool]:
    """All targets behind what a user gave, and whether a list of maps is wanted.

    Args:
        target: A target, a class name or index, a callable, None for the likeliest class (for
            segmentation the largest predicted one that is not background), or a list of them.
        answer: The network's answer.

    Raises:
        TargetError: If it is none of these.
    """
    if isinstance(target, list | tuple):
        if not target:
            raise TargetError("Expected at least one target, got an empty list.")
        nested = [expand_targets(item, answer)[0] for item in target]
        return [item for items in nested for item in items], True
    if target is None:
        return [ClassTarget(answer.ranking()[0])], False
    if isinstance(target, TopTarget):
        return list(target.expand(answer)), True
    if isinstance(target, _TARGETS):
        return [target], False
    if isinstance(target, str | int | np.integer) and not isinstance(target, bool):
        return [ClassTarget(target if isinstance(target, str) else int(target))], False
    if callable(target):
        return [CustomTarget(target)], False
    raise TargetError(
        "Expected a target such as ClassTarget('tumour'), a class name or index, or a function of "
        f"the logits, got {type(target).__name__}."
    )


def _segmentation_only(target: Any, answer: Answer) -> None:
    if answer.task != "segmentation":
        raise TargetError(
            f"{type(target).__name__} asks about a place, but this network gives one answer for "
            "the whole image; use ClassTarget or ContrastTarget."
        )


def _class_there(
    name: ClassName | None, answer: Answer, where: torch.Tensor | tuple[int, ...]
) -> int:
    """The class that is named, or predicted most in a place."""
    return answer.class_within(where) if name is None else find_class(name, answer)


def _region_question(index: int, mask: torch.Tensor, text: str, note: str = "") -> Question:
    return Question(text, (Term(index, mask),), note=note)
