"""Where a map's region ends, as a choice, a number and a check box."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..i18n import _
from .Control import Control, Item

if TYPE_CHECKING:
    from .Control import Controls

OTSU, SHARE, VALUE, QUANTILE = "otsu", "share", "value", "quantile"
LARGEST = "+largest"
_USUAL = {SHARE: 0.5, VALUE: 1.0, QUANTILE: 0.95}
# Smallest and largest number, and digits behind the point.
LIMITS = {OTSU: (0.0, 1.0, 2), SHARE: (0.0, 0.99, 2), VALUE: (0.0, 1e9, 6), QUANTILE: (0.0, 1.0, 3)}


@dataclass(frozen=True)
class Threshold:
    """Where a map's region ends.

    Attributes:
        kind: OTSU, SHARE of the largest value, VALUE or QUANTILE.
        number: the share, value or quantile.
        largest: whether only the largest connected part counts.
    """

    kind: str = OTSU
    number: float = 0.0
    largest: bool = False

    @property
    def text(self) -> str:
        """As `attention_maps.evaluate` takes it, and as the scene keeps it."""
        number = f"{self.number:g}"
        words = {OTSU: OTSU, SHARE: number}.get(self.kind, f"{self.kind}:{number}")
        return words + LARGEST * self.largest

    @property
    def value(self) -> str | float:
        """As `attention_maps.evaluate` takes it: a share alone is a number."""
        return self.number if self.kind == SHARE and not self.largest else self.text


def parsed(text: str) -> Threshold:
    """Return the threshold of a text; Otsu's method where it cannot be read."""
    plain, largest = text.removesuffix(LARGEST), text.endswith(LARGEST)
    kind, colon, number = plain.rpartition(":")
    kind = kind if colon else OTSU if plain == OTSU else SHARE
    try:
        value = 0.0 if kind == OTSU else float(number)
    except ValueError:
        kind = ""
    low, high, _digits = LIMITS.get(kind, (1.0, 0.0, 0))
    if not kind or kind not in LIMITS or not low <= value <= high:
        return Threshold(largest=largest)
    return Threshold(kind, value, largest)


def ofKind(threshold: Threshold, kind: str) -> Threshold:
    """Return a threshold of another kind, with its usual number."""
    return replace(threshold, kind=kind, number=_USUAL.get(kind, 0.0))


def controls(text: str) -> Controls:
    """Return what the widgets of a threshold show."""
    threshold = parsed(text)
    toolTip = {
        OTSU: _("Found in the values, by Otsu's method."),
        SHARE: _("Share of the largest value, 0 to 0.99."),
        VALUE: _("Value of the map."),
        QUANTILE: _("Share of the voxels that lie below it, 0 to 1."),
    }[threshold.kind]
    return {
        "compareThresholdComboBox": Control(
            items=(
                Item(OTSU, _("Automatic (Otsu)")),
                Item(SHARE, _("Share of the largest value")),
                Item(VALUE, _("Value")),
                Item(QUANTILE, _("Quantile")),
            ),
            current=threshold.kind,
            toolTip=_("Where the map's region ends, for metrics that need one, and hot spots."),
        ),
        "compareThresholdSpinBox": Control(
            visible=threshold.kind != OTSU, value=threshold.number, toolTip=toolTip
        ),
        "compareLargestCheckBox": Control(
            checked=threshold.largest,
            toolTip=_("Leave out all but the largest connected part of the region."),
        ),
    }


def withNumber(threshold: Threshold, number: float) -> Threshold:
    """Return a threshold with another number."""
    return replace(threshold, number=number)


def withLargest(threshold: Threshold, largest: bool) -> Threshold:
    """Return a threshold of the largest part alone, or of all."""
    return replace(threshold, largest=largest)
