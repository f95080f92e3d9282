"""What is asked of the network: a class, a region, a point, a component, one class or another.

A target resolves against the network's answer to a `Question` (see `questions`).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attention_maps.errors import TargetError
from attention_maps.questions import Question, Term
from attention_maps.types import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

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
        name: Name of the class, or its index.
        mask: Voxels that are not 0: an Image on any grid, or an array on the input image's grid.
    """

    name: ClassName
    mask: Image | ArrayLike

    def resolve(self, answer: Answer) -> Question:
        """Bring the region onto the answer's grid.

        Raises:
            TargetError: If the mask is empty, outside the answer, or of another size.
        """
        index = find_class(self.name, answer)
        _segmentation_only(self, answer)
        label = answer.class_label(index)
        mask = answer.to_grid(_as_mask_image(self.mask, answer))
        if not mask.any():
            raise TargetError(
                "Expected a region of at least one voxel inside the network's field of view, got "
                "an empty one; check the mask's geometry and its values (what is not 0 is inside)."
            )
        return _region_question(index, answer.tensor(mask), f"{label} in a region")


@dataclass(frozen=True)
class PointTarget:
    """A class at one voxel.

    Args:
        name: Name of the class, or its index.
        ras: Position in mm, RAS.
    """

    name: ClassName
    ras: Sequence[float] = field(kw_only=True)

    def resolve(self, answer: Answer) -> Question:
        """Find the voxel.

        Raises:
            TargetError: If the point is outside the answer.
        """
        index = find_class(self.name, answer)
        _segmentation_only(self, answer)
        voxel = _voxel(self.ras, answer)
        text = f"{answer.class_label(index)} at {_position(self.ras)}"
        return Question(text, (Term(index, voxel),))


@dataclass(frozen=True)
class ComponentTarget:
    """The connected component of a predicted class under a point (face neighbors).

    Args:
        name: Name of the class, or its index.
        ras: Position in mm, RAS.
    """

    name: ClassName
    ras: Sequence[float] = field(kw_only=True)

    def resolve(self, answer: Answer) -> Question:
        """Find the component.

        Raises:
            TargetError: If the class is not predicted at that point; says where it is nearest.
        """
        index = find_class(self.name, answer)
        _segmentation_only(self, answer)
        label = answer.class_label(index)
        voxel = _voxel(self.ras, answer)
        predicted = answer.predicted(index).cpu().numpy()
        if not predicted[voxel]:
            raise TargetError(self._not_here(predicted, answer, label))
        component = _component(predicted, voxel)
        text = f"{label} component at {_position(self.ras)}"
        return _region_question(index, answer.tensor(component), text)

    def _not_here(self, predicted: NDArray[np.bool_], answer: Answer, label: str) -> str:
        there = np.argwhere(predicted)
        if not len(there):
            return f"Expected a predicted '{label}', but the network predicts no voxel of it."
        gaps = np.linalg.norm(answer.grid.to_world(there) - np.asarray(self.ras), axis=1)
        nearest = answer.grid.to_world(there[gaps.argmin()])
        return (
            f"Expected a point in a predicted '{label}', but at {_position(self.ras)} the network "
            f"predicts something else; the nearest voxel of it is {gaps.min():.1f} mm away at "
            f"{_position(nearest)}."
        )


@dataclass(frozen=True)
class ContrastTarget:
    """Why one class rather than another: the difference of their logits.

    For segmentation it is summed over where the first class is predicted.

    Args:
        name: The class that is asked about.
        other: The class that it is held against.
    """

    name: ClassName
    other: ClassName

    def resolve(self, answer: Answer) -> Question:
        """Find both classes.

        Raises:
            TargetError: If a class does not exist or both are the same.
        """
        first, second = find_class(self.name, answer), find_class(self.other, answer)
        if first == second:
            raise TargetError(f"Expected two different classes, got '{self.name}' twice.")
        text = f"{answer.class_label(first)} rather than {answer.class_label(second)}"
        if answer.task == "classification":
            return Question(text, (Term(first), Term(second, weight=-1.0)))
        mask = answer.predicted(first)
        note = "" if bool(mask.any()) else f"the network predicts no '{answer.class_label(first)}'"
        return Question(text, (Term(first, mask), Term(second, mask, -1.0)), note=note)


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


def find_class(name: ClassName, answer: Answer) -> int:
    """Index of a class by its name or index.

    A network with a single output channel has one class; label 1 means it, too.

    Raises:
        TargetError: If there is no such class, with the closest names.
    """
    names = answer.class_names
    if isinstance(name, str):
        if name in names:
            return names.index(name)
        folded = [item.casefold() for item in names]
        if name.casefold() in folded:
            return folded.index(name.casefold())
        if not name.lstrip("-").isdigit():
            close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
            known = f"closest: {', '.join(close)}" if close else f"it has {', '.join(names)}"
            raise TargetError(
                f"Class '{name}' is not known to this model"
                + (f" ({known})." if names else "; it names no classes, use an index.")
            )
        name = int(name)
    if isinstance(name, bool) or not isinstance(name, int | np.integer):
        raise TargetError(f"Expected the name or index of a class, got {name!r}.")
    if answer.classes == 1 and name == 1:
        return 0
    if not 0 <= name < answer.classes:
        raise TargetError(f"Expected a class index from 0 to {answer.classes - 1}, got {name}.")
    return int(name)


def _segmentation_only(target: Any, answer: Answer) -> None:
    if answer.task != "segmentation":
        raise TargetError(
            f"{type(target).__name__} asks about a place, but this network gives one answer for "
            "the whole image; use ClassTarget or ContrastTarget."
        )


def _region_question(index: int, mask: torch.Tensor, text: str, note: str = "") -> Question:
    return Question(text, (Term(index, mask),), note=note)


def _as_mask_image(mask: Any, answer: Answer) -> Image:
    if isinstance(mask, Image):
        return mask
    array = np.asarray(mask)
    if array.ndim == answer.source.ndim:
        array = array[None]
    if array.shape[1:] != answer.source.shape:
        raise TargetError(
            f"Expected a mask of the input image's shape {answer.source.shape}, got "
            f"{np.shape(mask)}; pass an Image where the mask has a grid of its own."
        )
    return Image(array, answer.source.affine)


def _voxel(ras: Sequence[float], answer: Answer) -> tuple[int, ...]:
    try:
        position = np.asarray(ras, dtype=np.float64)
    except (TypeError, ValueError):
        position = np.empty(0)
    if position.shape != (3,) or not np.isfinite(position).all():
        raise TargetError(f"Expected a point as three finite numbers in mm (RAS), got {ras!r}.")
    voxel = np.rint(answer.grid.to_index(position)).astype(int)
    if (voxel < 0).any() or (voxel >= np.asarray(answer.grid.shape)).any():
        raise TargetError(
            f"Expected a point inside the network's answer, but {_position(position)} is voxel "
            f"{tuple(int(v) for v in voxel)} of {answer.grid.shape}; positions are in mm, RAS."
        )
    return tuple(int(v) for v in voxel)


def _position(ras: Iterable[float]) -> str:
    return "(" + ", ".join(f"{value:.1f}" for value in ras) + ") mm"


def _component(mask: NDArray[np.bool_], voxel: tuple[int, ...]) -> NDArray[np.bool_]:
    import SimpleITK

    image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    labels = SimpleITK.GetArrayViewFromImage(SimpleITK.ConnectedComponent(image))
    return np.asarray(labels == labels[voxel])
