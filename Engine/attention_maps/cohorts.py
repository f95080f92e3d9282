"""Many cases, one after the other: maps, scores, and one report of all."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_maps.cohort_cases import CohortCase, checked_cases, read_cases
from attention_maps.cohort_records import (
    file_names,
    fingerprint,
    is_told,
    pictures_to_dict,
    read_record,
    write_record,
)
from attention_maps.cohort_table import Cohort, key_of
from attention_maps.errors import Cancelled, ImageError
from attention_maps.evaluation import evaluate
from attention_maps.explainer import Explainer
from attention_maps.image_io import read_image
from attention_maps.loading import load_model
from attention_maps.metric_options import part_options
from attention_maps.packages import needed
from attention_maps.registry import find_method, find_metric, split_options
from attention_maps.report.case import MASK, ReportCase, named_masks_of
from attention_maps.report.provenance import provenance_rows
from attention_maps.report.tables import map_keys, metrics_in, score_rows
from attention_maps.undefined import reasons_alone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from os import PathLike

    from attention_maps.model import LoadedModel
    from attention_maps.result import AttentionMap
    from attention_maps.types import Image, ProgressCallback

logger = logging.getLogger(__name__)

REPORTS = ("cohort.xlsx", "cohort.html")
MOST_PICTURES = 4  # maps of a case that are drawn


def run_cohort(
    model: Any,
    cases: str | PathLike[str] | Sequence[CohortCase],
    folder: str | PathLike[str],
    *,
    method: str | Sequence[str] = "grad_cam",
    layer: str | Sequence[str] = "auto",
    target: Any = None,
    metrics: str | Sequence[str] | None = None,
    threshold: str | float = "otsu",
    labels: Any = None,
    title: str = "",
    maps: bool = False,
    pages: bool = False,
    again: bool = False,
    progress: ProgressCallback | None = None,
    spec: Any = None,
    device: Any = "auto",
    **options: Any,
) -> Cohort:
    """Explain and evaluate many cases, and write one report of all.

    `folder` gets cohort.xlsx, cohort.html and a record per case in cases/. A case that fails is
    listed with its error and does not stop the others. Run again with the same settings, cases
    that were done are not computed anew, those that failed are tried again.

    Args:
        model: A LoadedModel, or what `load_model` takes.
        cases: What `read_cases` takes, or cases.
        folder: Where everything is written; made if it does not exist.
        method: As in `explain`, one or several.
        layer: As in `explain`, one or several.
        target: As in `explain`; a case's own target goes first.
        metrics: As in `evaluate`.
        threshold: As in `evaluate`.
        labels: As in `evaluate`, of each case's mask.
        title: Of the page.
        maps: Whether maps are saved, as NIfTI in maps/.
        pages: Whether each case gets a page of its own in pages/.
        again: Whether cases that were done are computed anew; of a module in memory, and where a
            function or an array is the target, they always are, since nothing tells that it is the
            same.
        progress: As in `explain`.
        spec: What the network expects, where `model` is not loaded yet.
        device: Where it runs, where `model` is not loaded yet.
        options: Options of the methods and metrics.

    Returns:
        All scores, errors and files.

    Raises:
        FileNotFoundError, ImageError: If the cases cannot be read, or the results would be written
            where they lie.
        ModelError: If the model cannot be loaded.
        MethodError: If a method or metric is not known.
        Cancelled: If `progress` returned False; what was done is kept.
    """
    for package in ("jinja2", "pandas", "openpyxl", "matplotlib"):
        needed(package, "The report of a cohort")
    given = isinstance(cases, list | tuple)
    listed = checked_cases(cases) if given else read_cases(cases)  # type: ignore[arg-type]
    methods = [find_method(name).name for name in _listed(method)]
    names = None if metrics is None else [find_metric(name).name for name in _listed(metrics)]
    loaded = load_model(model, spec, device)
    _refuse_inputs(Path(folder), listed, cases)
    settings = {
        "method": methods, "layer": _listed(layer), "target": repr(target), "metrics": names,
        "threshold": threshold, "labels": labels, "options": options, "maps": maps, "pages": pages,
        "spec": loaded.spec.to_dict(),
    }  # fmt: skip
    of_metrics, of_methods = part_options(names, options)
    split_options([find_method(name) for name in methods], of_methods)  # refused before any case
    question = {**of_methods, "method": methods, "layer": layer}
    work = _Work(
        loaded, Path(folder), settings, target, question, of_metrics, names, threshold, labels,
        maps, pages, again,
    )  # fmt: skip
    return work.run(listed, progress, title)


def _refuse_inputs(folder: Path, cases: Sequence[CohortCase], source: Any) -> None:
    """Refuse to write among what is read.

    Raises:
        ImageError: If a file of a case, or the table, lies where the results go.
    """
    read = [path for case in cases for path in (*case.images, case.mask) if path is not None]
    if not isinstance(source, list | tuple):
        read.append(Path(source))
    own = {folder.resolve() / name for name in ("cases", "maps", "pages", *REPORTS)}
    for path in read:
        inside = path.resolve()
        if own.intersection((inside, *inside.parents)):
            raise ImageError(
                f"Expected another folder than '{folder}' for the results, which would be written "
                f"where '{path}' lies."
            )


@dataclass
class _Work:
    """All that is the same for every case."""

    model: LoadedModel
    folder: Path
    settings: dict[str, Any]
    target: Any
    question: dict[str, Any]
    metric_options: dict[str, Any]
    metrics: list[str] | None
    threshold: str | float
    labels: Any
    maps: bool
    pages: bool
    again: bool

    def run(
        self, cases: Sequence[CohortCase], progress: ProgressCallback | None, title: str
    ) -> Cohort:
        """Go through the cases and write the report."""
        (self.folder / "cases").mkdir(parents=True, exist_ok=True)
        names = file_names(cases)
        records, errors, continued = [], {}, []
        known = not self.again and self.model.sha256 is not None and is_told(self.target)
        for number, case in enumerate(cases):
            report = _part(progress, number, len(cases), case.name)
            place = self.folder / "cases" / f"{names[case.name]}.json"
            wanted = fingerprint(case, self.model.sha256, self.settings)
            record = read_record(place, wanted) if known else None
            if record is not None:
                continued.append(case.name)
                records.append(record)
                continue
            try:
                record = self._evaluate(case, names[case.name], report)
            except Cancelled:
                raise
            except Exception as error:  # whatever is wrong with one case, the others go on
                logger.warning("Case '%s' failed: %s", case.name, error)
                errors[case.name] = " ".join(str(error).split()) or type(error).__name__
                continue
            write_record(place, {"fingerprint": wanted, **record})
            records.append(record)
        if progress is not None:
            progress(1.0, "Writing the report")
        return self._report(records, errors, tuple(continued), title)

    def _evaluate(
        self, case: CohortCase, name: str, progress: ProgressCallback | None
    ) -> dict[str, Any]:
        """Explain one case and hold it against its mask."""
        image = read_image(list(case.images))
        mask = None if case.mask is None else read_image(case.mask)
        asked = case.target if case.target is not None else self.target
        found = Explainer(self.model, image).explain(
            target=asked, progress=progress, **self.question
        )
        made = found if isinstance(found, list) else [found]
        scores = None if mask is None else [self._scores(item, mask) for item in made]
        masks = named_masks_of(mask, self.labels, made[0].image)
        shown = ReportCase(
            case.name, image, made, masks, scores, threshold=self.threshold
        )  # fmt: skip
        record = {
            "case": case.name,
            "rows": score_rows(shown),
            "provenance": [
                {"case": case.name, **map_keys(item), **row}
                for item in made
                for row in provenance_rows(item.provenance)
            ],
            "pictures": self._pictures(shown),
        }
        self._save(shown, name)
        return record

    def _scores(self, made: AttentionMap, mask: Image) -> Any:
        how = (self.metrics, self.threshold)
        with reasons_alone():
            if self.labels is None:
                return {MASK: evaluate(made, mask, *how, **self.metric_options)}
            return evaluate(made, mask, *how, labels=self.labels, **self.metric_options)

    def _pictures(self, case: ReportCase) -> list[dict[str, Any]]:
        from attention_maps.report.pictures import draw_map

        return [
            {**map_keys(made), "drawn": pictures_to_dict(drawn)}
            for made in case.maps[:MOST_PICTURES]
            for drawn in [draw_map(made, case.image, case.masks, case.name)]
        ]

    def _save(self, case: ReportCase, name: str) -> None:
        """Maps and page of a case, where they are wanted."""
        if self.maps:
            place = self.folder / "maps"
            place.mkdir(exist_ok=True)
            for number, made in enumerate(case.maps, start=1):
                part = f"_{number}" if len(case.maps) > 1 else ""
                made.save(place / f"{name}{part}.nii.gz")
        if self.pages:
            from attention_maps.report.write import write_report

            (self.folder / "pages").mkdir(exist_ok=True)
            write_report(self.folder / "pages" / f"{name}.html", case)

    def _report(
        self, records: Iterable[Mapping[str, Any]], errors: dict[str, str],
        continued: tuple[str, ...], title: str,
    ) -> Cohort:  # fmt: skip
        rows, provenance, pictures = [], [], {}
        for record in records:
            rows += [_numbers(row) for row in record["rows"]]
            provenance += record["provenance"]
            for item in record["pictures"]:
                pictures[key_of({**item, "case": record["case"]})] = item["drawn"]
        files = tuple(self.folder / name for name in REPORTS)
        cohort = Cohort(rows, errors, provenance, continued, files, pictures)
        for path in files:
            cohort.save(path, title)
        return cohort


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as it was: what is not defined is null in a record."""
    known = set(metrics_in([row]))
    return {
        key: math.nan if value is None and key in known else value for key, value in row.items()
    }


def _part(
    progress: ProgressCallback | None, number: int, count: int, name: str
) -> ProgressCallback | None:
    """The progress of one of many."""
    if progress is None:
        return None

    def report(fraction: float, message: str) -> bool | None:
        return progress((number + fraction) / count, f"{number + 1} of {count}, {name}: {message}")

    report(0.0, "reading")
    return report


def _listed(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
