"""M3d-CAM's Evaluator: scores of maps against masks, their means, and an Excel file of both."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.errors import MethodError
from attention_maps.image_io.files import written_whole
from attention_maps.injection.scores import check_metric, check_threshold, compute_score
from attention_maps.packages import needed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attention_maps.injection.settings import Metric

INCHES = (6.4, 4.8)
WIDEST = 40.0  # inches


@dataclass(frozen=True)
class _Score:
    evaluation: float
    layer: str | None
    class_label: int | str | None
    name: str | None


class Evaluator:
    """Evaluate maps against masks, one after the other, and write what came out.

    Args:
        save_path: What the names of the files begin with: `results/` for a folder.
        metric: "wioa", "ioa", "iou", "wiou" (see `comp_score`), the name of one of the engine's
            metrics, or a function of a map and a mask.
        threshold: "otsu", or a share of the map's range from 0 to 1.
        layer_ordering: Order of the layers' means; None for that in which they came.

    Raises:
        MethodError: If metric or threshold is not known.
    """

    def __init__(
        self,
        save_path: Any,
        metric: Metric = "wioa",
        threshold: str | float = "otsu",
        layer_ordering: Sequence[str] | None = None,
    ) -> None:
        check_metric(metric)
        check_threshold(threshold)
        self.save_path = save_path
        self.metric = metric
        self.threshold = threshold
        self.layer_ordering = layer_ordering
        self._scores: list[_Score] = []

    @property
    def scores(self) -> Any:
        """All scores: a pandas DataFrame with columns evaluation, layer, class_label, name."""
        frame = needed("pandas", "A table of scores").DataFrame
        columns = list(_Score.__dataclass_fields__)
        return frame([asdict(score) for score in self._scores], columns=columns)

    def comp_score(
        self,
        attention_map: Any,
        mask: Any,
        layer: str | None = None,
        class_label: int | str | None = None,
        name: str | None = None,
    ) -> float:
        """Hold a map against a mask, and keep the score.

        Args:
            attention_map: (*spatial) map, array or tensor.
            mask: (*spatial) of 0 and 1, array or tensor, over the same field of view.
            layer: Name of the layer.
            class_label: Class that was asked about.
            name: What tells the map from others.

        Returns:
            The score: "wioa" is the share of the attention above the threshold that lies inside the
            mask, "ioa" the same of voxels, "iou" intersection over union, "wiou" attention inside
            over attention outside plus the mask. NaN, with a logged warning, where there is none.

        Raises:
            ImageError: If map or mask cannot be used.
        """
        score = compute_score(attention_map, mask, self.metric, self.threshold)
        self._scores.append(_Score(score, layer, class_label, name))
        return score

    def dump(
        self,
        mean_only: bool = False,
        layer: str | None = None,
        class_label: int | str | None = None,
    ) -> None:
        """Write scores.xlsx (sheets Scores and Mean Scores) and mean_scores.png.

        Args:
            mean_only: Leave out the sheet Scores.
            layer: Of this layer only.
            class_label: Of this class only.

        Raises:
            MethodError: If there is no such score.
            MissingPackageError: If pandas or openpyxl is not installed.
            OSError: If a file cannot be written.
        """
        from attention_maps.report.writing import write_tables

        if not self._scores:
            raise MethodError("Expected scores to write, got none; evaluate maps first.")
        scores = [
            score
            for score in self._scores
            if layer in (None, score.layer) and class_label in (None, score.class_label)
        ]
        if not scores:
            have = sorted({f"{score.layer} (class {score.class_label})" for score in self._scores})
            raise MethodError(
                f"Expected scores of layer {layer!r} and class {class_label!r} to write, got none; "
                f"there are: {', '.join(have)}."
            )
        means = self._means(scores)
        tables = {} if mean_only else {"Scores": [asdict(score) for score in scores]}
        Path(f"{self.save_path}scores.xlsx").parent.mkdir(parents=True, exist_ok=True)
        write_tables(f"{self.save_path}scores.xlsx", {**tables, "Mean Scores": means})
        self._plot(means)

    def _means(self, scores: list[_Score]) -> list[dict[str, Any]]:
        """Mean over all that is a number, by layer and class."""
        layers = dict.fromkeys(score.layer for score in scores)
        if self.layer_ordering is not None:
            place = {name: position for position, name in enumerate(self.layer_ordering)}
            layers = dict.fromkeys(sorted(layers, key=lambda name: place.get(name or "", -1)))
        means = []
        for layer in layers:
            own = [score for score in scores if score.layer == layer]
            for label in dict.fromkeys(score.class_label for score in own):
                values = np.array([s.evaluation for s in own if s.class_label == label])
                values = values[~np.isnan(values)]
                mean = float(values.mean()) if values.size else float("nan")
                means.append({"mean_score": mean, "layer": layer, "class_label": label})
        return means

    def _plot(self, means: list[dict[str, Any]]) -> None:
        """The means from layer to layer, one line per class."""
        from matplotlib.figure import Figure

        layers = list(dict.fromkeys(str(mean["layer"] or "input") for mean in means))
        width = min(max(INCHES[0], 0.3 * len(layers)), WIDEST)
        figure = Figure((width, INCHES[1]), layout="constrained")
        axes = figure.add_subplot()
        for label in dict.fromkeys(mean["class_label"] for mean in means):
            own = [mean for mean in means if mean["class_label"] == label]
            places = [layers.index(str(mean["layer"] or "input")) for mean in own]
            values = [mean["mean_score"] for mean in own]
            axes.plot(places, values, marker="o", label=f"class {label}")
        axes.set_xticks(range(len(layers)), layers, rotation=30, ha="right")
        metric = self.metric if isinstance(self.metric, str) else "score"
        axes.set(xlabel="layer", ylabel=f"mean {metric}")
        if len({mean["class_label"] for mean in means}) > 1:
            axes.legend()
        with written_whole(Path(f"{self.save_path}mean_scores.png")) as part:
            figure.savefig(part, dpi=300)
