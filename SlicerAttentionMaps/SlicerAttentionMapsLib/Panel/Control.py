"""What a widget shows, as plain data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One choice of a combo box or list.

    Attributes:
        key: what is stored when it is chosen.
        label: what is read.
        toolTip: more about it.
        enabled: whether it can be chosen.
    """

    key: str
    label: str
    toolTip: str = ""
    enabled: bool = True


@dataclass(frozen=True)
class Control:
    """What a widget shows; None leaves a property as it is.

    Attributes:
        enabled: whether it can be used.
        visible: whether it is there.
        text: label, button text, path or field contents.
        toolTip: why it is as it is.
        checked: of buttons and sections: whether it is on, or open.
        items: of combo boxes: all choices in order.
        current: of combo boxes: the key of the chosen one.
        node: of node selectors: ID of the chosen node, empty for none.
        value: of sliders, spin boxes and progress bars.
    """

    enabled: bool | None = None
    visible: bool | None = None
    text: str | None = None
    toolTip: str | None = None
    checked: bool | None = None
    items: tuple[Item, ...] | None = None
    current: str | None = None
    node: str | None = None
    value: float | None = None


Controls = dict[str, Control]
