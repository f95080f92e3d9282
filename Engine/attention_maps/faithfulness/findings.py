"""What testing a map gives: one finding per test, and the report that holds them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from attention_maps.result import AttentionMap
    from attention_maps.types import Image

Verdict = Literal["passed", "failed", "note", "not tested"]


@dataclass(frozen=True)
class Curve:
    """A line in a plot.

    Args:
        name: What it shows; controls begin with "random" or "edge map".
        x: Positions.
        y: Values, NaN where there is none.
        x_label: What the positions are.
        y_label: What the values are.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    x_label: str
    y_label: str


@dataclass(frozen=True)
class Finding:
    """What one test found.

    Args:
        test: Name of the test.
        label: Its name for people.
        verdict: "passed", "failed", "note" (neither), or "not tested".
        sentence: What was found, plain.
        figures: Numbers of the map, by name.
        controls: The same numbers, under the same names, of what the map is held against: the best
            random map, the edge map of the image, chance.
        curves: Lines to plot, controls included.
        rows: A table, one dict per row with the same keys.
        reason: Why it was not tested, else empty.
        reference: Paper.
    """

    test: str
    label: str
    verdict: Verdict
    sentence: str
    figures: Mapping[str, float] = field(default_factory=dict)
    controls: Mapping[str, float] = field(default_factory=dict)
    curves: tuple[Curve, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    reason: str = ""
    reference: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that are not finite are None."""
        plain: dict[str, Any] = _plain(
            {
                "test": self.test, "label": self.label, "verdict": self.verdict,
                "sentence": self.sentence, "figures": self.figures, "controls": self.controls,
                "curves": [vars(curve) for curve in self.curves], "rows": self.rows,
                "reason": self.reason, "reference": self.reference,
            }
        )  # fmt: skip
        return plain


@dataclass(frozen=True, eq=False)
class TrustReport:
    """What was tested of one map, and what came out.

    Args:
        map: The map.
        findings: One per test, in the order in which they ran.
        provenance: The map's, with what the tests were given under "trust".
        image: The image that was explained.
    """

    map: AttentionMap
    findings: tuple[Finding, ...]
    provenance: Mapping[str, Any]
    image: Image | None = field(default=None, repr=False)

    @property
    def remark(self) -> str:
        """What is known of the method whatever the tests say, else empty."""
        return str(self.provenance.get("remark", ""))

    def finding(self, test: str) -> Finding:
        """The finding of a test.

        Raises:
            KeyError: If it was not asked for.
        """
        for item in self.findings:
            if item.test == test:
                return item
        asked = ", ".join(item.test for item in self.findings)
        raise KeyError(f"Test '{test}' is not in this report, only: {asked}.")

    def to_dict(self) -> dict[str, Any]:
        """Everything but voxels, as plain values for JSON."""
        plain: dict[str, Any] = _plain(
            {
                "target": self.map.target, "layer": self.map.layer, "method": self.map.method,
                "score": self.map.score, "remark": self.remark,
                "findings": [item.to_dict() for item in self.findings],
                "provenance": self.provenance,
            }
        )  # fmt: skip
        return plain

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the report.

        Args:
            path: .json for everything that `to_dict` gives, or what `write_report` takes.
        """
        path = Path(path)
        if path.suffix.lower() == ".json":
            from attention_maps.image_io.files import written_whole

            with written_whole(path) as part:
                part.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
            return path
        import attention_maps
        from attention_maps.report.view import heading_of

        case = attention_maps.ReportCase(
            heading_of(self.map), self.image, maps=[self.map], trust=self
        )
        attention_maps.write_report(path, [case])
        return path

    def __repr__(self) -> str:
        verdicts = ", ".join(f"{item.test} {item.verdict}" for item in self.findings)
        return f"TrustReport({self.map.target} | {self.map.method} | {self.map.layer}: {verdicts})"


def _plain(value: Any) -> Any:
    if hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
