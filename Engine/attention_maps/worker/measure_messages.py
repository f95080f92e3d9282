"""Requests that measure: maps against masks, hot spots, trust, sweeps, and reports of it all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from attention_maps.worker.messages import SharedImage


@dataclass(frozen=True)
class NamedMask:
    """A mask under the name that results call it by.

    Args:
        name: The name.
        mask: Where it is, or its path.
    """

    name: str
    mask: SharedImage | str


@dataclass(frozen=True)
class Evaluate:
    """Hold a map against a mask.

    Args:
        id: Number of the request.
        result: The map, one channel, or its path.
        mask: Where the attention should be, or its path.
        metrics: Names of metrics; None for all.
        threshold: As in `evaluate`.
        options: Options of the metrics.
    """

    id: int
    result: SharedImage | str
    mask: SharedImage | str
    metrics: tuple[str, ...] | None = None
    threshold: str | float = "otsu"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """Share out the attention of a map among structures.

    Args:
        id: Number of the request.
        result: The map, one channel, or its path.
        masks: The structures.
        sign: As in `evidence_table`.
    """

    id: int
    result: SharedImage | str
    masks: tuple[NamedMask, ...]
    sign: str = "positive"


@dataclass(frozen=True)
class HotSpots:
    """Find the hot spots of a map.

    Args:
        id: Number of the request.
        result: The map, one channel, or its path.
        threshold: As in `hot_spots`.
        minimum_ml: Smaller ones are left out.
        most: How many at most; None for all.
        masks: Structures that they may overlap with.
        sign: As in `hot_spots`.
    """

    id: int
    result: SharedImage | str
    threshold: str | float = "otsu"
    minimum_ml: float = 0.0
    most: int | None = None
    masks: tuple[NamedMask, ...] = ()
    sign: str = "positive"


@dataclass(frozen=True)
class Trust:
    """Test whether a map can be trusted.

    Args:
        id: Number of the request.
        method: Name of the method.
        layer: Name of the layer.
        target: What is asked (see `targets`).
        tests: Names of tests; None for all.
        seed: Of what is random.
        options: Options of the method and the tests.
    """

    id: int
    method: str = "grad_cam"
    layer: str = "auto"
    target: Any = None
    tests: tuple[str, ...] | None = None
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sweep:
    """Try layers and methods for one question.

    Args:
        id: Number of the request.
        layers: Names of layers, or "all".
        methods: Names of methods; None for those that need one backward pass.
        target: What is asked (see `targets`).
        masks: Where the attention should be; none to measure the maps alone.
        metrics: Names of metrics; None for the quick ones.
        threshold: As in `evaluate`.
        options: Options of the methods.
    """

    id: int
    layers: str | tuple[str, ...] = "all"
    methods: tuple[str, ...] | None = None
    target: Any = None
    masks: tuple[NamedMask, ...] = ()
    metrics: tuple[str, ...] | None = None
    threshold: str | float = "otsu"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MapToReport:
    """A map of a report.

    Args:
        image: The map.
        provenance: How it was made.
        scores: What `evaluate` gave, by name of the mask.
        trust: Trust reports.
    """

    image: SharedImage
    provenance: dict[str, Any]
    scores: dict[str, Any] = field(default_factory=dict)
    trust: Any = ()


@dataclass(frozen=True)
class CaseToReport:
    """A case of a report (see `reporting.KeptCase`).

    Args:
        name: What people call it.
        image: The image that was explained.
        maps: Its maps.
        masks: Where the attention should be.
        sweep: A sweep.
        hot_spots: Of the first map.
        evidence: Of the first map.
        threshold: That the scores were asked with.
    """

    name: str
    image: SharedImage
    maps: tuple[MapToReport, ...]
    masks: tuple[NamedMask, ...] = ()
    sweep: dict[str, Any] = field(default_factory=dict)
    hot_spots: Any = ()
    evidence: Any = ()
    threshold: str | float = "otsu"


@dataclass(frozen=True)
class Report:
    """Write a report.

    Args:
        id: Number of the request.
        path: Where to.
        cases: What it is about.
        title: Of the page.
    """

    id: int
    path: str
    cases: tuple[CaseToReport, ...]
    title: str | None = None


MEASURES: dict[str, type[Any]] = {
    "evaluate": Evaluate, "evidence": Evidence, "hot_spots": HotSpots,
    "trust": Trust, "sweep": Sweep, "report": Report,
}  # fmt: skip
