"""Results of the engine that are kept whole with the table that shows them."""

import json
import math
from functools import lru_cache

_ATTRIBUTE = "AttentionMaps.Result"


def attach(tableNode, result: dict) -> None:
    """Keep a result, numbers that are none as null."""
    tableNode.SetAttribute(_ATTRIBUTE, json.dumps(_plain(result), allow_nan=False))


def attached(tableNode) -> dict:
    """Return the result that a table shows, which is not to be changed; empty if there is none."""
    return _parsed(tableNode.GetAttribute(_ATTRIBUTE) or "{}")


def number(value) -> float:
    """Return a number of a result; null is none."""
    return math.nan if value is None else float(value)


@lru_cache(maxsize=32)
def _parsed(text: str) -> dict:
    return json.loads(text)


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
