"""A target that has been resolved against an answer: a score, and its gradient on the logits.

Work is done on logits, before softmax or sigmoid, and sums run in at least float32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, eq=False)
class Term:
    """One class's logit, somewhere.

    Args:
        index: Index of the class.
        where: (*spatial) bool mask over which it is summed, a voxel, or None for classification.
        weight: Factor, -1 for the class that another is held against.
    """

    index: int
    where: torch.Tensor | tuple[int, ...] | None = None
    weight: float = 1.0

    def score(self, logits: torch.Tensor) -> torch.Tensor:
        """(B,) weighted sum of the class's logits."""
        values = logits[:, self.index]
        if isinstance(self.where, tuple):
            values = values[_everywhere(self.where)]
        values = values.float() if values.dtype != torch.float64 else values
        if isinstance(self.where, torch.Tensor):
            values = torch.where(self.where, values, 0).flatten(1).sum(1)
        return self.weight * values

    def add_seed(self, seed: torch.Tensor) -> None:
        """Add the gradient of the score with respect to the logits."""
        values = seed[:, self.index]
        if isinstance(self.where, torch.Tensor):
            values.add_(self.where.to(values), alpha=self.weight)
        elif isinstance(self.where, tuple):
            values[_everywhere(self.where)] += self.weight
        else:
            values += self.weight

    def within(
        self,
        first: Sequence[int],
        shape: Sequence[int],
        cut: Callable[[torch.Tensor], torch.Tensor],
    ) -> Term | None:
        """The same term within a part of the logits; None where nothing of it lies there.

        Args:
            first: Voxel of the logits at the part's first voxel; may lie outside.
            shape: Voxels per axis of the part.
            cut: Takes that part of a tensor (*spatial).
        """
        if isinstance(self.where, torch.Tensor):
            where = cut(self.where)
            return replace(self, where=where) if bool(where.any()) else None
        if isinstance(self.where, tuple):
            voxel = tuple(at - low for at, low in zip(self.where, first, strict=True))
            inside = all(0 <= at < n for at, n in zip(voxel, shape, strict=True))
            return replace(self, where=voxel) if inside else None
        return self


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked, in terms of the network's answer.

    Args:
        text: What is asked, for captions and provenance.
        terms: Sum of these.
        function: Any function of the logits instead: (B, classes, *spatial) -> (B,).
        note: What a reader must know, such as that the class was not predicted at all.
    """

    text: str
    terms: tuple[Term, ...] = ()
    function: Callable[[torch.Tensor], torch.Tensor] | None = None
    note: str = ""

    def score(self, logits: torch.Tensor) -> torch.Tensor:
        """(B,) scores of logits (B, classes, *spatial)."""
        if self.function is not None:
            return self.function(logits)
        return torch.stack([term.score(logits) for term in self.terms]).sum(0)

    def seed(self, logits: torch.Tensor) -> torch.Tensor:
        """Gradient of the summed scores with respect to the logits, of their shape."""
        if self.function is None:
            seed = torch.zeros_like(logits)
            for term in self.terms:
                term.add_seed(seed)
            return seed
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            scores = self.function(leaf)
            if not scores.requires_grad:
                raise TargetError(
                    f"Expected a score that follows from the logits by differentiable steps, but "
                    f"'{self.text}' has no gradient; leave out argmax, rounding, comparisons and "
                    "detach(), or use a method without gradients such as occlusion."
                )
            return torch.autograd.grad(scores.sum(), leaf)[0]

    @property
    def classes(self) -> tuple[int, ...]:
        """Indices of the classes that are asked about."""
        return tuple(term.index for term in self.terms)

    @property
    def voxels(self) -> int | None:
        """Number of voxels of the answer that are asked about, None for classification."""
        where = self.terms[0].where if self.terms else None
        if where is None:
            return None
        return 1 if isinstance(where, tuple) else int(where.count_nonzero())


def _everywhere(voxel: tuple[int, ...]) -> Any:
    """Index of a voxel in (B, *spatial)."""
    return (slice(None), *voxel)
