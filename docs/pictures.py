"""Shows the pictures of the panel that exist in the pages that ask for them.

Usage: python docs/pictures.py

A page asks by a comment, `<!-- picture: name.png | what is seen -->`; the picture follows it where
Resources/Screenshots has it.
"""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent
SCREENSHOTS = DOCS.parent / "Resources" / "Screenshots"
ASKED = re.compile(r"(<!-- picture: (\S+) \| ([^\n]+?) -->\n)(?:\n!\[[^\n]*\n)?")


def with_pictures(text: str) -> str:
    """Return a page with the pictures that exist, and no others."""

    def shown(found: re.Match[str]) -> str:
        comment, name, words = found.groups()
        if not (SCREENSHOTS / name).is_file():
            return comment
        return f"{comment}\n![{words}](../Resources/Screenshots/{name})\n"

    return ASKED.sub(shown, text)


if __name__ == "__main__":
    for page in sorted(DOCS.glob("*.md")):
        before = page.read_text(encoding="utf-8")
        page.write_text(with_pictures(before), encoding="utf-8")
