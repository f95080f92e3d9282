"""The gradient of a question on what the network gives in each window.

With weights w and fused output y(v) = sum_p w_p(v) y_p(v) / W(v), W(v) = sum_p w_p(v), the gradient
of a score T on the output of window p is exactly w_p(v) / W(v) * dT/dy(v): one backward pass per
window, no approximation. Mirrored and several networks' answers are averaged, and share it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention_maps.logits import seed_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from attention_maps.logits import ToLogits
    from attention_maps.questions import Question, Term
    from attention_maps.windows.plan import Plan, View


class Seeds:
    """Output gradients of a question, window by window.

    Args:
        question: What is asked.
        output: (1, classes, *shape) fused output of the network.
        weight: (*shape) sum of the weights of all windows.
        plan: The windows.
        transform: What makes logits of the output.
        views: Number of answers that are averaged in each window.

    Attributes:
        constant: Whether they stay the same when the answer changes.
    """

    def __init__(
        self,
        question: Question,
        output: torch.Tensor,
        weight: torch.Tensor,
        plan: Plan,
        transform: ToLogits,
        views: int,
    ) -> None:
        self._question = question
        self._plan = plan
        self._weight = weight
        self._output = output
        self._weights = plan.weights.to(weight) / views
        self.constant = question.function is None and transform is None
        self._whole = None if self.constant else seed_of(question, output, transform)

    def starts(self) -> list[tuple[int, ...]]:
        """Windows that hold something of the question."""
        return [start for start in self._plan.starts if self._meets(start)]

    def _meets(self, start: Sequence[int]) -> bool:
        if self._whole is not None:
            return bool(self._plan.cut(self._whole, start).any())
        return any(part is not None for part in self._parts(start))

    def of(self, view: View) -> torch.Tensor:
        """(1, classes, *spatial) gradient on what the network gives in a view."""
        weight = self._plan.cut(self._weight, view.start, 1.0)
        seed = view.flip(self._asked(view.start) * (self._weights / weight))
        return self._plan.to_network(seed)

    def _asked(self, start: Sequence[int]) -> torch.Tensor:
        """(1, classes, *patch) gradient on the fused output."""
        if self._whole is not None:
            return self._plan.cut(self._whole, start)
        seed = self._output.new_zeros(1, self._output.shape[1], *self._plan.patch)
        for part in self._parts(start):
            if part is not None:
                part.add_seed(seed)
        return seed

    def _parts(self, start: Sequence[int]) -> Iterator[Term | None]:
        """What is asked within a window."""
        first = [at - low for at, low in zip(start, self._plan.tiling.before, strict=True)]
        for term in self._question.terms:
            yield term.within(first, self._plan.patch, lambda where: self._plan.cut(where, start))
