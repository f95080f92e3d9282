"""A case as a page shows it: texts, tables and pictures, in order."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attention_maps.answer_words import answer_in_words
from attention_maps.concentration import FIGURES, map_figures
from attention_maps.errors import AttentionMapsError
from attention_maps.figure_slices import OBLIQUE_DEGREES, obliquity
from attention_maps.inputs import as_image
from attention_maps.report.cells import (
    Cell,
    Head,
    Table,
    cell_of,
    number_text,
    reasons_of,
    sentence,
    table_of,
)
from attention_maps.report.provenance import provenance_rows
from attention_maps.report.tables import evidence_rows, find, label_of, unit_of
from attention_maps.report.view_parts import (
    SweepView,
    TrustView,
    hot_spot_table,
    sweep_view,
    trust_view,
)

if TYPE_CHECKING:
    from attention_maps.report.case import ReportCase
    from attention_maps.report.pictures import MapPictures
    from attention_maps.result import AttentionMap

logger = logging.getLogger(__name__)

MOST_NAMED = 3  # structures in a caption
MOST_MAPS = 12  # with pictures: a page has to be small


@dataclass(frozen=True)
class MapView:
    """A map of a page.

    Args:
        heading: Method, layer and question.
        pictures: None where there is no scan to lay it over, or there are too many.
        caption: Below the pictures.
        remarks: What has to be known of it.
        scores: Figures of it.
    """

    heading: str
    pictures: MapPictures | None
    caption: str
    remarks: tuple[str, ...]
    scores: Table


@dataclass(frozen=True)
class CaseView:
    """A case of a page; what is None or empty is left out."""

    name: str
    anchor: str
    error: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    maps: tuple[MapView, ...] = ()
    evidence: Table | None = None
    hot_spots: Table | None = None
    trust: tuple[TrustView, ...] = ()
    sweep: SweepView | None = None
    provenance: Table | None = None


def view_of(case: ReportCase, number: int, width: int) -> CaseView:
    """A case with its pictures drawn.

    Args:
        case: The case.
        number: From 1 on, for links within the page.
        width: Pixels of the planes of a map together.
    """
    scan = _scan(case)
    maps = tuple(
        _map_view(case, index, made, scan if index < MOST_MAPS else None, width)
        for index, made in enumerate(case.maps)
    )
    trust = tuple(trust_view(report) for report in case.trust_reports)
    shown = [*case.maps, *(report.map for report in case.trust_reports)]
    first = shown[0] if shown else None
    return CaseView(
        case.name, f"case-{number}", case.error, _facts(case, first), maps,
        _evidence(case), hot_spot_table(case.hot_spots) if case.hot_spots else None, trust,
        sweep_view(case.sweep) if case.sweep else None, _provenance(case, first),
    )  # fmt: skip


def _scan(case: ReportCase) -> Any:
    """The image, read once."""
    if case.image is None or not case.maps:
        return None
    return as_image(case.image, case.maps[0].grid.ndim)


def heading_of(made: AttentionMap) -> str:
    """Method, layer and question."""
    layer = "the input" if made.layer == "input" else made.layer
    return f"{made.provenance['method_label']} at {layer}: {made.target}"


def _map_view(case: ReportCase, index: int, made: AttentionMap, scan: Any, width: int) -> MapView:
    known = made.provenance
    pictures, caption = None, ""
    if scan is not None:
        from attention_maps.report.pictures import MASK_COLORS, draw_map

        try:
            pictures = draw_map(made, scan, case.masks, case.name, width)
            caption = f"{pictures.caption} {_reading(made)}"
            if len(case.masks) > len(MASK_COLORS):
                caption += f" Outlined are the first {len(MASK_COLORS)} of {len(case.masks)} masks."
        except AttentionMapsError as error:
            logger.warning("No picture of %s: %s", case.name, error)
            caption = f"No picture: {error}"
    elif index == MOST_MAPS:
        caption = f"From here on without pictures, which keeps the page small (of {MOST_MAPS} maps)"
    remarks = [sentence(known[key]) for key in ("remark", "note") if known.get(key)]
    return MapView(
        heading_of(made), pictures, caption, tuple(remarks), _score_table(case, index, made)
    )


def _reading(made: AttentionMap) -> str:
    """How the pictures are to be read."""
    known = ["Opacity grows with the absolute value"]
    if made.grid.ndim == 3:
        known.insert(0, "Radiological convention: the patient's left is on the right")
        known.insert(1, "all planes at one scale")
    angle = obliquity(made.grid.affine, made.grid.ndim)
    if angle > OBLIQUE_DEGREES:
        known.append(f"slices follow the scan's axes, up to {angle:.0f}\N{DEGREE SIGN} oblique")
    first, *others = known
    return "; ".join([first, *(text[0].lower() + text[1:] for text in others)]) + "."


def _score_table(case: ReportCase, index: int, made: AttentionMap) -> Table:
    """Metrics as rows, masks as columns; below them the figures of the map alone."""
    several = case.scores_of_maps[index]
    names = list(dict.fromkeys(name for scores in several.values() for name in scores))
    rows = []
    for name in names:
        limits = getattr(find(name), "limits", None)
        cells = [
            cell_of(scores.get(name), limits, getattr(scores, "reasons", {}).get(name, ""))
            for scores in several.values()
        ]
        rows.append((Cell(_with_unit(name)), *cells))
    if not several:
        alone = map_figures(made.image)
        rows = [
            (Cell(label_of(name)), cell_of(alone[name], known.limits))
            for name, known in FIGURES.items()
        ]
    heads = [Head("Figure"), *(Head(name or "mask", True) for name in several or ("map",))]
    cuts = {
        name: cut for name, scores in several.items()
        if (cut := getattr(scores, "threshold", None)) is not None
    }  # fmt: skip
    note = ""
    if cuts:
        note = f"Cut at {number_text(next(iter(cuts.values())))} (threshold: {case.threshold})."
    names_of = ", ".join(several) if len(several) <= MOST_NAMED else f"{len(several)} structures"
    caption = f"Held against {names_of}" if several else "The map alone"
    return Table(caption, tuple(heads), tuple(rows), reasons_of(rows), note)


def _with_unit(metric: str) -> str:
    unit = unit_of(metric)
    return f"{label_of(metric)} ({unit})" if unit else label_of(metric)


def _facts(case: ReportCase, made: AttentionMap | None) -> tuple[tuple[str, str], ...]:
    """What is seen at a glance."""
    known: dict[str, Any] = dict(made.provenance) if made is not None else {}
    if case.sweep is not None:
        known = {**case.sweep.provenance, **known}
    facts = []
    if made is not None:
        questions = dict.fromkeys(item.target for item in case.maps or (made,))
        facts.append(("Question", "; ".join(questions)))
        if made.answer is not None:
            facts.append(("Answer", answer_in_words(made.answer)))
    elif known.get("target"):
        facts.append(("Question", str(known["target"])))
    model = known.get("model") or {}
    if model:
        kind = f" ({model['kind']})" if model.get("kind") else ""
        facts.append(("Model", f"{model.get('name', '')}{kind}"))
    if made is not None:
        spacing = " x ".join(f"{step:.3g}" for step in made.grid.spacing)
        shape = " x ".join(map(str, made.grid.shape))
        text = f"{shape} voxels of {spacing} mm" if made.grid.ndim == 3 else f"{shape} pixels"
        facts.append(("Image", text))
    for report in case.trust_reports:
        facts.append(("Trust", trust_view(report, plots=False).summary))
    return tuple(facts)


def _evidence(case: ReportCase) -> Table | None:
    if not case.evidence:
        return None
    rows = evidence_rows(case)
    columns = {"name": "Structure", "share": "Share of attention", "ml": "ml",
               "share_per_ml": "Share per ml", "mm2": "mm\u00b2",
               "share_per_mm2": "Share per mm\u00b2", "concentration": "Concentration",
               "mean": "Mean", "peak": "Peak"}  # fmt: skip
    flat = all(row.get("ml") != row.get("ml") for row in rows)  # a picture: no volumes
    gone = ("ml", "share_per_ml") if flat else ("mm2", "share_per_mm2")
    columns = {key: head for key, head in columns.items() if key not in gone and key in rows[0]}
    return table_of(
        "How much of the attention lies in each structure", rows, columns,
        percent=["share"],
        note="Concentration is the share of the attention over the share of the volume: 1 where "
        "the attention is spread evenly.",
    )  # fmt: skip


def _provenance(case: ReportCase, made: AttentionMap | None) -> Table | None:
    if made is None and case.sweep is None:
        return None
    known = made.provenance if made is not None else case.sweep.provenance  # type: ignore[union-attr]
    rows = provenance_rows(known)
    note = ""
    if len(case.maps) > 1:
        note = f"Of the first of {len(case.maps)} maps; the Excel report has those of all."
    return table_of(
        "What the maps were made with", rows, {"item": "Item", "value": "Value"}, note=note
    )
