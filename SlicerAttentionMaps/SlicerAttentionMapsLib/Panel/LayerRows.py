"""A network's layers as rows of a tree, in the order in which they run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..i18n import _

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attention_maps.types import LayerInfo

AUTOMATIC = ("auto", "auto:bottleneck", "all")


@dataclass(frozen=True)
class LayerRow:
    """One row.

    Attributes:
        key: name of the layer; of a row that only groups others, the part that their names share.
        label: last part of the name.
        kind: class of the module or operator.
        size: of its output, channels first.
        step: input voxels from one feature to the next, and mm.
        toolTip: why it cannot be chosen, or its whole name.
        enabled: whether it can be chosen.
        children: rows below it.
    """

    key: str
    label: str
    kind: str = ""
    size: str = ""
    step: str = ""
    toolTip: str = ""
    enabled: bool = True
    children: tuple[LayerRow, ...] = ()


@dataclass
class _Branch:
    info: LayerInfo | None = None
    children: dict[str, _Branch] = field(default_factory=dict)


def layerRows(
    infos: Iterable[LayerInfo] | None, spacing: Sequence[float] | None
) -> tuple[LayerRow, ...]:
    """Return the automatic choices, and below them the layers, nested by their dotted names.

    Args:
        infos: layers in execution order; None as long as they are not known.
        spacing: mm between the network's input voxels; None if that is not known.
    """
    root = _Branch()
    for info in infos or ():
        branch = root
        for part in info.name.split("."):
            branch = branch.children.setdefault(part, _Branch())
        branch.info = info
    return (*automaticRows(), *_rowsBelow(root, "", spacing))


def automaticRows() -> tuple[LayerRow, ...]:
    """Return the choices that need no name."""
    return (
        LayerRow(
            "auto",
            _("auto"),
            toolTip=_("The last layer with a place in the scan before the network's head: the "
                      "usual choice."),
        ),
        LayerRow(
            "auto:bottleneck",
            _("auto: bottleneck"),
            toolTip=_("The last layer of the coarsest resolution: what the network understands "
                      "rather than where its borders are."),
        ),
        LayerRow(
            "all",
            _("all layers"),
            toolTip=_("One map per layer that can be explained; scrub through them in the Result "
                      "section."),
        ),
    )  # fmt: skip


def settledSelection(before: Sequence[str], now: Sequence[str]) -> tuple[str, ...]:
    """Return what a changed selection means: an automatic choice stands alone.

    Args:
        before: names that were selected.
        now: names that are selected; what was clicked last wins.
    """
    added = [name for name in now if name not in before]
    automatic = [name for name in (*added, *now) if name in AUTOMATIC]
    named = tuple(name for name in now if name not in AUTOMATIC)
    if automatic and (automatic[0] in added or not named):
        return (automatic[0],)
    return named or ("auto",)


def inOrder(names: Iterable[str], infos: Iterable[LayerInfo] | None) -> tuple[str, ...]:
    """Return names of layers in the order in which they run; the tree nests them otherwise.

    Args:
        names: in any order.
        infos: layers in execution order; None as long as they are not known.
    """
    places = {info.name: place for place, info in enumerate(infos or ())}
    return tuple(sorted(names, key=lambda name: places.get(name, -1)))


def matches(row: LayerRow, text: str) -> bool:
    """Return whether a row, or one below it, has a text in its name or kind."""
    wanted = text.strip().casefold()
    own = wanted in row.key.casefold() or wanted in row.kind.casefold()
    return own or any(matches(child, text) for child in row.children)


def _rowsBelow(branch: _Branch, prefix: str, spacing) -> tuple[LayerRow, ...]:
    return tuple(
        _row(child, prefix + part, part, spacing) for part, child in branch.children.items()
    )


def _row(branch: _Branch, name: str, label: str, spacing) -> LayerRow:
    children = _rowsBelow(branch, f"{name}.", spacing)
    info = branch.info
    if info is None:
        tip = _("A group of layers: choose among those below it.")
        return LayerRow(name, label, toolTip=tip, enabled=False, children=children)
    why = info.reason or _("it has no place in the scan")
    tip = name if info.explainable else _("{name}: {why}.").format(name=name, why=why.rstrip("."))
    return LayerRow(
        name,
        label,
        kind=info.kind,
        size=_sizeOf(info.shape),
        step=_step(info.stride, spacing),
        toolTip=tip,
        enabled=info.explainable,
        children=children,
    )


def _sizeOf(shape: Sequence[int]) -> str:
    """Return channels and voxels in few letters: the panel is narrow."""
    voxels = shape[2:]
    if len(voxels) > 1 and len(set(voxels)) == 1:
        return f"{shape[1]} x {voxels[0]}^{len(voxels)}"
    return _times(shape[1:])


def _step(stride: Sequence[float] | None, spacing: Sequence[float] | None) -> str:
    if not stride:
        return ""
    voxels = _times(_alike([abs(step) for step in stride]))
    if spacing is None or len(spacing) < len(stride):
        return voxels
    lengths = [abs(step) * mm for step, mm in zip(stride, spacing, strict=False)]
    return f"{voxels} ({_times(_alike(lengths))} mm)"


def _alike(values: Sequence[float]) -> Sequence[float]:
    """Return one value for several equal ones."""
    rounded = [round(value, 2) for value in values]
    return rounded[:1] if len(set(rounded)) == 1 else rounded


def _times(values: Iterable[float]) -> str:
    return " x ".join(f"{value:g}" for value in values)
