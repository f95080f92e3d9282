"""One sweep: all maps from as few passes as possible, measured one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attention_maps.concentration import FIGURES, NO_EVIDENCE, map_figures
from attention_maps.errors import AttentionMapsError, LayerError, ModelRunError
from attention_maps.evaluation import evaluate
from attention_maps.sweep_table import Sweep
from attention_maps.tracing.trace import INPUT
from attention_maps.undefined import reasons_alone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attention_maps.explainer import Explainer
    from attention_maps.registry import Method
    from attention_maps.result import AttentionMap
    from attention_maps.tracing.trace import Geometry
    from attention_maps.types import Image, ProgressCallback

MASK = "mask"
ITS_OWN = (
    "layer", "method", "method_label", "reference", "remark", "options", "signed", "placement",
    "seconds", "evidence", "note",
)  # fmt: skip


@dataclass
class Measure:
    """What is measured of every map.

    Args:
        mask: One or several.
        metrics: Metrics against it.
        threshold: As in `evaluate`.
        labels: As in `evaluate`.
        options: Of the metrics.
        found: Names of the structures, as far as they are known.
    """

    mask: Any
    metrics: list[str]
    threshold: str | float
    labels: Any
    options: dict[str, Any]
    found: list[str] = field(default_factory=list)

    def of(self, image: Image) -> list[dict[str, Any]]:
        """One record per structure: label, values, and why some are not defined."""
        alone = map_figures(image)
        if self.mask is None:
            return [self._record("", alone, {})]
        with reasons_alone():
            several = self._several(image)
        self.found = self.found or list(several)
        return [self._record(label, alone, scores) for label, scores in several.items()]

    def _several(self, image: Image) -> dict[str, Mapping[str, float]]:
        if self.labels is None and not isinstance(self.mask, dict):
            scores = evaluate(image, self.mask, self.metrics, self.threshold, **self.options)
            return {MASK: scores}
        more = self.options if self.labels is None else {**self.options, "labels": self.labels}
        found: Any = evaluate(image, self.mask, self.metrics, self.threshold, **more)
        return dict(found)

    def _record(
        self, label: str, alone: dict[str, float], scores: Mapping[str, float]
    ) -> dict[str, Any]:
        reasons = dict.fromkeys(getattr(scores, "reasons", {}).values())
        if math.isnan(alone["entropy"]):
            reasons = {NO_EVIDENCE: None}
        return {"label": label, **scores, **alone, "reason": "; ".join(reasons)}


class SweepRun:
    """One sweep: asks all layers at once, and in parts where that fails."""

    def __init__(
        self, session: Explainer, chosen: list[Method], measure: Measure, target: Any,
        progress: ProgressCallback | None, batch_size: int | None, options: dict[str, Any],
        keep: bool,
    ) -> None:  # fmt: skip
        self.session = session
        self.chosen = chosen
        self.measure = measure
        self.target = target
        self.batch_size = batch_size
        self.options = options
        self.keep = keep
        self.maps: list[AttentionMap] = []
        self.provenance: dict[str, Any] = {}
        self._progress = progress
        self._listener = None if progress is None else self._report
        self._fraction = 0.0
        self._made: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._failed: dict[tuple[str, str], AttentionMapsError] = {}

    def sweep(self, layers: str | Sequence[str]) -> Sweep:
        """All rows, in the order of the layers."""
        at_layers = [item for item in self.chosen if item.has_layer]
        names, reasons = self._layers(layers) if at_layers else ([], {})
        self._ask(names, self.chosen)
        order = [*names, *reasons]
        rows = [
            row
            for layer in order
            for item in at_layers
            for row in self._rows(layer, item.name, reasons.get(layer, ""))
        ]
        for item in self.chosen:
            if not item.has_layer:
                rows += self._rows(INPUT, item.name, "")
                order = list(dict.fromkeys([*order, INPUT]))
        return Sweep(
            rows, tuple(order), tuple(item.name for item in self.chosen),
            tuple(self.measure.found), (*self.measure.metrics, *FIGURES), self.provenance,
            self.maps,
        )  # fmt: skip

    def _layers(self, layers: str | Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """Layers that can be asked, in execution order, and why others cannot."""
        model = self.session.model
        asked = [layers] if isinstance(layers, str) else list(layers)
        own = set(model.network.layer_names())
        if asked and all(isinstance(name, str) and name in own for name in asked):
            return list(dict.fromkeys(asked)), {}  # known without a pass
        geometry = self.session.geometry(self._listener)
        if asked == ["all"]:
            reasons = {item.name: item.reason for item in geometry.infos if not item.explainable}
            return _distinct(geometry), reasons
        found, reasons = [], {}
        listed = own | {info.name for info in geometry.infos}
        for name in asked:
            name = model.spec.layer or name if name == "auto" else name
            try:
                found += model.resolve_layers(name, geometry)
            except LayerError as error:
                if name not in listed:
                    raise
                reasons[name] = str(error)
        return list(dict.fromkeys(found)), reasons

    def _ask(self, names: list[str], chosen: list[Method]) -> None:
        """All layers at once; halves where that fails, down to the layer that is to blame."""
        failed: dict[tuple[str, str], AttentionMapsError] = {}
        try:
            self.session.explain(
                [item.name for item in chosen], names or "auto", self.target, self._listener,
                batch_size=self.batch_size, on_map=self._take, keep=False,
                on_failure=lambda layer, method, error: failed.update({(layer, method): error}),
                **self._options_of(chosen),
            )  # fmt: skip
        except (LayerError, ModelRunError) as error:
            left = self._without_known(names) if isinstance(error, LayerError) else names
            if left != names:
                self._ask(left, chosen)
                return
            if not self._made:
                self.session.answer(self._listener)  # raises where the network itself fails
            failed = {pair: error for pair in self._pairs(names, chosen) if pair not in self._made}
        stuck = {layer for (layer, _), error in failed.items() if _is_of_a_layer(error)}
        if len(names) > 1 and stuck.issuperset(names):  # one of them may stop all
            at_layers = [item for item in chosen if item.has_layer]
            half = len(names) // 2
            self._ask(names[:half], at_layers)
            self._ask(names[half:], at_layers)
            at_input = [item for item in chosen if not item.has_layer]
            if any((INPUT, item.name) in failed for item in at_input):
                self._ask([], at_input)
        else:
            self._failed.update(failed)

    def _without_known(self, names: list[str]) -> list[str]:
        """Layers that can be explained; why the others cannot is noted."""
        infos = {info.name: info for info in self.session.geometry(self._listener).infos}
        bad = [name for name in names if name in infos and not infos[name].explainable]
        for name in bad:
            for item in self.chosen:
                self._failed[name, item.name] = LayerError(infos[name].reason)
        return [name for name in names if name not in bad]

    @staticmethod
    def _pairs(names: list[str], chosen: list[Method]) -> list[tuple[str, str]]:
        """Layer and method of all maps."""
        pairs = [(name, item.name) for name in names for item in chosen if item.has_layer]
        return pairs + [(INPUT, item.name) for item in chosen if not item.has_layer]

    def _options_of(self, chosen: list[Method]) -> dict[str, Any]:
        """Options of some methods; unknown ones stay, to be refused."""
        others = {name for item in self.chosen if item not in chosen for name in item.options}
        own = {name for item in chosen for name in item.options}
        return {k: v for k, v in self.options.items() if k in own or k not in others}

    def _take(self, made: AttentionMap) -> None:
        """Measure a map and let it go."""
        if (made.layer, made.method) in self._made:
            return
        if not self.provenance:
            known = made.provenance
            self.provenance = {k: v for k, v in known.items() if k not in ITS_OWN}
            remarks = {item.name: item.remark for item in self.chosen if item.remark}
            self.provenance |= {"remarks": remarks} if remarks else {}
        size = " x ".join(map(str, made.raw.grid.shape))
        records = self.measure.of(made.image)
        self._made[made.layer, made.method] = [{"size": size, **record} for record in records]
        if self.keep:
            made.__dict__.pop("image", None)  # made again on use
            self.maps.append(made)

    def _rows(self, layer: str, method: str, reason: str) -> list[dict[str, Any]]:
        """The rows of a map; of one that was not made one per structure with the reason."""
        first = {"layer": layer, "method": method}
        made = self._made.get((layer, method))
        if made is not None:
            return [{**first, **record} for record in made]
        if not reason:
            reason = str(self._failed[layer, method])
        names = (*self.measure.metrics, *FIGURES)
        empty = dict.fromkeys(names, math.nan)
        labels = self.measure.found or [MASK if self.measure.mask is not None else ""]
        return [{**first, "size": "", "label": n, **empty, "reason": reason} for n in labels]

    def _report(self, fraction: float, message: str) -> bool | None:
        """Progress that does not go back where layers are asked in parts."""
        assert self._progress is not None
        self._fraction = max(self._fraction, fraction)
        return self._progress(self._fraction, message)


def _is_of_a_layer(error: AttentionMapsError) -> bool:
    """Whether another layer, asked at the same time, may be to blame."""
    return isinstance(error, LayerError | ModelRunError)


def _distinct(geometry: Geometry) -> list[str]:
    """Explainable layers in execution order, each tensor once, under its shortest name."""
    explainable = [info.name for info in geometry.infos if info.explainable]
    left_out: set[str] = set()
    for names in geometry.same.values():
        alike = [name for name in names if name in set(explainable)]
        best = min(alike, key=lambda n: ("#" in n, n.count("."), n), default=None)
        left_out.update(name for name in alike if name != best)
    return [name for name in explainable if name not in left_out]
