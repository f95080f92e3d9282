"""The tables of the sidecar's fields in the documentation, from `ModelSpec`.

Run it to write them anew.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from attention_maps import ModelSpec

PAGE = Path(__file__).parents[2] / "docs" / "bring_your_own_model.md"
TABLES = re.compile(r"(<!-- fields:[^\n]*-->\n)(.*?)(<!-- end of fields -->)", re.DOTALL)
WORDS = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true, false"}


def spec_tables() -> str:
    """Tables of the fields, of input sizes, intensity steps, windows and slices."""
    schema = ModelSpec.model_json_schema()
    kinds = {name: kind for name, kind in schema["$defs"].items() if "kind" in kind["properties"]}
    steps = [name for name in kinds if "channels" in kinds[name]["properties"]]
    sizes = [name for name in kinds if name not in steps]
    return "\n".join(
        [
            *_table("field", [(name, field) for name, field in schema["properties"].items()]),
            "",
            "`input_size` is one of:",
            "",
            *_table("kind and field", _rows_of(kinds, sizes)),
            "",
            "`intensity` is a list of steps, each one of:",
            "",
            *_table("kind and field", _rows_of(kinds, steps, ("channels", "region"))),
            "",
            "Every step also takes `channels` (indices; null = all) and `region` "
            '(`"everywhere"` or `"nonzero"`: the voxels that are measured and changed).',
            "",
            "`sliding_window`:",
            "",
            *_table("field", [*schema["$defs"]["SlidingWindow"]["properties"].items()]),
            "",
            "`slices`:",
            "",
            *_table("field", [*schema["$defs"]["Slices"]["properties"].items()]),
            "",
        ]
    )


def _rows_of(kinds: dict[str, Any], names: list[str], without: tuple[str, ...] = ()) -> list:
    rows: list[tuple[str, dict[str, Any]]] = []
    for name in names:
        fields = kinds[name]["properties"]
        kind = fields["kind"].get("const", fields["kind"].get("default"))
        own = [(key, field) for key, field in fields.items() if key not in ("kind", *without)]
        rows += [(f"{kind}: {key}", field) for key, field in own]
    return rows


def _table(head: str, rows: list[tuple[str, dict[str, Any]]]) -> list[str]:
    lines = [f"| {head} | value | default | meaning |", "|---|---|---|---|"]
    for name, field in rows:
        kind, _, key = name.rpartition(": ")
        shown = f"{kind}: `{key}`" if kind else f"`{key}`"
        default = _json(field["default"]) if "default" in field else "needed"
        meaning = field.get("description", "")
        lines.append(f"| {shown} | {_type(field)} | {default} | {meaning} |")
    return lines


def _type(field: dict[str, Any]) -> str:
    """What a field takes, in words."""
    if "anyOf" in field:
        known = [_type(option) for option in field["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(known))
    if "enum" in field:
        return ", ".join(_json(value) for value in field["enum"])
    if "const" in field:
        return _json(field["const"])
    if "$ref" in field:
        return "an object, see below"
    if "oneOf" in field:
        return "one of those below"
    if field.get("type") == "array":
        items = field.get("items") or (field.get("prefixItems") or [{}])[0]
        return f"list: {_type(items)}"
    return WORDS[field["type"]]


def _json(value: Any) -> str:
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return f"`{words[value]}`"
    text = f'"{value}"' if isinstance(value, str) else str(list(value) if value == () else value)
    return f"`{text}`"


def tables_in_page() -> str:
    """The tables as the page has them."""
    found = TABLES.search(PAGE.read_text(encoding="utf-8"))
    return found.group(2) if found else ""


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLES.sub(lambda m: m[1] + spec_tables() + m[3], text), encoding="utf-8")
