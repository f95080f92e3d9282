"""What counts of a signed map, as `attention_maps.evaluate` takes it, and in words."""

POSITIVE, NEGATIVE, ABSOLUTE = "positive", "negative", "absolute"


def inWords(sign: str) -> str:
    """Return what names of tables end in; nothing for what speaks for the answer."""
    return {NEGATIVE: " (against)", ABSOLUTE: " (for and against)"}.get(sign, "")
