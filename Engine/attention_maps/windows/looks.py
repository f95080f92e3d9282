"""Runs a network on views of a volume, as many at once as memory allows."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from attention_maps.errors import ModelRunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from attention_maps.model import LoadedModel
    from attention_maps.tracing.trace import Trace
    from attention_maps.windows.plan import Plan, View

logger = logging.getLogger(__name__)

MOST_AT_ONCE = {"cuda": 8}  # a processor gains nothing from more than one


@dataclass(frozen=True)
class Look:
    """What the network gave in one view.

    Args:
        view: The view.
        output: (1, classes, *spatial).
        activation: The last activation that was looked through.
        activations: (1, ...) outputs of recorded layers, by name.
        gradients: Gradients at them; empty where none were asked for.
    """

    view: View
    output: torch.Tensor
    activation: str | None
    activations: Mapping[str, torch.Tensor] = field(default_factory=dict)
    gradients: Mapping[str, torch.Tensor] = field(default_factory=dict)


class Looks:
    """One model and the windows of one volume.

    The number of views at once is halved whenever the device runs out of memory.

    Args:
        model: The model.
        plan: The windows.
        tick: Called before every operator.
        at_once: Views at once; None for as many as the kind of device is given.
    """

    def __init__(
        self,
        model: LoadedModel,
        plan: Plan,
        tick: Callable[[], None] | None,
        at_once: int | None = None,
    ) -> None:
        self.model = model
        self.plan = plan
        self._tick = tick
        self._at_once = at_once or MOST_AT_ONCE.get(model.device.type, 1)
        self._checked = False

    def over(
        self,
        inputs: torch.Tensor,
        views: Sequence[View],
        *,
        names: Sequence[str] = (),
        seed: Callable[[View], torch.Tensor] | None = None,
        replace: Any = None,
    ) -> Iterator[Look]:
        """Look at views, in their order.

        Args:
            inputs: (1, C, *shape) whole volume, on any device.
            views: Which.
            names: Layers to record.
            seed: Gives the gradient on what the network gives, (1, classes, *spatial); None where
                no gradients are wanted.
            replace: Functions by layer name that change a layer's output.
        """
        rest = list(views)
        while rest:
            group = self._group(rest, inputs, plain=replace is None)
            try:
                found = self._run(inputs, group, names, seed, replace)
            except ModelRunError as error:
                if len(group) == 1 or not _ran_out_of_memory(error):
                    raise
                self._at_once = len(group) // 2
                logger.warning(
                    "Not enough memory for %d windows at once; going on with %d.",
                    len(group), self._at_once,
                )  # fmt: skip
                torch.cuda.empty_cache()
                continue
            yield from found
            rest = rest[len(group) :]

    def _group(self, views: Sequence[View], inputs: torch.Tensor, *, plain: bool) -> list[View]:
        """The next views of one network that go together."""
        if self._at_once > 1 and plain and not self._checked:
            self._checked = True
            if not self._takes_several(inputs, views):
                self._at_once = 1
        size = self._at_once if plain else 1
        group = [views[0]]
        for view in views[1:size]:
            if view.member != group[0].member:
                break
            group.append(view)
        return group

    def _takes_several(self, inputs: torch.Tensor, views: Sequence[View]) -> bool:
        """Whether two inputs at once give what each gives alone; traces may have baked in one."""
        same = [view for view in views if view.member == views[0].member][:2]
        if len(same) < 2:
            return False
        try:
            together = self._trace(inputs, same).logits
            alone = self._trace(inputs, same[1:]).logits
        except ModelRunError as error:
            logger.debug("The network takes one window at a time: %s", error)
            return False
        limit = 1e-3 * float(alone.abs().max())
        return together.shape[0] == 2 and bool((together[1] - alone[0]).abs().max() <= limit)

    def _trace(
        self, inputs: torch.Tensor, group: Iterable[View], names: Sequence[str] = (),
        *, gradients: bool = False, replace: Any = None,
    ) -> Trace:  # fmt: skip
        group = list(group)
        seen = torch.cat([self.plan.look(inputs, view) for view in group])
        return self.model.run(
            seen.to(self.model.device, self.model.dtype), names, gradients=gradients,
            replace=replace, tick=self._tick, member=group[0].member,
        )  # fmt: skip

    def _run(
        self, inputs: torch.Tensor, group: Sequence[View], names: Sequence[str],
        seed: Callable[[View], torch.Tensor] | None, replace: Any,
    ) -> list[Look]:  # fmt: skip
        trace = self._trace(inputs, group, names, gradients=seed is not None, replace=replace)
        values = {name: trace.layers[name].activations for name in names}
        slopes: dict[str, torch.Tensor] = {}
        if seed is not None:
            seeds = torch.cat([seed(view) for view in group]).to(trace.logits)
            found = trace.gradients(seeds, names, tick=self._tick, keep=False)
            slopes = dict(zip(names, found, strict=True))
        if len(group) == 1:
            return [Look(group[0], trace.logits, trace.activation, values, slopes)]
        return [
            Look(
                view,
                trace.logits[row : row + 1],
                trace.activation,
                {name: value[row : row + 1] for name, value in values.items()},
                {name: value[row : row + 1] for name, value in slopes.items()},
            )
            for row, view in enumerate(group)
        ]


def _ran_out_of_memory(error: ModelRunError) -> bool:
    cause = error.__cause__
    return isinstance(cause, torch.OutOfMemoryError) or "can't allocate memory" in str(cause)
