"""The table of evidence: how much of the attention lies in every structure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_maps.evaluation import NO_MASK, NOTHING
from attention_maps.measures.attention import what_counts
from attention_maps.measures.voxels import MM3_PER_ML, voxel_size
from attention_maps.regions import CHUNK, as_map, label_map, named_masks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attention_maps.measures.attention import Sign
    from attention_maps.regions import Labels
    from attention_maps.types import Grid, Image

OUTSIDE = "outside all"


@dataclass(frozen=True)
class StructureEvidence:
    """What a map says of one structure. Numbers that are not defined are NaN.

    Args:
        name: Of the structure; "outside all" for the rest of the map.
        share: Of what counts of the whole map.
        ml: Volume on the map's grid; NaN in a picture.
        share_per_ml: Share by ml; NaN in a picture.
        mm2: Area in a picture; NaN in 3D.
        share_per_mm2: Share by mm2, in a picture.
        concentration: Share of the attention over share of the volume: 1 where the attention is
            spread evenly over the map, 2 where there is twice as much as that.
        voxels: Number of voxels on the map's grid.
        mean: Mean value of what counts of the map.
        peak: Largest value.
        reason: Why numbers are not defined, else empty.
    """

    name: str
    share: float
    ml: float
    share_per_ml: float
    mm2: float
    share_per_mm2: float
    concentration: float
    voxels: int
    mean: float
    peak: float
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The same as plain numbers and texts."""
        return asdict(self)


@dataclass(frozen=True)
class _Sums:
    """Of one structure each: (n,) sum of the values, largest value, number of voxels."""

    total: NDArray[np.float64]
    peak: NDArray[np.floating[Any]]
    voxels: NDArray[np.int64]


def evidence_table(
    result: Any,
    segmentation: Any,
    labels: Labels | None = None,
    *,
    sign: Sign = "positive",
) -> list[StructureEvidence]:
    """Share out the attention of a map among structures.

    Args:
        result: An AttentionMap, an Image with one channel, or a path.
        segmentation: A label map (Image, path, or array on the map's grid), on any grid; or a dict
            {name: mask} of masks, which may overlap.
        labels: Of the label map: {name: value}, a list of values, or None for all that occur
            besides 0, named by their value.
        sign: As in `attention_maps.evaluate`.

    Returns:
        A row per structure in the order given (of a label map, ascending), and a last row,
        "outside all", for what lies in none of them. The shares of structures that do not overlap
        add up to 1 with it.

    Raises:
        ImageError: If map or segmentation cannot be used.
    """
    shown = as_map(result)
    evidence = what_counts(shown.array[0], sign)
    if hasattr(segmentation, "items"):
        names, sums = _sums_of_masks(evidence, segmentation, labels, shown)
    else:
        names, sums = _sums_of_labels(evidence, segmentation, labels, shown)
    nothing = "" if float(evidence.max()) > 0 else NOTHING[sign]
    return _rows([*names, OUTSIDE], sums, evidence, shown.grid, nothing)


def _sums_of_labels(
    evidence: NDArray[np.float32], segmentation: Any, labels: Labels | None, shown: Image
) -> tuple[list[str], _Sums]:
    present, wanted = label_map(segmentation, "all" if labels is None else labels, shown)
    values = np.array(list(wanted.values()), dtype=np.int64)
    lowest = min(int(present.min()), int(values.min(initial=0)))
    highest = max(int(present.max()), int(values.max(initial=0)))
    row_of = np.full(highest - lowest + 1, len(values), dtype=np.int64)  # the last row: outside
    row_of[values - lowest] = np.arange(len(values))
    rows = len(values) + 1
    total, voxels = np.zeros(rows), np.zeros(rows, dtype=np.int64)
    peak = np.zeros(rows, dtype=evidence.dtype)
    flat, marks = evidence.ravel(order="K"), present.ravel(order="K")
    for start in range(0, len(flat), CHUNK):
        part = flat[start : start + CHUNK]
        row = row_of[marks[start : start + CHUNK] - lowest]
        total += np.bincount(row, weights=part, minlength=rows)
        voxels += np.bincount(row, minlength=rows)
        np.maximum.at(peak, row, part)
    return list(wanted), _Sums(total, peak, voxels)


def _sums_of_masks(
    evidence: NDArray[np.float32], masks: Any, labels: Labels | None, shown: Image
) -> tuple[list[str], _Sums]:
    outside = np.ones_like(evidence, dtype=np.bool_)
    names, found = [], []
    for name, mask in named_masks(masks, labels, shown):
        names.append(name)
        found.append(_sums_within(evidence, mask))
        outside &= ~mask
    found.append(_sums_within(evidence, outside))
    total, peak, voxels = zip(*found, strict=True)
    return names, _Sums(np.array(total), np.array(peak), np.array(voxels))


def _sums_within(
    evidence: NDArray[np.float32], mask: NDArray[np.bool_]
) -> tuple[float, float, int]:
    total = evidence.sum(where=mask, dtype=np.float64)
    return float(total), float(evidence.max(where=mask, initial=0)), int(np.count_nonzero(mask))


def _rows(
    names: Sequence[str], sums: _Sums, evidence: NDArray[np.float32], grid: Grid, nothing: str
) -> list[StructureEvidence]:
    whole = float(evidence.sum(dtype=np.float64))
    unit = voxel_size(grid)
    volume = grid.ndim == 3
    rows = []
    for name, total, peak, count in zip(
        names, sums.total.tolist(), sums.peak.tolist(), sums.voxels.tolist(), strict=True
    ):
        share = math.nan if nothing else total / whole
        size = count * unit / MM3_PER_ML if volume else count * unit
        by_size = share / size if count else math.nan
        reason = nothing or ("" if count or name == OUTSIDE else NO_MASK)
        rows.append(
            StructureEvidence(
                name, share,
                size if volume else math.nan, by_size if volume else math.nan,
                math.nan if volume else size, math.nan if volume else by_size,
                share / (count / evidence.size) if count else math.nan,
                count,
                total / count if count else math.nan,
                peak if count else math.nan,
                reason,
            )
        )  # fmt: skip
    return rows
