"""Shows the pictures of the panel that exist in the pages that ask for them.

Usage: python docs/pictures.py

A page asks by a comment, `<!-- picture: name.png | what is seen -->`; the picture follows it where
Resources/Screenshots has it.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCREENSHOTS = "Resources/Screenshots"
ASKED = re.compile(r"(<!-- picture: (\S+) \| ([^\n]+?) -->\n)(?:\n!\[[^\n]*\n)?")


def with_pictures(text: str, top: str = "../") -> str:
    """Return a page with the pictures that exist, and no others.

    Args:
        text: Of the page.
        top: Path from the page to the repository's top.
    """

    def shown(found: re.Match[str]) -> str:
        comment, name, words = found.groups()
        if not (ROOT / SCREENSHOTS / name).is_file():
            return comment
        return f"{comment}\n![{words}]({top}{SCREENSHOTS}/{name})\n"

    return ASKED.sub(shown, text)


def pages() -> dict[Path, str]:
    """Return all pages with their path to the top."""
    return {path: "../" for path in sorted((ROOT / "docs").glob("*.md"))} | {ROOT / "README.md": ""}


if __name__ == "__main__":
    for page, top in pages().items():
        before = page.read_text(encoding="utf-8")
        page.write_text(with_pictures(before, top), encoding="utf-8")
