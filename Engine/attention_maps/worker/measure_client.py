"""Asks a worker process to measure (see `client`)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Unpack

from attention_maps.types import Image
from attention_maps.worker import measure_messages as messages
from attention_maps.worker.connection import Connection
from attention_maps.worker.request import Callbacks, Request
from attention_maps.worker.results import WorkerMap
from attention_maps.worker.targets import packed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attention_maps.measures.attention import Sign
    from attention_maps.worker.arrays import SharedFolder
    from attention_maps.worker.messages import SharedImage
    from attention_maps.worker.reporting import KeptCase


class MeasureRequests(Connection):
    """Requests of a `WorkerClient` that measure; maps are WorkerMaps, Images or paths."""

    def evaluate(
        self,
        result: Any,
        mask: Any,
        metrics: Sequence[str] | str | None = None,
        threshold: str | float = "otsu",
        *,
        options: Mapping[str, Any] | None = None,
        **callbacks: Unpack[Callbacks],
    ) -> Request:
        """Hold a map against a mask; gives `Scores`.

        Args:
            result: The map.
            mask: An Image or a path, on any grid.
            metrics: Names of metrics; None for all.
            threshold: As in `attention_maps.evaluate`.
            options: Options of the metrics.
            callbacks: See `Callbacks`.
        """
        chosen, given = _tuple_of(metrics), dict(options or {})

        def make(folder: SharedFolder, number: int) -> Any:
            first, second = shared(_image_of(result), folder), shared(mask, folder)
            return messages.Evaluate(number, first, second, chosen, threshold, given)

        return self._ask(make, callbacks)

    def evidence(
        self,
        result: Any,
        masks: Mapping[str, Any],
        *,
        sign: Sign = "positive",
        **callbacks: Unpack[Callbacks],
    ) -> Request:
        """Share out the attention among structures; gives a list of `StructureEvidence`.

        Args:
            result: The map.
            masks: An Image or a path by name of the structure.
            sign: As in `attention_maps.evidence_table`.
            callbacks: See `Callbacks`.
        """

        def make(folder: SharedFolder, number: int) -> Any:
            shown = shared(_image_of(result), folder)
            return messages.Evidence(number, shown, _named(masks, folder), sign)

        return self._ask(make, callbacks)

    def hot_spots(
        self,
        result: Any,
        threshold: str | float = "otsu",
        *,
        minimum_ml: float = 0.0,
        most: int | None = None,
        masks: Mapping[str, Any] | None = None,
        sign: Sign = "positive",
        **callbacks: Unpack[Callbacks],
    ) -> Request:
        """Find the hot spots of a map; gives a list of `HotSpot`.

        Args:
            result: The map.
            threshold: As in `attention_maps.hot_spots`.
            minimum_ml: Smaller ones are left out.
            most: How many at most; None for all.
            masks: Structures that they may overlap with, an Image or a path by name.
            sign: As in `attention_maps.hot_spots`.
            callbacks: See `Callbacks`.
        """

        def make(folder: SharedFolder, number: int) -> Any:
            shown = shared(_image_of(result), folder)
            named = _named(masks or {}, folder)
            return messages.HotSpots(number, shown, threshold, minimum_ml, most, named, sign)

        return self._ask(make, callbacks)

    def trust(
        self,
        method: str = "grad_cam",
        layer: str = "auto",
        target: Any = None,
        *,
        tests: Sequence[str] | None = None,
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
        **callbacks: Unpack[Callbacks],
    ) -> Request:
        """Test whether a map can be trusted; gives the report as a dict.

        Args:
            method: Name of the method.
            layer: Name of the layer.
            target: As in `WorkerClient.explain`, one.
            tests: Names of tests; None for all.
            seed: Of what is random.
            options: Options of the method and the tests.
            callbacks: See `Callbacks`.
        """
        chosen, given = _tuple_of(tests), dict(options or {})

        def make(folder: SharedFolder, number: int) -> Any:
            asked = packed(target, folder)
            return messages.Trust(number, method, layer, asked, chosen, seed, given)

        return self._ask(make, callbacks)

    def sweep(
        self,
        masks: Mapping[str, Any] | None = None,
        *,
        layers: str | Sequence[str] = "all",
        methods: Sequence[str] | None = None,
        metrics: Sequence[str] | None = None,
        target: Any = None,
        threshold: str | float = "otsu",
        options: Mapping[str, Any] | None = None,
        **callbacks: Unpack[Callbacks],
    ) -> Request:
        """Try layers and methods for one question; gives what it found as a dict (`Sweep.to_dict`).

        Args:
            masks: Where the attention should be, an Image or a path by name; None measures the maps
                alone.
            layers: Names of layers, or "all".
            methods: Names of methods; None for those that need one backward pass.
            metrics: Names of metrics; None for the quick ones.
            target: As in `WorkerClient.explain`, one.
            threshold: As in `attention_maps.evaluate`.
            options: Options of the methods.
            callbacks: See `Callbacks`.
        """
        wanted, given = names_of(layers), dict(options or {})
        chosen, measured = _tuple_of(methods), _tuple_of(metrics)

        def make(folder: SharedFolder, number: int) -> Any:
            asked, named = packed(target, folder), _named(masks or {}, folder)
            return messages.Sweep(number, wanted, chosen, asked, named, measured, threshold, given)

        return self._ask(make, callbacks)

    def report(
        self,
        path: str | os.PathLike[str],
        cases: Sequence[KeptCase],
        *,
        title: str | None = None,
        **callbacks: Unpack[Callbacks],
    ) -> Request:
        """Write a report of what was kept; gives a dict with its path.

        Args:
            path: As in `attention_maps.write_report`.
            cases: What it is about.
            title: Of the page.
            callbacks: See `Callbacks`.
        """
        name, listed = os.fspath(path), list(cases)

        def make(folder: SharedFolder, number: int) -> Any:
            shared_cases = tuple(_to_report(case, folder) for case in listed)
            return messages.Report(number, name, shared_cases, title)

        return self._ask(make, callbacks)


def _to_report(case: KeptCase, folder: SharedFolder) -> messages.CaseToReport:
    maps = tuple(
        messages.MapToReport(
            folder.share_image(item.image.array, item.image.affine),
            dict(item.provenance), dict(item.scores), list(item.trust),
        )
        for item in case.maps
    )  # fmt: skip
    image = folder.share_image(case.image.array, case.image.affine)
    return messages.CaseToReport(
        case.name, image, maps, _named(case.masks, folder), dict(case.sweep),
        list(case.hot_spots), list(case.evidence), case.threshold,
    )  # fmt: skip


def names_of(names: str | Sequence[str]) -> str | tuple[str, ...]:
    """A name alone, or several as a tuple."""
    return names if isinstance(names, str) else tuple(names)


def shared(source: Any, folder: SharedFolder) -> SharedImage | str:
    """An Image as another process can map it, a path as it is.

    Raises:
        TypeError: If it is something else.
    """
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, Image):
        return folder.share_image(source.array, source.affine)
    raise TypeError(f"Expected an Image or a path, got {type(source).__name__}.")


def _named(masks: Mapping[str, Any], folder: SharedFolder) -> tuple[messages.NamedMask, ...]:
    return tuple(messages.NamedMask(name, shared(mask, folder)) for name, mask in masks.items())


def _image_of(result: Any) -> Any:
    return result.image if isinstance(result, WorkerMap) else result


def _tuple_of(names: Sequence[str] | str | None) -> tuple[str, ...] | None:
    return (names,) if isinstance(names, str) else None if names is None else tuple(names)
