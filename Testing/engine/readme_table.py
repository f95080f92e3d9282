"""The README's table of methods, from the register. Run it to write the table anew."""

from __future__ import annotations

import re
from pathlib import Path

from attention_maps import methods

README = Path(__file__).parents[2] / "README.md"
TABLE = re.compile(r"(<!-- methods:[^\n]*-->\n)(.*?)(<!-- end of methods -->)", re.DOTALL)


def methods_table() -> str:
    """One row per method, in the register's order."""
    rows = ["| name | shows | map | paper |", "|---|---|---|---|"]
    for item in methods().values():
        aliases = "".join(f", `{alias}`" for alias in item.aliases)
        shows = item.description + (f" *{item.remark}*" if item.remark else "")
        sign = "signed" if item.signed else "positive"
        rows.append(f"| `{item.name}`{aliases} | {shows} | {sign} | {item.reference} |")
    return "\n".join(rows) + "\n"


def table_in_readme() -> str:
    """The table as the README has it."""
    found = TABLE.search(README.read_text(encoding="utf-8"))
    return found.group(2) if found else ""


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    README.write_text(TABLE.sub(lambda m: m[1] + methods_table() + m[3], text), encoding="utf-8")
