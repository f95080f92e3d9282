"""The table of metrics in docs/metrics.md, from the register. Run it to write the table anew."""

from __future__ import annotations

import re
from pathlib import Path

from attention_maps import metrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
TABLE = re.compile(r"(<!-- metrics:[^\n]*-->\n)(.*?)(<!-- end of metrics -->)", re.DOTALL)


def metrics_table() -> str:
    """One row per metric, in the register's order."""
    rows = ["| name | what it is | range | better | reference |", "|---|---|---|---|---|"]
    for item in metrics().values():
        what = item.description
        for option in item.options.values():
            what += f" Option `{option.name}` ({option.default:g}): {option.help}."
        rows.append(
            f"| `{item.name}` | {what} | {_range(item)} | {item.better} | {item.reference} |"
        )
    return "\n".join(rows) + "\n"


def table_in_page() -> str:
    """The table as the page has it."""
    found = TABLE.search(PAGE.read_text(encoding="utf-8"))
    return found.group(2) if found else ""


def _range(item: object) -> str:
    low, high = (f"{limit:g}" for limit in item.limits)
    return f"{low} to {high}" if high != "inf" else f"{low} {item.unit} and more"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda m: m[1] + metrics_table() + m[3], text), encoding="utf-8")
