"""Where a specification comes from: a dict, a JSON file, the file beside a model, the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attention_maps.errors import SpecError
from attention_maps.spec import ModelSpec
from attention_maps.validation import closest

SHIPPED = Path(__file__).parent / "specs"


def as_spec(spec: ModelSpec | dict[str, Any] | str | Path | None) -> ModelSpec:
    """A specification from whatever a caller has.

    Args:
        spec: A ModelSpec, a dict of its fields, the path of a JSON file, the name of a shipped
            specification, or None for an empty one.

    Raises:
        FileNotFoundError: If a path does not exist.
        SpecError: If the fields are not valid, or a name is not known.
        TypeError: If it is something else.
    """
    if spec is None:
        return ModelSpec()
    if isinstance(spec, ModelSpec):
        return spec
    if isinstance(spec, dict):
        return ModelSpec.from_dict(spec, where="spec")
    if isinstance(spec, Path):
        return ModelSpec.read(spec)
    if isinstance(spec, str):
        is_name = not spec.endswith(".json") and Path(spec).name == spec and not Path(spec).exists()
        return shipped_spec(spec) if is_name else ModelSpec.read(spec)
    raise TypeError(
        f"Expected a ModelSpec, a dict, a path, a name or None, got {type(spec).__name__}."
    )


def find_sidecar(model_path: str | Path) -> Path | None:
    """The JSON file beside a model file (model.pt -> model.json), or None."""
    path = Path(model_path)
    if not path.is_file():
        return None
    sidecar = path.with_suffix(".json")
    return sidecar if sidecar.is_file() and sidecar != path else None


def shipped_spec(name: str) -> ModelSpec:
    """A specification that comes with the package, by its name.

    Raises:
        SpecError: If there is none of that name.
    """
    names = sorted(path.stem for path in SHIPPED.glob("*.json"))
    if name not in names:
        raise SpecError(
            f"Expected a JSON file or the name of a shipped specification, got {name!r}; "
            f"{closest(name, names)}."
        )
    return ModelSpec.read(SHIPPED / f"{name}.json")
