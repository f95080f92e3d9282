"""The classes of a network, as choices: the likeliest first, once the network has run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..i18n import _
from .Control import Item

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attention_maps.worker.results import WorkerAnswer


def classItems(model: Mapping[str, Any] | None, answer: WorkerAnswer | None) -> tuple[Item, ...]:
    """Return one item per class; the key is its name, or its index where classes have no names.

    Args:
        model: the worker's summary of the loaded model, None if none is loaded.
        answer: what the network answered, None if it has not run on these volumes.
    """
    names = tuple(model["class_names"]) if model is not None else ()
    if answer is None:
        return tuple(Item(name, name) for name in names)
    keys = answer.classes if names else tuple(str(n) for n in range(len(answer.classes)))
    return tuple(Item(keys[index], _withAmount(answer, index)) for index in answer.ranking)


def withChosen(items: tuple[Item, ...], key: str) -> tuple[Item, ...]:
    """Return the items with one for a chosen class that is not known yet, as in a new scene."""
    if not key or key in {item.key for item in items}:
        return items
    return (*items, Item(key, _("class {index}").format(index=key) if key.isdigit() else key))


def leadingItem(where: str, task: str, answer: WorkerAnswer | None) -> Item:
    """Return the item that leaves the class to the network."""
    if where not in ("class", "contrast") and task != "classification":
        tip = _("The class that the network predicts in that place, or in most of it.")
        return Item("", _("Predicted there"), tip)
    if task == "segmentation":
        label = _("Largest")
        tip = _("The class with the largest predicted volume that is not background.")
    else:
        label, tip = _("Likeliest"), _("The class that the network thinks most likely.")
    if answer is not None:
        label = f"{label} ({answer.classes[answer.ranking[0]]})"
    return Item("", label, tip)


def leadingOtherItem(task: str) -> Item:
    """Return the item that leaves the class which is held against the other to the network."""
    label = _("Next largest") if task == "segmentation" else _("Next likeliest")
    return Item("", label, _("The first class of the network's answer that is another one."))


def _withAmount(answer: WorkerAnswer, index: int) -> str:
    """Return a class with how much of it the network sees."""
    if answer.probabilities is not None:
        amount = _percent(answer.probabilities[index])
    elif answer.voxels is not None and not answer.voxels[index]:
        amount = _("not predicted")
    elif answer.volumes_ml is not None:
        amount = _milliliters(answer.volumes_ml[index])
    elif answer.voxels is not None:
        amount = _("{count} pixels").format(count=answer.voxels[index])
    else:
        return answer.classes[index]
    return f"{answer.classes[index]} ({amount})"


def _percent(probability: float) -> str:
    percent = 100 * probability
    if percent < 0.1:
        return "< 0.1 %"
    return f"{percent:.1f} %" if percent < 10 or 99 < percent < 99.95 else f"{percent:.0f} %"


def _milliliters(volume: float) -> str:
    """Return a volume with three digits, never as a power of ten."""
    if volume < 0.001:
        return "< 0.001 ml"
    decimals = 3 if volume < 1 else 2 if volume < 10 else 1 if volume < 100 else 0
    return f"{volume:.{decimals}f} ml"
