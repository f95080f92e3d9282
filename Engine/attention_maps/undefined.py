"""Metrics that are not defined: their reasons without warnings, where they are shown anyway."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reasons_alone() -> Iterator[None]:
    """No warnings of metrics that are not defined while the block runs."""

    def refuse(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("attention_maps.evaluation")
    logger.addFilter(refuse)
    try:
        yield
    finally:
        logger.removeFilter(refuse)
