"""AttentionMaps: where a trained network looked, placed exactly in the scan.

Names are imported on first use, so that `import attention_maps` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Image": "types",
    "Grid": "types",
    "LayerInfo": "types",
    "read_image": "image_io",
    "write_image": "image_io",
    "ModelSpec": "spec",
    "load_model": "loading",
    "explain": "pipeline",
    "Explainer": "pipeline",
    "AttentionMap": "result",
    "ClassTarget": "targets",
    "RegionTarget": "targets",
    "PointTarget": "targets",
    "ComponentTarget": "targets",
    "ContrastTarget": "targets",
    "TopTarget": "targets",
    "evaluate": "evaluation",
    "Scores": "scores",
    "evidence_table": "structures",
    "StructureEvidence": "structures",
    "hot_spots": "spots",
    "HotSpot": "spots",
    "sweep": "sweeping",
    "run_cohort": "cohorts",
    "read_cases": "cohort_cases",
    "ReportCase": "report.case",
    "write_report": "report.write",
    "inject": "injection",
    "Evaluator": "injection",
    "methods": "registry",
    "metrics": "registry",
    "trust": "faithfulness.trust",
    "trust_tests": "registry",
    "TrustReport": "faithfulness.findings",
    "Finding": "faithfulness.findings",
    "Curve": "faithfulness.findings",
    "AttentionMapsError": "errors",
    "ImageError": "errors",
    "SpecError": "errors",
    "ModelError": "errors",
    "ConsentError": "errors",
    "MissingPackageError": "errors",
    "LayerError": "errors",
    "MethodError": "errors",
    "TargetError": "errors",
    "ModelRunError": "errors",
    "WorkerError": "errors",
    "Cancelled": "errors",
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'attention_maps' has no attribute '{name}'")
    value = getattr(import_module(f"attention_maps.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
